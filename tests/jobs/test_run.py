"""A run: one scan, all files or none, and a run.json that tells the truth about both."""

import errno
import json
import os

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import infolake as il
from infolake.errors import InfolakeError, JobError, LedgerError, MissingExtraError, OutputError, StorageError
from infolake.jobs import run as running
from infolake.jobs import saving
from infolake.jobs.job import load
from infolake.sources import partitions

JOB = """
name: small
source:
  path: data
  columns: [a, b, c, x, day]
  filters: [[x, '>', -2.5]]
bins: {x: 4}
scores:
  - {name: pairs, columns: [a, b, c, x]}
  - {name: target, target: c, columns: [a, b, x], measures: [mi, uncertainty_coefficient], base: e}
  - {name: level, columns: [a, b], measures: [mi], missing: level}
  - {name: given, columns: [a, b], given: c, measures: [mi]}
associations:
  - {name: cells, x: a, y: b, min_count: 2, top: 7}
  - {name: turned, x: b, y: a, measures: [pmi]}
report: {title: A small job}
"""
N = 3000


def frame():
    rng = np.random.default_rng(7)
    a = rng.integers(0, 5, N)
    b = (a + rng.integers(0, 3, N)) % 6
    letters = np.array(list("pqrstu"), dtype=object)[b]
    letters[::17] = None
    return pd.DataFrame(
        {
            "a": a,
            "b": letters,
            "c": a % 2 == 0,
            "x": rng.normal(size=N) + a,
            "unused": np.arange(N),
            "day": a % 3,
        }
    )


