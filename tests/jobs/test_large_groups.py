"""Jobs with groups counted in shards: the same bytes as in memory, one ledger, and files that say so.

The limit from which groups are counted in shards is lowered, so that small data goes that way.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dask
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import infolake as il
from infolake import reports
from infolake.analyses import sharded as analyses
from infolake.analyses.inference import Inference
from infolake.analyses.scores import Scoring
from infolake.errors import (
    ChangedInputError,
    InfolakeError,
    JobError,
    LedgerError,
    NoInputError,
    StorageError,
    TooManyCellsError,
    UnknownColumnError,
)
from infolake.jobs import large, saving
from infolake.jobs.job import load
from infolake.jobs.run import Finished, plan, run
from infolake.large_tables import FrequencyTable
from infolake.reduction import cluster, planning, sharded
from sharded_twin import same_frame

JOB = """
name: mixed
source: {path: PATH, filters: [[kept, "==", true]]}
bins: {user: exact, item: exact, size: 8}
missing: MISSING
scores:
  - {name: pairs, columns: [user, item, colour, size], p_values: g, correction: holm}
  - {name: aim, target: user, columns: [item, colour, size], measures: [mi], entropy: miller_madow}
  - {name: within, columns: [user, colour], given: size, measures: [mi]}
LEVELS
associations:
  - {name: cells, x: item, y: user, measures: [npmi, pmi]}
  - {name: best, x: user, y: item, measures: [pmi], min_count: 2, top: 9}
  - {name: few, x: colour, y: size}
"""
SHORT = """
name: short
source: {path: PATH}
bins: {item: exact}
scores: [{name: pairs, columns: [user, item], measures: [mi]}, {name: held, columns: [item, colour]}]
associations: [{name: cells, x: item, y: user, min_count: 2}]
"""
LEVELS = "  - {name: level, columns: [user, item, colour], measures: [mi, chi2], missing: level}"
POLICIES = ("pairwise", "listwise")
LARGE = 200
N = 3000
SMALL = {("item", "colour"), ("colour", "size"), ("item", "size")}


def rows(n: int = N) -> pa.Table:
    """Return a table with two columns of many levels, two of few, and missing values."""
    rng = np.random.default_rng(9)
    user = rng.integers(0, 400, n)
    return pa.table(
        {
            "user": pa.array([f"u_{v}" for v in user], mask=rng.random(n) < 0.04),
            "item": pa.array((user + rng.integers(0, 3, n)) % 20, pa.int64(), mask=rng.random(n) < 0.04),
            "colour": pa.array(np.array(["red", "green", "käse"])[user % 3], mask=rng.random(n) < 0.05),
            "size": pa.array(rng.normal(size=n) + user, mask=rng.random(n) < 0.05),
            "kept": rng.random(n) < 0.9,
        }
    )


def written(folder: Path, cuts: tuple[int, ...] = (1000, 2000), row_group_size: int = 300) -> Path:
    """Write the rows as Parquet files cut at ``cuts``."""
    folder.mkdir(parents=True)
    table = rows()
    for i, (start, stop) in enumerate(zip((0, *cuts), (*cuts, table.num_rows), strict=True)):
        pq.write_table(
            table.slice(start, stop - start), folder / f"{i:02d}.parquet", row_group_size=row_group_size
        )
    return folder


def job(folder: Path, data: Path, missing: str = "pairwise", text: str = JOB) -> Path:
    """Write the job file."""
    path = folder / f"{missing}.yaml"
    levels = LEVELS if missing == "pairwise" else ""
    path.write_text(text.replace("PATH", str(data)).replace("MISSING", missing).replace("LEVELS", levels))
    return path


def answers(folder: Path) -> dict[str, str]:
    """Return a digest of every saved answer."""
    files = [folder / "scores.parquet", *folder.glob("associations/*")]
    return {str(f.relative_to(folder)): hashlib.sha256(f.read_bytes()).hexdigest() for f in files}


def files(folder: Path) -> dict[str, bytes]:
    """Return the content of every file."""
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def told(folder: Path) -> dict[str, Any]:
    """Return what run.json says."""
    found: dict[str, Any] = json.loads((folder / "run.json").read_text("utf-8"))
    return found


@pytest.fixture
def low(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Count every group of more than a few cells in shards."""
    monkeypatch.setattr(planning, "SAMPLE_ABOVE", 0)
    monkeypatch.setattr(planning, "SHARD_ABOVE", LARGE)
    with dask.config.set({"scheduler": "sync", "infolake.leaf-bytes": "1KiB"}):
        yield


