"""Run a notebook as a reader does, in its own folder, with warnings as errors."""

import pytest

STRICT = "import warnings\nwarnings.simplefilter('error')"
LENIENT = "warnings.simplefilter('ignore')"  # the kernel itself warns when it stops


def executed(path, *, timeout=120):
    """Return the cells of a notebook after running all of them; a cell that fails raises.

    Parameters
    ----------
    path : Path
        The notebook; its folder is the current folder of the kernel.
    timeout : int
        Seconds that one cell may take.
    """
    reason = "NO NBCLIENT: pip install 'infolake[notebook]' to run the notebooks"
    nbclient = pytest.importorskip("nbclient", reason=reason)
    nbformat = pytest.importorskip("nbformat", reason=reason)
    pytest.importorskip("ipykernel", reason=reason)

    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    notebook.cells.insert(0, nbformat.v4.new_code_cell(STRICT))
    notebook.cells.append(nbformat.v4.new_code_cell(LENIENT))
    client = nbclient.NotebookClient(
        notebook,
        timeout=timeout,
        startup_timeout=120,
        kernel_name="python3",
        resources={"metadata": {"path": str(path.parent)}},
    )
    client.execute()
    return notebook.cells[1:-1]


def outputs(cells):
    """Yield every output of code cells."""
    for cell in cells:
        yield from cell.get("outputs", ())


def shown(cells, kind):
    """Return what the cells show in one MIME type, in order."""
    return [o["data"][kind] for o in outputs(cells) if kind in o.get("data", {})]