@pytest.fixture
def job(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").mkdir()
    whole = pa.Table.from_pandas(frame(), preserve_index=False)
    for i in range(3):
        pq.write_table(whole.slice(i * 1000, 1000), tmp_path / "data" / f"{i}.parquet", row_group_size=300)
    (tmp_path / "job.yaml").write_text(JOB)
    return tmp_path / "job.yaml"


def facts(folder):
    return json.loads((folder / "run.json").read_text())


def files(folder):
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_a_run_writes_what_it_promises(job):
    finished = running.run(job)
    folder = job.parent / "out" / "small"
    assert finished.folder.resolve() == folder
    found = files(folder)
    assert {"scores.parquet", "report.html", "run.json", "counts/counts.json"} < set(found)
    assert {"associations/cells.parquet", "associations/turned.parquet"} < set(found)
    assert not [name for name in found if "infolake-" in name]
    assert [p.name for p in (job.parent / "out").iterdir()] == ["small"]


def test_buckets_are_told_everywhere(job):
    job.write_text(JOB.replace("bins: {x: 4}", "bins: {x: 4}\nmax_levels: {a: 2, b: 9}\nrest: bucket"))
    found = running.run(job)
    told = facts(found.folder)
    kept = told["max_levels"]
    assert kept["a"]["kept"] == 2
    assert kept["a"]["rest_levels"] == 3
    assert kept["b"]["rest_levels"] == 0
    assert told["reads"]["levels"] == 1
    assert "mutual_information_certified_low" in pq.read_table(found.folder / "scores.parquet").column_names
    cells = pd.read_parquet(found.folder / "associations" / "cells.parquet")
    assert "(3 other levels)" in set(cells["a"])
    page = found.report.read_text()
    for words in ("Levels kept", "none: exact", "(3 other levels)", "Certified low and high", "3 levels, "):
        assert words in page
    counts = il.load(found.folder)
    assert counts.table("a", "b").levels[0][-1] == "(3 other levels)"
    assert (
        il.score(counts, columns=["a", "b"], measures=["mi"])["mutual_information_certified_low"]
        .notna()
        .all()
    )


def test_a_limit_for_a_column_nobody_asks_about(job):
    job.write_text(JOB.replace("bins: {x: 4}", "max_levels: {unused: 4}"))
    with pytest.raises(JobError, match="no question asks about this column"):
        running.run(job)


def test_answers_are_those_of_the_functions(job):
    finished = running.run(job)
    filters, bins = [("x", ">", -2.5)], {"x": 4}
    data = str(job.parent / "data")
    direct = il.score(data, columns=["a", "b", "c", "x"], filters=filters, bins=bins)
    pd.testing.assert_frame_equal(finished.scores["pairs"], direct)
    direct = il.score(
        data,
        columns=["a", "b", "x"],
        target="c",
        measures=["mi", "uncertainty_coefficient"],
        base="e",
        filters=filters,
        bins=bins,
    )
    pd.testing.assert_frame_equal(finished.scores["target"], direct)
    direct = il.score(data, columns=["a", "b"], measures=["mi"], missing="level", filters=filters)
    pd.testing.assert_frame_equal(finished.scores["level"], direct)
    direct = il.score(data, columns=["a", "b"], given="c", measures=["mi"], filters=filters)
    pd.testing.assert_frame_equal(finished.scores["given"], direct)
    direct = il.associations(data, "b", "a", measures=["pmi"], filters=filters)
    pd.testing.assert_frame_equal(finished.associations["turned"], direct)


def test_saved_results_have_units_and_questions(job):
    finished = running.run(job)
    table = pq.ParquetFile(finished.folder / "scores.parquet").read()
    metadata = json.loads(table.schema.metadata[b"infolake"])
    assert table.column_names[:5] == ["question", "x", "y", "n", "n_missing"]
    assert table.column_names[-2:] == ["bias", "thin"]
    assert metadata["questions"]["target"]["target"] == "c"
    assert metadata["questions"]["target"]["units"]["mutual_information"] == "nats"
    assert metadata["questions"]["pairs"]["units"]["mutual_information"] == "bits"
    assert metadata["title"] == "A small job"
    rows = table.to_pandas()
    assert set(rows["question"]) == {"pairs", "target", "level", "given"}
    assert rows.loc[rows["question"] == "level", "adjusted_mutual_information"].isna().all()
    cells = pq.ParquetFile(finished.folder / "associations" / "cells.parquet").read()
    metadata = json.loads(cells.schema.metadata[b"infolake"])
    assert (metadata["x"], metadata["y"], metadata["min_count"], metadata["top"]) == ("a", "b", 2, 7)
    assert cells.num_rows == 7


def test_counts_answer_later_questions(job):
    finished = running.run(job)
    counts = il.load(finished.folder / "counts")
    again = il.score(counts, columns=["a", "b", "c", "x"])
    pd.testing.assert_frame_equal(again, finished.scores["pairs"])


def test_run_json_tells_what_was_read(job):
    running.run(job)
    told = facts(job.parent / "out" / "small")
    kept = int((frame()["x"] > -2.5).sum())
    assert (told["status"], told["exit_code"], told["name"], told["title"]) == (
        "ok",
        0,
        "small",
        "A small job",
    )
    assert told["ledger"]["rows_footer"] == told["ledger"]["rows_read"] == N
    assert told["ledger"]["rows_counted"] == kept
    assert told["ledger"]["left_out"] == {"filtered": N - kept, "listwise": 0}
    assert [i["rows"] for i in told["inputs"]] == [1000] * 3
    assert {"path", "size", "mtime", "rows"} <= set(told["inputs"][0])
    assert list(told["bins"]) == ["x"]
    assert told["reads"]["count"] == 1
    assert {"infolake", "python", "dask", "numpy", "pyarrow"} <= set(told["versions"])
    assert {"plan", "count", "score", "write", "report", "total"} == set(told["timings"])
    assert told["scheduler"] == "threads"
    assert told["job"]["scores"][1]["target"] == "c"


def test_all_questions_are_answered_from_one_scan(job, monkeypatch):
    """Every reading of rows goes through read_partitions: each partition is read once per told read."""
    from infolake.reduction import leaf

    read = []
    original = partitions.read_partitions

    def watched(given, columns, **options):
        given = list(given)
        read.extend(p.key for p in given)
        return original(given, columns, **options)

    monkeypatch.setattr(leaf, "read_partitions", watched)
    running.run(job)
    told = facts(job.parent / "out" / "small")["reads"]
    assert len(set(read)) == 12
    # The filtered column's bins need passes of their own; no question does.
    assert len(read) == 12 * (told["count"] + told["bins"])
    assert told["count"] == 1


def test_equal_runs_are_equal_bytes(job):
    first = files(running.run(job, "one").folder)
    second = files(running.run(job, "two").folder)
    changing = {"run.json", "report.html"}
    assert {k: v for k, v in first.items() if k not in changing} == {
        k: v for k, v in second.items() if k not in changing
    }


def test_a_second_run_replaces_the_first(job):
    running.run(job)
    job.write_text(JOB.replace("name: turned", "name: other"))
    folder = running.run(job).folder
    assert sorted(p.name for p in (folder / "associations").iterdir()) == ["cells.parquet", "other.parquet"]


def test_an_unknown_column_has_its_line(job):
    job.write_text(
        JOB.replace("target: c", "target: d").replace("x: a,", "x: aa,").replace("bins: {x", "bins: {xx")
    )
    with pytest.raises(JobError) as caught:
        running.run(job)
    text = str(caught.value)
    assert f"{job}:10:28: scores[1].target: unknown column 'd'" in text
    assert "unknown column 'aa'" in text
    assert caught.value.exit_code == 78
    told = facts(job.parent / "out" / "small")
    assert (told["status"], told["exit_code"]) == ("failed", 78)


def test_a_rule_for_a_column_nobody_asks_about(job):
    job.write_text(JOB.replace("bins: {x: 4}", "bins: {unused: 4}"))
    with pytest.raises(JobError, match="no question asks") as caught:
        running.run(job)
    assert caught.value.fields["where"] == f"{job}:7:8"


def test_what_cannot_be_binned(job):
    job.write_text(JOB.replace("bins: {x: 4}", "bins: {b: 4}"))
    with pytest.raises(JobError) as caught:
        running.run(job)
    assert str(job) in caught.value.fields["where"]


@pytest.mark.parametrize(
    ("damage", "code"),
    [
        (lambda d: (d / "1.parquet").write_bytes((d / "1.parquet").read_bytes()[:-100]), 65),
        (lambda d: (d / "1.parquet").write_bytes(b""), 65),
        (lambda d: [p.unlink() for p in d.iterdir()], 66),
    ],
)
def test_bad_input_leaves_earlier_results_whole(job, damage, code):
    folder = running.run(job).folder
    before = files(folder)
    damage(job.parent / "data")
    with pytest.raises(InfolakeError) as caught:
        running.run(job)
    assert caught.value.exit_code == code
    after = files(folder)
    told = json.loads(after.pop("run.json"))
    assert (told["status"], told["exit_code"]) == ("failed", code)
    assert told["error"]["type"] == type(caught.value).__name__
    assert told["earlier"] == json.loads(before.pop("run.json"))
    assert after == before
    with pytest.raises(InfolakeError):
        running.run(job)
    assert facts(folder)["earlier"]["status"] == "ok"


def test_a_broken_ledger_publishes_nothing(job, monkeypatch):
    from infolake.summaries.ledger import Ledger

    folder = running.run(job).folder
    before = files(folder)
    original = Ledger.check

    def broken(self, where):
        original(
            Ledger(self.rows_footer + 1, *self.values[1:]) if where == "before publishing" else self, where
        )

    monkeypatch.setattr(Ledger, "check", broken)
    with pytest.raises(LedgerError):
        running.run(job)
    assert facts(folder)["exit_code"] == 70
    assert {k: v for k, v in files(folder).items() if k != "run.json"} == {
        k: v for k, v in before.items() if k != "run.json"
    }


def test_a_full_disk(job, monkeypatch):
    folder = running.run(job).folder
    before = files(folder)

    def full(path, data):
        raise StorageError("no space is left", where=str(path))

    with monkeypatch.context() as patch:
        patch.setattr(saving, "write_bytes", full)
        with pytest.raises(StorageError):
            running.run(job)
    assert files(folder) == before


def test_a_disk_that_fills_while_counts_are_saved(job, monkeypatch):
    def full(*_, **__):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "cells.parquet")

    monkeypatch.setattr(pq, "write_table", full)
    with pytest.raises(StorageError) as caught:
        running.run(job, "results")
    assert "counts" in caught.value.fields["where"]
    assert list(files(job.parent / "results")) == ["run.json"]


