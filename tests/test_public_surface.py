"""The public names, their signatures, and an import that costs nothing."""

from __future__ import annotations

import inspect
import subprocess
import sys
import time

import pandas as pd
import pytest

import infolake as il

SIGNATURES = {
    "count": "(data, groups='pairs', *, columns=None, target=None, filters=None, bins=None, "
    "missing='pairwise', weights=None, compute=True, max_levels=None, rest='bucket')",
    "score": "(data, *, columns=None, target=None, given=None, measures=('mutual_information', "
    "'normalized_mutual_information', 'adjusted_mutual_information'), base=2, missing='pairwise', "
    "entropy='plug_in', filters=None, bins=None, weights=None",
    "associations": "(data, x, y, *, measures=('pointwise_mutual_information', "
    "'normalized_pointwise_mutual_information'), base=2, min_count=1, top=None, sort_by=None",
    "matrix": "(scores, measure)",
    "load": "(path)",
    "plan": "(data",
    "mutual_information": "(table, *, base=2, entropy='plug_in'",
    "normalized_mutual_information": "(table, *, average='arithmetic', entropy='plug_in'",
    "adjusted_mutual_information": "(table, *, average='arithmetic'",
    "pointwise_mutual_information": "(table, *, base=2",
}
MEASURES = [
    "entropy",
    "joint_entropy",
    "conditional_entropy",
    "variation_of_information",
    "v_measure",
    "homogeneity",
    "completeness",
    "uncertainty_coefficient",
    "g_statistic",
    "chi_squared",
    "cramers_v",
    "normalized_pointwise_mutual_information",
    "positive_pointwise_mutual_information",
    "contribution",
    "mutual_information",
    "pointwise_mutual_information",
    "normalized_mutual_information",
    "adjusted_mutual_information",
]
OTHERS = ["ContingencyTable", "JointCounts", "InfolakeError", "measures", "count", "score", "associations"]
HEAVY = (
    "numba",
    "pandas",
    "scipy",
    "dask",
    "distributed",
    "pyarrow",
    "numpy",
    "sklearn",
    "yaml",
    "click",
    "pydantic",
)


@pytest.mark.parametrize("name", SIGNATURES)
def test_signatures_begin_with_the_contract(name: str) -> None:
    signature = inspect.signature(getattr(il, name))
    bare = [p.replace(annotation=inspect.Parameter.empty) for p in signature.parameters.values()]
    assert str(inspect.Signature(bare)).startswith(SIGNATURES[name])


@pytest.mark.parametrize("name", [*MEASURES, *OTHERS, *SIGNATURES])
def test_names_exist_and_are_listed(name: str) -> None:
    assert callable(getattr(il, name))
    assert name in dir(il)
    assert getattr(il, name).__doc__


@pytest.mark.parametrize("name", MEASURES)
def test_measures_take_a_table(name: str) -> None:
    table = il.ContingencyTable([[3, 1], [0, 2]])
    value = getattr(il, name)(table)
    assert isinstance(value, float) or value.shape == (2, 2)


def test_the_parts_of_counts() -> None:
    counts = il.count(pd.DataFrame({"x": ["a", "b"], "y": [1, 2]}))
    assert inspect.signature(counts.table).parameters["missing"].default == "pairwise"
    for name in ("groups", "levels", "n_rows", "ledger", "save"):
        assert hasattr(counts, name)
    assert il.ContingencyTable.from_labels(["a"], [1]).total == 1


@pytest.mark.parametrize("name", ["nope", "_private", "__wrapped__", "np", "__path_hook__"])
def test_other_names_do_not_exist(name: str) -> None:
    with pytest.raises(AttributeError):
        getattr(il, name)


@pytest.mark.parametrize(
    "before",
    [
        "pass",
        "import infolake.measures",
        "il.score",
        "il.mutual_information",
        "from infolake import measures",
    ],
)
def test_measures_is_a_function_whatever_was_imported_before(before: str) -> None:
    code = f"import infolake as il\n{before}\nassert 'mutual_information' in il.measures().index\n"
    code += "import infolake.measures as room\nroom.mutual_information\nassert len(il.measures()) > 20"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_importing_is_light() -> None:
    code = f"import sys, infolake\nprint([m for m in {HEAVY!r} if m in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert found.stdout.strip() == "[]"


def test_importing_is_quick() -> None:
    def seconds(code: str) -> float:
        start = time.perf_counter()
        subprocess.run([sys.executable, "-c", code], check=True)
        return time.perf_counter() - start

    best = min(seconds("import infolake") for _ in range(3))
    bare = min(seconds("pass") for _ in range(3))
    assert best - bare < 0.3


def test_the_version_is_the_packages() -> None:
    from importlib.metadata import version

    assert il.__version__ == version("infolake")
