"""nbhush._mlflow: params, tags and text artifacts of mlflow have no known value; see _trackers.

Loaded when mlflow is imported.
"""

from nbhush._trackers import clean, cleaned_path, expect, mask, replace, unknown

# The methods of mlflow's client to a tracking server or store, whatever is behind.
TEXTS = """log_param log_batch set_tag create_run update_run create_experiment rename_experiment set_experiment_tag
    create_logged_model log_model_params set_logged_model_tags set_dataset_tags""".split()
FILES = "log_artifact log_artifacts log_model_artifact log_model_artifacts".split()


def shown(thing):
    """Return thing, of which mlflow keeps what str makes of it, or that without known values."""
    cleaned = clean(thing)
    if cleaned is thing and not isinstance(thing, (str, int, float, dict, list, tuple, type(None))):
        try:
            text = str(thing)
        except Exception:
            return thing  # mlflow cannot have it either
        masked = mask(text)
        return thing if masked == text else masked
    return cleaned


def library(module):
    expect(module, "mlflow.tracking._tracking_service.client", "params, tags and artifacts")


def client(module):
    def make_texts(call):
        def cleaned(self, *args, **kw):
            given = list(args) + list(kw.values())
            args, kw = [shown(a) for a in args], {k: shown(v) for k, v in kw.items()}
            result = call(self, *args, **kw)
            for before, after in zip(given, list(args) + list(kw.values())):
                if result is after:
                    return before  # log_param returns its value
            return result

        return cleaned

    def make_files(call):
        def cleaned(self, owner, *args, **kw):
            for key in ("local_path", "local_dir"):
                if key in kw:
                    return cleaned_path(kw.pop(key), lambda path: call(self, owner, *args, **{key: path}, **kw))
            if not args:
                return call(self, owner, **kw)
            return cleaned_path(args[0], lambda path: call(self, owner, path, *args[1:], **kw))

        return cleaned

    service = getattr(module, "TrackingServiceClient", None)
    if not service or not all(hasattr(service, name) for name in ("log_param", "log_batch", "set_tag", "log_artifact", "log_artifacts")):
        unknown("mlflow", "params, tags and artifacts")
        return
    for name in TEXTS:
        replace(service, name, make_texts)
    for name in FILES:
        replace(service, name, make_files)


def dicts(module):
    """log_dict writes JSON or YAML, which quotes and folds what is in it."""

    def make(call):
        def cleaned(self, run_id, *args, **kw):
            return call(self, run_id, *[clean(a) for a in args], **{k: clean(v) for k, v in kw.items()})

        return cleaned

    if not replace(getattr(module, "MlflowClient", object), "log_dict", make):
        unknown("mlflow", "log_dict")