def test_a_folder_that_cannot_be_made(job):
    (job.parent / "file").touch()
    with pytest.raises(OutputError) as caught:
        running.run(job, job.parent / "file" / "out")
    assert caught.value.exit_code == 73


def test_a_wrong_job_file_is_told_where_results_were_meant_to_go(job):
    job.write_text("nam: x")
    with pytest.raises(JobError):
        running.run(job, "results")
    assert facts(job.parent / "results")["exit_code"] == 78


def test_without_the_report_extra_nothing_is_read(job, monkeypatch):
    def absent(package):
        if package == "jinja2":
            raise running.PackageNotFoundError
        return "1"

    monkeypatch.setattr(running, "version", absent)
    with pytest.raises(MissingExtraError, match="report"):
        running.run(job)


def test_warnings_are_recorded(job, monkeypatch):
    import warnings

    original = running.plan

    def warned(job_file):
        with warnings.catch_warnings():
            warnings.simplefilter("always")
            warnings.warn("the air is thin", UserWarning, stacklevel=2)
        return original(job_file)

    monkeypatch.setattr(running, "plan", warned)
    monkeypatch.setattr("warnings.showwarning", lambda *_, **__: None)
    running.run(job)
    assert facts(job.parent / "out" / "small")["warnings"] == ["the air is thin"]


