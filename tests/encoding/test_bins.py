"""Bin rules, edges and labels."""

from __future__ import annotations

import math
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from infolake.encoding.bins import (
    BinRule,
    cuts,
    interval_labels,
    limits,
    merged_edges,
    parse_rule,
    quantile_ranks,
    uniform_edges,
)
from infolake.errors import BinRangeError, UsageError


@pytest.mark.parametrize(
    ("given_rule", "rule"),
    [
        (None, BinRule()),
        ("exact", BinRule("exact")),
        ("auto", BinRule("auto")),
        (1, BinRule("quantile", 1)),
        (np.int64(8), BinRule("quantile", 8)),
        (65536, BinRule("quantile", 65536)),
        ([0, 1], BinRule("edges", 1, (0, 1))),
        (np.array([0.5, 1.5]), BinRule("edges", 1, (0.5, 1.5))),
        ((Decimal("0.5"), 2), BinRule("edges", 1, (0.5, 2))),
        ([-math.inf, 0, math.inf], BinRule("edges", 2, (-math.inf, 0, math.inf))),
        ({}, BinRule("quantile", 16)),
        ({"bins": 3}, BinRule("quantile", 3)),
        ({"bins": np.int64(3)}, BinRule("quantile", 3)),
        ({"method": "uniform"}, BinRule("uniform", 16)),
        (BinRule("uniform", 2), BinRule("uniform", 2)),
    ],
)
def test_rules(given_rule: Any, rule: BinRule) -> None:
    assert parse_rule("x", given_rule) == rule


@pytest.mark.parametrize(
    "wrong",
    [
        *(0, -1, 65537, True, False, 2.0, 1.5, "16", "", b"ab", object()),
        *(
            [],
            [1],
            [1, 1],
            [2, 1],
            [0, math.nan],
            [0, None],
            ["a", "b"],
            [True, False],
            np.array([[0, 1], [2, 3]]),
        ),
        *({"bins": 0}, {"bins": "4"}, {"bins": True}, {"method": "exact"}, {"methd": "uniform"}, {1: 2}),
    ],
    ids=repr,
)
def test_rules_that_make_no_sense(wrong: Any) -> None:
    with pytest.raises(UsageError, match="'x'") as caught:
        parse_rule("x", wrong)
    assert caught.value.exit_code == 2


@given(st.integers(1, 10**12), st.integers(1, 300))
def test_ranks_are_those_of_the_inverted_cdf(total: int, bins: int) -> None:
    ranks = quantile_ranks(total, bins)
    assert ranks == sorted(ranks)
    assert (ranks[0], ranks[-1], len(ranks)) == (1, total, bins + 1)
    for k, rank in enumerate(ranks[1:-1], 1):
        assert rank * bins >= total * k > (rank - 1) * bins


@given(st.floats(-1e308, 1e308), st.floats(-1e308, 1e308), st.integers(1, 20))
def test_equal_widths_ascend_from_end_to_end(a: float, b: float, bins: int) -> None:
    low, high = sorted((a, b))
    edges = uniform_edges("x", low, high, bins)
    if low == high:
        assert edges == (low, low)
        return
    assert (edges[0], edges[-1]) == (low, high)
    assert list(edges) == sorted(set(edges))
    assert len(edges) <= bins + 1
    if high - low > 1e-300 * max(1, abs(low)) and (high - low) / bins > 1e-9 * max(abs(low), abs(high)):
        assert len(edges) == bins + 1


def test_widths_of_the_infinite_do_not_exist() -> None:
    with pytest.raises(BinRangeError, match="infinite"):
        uniform_edges("x", -math.inf, 0, 3)


def test_labels() -> None:
    assert interval_labels((0.5, 2.0, 3.25)) == ["[0.5, 2)", "[2, 3.25]"]
    assert interval_labels((7, 7)) == ["[7, 7]"]
    assert interval_labels((-math.inf, 1e300, math.inf)) == ["[-inf, 1e+300)", "[1e+300, inf]"]
    assert interval_labels((2**53 + 1, 2**53 + 2)) == ["[9007199254740993, 9007199254740994]"]
    assert len(set(interval_labels((0.1, 0.1 + 2**-56, 0.1 + 2**-55, 0.2)))) == 3


def test_merged() -> None:
    assert merged_edges([3, 1, 3]) == (1, 3)
    assert merged_edges([5]) == (5, 5)


@given(
    st.lists(st.floats(allow_nan=False), min_size=2, max_size=6, unique=True),
    st.integers(-(2**63), 2**63 - 1),
)
def test_cuts_of_integers_decide_as_the_edges_do(given_edges: list[float], value: int) -> None:
    edges = tuple(sorted(given_edges))
    low, high = limits(edges, integer=True)
    assert (low <= value <= high) == (edges[0] <= value <= edges[-1])
    if edges[0] <= value <= edges[-1]:
        assert int((cuts(edges, integer=True) <= value).sum()) == sum(e <= value for e in edges[1:-1])