@pytest.fixture(scope="module", params=POLICIES)
def expected(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[str, dict[str, str]]:
    """What the job answers where every table is held."""
    folder = tmp_path_factory.mktemp(request.param)
    with dask.config.set(scheduler="sync"):
        found = run(job(folder, written(folder / "data"), request.param), folder / "out").folder
    assert "in_shards" not in told(found)
    assert len(answers(found)) == 4
    return request.param, answers(found)


@pytest.fixture
def mixed(low: None, tmp_path: Path) -> Finished:
    """A run of small and large groups."""
    return run(job(tmp_path, written(tmp_path / "data")), tmp_path / "out")


# -- the same bytes


@pytest.mark.parametrize("scheduler", ["sync", "threads"])
@pytest.mark.parametrize("cuts", [(), (1, 777, 2999)])
def test_the_same_bytes_as_in_memory(
    low: None, expected: tuple[str, dict[str, str]], tmp_path: Path, scheduler: str, cuts: tuple[int, ...]
) -> None:
    missing, wanted = expected
    path = job(tmp_path, written(tmp_path / "data", cuts, 97), missing)
    with dask.config.set(scheduler=scheduler):
        found = run(path, tmp_path / "out").folder
    assert ["user", "item"] in told(found)["in_shards"]
    assert answers(found) == wanted


def test_processes_give_the_same_bytes(low: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Few questions, since every scan starts its own pool of processes."""
    path = job(tmp_path, written(tmp_path / "data"), text=SHORT)
    with monkeypatch.context() as patch:
        patch.setattr(planning, "SHARD_ABOVE", 10**9)
        wanted = answers(run(path, tmp_path / "held").folder)
    with dask.config.set({"scheduler": "processes", "num_workers": 2, "infolake.leaf-bytes": "64KiB"}):
        found = run(path, tmp_path / "out").folder
    assert told(found)["in_shards"] == [["user", "item"]]
    assert answers(found) == wanted


@pytest.mark.cluster
@pytest.mark.parametrize("expected", ["pairwise"], indirect=True)
def test_a_cluster_gives_the_same_bytes(
    low: None, expected: tuple[str, dict[str, str]], tmp_path: Path
) -> None:
    missing, wanted = expected
    path = job(tmp_path, written(tmp_path / "data"), missing)
    with (
        cluster.connect(workers=2, memory_limit="1GiB"),
        dask.config.set({"scheduler": None, "infolake.leaf-bytes": "64KiB"}),
    ):
        assert answers(run(path, tmp_path / "out").folder) == wanted


def test_spilled_or_not_gives_the_same_bytes(
    low: None,
    expected: tuple[str, dict[str, str]],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    missing, wanted = expected
    monkeypatch.setattr(sharded, "_resources", lambda: (2, 1 << 14, True))
    path, folder = job(tmp_path, written(tmp_path / "data"), missing), tmp_path / "spill"
    with dask.config.set({"infolake.spill-directory": str(folder), "infolake.leaf-bytes": "16KiB"}):
        assert "spilled to disk" in str(plan(load(path)))
        assert answers(run(path, tmp_path / "out").folder) == wanted
    assert list(folder.iterdir()) == []


def test_cells_go_to_their_file_in_pieces(
    low: None, expected: tuple[str, dict[str, str]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Frames of few rows: no frame of all cells is made, and the file tells the same."""
    missing, _ = expected
    monkeypatch.setattr(large, "FRAME_ROWS", 100)
    monkeypatch.setattr("infolake.jobs.run.HEAD_ROWS", 7)
    path = job(tmp_path, written(tmp_path / "data"), missing)
    pieces = run(path, tmp_path / "pieces")
    with monkeypatch.context() as patch:
        patch.setattr(large, "FRAME_ROWS", 10**6)
        whole = run(path, tmp_path / "whole")
    name = "associations/cells.parquet"
    found, wanted = (pq.ParquetFile(f.folder / name) for f in (pieces, whole))
    assert found.num_row_groups > 9
    assert wanted.num_row_groups == 1
    assert found.read().equals(wanted.read(), check_metadata=True)
    assert pieces.n_rows["cells"] == whole.n_rows["cells"] == wanted.metadata.num_rows
    assert len(pieces.associations["cells"]) == 7


# -- how the rows are read


def test_only_small_groups_are_read_in_one_scan(
    low: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing changes for a job without a large group: one scan, one set of counts."""
    monkeypatch.setattr(planning, "SHARD_ABOVE", 10**9)
    monkeypatch.setattr(sharded, "ask", lambda *_, **__: pytest.fail("counted in shards"))
    found = run(job(tmp_path, written(tmp_path / "data")), tmp_path / "out").folder
    assert told(found)["reads"]["count"] == 1
    assert "shards" not in told(found)["reads"]
    assert "shards" not in told(found)["timings"]


def test_rows_are_read_as_often_as_the_plan_says(
    low: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One scan of the held groups, one for each question of a large one; bin edges are found once."""
    asked: list[Any] = []
    attempt = sharded._attempt
    monkeypatch.setattr(sharded, "_attempt", lambda *a, **o: asked.append(a) or attempt(*a, **o))
    path = job(tmp_path, written(tmp_path / "data"))
    planned = plan(load(path))
    found = run(path, tmp_path / "out").folder
    reads = told(found)["reads"]
    assert reads["count"] == 1
    assert 1 <= reads["bins"] <= 2
    assert reads["shards"] == len(asked) >= planned.shard_scans
    # a pair that two entries ask about in the same reading of missing is counted once
    distinct = {(names, level) for _, names, _, questions, _, level in asked if len(questions) == 3}
    assert planned.shard_scans is not None
    assert planned.shard_scans == len(large.Questions(load(path).job, planned).scans) + 2
    assert (("user", "item"), False) in distinct


def test_all_groups_large(low: None, tmp_path: Path) -> None:
    """No scan for counts, and no counts."""
    text = "name: a\nsource: {path: PATH}\nbins: exact\nscores: [{name: p, columns: [user, item]}]\n"
    found = run(job(tmp_path, written(tmp_path / "data"), text=text), tmp_path / "out")
    reads = told(found.folder)["reads"]
    assert (reads["count"], reads["bins"]) == (0, 0)
    assert 1 <= reads["shards"] <= 2  # once more where the sample did not tell how values become keys
    assert told(found.folder)["ledger"]["rows_counted"] == N
    assert not (found.folder / "counts").exists()
    assert "counted in shards" in found.report.read_text("utf-8")
    with pytest.raises(NoInputError, match="counted in shards"):
        il.load(found.folder)


def test_rows_that_change_between_scans_are_no_result(
    low: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A scan that counts other rows than the first: nothing is published."""
    path = job(tmp_path, written(tmp_path / "data"))
    folder = run(path, tmp_path / "out").folder
    before = files(folder)
    original = large.large_pair

    def other(*arguments: Any, **options: Any) -> Any:
        found = original(*arguments, **options)
        assert found is not None
        object.__setattr__(found, "ledger", found.ledger + type(found.ledger)(1, 1, 1))
        return found

    monkeypatch.setattr(large, "large_pair", other)
    with pytest.raises(ChangedInputError, match="between two scans"):
        run(path, tmp_path / "out")
    after = files(folder)
    assert told(folder)["status"] == "failed"
    assert {k: v for k, v in after.items() if k != "run.json"} == {
        k: v for k, v in before.items() if k != "run.json"
    }


@pytest.mark.parametrize("cells", [0, 1 << 22])
@pytest.mark.parametrize("given", [(), ("colour",)])
def test_a_pair_turned_is_what_a_scan_of_it_finds(
    low: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cells: int, given: tuple[str, ...]
) -> None:
    """Known by its cells or by frequencies, plain or in strata: one scan serves a pair both ways round."""
    monkeypatch.setattr(analyses, "RESIDUAL_CELLS", cells)
    names, measures = ("user", "item", *given), ["mi", "conditional_entropy"]
    asked = planning.Asked([names], bins={"item": "exact"})
    planned = planning.plan_count(str(written(tmp_path / "data")), asked, in_blocks=True)
    scoring = Scoring.of(
        Inference(), given=given or None, measures=measures, base=2, missing="pairwise", entropy="plug_in",
        support=None, weighted=False,
    )  # fmt: skip
    found = analyses.large_pair(planned, names, level=False)
    other = analyses.large_pair(planned, ("item", "user", *given), level=False)
    assert found is not None
    assert other is not None
    assert isinstance(found.tables, FrequencyTable) == (cells == 0)
    frame = scoring.frame(other)
    assert frame["x"].tolist() == ["item"]
    assert same_frame(scoring.frame(found.turned), frame)
    assert not same_frame(scoring.frame(found), frame)


# -- what is saved and told


def test_run_json_and_counts(mixed: Finished) -> None:
    """The small groups are kept; the others are listed, and asking for them says why they are not there."""
    facts = told(mixed.folder)
    groups = [tuple(g) for g in facts["in_shards"]]
    assert ("user", "item") in groups
    assert not SMALL & set(groups)
    assert "shards" in facts["timings"]
    assert facts["bins"].keys() == {"size"}
    counts = il.load(mixed.folder)
    assert {frozenset(g) for g in counts.groups} >= {frozenset(g) for g in SMALL}
    assert counts.ledger.rows_counted == facts["ledger"]["rows_counted"]
    frame = il.score(counts, measures=["mi"])
    assert ("user", "item") not in set(zip(frame["x"], frame["y"], strict=True))
    for columns in (["user", "item"], ["colour", "user"]):
        with pytest.raises(UnknownColumnError, match="in_shards"):
            il.score(counts, columns=columns)
    with pytest.raises(UnknownColumnError, match="in_shards"):
        il.associations(counts, "user", "item")


def test_the_answers_are_those_of_the_functions(mixed: Finished, tmp_path: Path) -> None:
    data, filters = str(tmp_path / "data"), [("kept", "==", True)]
    bins = {"user": "exact", "item": "exact", "size": 8}
    bins = {k: v for k, v in bins.items() if k != "user"}
    direct = il.associations(
        data, "item", "user", measures=["npmi", "pmi"], filters=filters, bins={"item": "exact"}
    )
    pd.testing.assert_frame_equal(mixed.associations["cells"], direct.head(1000))
    assert mixed.n_rows["cells"] == len(direct)
    scores = il.score(data, columns=["item", "colour", "size"], target="user", measures=["mi"],
                      entropy="miller_madow", filters=filters, bins=bins)  # fmt: skip
    pd.testing.assert_frame_equal(mixed.scores["aim"], scores)


def test_the_page(mixed: Finished, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tables that are not kept say so; of a long list the page holds the ends, and says of how many."""
    page = mixed.report.read_text("utf-8")
    assert "Counted in shards" in page
    assert "to count in shards" in page
    assert "No table to open: it is too large to be kept" in page
    monkeypatch.setattr("infolake.reports.saved.FIRST", 20)
    monkeypatch.setattr("infolake.reports.saved.LAST", 5)
    page = reports.render(mixed.folder)
    total = mixed.n_rows["cells"]
    assert f"This page lists 25 of {total:,} cells" in page
    assert f"{total:,} cells saved" in page


@pytest.mark.parametrize(("by", "shown"), [("npmi", True), ("count", False)])
def test_extremes_of_a_long_list_are_shown_only_where_its_ends_hold_them(
    low: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, by: str, shown: bool
) -> None:
    """In the order of another number the extremes may stand amid the cells that the page does not hold."""
    entry = f"[{{name: cells, x: user, y: item, measures: [pmi, npmi], sort_by: {by}}}]"
    text = f"name: a\nsource: {{path: PATH}}\nbins: exact\nassociations: {entry}\n"
    folder = run(job(tmp_path, written(tmp_path / "data"), text=text), tmp_path / "out").folder
    assert "Strongest attractions" in reports.render(folder)
    monkeypatch.setattr("infolake.reports.saved.FIRST", 20)
    monkeypatch.setattr("infolake.reports.saved.LAST", 5)
    assert ("Strongest attractions" in reports.render(folder)) == shown


def test_the_ends_of_a_long_list(mixed: Finished, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the first and the last cells of a large pair are read, from whatever row groups hold them."""
    from infolake.reports import saved

    path = mixed.folder / "associations" / "cells.parquet"
    table = pq.read_table(path)
    monkeypatch.setattr(saved, "FIRST", 30)
    monkeypatch.setattr(saved, "LAST", 10)
    for size in (len(table), len(table) - 4, 100):
        pq.write_table(table, path, row_group_size=size)
        found = next(a for a in saved.read_run(mixed.folder).associations if a.name == "cells")
        n = len(found) - 30
        assert 1 <= n <= 10
        shown = found.columns["count"].tolist()
        assert shown == table["count"].to_pylist()[:30] + table["count"].to_pylist()[-n:]
        assert found.total == len(table)


def test_the_plan_names_groups_scans_and_spill(low: None, tmp_path: Path) -> None:
    planned = plan(load(job(tmp_path, written(tmp_path / "data"))))
    text = str(planned)
    assert "in shards:" in text
    assert "user x item" in text
    assert f"{planned.shard_scans} scans, one after another" in text
    assert f"{planned.shard_scans + 1} to count" in text
    assert "in memory" in text or "spilled" in text


# -- early refusal, faults


@pytest.fixture
def no_reading(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fail where rows are read in full."""
    monkeypatch.setattr("infolake.reduction.leaf.read_partitions", lambda *_: pytest.fail("rows were read"))


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ("scores: [{name: every, columns: [user, item], measures: [chi2]}]", ("scores: every", "entropies")),
        ("scores: [{name: sure, columns: [user, item], intervals: bootstrap}]", ("scores: sure",)),
        ("associations: [{name: cells, x: user, y: item}]", ("associations: cells", "top or min_count")),
    ],
)
def test_what_needs_every_cell_is_refused_early(
    low: None, no_reading: None, tmp_path: Path, entry: str, words: tuple[str, ...]
) -> None:
    text = f"name: a\nsource: {{path: PATH}}\nbins: exact\n{entry}\n"
    path = job(tmp_path, written(tmp_path / "data"), text=text)
    with dask.config.set({"infolake.memory-limit": "64KiB"}):
        for asked in (lambda: plan(load(path)), lambda: run(path, tmp_path / "out")):
            with pytest.raises(TooManyCellsError) as caught:
                asked()
            assert caught.value.exit_code == 65
            assert all(word in str(caught.value) for word in (*words, "user (about", "item (about"))
            assert "colour" not in str(caught.value)


def test_held_groups_that_do_not_fit_are_refused_early(
    low: None, no_reading: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(planning, "SHARD_ABOVE", 10**6)
    path = job(tmp_path, written(tmp_path / "data"))
    with dask.config.set({"infolake.memory-limit": "64KiB"}), pytest.raises(TooManyCellsError):
        plan(load(path))


def test_no_room_to_spill_is_told_before_anything_is_read(
    low: None, no_reading: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sharded, "_resources", lambda: (2, 1 << 14, True))
    path = job(tmp_path, written(tmp_path / "data"))
    (tmp_path / "file").touch()
    with (
        dask.config.set({"infolake.spill-directory": str(tmp_path / "file" / "below")}),
        pytest.raises(InfolakeError, match="spill"),
    ):
        run(path, tmp_path / "out")


def test_a_question_without_a_pair(low: None, no_reading: None, tmp_path: Path) -> None:
    entries = "[{name: p, columns: [user, item]}, {name: q, columns: [user]}]"
    text = f"name: a\nsource: {{path: PATH}}\nbins: exact\nscores: {entries}\n"
    path = job(tmp_path, written(tmp_path / "data"), text=text)
    with pytest.raises(JobError, match="no pair of columns"):
        run(path, tmp_path / "out")


@pytest.mark.parametrize("stage", ["cells", "ledger"])
def test_a_failed_run_leaves_earlier_results(
    low: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stage: str
) -> None:
    """A disk that fills amid the cells, or a ledger that does not balance: all files are as they were."""
    path = job(tmp_path, written(tmp_path / "data"))
    folder = run(path, tmp_path / "out").folder
    before = files(folder)
    kind: type[InfolakeError] = StorageError
    if stage == "cells":
        original, calls = pq.ParquetWriter.write_table, []

        def full(self: Any, table: Any, *arguments: Any, **options: Any) -> None:
            calls.append(table)
            if len(calls) == 3:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "cells.parquet")
            original(self, table, *arguments, **options)

        monkeypatch.setattr(large, "FRAME_ROWS", 100)
        monkeypatch.setattr(pq.ParquetWriter, "write_table", full)
    else:
        kind = LedgerError
        from infolake.summaries.ledger import Ledger

        check = Ledger.check
        monkeypatch.setattr(
            Ledger,
            "check",
            lambda self, where: check(self + Ledger(1) if where == "before publishing" else self, where),
        )
    with pytest.raises(kind):
        run(path, tmp_path / "out")
    after = files(folder)
    assert told(folder)["earlier"]["status"] == "ok"
    assert {k: v for k, v in after.items() if k != "run.json"} == {
        k: v for k, v in before.items() if k != "run.json"
    }


KILLED = """
import os, signal, sys
import dask
from infolake.jobs.run import run
from infolake.reduction import planning, sharded
planning.SAMPLE_ABOVE, planning.SHARD_ABOVE, calls = 0, 200, []
sharded._resources = lambda: (2, 1 << 14, True)
answer = sharded._shard_answer
def killed(*arguments):
    calls.append(1)
    if len(calls) == int(sys.argv[4]):
        os.kill(os.getpid(), signal.SIGKILL)
    return answer(*arguments)
sharded._shard_answer = killed
with dask.config.set({"scheduler": "sync", "infolake.spill-directory": sys.argv[3]}):
    run(sys.argv[1], sys.argv[2])
"""


def test_a_killed_run_leaves_earlier_results(low: None, tmp_path: Path) -> None:
    """SIGKILL while shards are merged: all files are as they were; the next run removes what was spilled."""
    path, spill = job(tmp_path, written(tmp_path / "data")), tmp_path / "spill"
    folder = run(path, tmp_path / "out").folder
    before = files(folder)
    command = [sys.executable, "-c", KILLED, str(path), str(folder), str(spill)]
    found = subprocess.run([*command, "20"], capture_output=True, check=False, timeout=120)
    assert found.returncode == -signal.SIGKILL, found.stderr[-2000:]
    left = {k: v for k, v in files(folder).items() if not k.startswith(saving.STAGE)}
    assert left == before
    assert list(spill.iterdir())
    found = subprocess.run([*command, "0"], capture_output=True, check=False, timeout=120)
    assert found.returncode == 0, found.stderr[-2000:]
    assert list(spill.iterdir()) == []
    assert answers(folder) == {k: hashlib.sha256(before[k]).hexdigest() for k in answers(folder)}


def test_files_without_footers(low: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """CSV says nothing of its rows before it is read: the scans hold each other to account."""
    from pyarrow import csv

    (tmp_path / "data").mkdir()
    for i in range(2):
        csv.write_csv(
            rows().slice(i * 1500, 1500).select(["user", "item", "colour"]), tmp_path / f"data/{i}.csv"
        )
    path = job(tmp_path, tmp_path / "data", text=SHORT)
    with monkeypatch.context() as patch:
        patch.setattr(planning, "SHARD_ABOVE", 10**9)
        wanted = answers(run(path, tmp_path / "held").folder)
    found = run(path, tmp_path / "out").folder
    assert told(found)["in_shards"] == [["user", "item"]]
    assert answers(found) == wanted


def test_saving_frames_tells_details(tmp_path: Path) -> None:
    frame = pd.DataFrame({"a": [1, 2]})
    saving.write_frames([frame, frame], tmp_path / "a.parquet", {"name": "n"})
    table = pq.read_table(tmp_path / "a.parquet")
    assert table["a"].to_pylist() == [1, 2, 1, 2]
    assert json.loads(table.schema.metadata[b"infolake"]) == {"name": "n", "units": {}}