def test_a_plan_reads_nothing(job, monkeypatch):
    def refuse(*_, **__):
        raise AssertionError("rows were read")

    monkeypatch.setattr(partitions, "read_partitions", refuse)
    planned = running.plan(load(job))
    assert planned.source_rows == N
    assert ("a", "b") in [planned.request.group_names(g) for g in range(len(planned.request.groups))]


def test_weights(job):
    job.write_text(
        "name: w\nsource: {path: data, columns: [a, c]}\nweights: day\nscores: [{name: p, measures: [mi]}]\n"
    )
    finished = running.run(job)
    assert finished.scores["p"]["n"].tolist() == [int(frame()["day"].sum())]


def test_listwise_is_for_all_questions(job):
    questions = "[{name: p, columns: [a, c]}, {name: q, columns: [a, b]}]"
    job.write_text(f"name: l\nsource: {{path: data}}\nmissing: listwise\nscores: {questions}\n")
    finished = running.run(job)
    kept = int(frame()["b"].notna().sum())
    assert [s["n"].tolist() for s in finished.scores.values()] == [[kept], [kept]]
    assert finished.ledger.left_out["listwise"] == N - kept


def test_only_associations(job):
    job.write_text("name: o\nsource: {path: data}\nassociations: [{name: p, x: a, y: b}]\n")
    finished = running.run(job)
    assert len(pq.ParquetFile(finished.folder / "scores.parquet").read()) == 0
    assert finished.report.exists()


def test_the_columns_of_a_source_are_the_default(job):
    job.write_text("name: o\nsource: {path: data, columns: [a, b, c]}\nscores: [{name: p, measures: [mi]}]\n")
    scores = running.run(job).scores["p"]
    assert {frozenset(p) for p in zip(scores["x"], scores["y"], strict=True)} == {
        frozenset("ab"),
        frozenset("ac"),
        frozenset("bc"),
    }
