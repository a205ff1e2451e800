// Says in JupyterLab's page what a save took out of a notebook. The server says
// so in its answer to the save (nbhush_save/guard.py), which holds names and no
// value: there is no request of its own, and a save that took nothing out costs nothing.
//
// This is a container of webpack's module federation as JupyterLab loads it, written
// by hand: init gets the modules that the page shares, get returns ours.
(() => {
  let shared = {};
  const told = new Map(); // names by path: an open document still has the secret at every later save

  async function notification() {
    const versions = Object.values(shared['@jupyterlab/apputils'] || {});
    const version = versions.find((v) => v.loaded) || versions[0];
    return version && (await version.get())().Notification;
  }

  async function tell(path, names) {
    const say = await notification();
    if (say) {
      say.warning('nbhush took ' + names + ' out of ' + path + ' before it was saved. It is still in the open document.', {
        autoClose: 10000
      });
    }
  }

  function saved(_, change) {
    const model = change.type === 'save' && change.newValue;
    if (!model) {
      return;
    }
    const names = Array.isArray(model.nbhush) ? model.nbhush.join(', ') : '';
    if (names && told.get(model.path) !== names) {
      tell(model.path, names).catch((why) => console.warn('nbhush-save:', why));
    }
    told.set(model.path, names);
  }

  const plugin = {
    id: 'nbhush-save:plugin',
    description: 'Says what a save took out of a notebook.',
    autoStart: true,
    activate: (app) => {
      app.serviceManager.contents.fileChanged.connect(saved);
    }
  };

  window._JUPYTERLAB = window._JUPYTERLAB || {};
  window._JUPYTERLAB['nbhush-save'] = {
    init: (scope) => {
      shared = scope;
    },
    get: async () => () => ({ __esModule: true, default: plugin })
  };
})();
