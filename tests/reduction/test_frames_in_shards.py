"""Dask DataFrames with large groups: one scan finds them, and then the bytes are those of a table in memory.

The limit from which groups are counted in shards is lowered, so that small data goes that way.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import dask
import dask.dataframe as dd
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import infolake as il
from infolake.errors import ChangedInputError, MissingValueError, TooManyCellsError, UsageError
from infolake.reduction import cluster, planning, sharded
from sharded_twin import same_frame

LIMIT = 300
N = 4000
BINS = {"item": "exact"}


def rows(n: int = N) -> pd.DataFrame:
    """Return two columns of many levels, one to bin, two of few, and missing values."""
    rng = np.random.default_rng(17)
    user = rng.integers(0, 500, n)
    frame = pd.DataFrame(
        {
            "user": [f"u{v}" for v in user],
            "item": (user * 7 + rng.integers(0, 5, n)) % 300,
            "size": rng.normal(size=n) + user % 5,
            "kind": user % 4,
            "side": rng.integers(0, 3, n),
        }
    )
    frame.loc[::13, "user"] = None
    frame.loc[::17, "size"] = np.nan
    return frame


QUESTIONS: dict[str, Callable[[Any], pd.DataFrame]] = {
    "pairs": lambda s: il.score(s, bins=BINS, p_values="g", correction="holm"),
    "target": lambda s: il.score(s, columns=["user", "kind"], target="item", bins=BINS, measures=["mi"]),
    "level": lambda s: il.score(s, columns=["user", "item", "kind"], bins=BINS, missing="level"),
    "cells": lambda s: il.score(s, columns=["user", "item"], bins=BINS, measures=["chi2", "mi"]),
    "given": lambda s: il.score(s, columns=["user", "kind", "size"], given="side", measures=["mi"]),
    "listwise": lambda s: il.score(
        s, columns=["user", "item", "size"], bins=BINS, missing="listwise", filters=[("kind", ">", 0)]
    ),
    "list": lambda s: il.associations(s, "user", "item", bins=BINS),
    "top": lambda s: il.associations(s, "item", "user", bins=BINS, top=9, min_count=2, missing="level"),
    "binned": lambda s: il.associations(s, "user", "size", sort_by="count", measures=["pmi"]),
    "few": lambda s: il.associations(s, "kind", "side"),
}


@pytest.fixture(scope="module")
def expected() -> dict[str, pd.DataFrame]:
    """What the rows give as a table in memory."""
    with dask.config.set(scheduler="sync"):
        return {name: ask(rows()) for name, ask in QUESTIONS.items()}


@pytest.fixture
def scans(attempts: list[Any], monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Any]]:
    """Send large groups through the shards; the list tells what each such scan found."""
    monkeypatch.setattr(planning, "SHARD_ABOVE", LIMIT)
    with dask.config.set(scheduler="sync"):
        yield attempts


@pytest.mark.parametrize("name", QUESTIONS)
@pytest.mark.parametrize("pieces", [1, 7])
def test_the_same_bytes_as_in_memory(
    expected: dict[str, pd.DataFrame], scans: list[Any], name: str, pieces: int
) -> None:
    found = QUESTIONS[name](dd.from_pandas(rows(), npartitions=pieces))
    assert same_frame(found, expected[name])
    assert bool(scans) == (name != "few")


@pytest.mark.parametrize("split_every", [2, 8])
def test_threads_and_any_tree(expected: dict[str, pd.DataFrame], scans: list[Any], split_every: int) -> None:
    with dask.config.set({"scheduler": "threads", "infolake.split-every": split_every}):
        frame = dd.from_pandas(rows().sample(frac=1, random_state=3, ignore_index=True), npartitions=11)
        for name in ("pairs", "given", "list"):
            assert same_frame(QUESTIONS[name](frame), expected[name])


def test_processes(expected: dict[str, pd.DataFrame], scans: list[Any]) -> None:
    with dask.config.set(scheduler="processes", num_workers=2):
        found = QUESTIONS["cells"](dd.from_pandas(rows(), npartitions=3))
    assert same_frame(found, expected["cells"])
    assert scans


@pytest.mark.cluster
def test_a_cluster(expected: dict[str, pd.DataFrame], scans: list[Any]) -> None:
    with cluster.connect(workers=2, memory_limit="1GiB"), dask.config.set(scheduler=None):
        frame = dd.from_pandas(rows(), npartitions=5)
        for name in ("pairs", "top"):
            assert same_frame(QUESTIONS[name](frame), expected[name])
    assert scans


def test_spilled(
    expected: dict[str, pd.DataFrame], scans: list[Any], monkeypatch: Any, tmp_path: Path
) -> None:
    """The rows that the first scan counts tell how much is spilled."""
    monkeypatch.setattr(sharded, "_resources", lambda: (2, 1 << 14, True))
    with dask.config.set({"infolake.spill-directory": str(tmp_path)}):
        found = QUESTIONS["cells"](dd.from_pandas(rows(), npartitions=5))
    assert same_frame(found, expected["cells"])
    assert scans[-1].spilled > 0
    assert list(tmp_path.iterdir()) == []


def test_an_empty_first_partition(expected: dict[str, pd.DataFrame], scans: list[Any]) -> None:
    """No sample at all: the first scan in shards says how values become keys."""
    frame = dd.concat([dd.from_pandas(rows().head(0), npartitions=1), dd.from_pandas(rows(), npartitions=2)])
    assert same_frame(QUESTIONS["cells"](frame), expected["cells"])


def test_small_frames_are_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing but the one scan of before: every partition is made once, and no sample is taken."""
    made: list[int] = []

    def part(number: int) -> pd.DataFrame:
        made.append(number)
        return rows().iloc[number::3]

    monkeypatch.setattr(sharded, "ask", lambda *_, **__: pytest.fail("counted in shards"))
    frame = dd.from_map(part, range(3), meta=rows().head(0))
    with dask.config.set(scheduler="sync"):
        il.score(frame, columns=["kind", "side"], bins="exact")
        il.associations(frame, "kind", "side", bins="exact")
    assert sorted(made) == [0, 0, 1, 1, 2, 2]


