"""The bias notebook runs, and its estimators err as it and the literature say."""

import json
import re
import time
from pathlib import Path

import pandas as pd
import pytest
from notebook_runs import executed, outputs, shown

from infolake.measures import estimators

NOTEBOOK = Path(__file__).resolve().parents[2] / "notebooks" / "bias.ipynb"
COUNTING = ["miller_madow", "panzeri_treves", "jackknife", "quadratic_extrapolation", "grassberger_1988"]
COVERAGE = ["grassberger_2003", "chao_shen", "chao_wang_jost", "zhang", "nsb"]
SHRINKAGE = ["james_stein", "james_stein_marginal", "dirichlet_laplace"]


@pytest.fixture(scope="module")
def cells():
    pytest.importorskip("matplotlib", reason="NO MATPLOTLIB: pip install 'infolake[notebook]'")
    start = time.perf_counter()
    found = executed(NOTEBOOK)
    assert time.perf_counter() - start < 120  # half a minute on an idle core
    return found


def table(cells, source):
    """Return the numbers that the one cell with some source shows, an estimator a row."""
    (cell,) = [c for c in cells if c.cell_type == "code" and source in c.source]
    (text,) = shown([cell], "text/html")
    rows = [
        re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row) for row in re.findall(r"<tr.*?</tr>", text, re.DOTALL)
    ]
    sizes = [int(n) for n in next(row for row in rows if "1024" in row)[1:]]
    body = {row[0]: map(float, row[1:]) for row in rows if row[0] in estimators.names()}
    return pd.DataFrame(body, index=sizes).T


@pytest.fixture(scope="module")
def biases(cells):
    return table(cells, "biases.round(3)")


def test_every_estimator_is_shown(biases):
    assert set(biases.index) == {e.name for e in estimators.every()}


def test_the_plug_in_is_too_high_by_millers_term(biases):
    bias = biases.loc["plug_in"]
    assert (bias > 0).all()
    assert bias.is_monotonic_decreasing
    for n in (256, 512, 1024):
        assert bias[n] == pytest.approx(49 / (2 * n) / 0.6931, rel=0.1)


@pytest.mark.parametrize("name", COUNTING + COVERAGE)
def test_corrections_leave_a_part_of_the_bias_only(biases, name):
    share = biases.loc[name].abs() / biases.loc["plug_in"]
    assert share[64] < 0.7
    assert (share[[128, 256, 512, 1024]] < 0.5).all()


@pytest.mark.parametrize("name", SHRINKAGE)
def test_shrinkage_errs_towards_independence(biases, name):
    assert (biases.loc[name] < 0).all()


def test_all_but_two_agree_in_the_end(biases):
    rest = biases.drop(index=["ansb", "bonachela"])
    assert (rest[1024].abs() < 0.07).all()


def test_it_draws_and_says_nothing_on_stderr(cells):
    assert [o["text"] for o in outputs(cells) if o.get("name") == "stderr"] == []
    assert len(shown(cells, "image/png")) == 1


def test_it_is_kept_without_outputs_and_paths():
    kept = NOTEBOOK.read_text("utf-8")
    code = [c for c in json.loads(kept)["cells"] if c["cell_type"] == "code"]
    assert all(c["outputs"] == [] and c["execution_count"] is None for c in code)
    assert not any(word in kept for word in ("/home/", "/work/", "/root/", "/Users/", "C:\\\\"))
