"""Runs cells in a kernel and prints the outputs as JSON.

usage: run_notebook.py nbclient|papermill KERNEL < cells.json > outputs.json

Adjacent outputs of one stream are joined, as JupyterLab joins them: how a
kernel cuts its prints into messages depends on time.
"""

import json
import sys
import tempfile
from pathlib import Path

import nbformat
from nbformat.v4 import new_code_cell, new_notebook

how, kernel = sys.argv[1:]
spec = {"name": kernel, "display_name": kernel, "language": "python"}
nb = new_notebook(
    cells=[new_code_cell(source, metadata={"tags": ["raises-exception"]}) for source in json.load(sys.stdin)],
    metadata={"kernelspec": spec},
)
if how == "nbclient":
    from nbclient import NotebookClient

    NotebookClient(nb, timeout=120, allow_errors=True).execute()
else:
    import papermill

    with tempfile.TemporaryDirectory() as folder:
        source, result = Path(folder, "in.ipynb"), Path(folder, "out.ipynb")
        nbformat.write(nb, source)
        try:
            papermill.execute_notebook(source, result, progress_bar=False, log_output=False)
        except papermill.PapermillExecutionError:
            pass  # raised after all cells have run: some of them are to fail
        nb = nbformat.read(result, 4)


def joined(outputs):
    result = []
    for output in outputs:
        if output.output_type == "stream" and result and result[-1].get("name") == output.name:
            result[-1]["text"] += output.text
        else:
            result.append(dict(output))
    return result


# papermill adds Markdown cells that name the error.
json.dump([joined(cell.outputs) for cell in nb.cells if cell.cell_type == "code"], sys.stdout, sort_keys=True)