def test_what_stays_as_it_was(scans: list[Any]) -> None:
    """Weights and limits of levels are counted in memory; so is il.count."""
    frame = dd.from_pandas(rows().assign(w=2), npartitions=3)
    weighted = il.score(frame, columns=["user", "item"], bins=BINS, weights="w", measures=["mi"])
    assert weighted["n"].tolist() == [2 * int(rows()["user"].notna().sum())]
    limited = il.score(frame, columns=["user", "item"], max_levels=9, bins=BINS, measures=["mi"])
    assert "mutual_information_certified_low" in limited
    assert len(il.count(frame, [("user", "item")], bins=BINS).table("user", "item").cells[1]) > LIMIT
    assert not scans


def test_a_missing_value_is_an_error_where_asked(scans: list[Any]) -> None:
    with pytest.raises(MissingValueError):
        il.score(dd.from_pandas(rows(), npartitions=3), columns=["user", "item"], bins=BINS, missing="error")


def test_other_rows_in_another_scan_are_no_result(scans: list[Any]) -> None:
    """A frame that makes other rows each time: the ledgers of two scans differ."""
    left = [N, N - 1, N - 1, N - 1]

    def part(number: int) -> pd.DataFrame:
        return rows().head(left.pop(0) if number else N)

    frame = dd.from_map(part, range(2), meta=rows().head(0))
    with pytest.raises(ChangedInputError):
        QUESTIONS["cells"](frame)


@pytest.mark.parametrize(
    "ask",
    [
        lambda s: il.score(s, columns=["user", "item"], bins=BINS, measures=["chi2"]),
        lambda s: il.associations(s, "user", "item", bins=BINS),
    ],
)
def test_cells_that_do_not_fit_are_refused(
    scans: list[Any], monkeypatch: pytest.MonkeyPatch, ask: Callable[[Any], Any]
) -> None:
    """Nothing tells before the first scan; then the error names the columns and the estimate."""
    frame = dd.from_pandas(rows(), npartitions=3)
    monkeypatch.setattr(planning, "memory_limit", lambda: 1 << 16)
    with pytest.raises(TooManyCellsError) as caught:
        ask(frame)
    assert "user (about" in str(caught.value)
    assert not scans


def test_a_table_of_empty_levels_is_refused(scans: list[Any]) -> None:
    with pytest.raises(UsageError, match="levels that only meet missing values"):
        il.score(
            dd.from_pandas(rows(), npartitions=3), columns=["user", "item"], bins=BINS, measures=["mi"],
            entropy="laplace", support="table",
        )  # fmt: skip


def test_a_plan_says_that_only_reading_tells() -> None:
    text = str(il.plan(dd.from_pandas(rows(), npartitions=3)))
    assert "known when read" in text
    assert "of more than 4,194,304 cells" in text


def test_files_with_small_and_large_conditional_groups(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Columns that are named, and only some of whose groups are large."""
    pq.write_table(pa.Table.from_pandas(rows(), preserve_index=False), tmp_path / "a.parquet")
    wanted = QUESTIONS["given"](str(tmp_path))
    monkeypatch.setattr(planning, "SAMPLE_ABOVE", 0)
    monkeypatch.setattr(planning, "SHARD_ABOVE", LIMIT)
    assert same_frame(QUESTIONS["given"](str(tmp_path)), wanted)
