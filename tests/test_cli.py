"""The command line as people and schedulers see it: what goes where, and the exit code."""

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

import infolake as il
from infolake import errors
from infolake.cli import cli

JOB = "name: j\nsource: {path: data.parquet}\nscores: [{name: pairs, measures: [mi]}]\n"


@pytest.fixture
def data(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DASK_SCHEDULER_ADDRESS", raising=False)
    rng = np.random.default_rng(1)
    a = rng.integers(0, 4, 500)
    frame = pd.DataFrame({"a": a, "b": [f"={v % 2}" for v in a], "c,d": rng.integers(0, 2, 500) == 1})
    pq.write_table(pa.Table.from_pandas(frame, preserve_index=False), "data.parquet")
    (tmp_path / "job.yaml").write_text(JOB)
    return tmp_path


def call(*arguments, **options):
    return CliRunner().invoke(cli, [str(a) for a in arguments], **options)


def infolake(*arguments, **options):
    command = [sys.executable, "-m", "infolake.cli", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, **options)


def test_score_prints_a_table_on_stdout_only(data):
    result = call("score", "data.parquet", "--measure", "mi", "--measure", "nmi", "--top", 2)
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert lines[0].split() == [
        "x",
        "y",
        "n",
        "n_missing",
        "mutual_information",
        "normalized_mutual_information",
        "bias",
        "thin",
    ]
    assert lines[1].split() == ["bits", "bits"]
    assert lines[2].split()[:3] == ["a", "b", "500"]
    assert len(lines) == 4
    assert result.stderr == ""


def test_a_target_is_y(data):
    result = call("score", "data.parquet", "--target", "c,d", "--base", "e")
    assert [line.split()[1] for line in result.stdout.splitlines()[2:]] == ["c,d", "c,d"]
    assert "nats" in result.stdout


def test_columns_bins_and_missing(data):
    result = call("score", "data.parquet", "--columns", "a,c,,d", "--bins", "a=2", "--missing", "level")
    assert result.exit_code == 0, result.output
    assert [line.split()[:2] for line in result.stdout.splitlines()[2:]] == [["a", "c,d"]]


@pytest.mark.parametrize("bins", ["x", "0", "a=0", "a=b", "-3", "1_0"])
def test_wrong_bins(data, bins):
    result = call("score", "data.parquet", "--bins", bins)
    assert result.exit_code == 2
    assert result.stdout == ""


def test_max_levels(data):
    result = call("score", "data.parquet", "--columns", "a,b", "--measure", "mi", "--max-levels", "a=1,b=2")
    assert result.exit_code == 0, result.output
    assert "mutual_information_certified_high" in result.stdout
    result = call("associations", "data.parquet", "a", "b", "--max-levels", "1", "--output", "cells.parquet")
    assert result.exit_code == 0, result.output
    assert pd.read_parquet("cells.parquet")["a"].map(type).eq(str).all()


@pytest.mark.parametrize("limit", ["x", "0", "a=0", "a=b", "-3", "1_0", "a=exact"])
def test_wrong_max_levels(data, limit):
    result = call("score", "data.parquet", "--max-levels", limit)
    assert result.exit_code == 2
    assert result.stdout == ""


def test_p_values_and_intervals(data):
    asked = ["--measure", "mi", "--p-values", "permutation", "--correction", "holm", "--permutations", 99]
    asked += ["--seed", 3, "--intervals", "delta", "--level", 0.9, "--output", "scores.csv"]
    result = call("score", "data.parquet", *asked)
    assert result.exit_code == 0, result.output
    found = pd.read_csv("scores.csv")
    options = {"p_values": "permutation", "correction": "holm", "permutations": 99, "seed": 3}
    scores = il.score("data.parquet", measures="mi", intervals="delta", level=0.9, **options)
    for name in ("p_value", "p_corrected", "mutual_information_low", "mutual_information_se"):
        assert found[name].to_numpy() == pytest.approx(scores[name].to_numpy(), rel=1e-12)
    for wrong, told in (
        ("--p-values", "permutation"),
        ("--correction", "bonferroni"),
        ("--intervals", "delta"),
    ):
        result = call("score", "data.parquet", wrong, told[:-1])
        assert result.exit_code == 2
        assert told in result.stderr
    assert call("score", "data.parquet", "--correction", "bh").exit_code == 2


def test_weights_and_a_corrected_estimate(data):
    asked = ["score", "data.parquet", "--columns", "a,b", "--measure", "mi", "--weights", "w", "--entropy"]
    frame = pd.read_parquet("data.parquet").assign(w=lambda f: np.arange(len(f)) % 3 + 0.5)
    frame.to_parquet("data.parquet")
    result = call(*asked, "miller_madow", "--p-values", "g_williams", "--output", "scores.csv")
    assert result.exit_code == 0, result.output
    scores = il.score(
        frame, columns=["a", "b"], measures="mi", weights="w", entropy="mm", p_values="g_williams"
    )
    found = pd.read_csv("scores.csv")
    for name in ("n_effective", "mutual_information", "p_value"):
        assert found[name].item() == pytest.approx(scores[name].item(), rel=1e-12)
    refused = call(*asked, "chao_shen")
    assert refused.exit_code == 2
    assert "needs numbers of rows, not weights" in refused.stderr


def test_a_job_asks_for_p_values_and_intervals(data):
    lines = [
        "name: j",
        "source: {path: data.parquet}",
        "scores:",
        "  - {name: g, measures: [mi, ami], p_values: g, correction: bh, intervals: delta}",
        "  - {name: plain, measures: [mi]}",
    ]
    (data / "job.yaml").write_text("\n".join(lines) + "\n")
    result = call("run", "job.yaml")
    assert result.exit_code == 0, result.output
    table = pq.read_table("out/j/scores.parquet")
    frame = table.to_pandas()
    asked = frame[frame["question"] == "g"]
    assert (asked["p_corrected"] >= asked["p_value"]).all()
    assert (asked["mutual_information_low"] <= asked["mutual_information"]).all()
    assert frame.loc[frame["question"] == "plain", "p_value"].isna().all()
    described = json.loads(table.schema.metadata[b"infolake"])
    measures = ["mutual_information", "adjusted_mutual_information"]
    assert described["questions"]["g"]["measures"] == measures
    assert described["units"]["mutual_information_se"] == "bits"
    assert {described["questions"]["g"][k] for k in ("p_values", "correction", "intervals")} == {
        "g",
        "bh",
        "delta",
    }
    page = (data / "out/j/report.html").read_text("utf-8")
    assert "p-values: G test, corrected for the number of pairs (Benjamini–Hochberg)" in page
    assert "95 % intervals: delta method" in page
    assert page.count("; p-values: ") == 1  # of the question that asked
    for shown in ("p_value", "p_corrected", "mutual_information_low", "adjusted_mutual_information_se"):
        assert shown in result.stdout


def test_several_inputs(data):
    pq.write_table(pq.read_table("data.parquet").slice(0, 10), "more.parquet")
    result = call("score", "data.parquet", "more.parquet", "--measure", "mi", "--columns", "a,b")
    assert "510" in result.stdout


def test_output_by_ending(data):
    for name in ("s.csv", "s.json", "s.parquet"):
        result = call("score", "data.parquet", "--output", name)
        assert (result.exit_code, result.stdout) == (0, "")
    assert json.loads((data / "s.json").read_text())["units"]["mutual_information"] == "bits"
    assert len(pd.read_csv("s.csv")) == len(pd.read_parquet("s.parquet")) == 3
    result = call("associations", "data.parquet", "a", "b", "--output", "a.csv")
    assert result.exit_code == 0
    assert "'=1" in (data / "a.csv").read_text()


def test_an_output_that_cannot_be_written_is_refused_before_reading(data):
    result = call("score", "nothing.parquet", "--output", "s.xlsx")
    assert result.exit_code == 2
    result = call("score", "nothing.parquet", "--output", "none/s.csv")
    assert result.exit_code == 73
    assert "nothing was read" in result.stderr


def test_associations(data):
    result = call(
        "associations", "data.parquet", "a", "b", "--measure", "npmi", "--min-count", 100, "--top", 3
    )
    lines = result.stdout.splitlines()
    assert lines[0].split() == [
        "a",
        "b",
        "count",
        "count_x",
        "count_y",
        "normalized_pointwise_mutual_information",
    ]
    assert len(lines) <= 4


def test_run_prints_the_strongest_and_says_where_the_report_is(data):
    result = call("run", "job.yaml")
    assert result.exit_code == 0, result.output
    assert "pairs\n" in result.stdout
    assert "rows: 500 read, 500 counted, left out: none" in result.stdout
    assert result.stdout.splitlines()[-1] == "report: out/j/report.html"
    assert (data / "out" / "j" / "report.html").exists()
    assert result.stderr == ""


def test_plan_says_what_will_happen(data):
    result = call("plan", "job.yaml")
    assert result.exit_code == 0
    assert "500" in result.stdout
    assert not (data / "out").exists()


def test_init_writes_a_job_that_runs(data):
    result = call("init", "data.parquet")
    assert result.exit_code == 0
    (data / "new.yaml").write_text(result.stdout)
    assert "# - {name: target" in result.stdout
    assert call("run", "new.yaml", "--output", "new").exit_code == 0
    (data / "sub").mkdir()
    assert call("init", "data.parquet", "--output", "sub/job.yaml").exit_code == 0
    assert call("run", "sub/job.yaml", "--output", "sub/out").exit_code == 0
    before = (data / "sub" / "job.yaml").read_text()
    assert call("init", "data.parquet", "--output", "sub/job.yaml").exit_code == 73
    assert (data / "sub" / "job.yaml").read_text() == before


def test_init_with_hostile_and_useless_columns(data):
    n = 300
    columns = {
        "id": [f"id-{i}" for i in range(n)],
        "no: {x}\n# y": ["a", "b", "c"] * 100,
        "null": [1, 2] * 150,
        "\x1b[31m": [True, False, None] * 100,
        "nested": [[1, 2]] * n,
        "two words": [i % 7 / 2 for i in range(n)],
    }
    pq.write_table(pa.table(columns), "odd name!.parquet")
    result = call("init", "odd name!.parquet", "--output", "odd.yaml")
    assert result.exit_code == 0, result.output
    text = (data / "odd.yaml").read_text()
    assert "# - id " in text
    assert "# - nested" in text
    assert "name: odd-name" in text
    assert "\x1b" not in text
    result = call("run", "odd.yaml")
    assert result.exit_code == 0, result.output
    assert len(pd.read_parquet("out/odd-name/scores.parquet")) == 6


def test_measures(data):
    result = call("measures")
    assert result.exit_code == 0
    assert "mutual_information" in result.stdout
    result = call("measures", "npmi")
    assert result.stdout.startswith("normalized_pointwise_mutual_information\n")
    assert "reference:" in result.stdout
    result = call("measures", "nmii")
    assert result.exit_code == 2
    assert "did you mean 'nmi'?" in result.stderr


def test_choices_come_from_the_catalogue(data):
    result = call("score", "data.parquet", "--measure", "mutual_informaton")
    assert result.exit_code == 2
    assert "did you mean 'mutual_information'?" in result.stderr
    result = call("score", "data.parquet", "--entropy", "miler_madow")
    assert "did you mean 'miller_madow'?" in result.stderr
    for base in ("0", "1", "x", "nan", "-2"):
        assert call("score", "data.parquet", "--base", base).exit_code == 2


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (["score", "none.parquet"], 66, "none.parquet"),
        (["score", "empty"], 66, "empty"),
        (["score", "zero.parquet"], 65, "zero.parquet"),
        (["score", "data.parquet", "data.parquet"], 65, "twice"),
        (["score", "data.parquet", "--target", "bb"], 2, "did you mean 'b'?"),
        (["associations", "data.parquet", "a", "zz"], 2, "zz"),
        (["associations", "data.parquet", "a", "b", "--sort-by", "mi"], 2, ""),
        (["run", "none.yaml"], 78, "none.yaml"),
        (["run", "bad.yaml"], 78, "bad.yaml:1:1"),
        (["score", "data.parquet", "--address", "tcp://127.0.0.1:9", "--workers", "2"], 2, "excludes"),
        (["score", "data.parquet", "--memory-limit", "lots"], 2, "size"),
        (["score"], 2, "DATA"),
        (["scor"], 2, "No such command"),
        (["run", "job.yaml", "--output", "file/x"], 73, "file"),
    ],
)
def test_every_failure_has_its_code_and_no_traceback(data, arguments, code, told):
    (data / "empty").mkdir()
    (data / "zero.parquet").touch()
    (data / "file").touch()
    (data / "bad.yaml").write_text("nam: x\n")
    result = call(*arguments)
    assert result.exit_code == code, result.output
    assert told in result.stderr
    assert result.stdout == ""
    assert "Traceback" not in result.stderr
    if code != 2:
        assert result.stderr.startswith("error: ")


def test_debug_shows_the_traceback(data):
    result = call("score", "none.parquet", "--debug")
    assert "Traceback" in result.stderr
    assert "error: " in result.stderr
    assert result.exit_code == 66


def raising(monkeypatch, error):
    import infolake.analyses.scores as scores

    def fail(*_, **__):
        raise error

    monkeypatch.setattr(scores, "score", fail)
    monkeypatch.setitem(vars(__import__("infolake")), "score", fail)


def kinds(kind):
    yield kind
    for below in kind.__subclasses__():
        yield from kinds(below)


@pytest.mark.parametrize("kind", sorted(kinds(errors.InfolakeError), key=lambda k: k.__name__))
def test_every_error_class_ends_with_its_code(data, monkeypatch, kind):
    raising(
        monkeypatch,
        kind("it\x1b[31m broke", where="here\n", found="x", expected="y", effect="none", next="go"),
    )
    result = call("score", "data.parquet")
    assert result.exit_code == kind.exit_code
    assert result.stderr.splitlines() == [
        "error: it\\x1b[31m broke",
        "  where:    here\\n",
        "  expected: y",
        "  found:    x",
        "  effect:   none",
        "  next:     go",
    ]


def test_the_codes_are_a_contract():
    codes = {kind.__name__: kind.exit_code for kind in kinds(errors.InfolakeError)}
    expected = {"UsageError": 2, "DataError": 65, "NoInputError": 66, "ClusterError": 69, "LedgerError": 70}
    expected |= {"MemoryLimitError": 71, "OutputError": 73, "StorageError": 74, "LostClusterError": 75}
    expected |= {"AccessError": 77, "ConfigError": 78, "JobError": 78, "InfolakeError": 1}
    assert expected.items() <= codes.items()


def test_a_bug_is_one_line_and_a_file(data, monkeypatch):
    raising(monkeypatch, ZeroDivisionError("oh\x1b no"))
    monkeypatch.setenv("TMPDIR", str(data))
    monkeypatch.setattr("tempfile.tempdir", None)
    result = call("score", "data.parquet")
    assert result.exit_code == 1
    assert result.stderr.startswith(
        "error: internal: ZeroDivisionError: oh\\x1b no (this is a bug; the traceback is in "
    )
    assert len(result.stderr.splitlines()) == 1
    (written,) = data.glob("infolake-*.txt")
    assert "Traceback" in written.read_text()


def test_ctrl_c(data, monkeypatch):
    raising(monkeypatch, KeyboardInterrupt())
    result = call("score", "data.parquet")
    assert (result.exit_code, result.stdout) == (130, "")
    assert "Traceback" not in result.stderr


def test_help_is_quick_and_loads_nothing_heavy():
    heavy = "{'numba', 'pandas', 'dask', 'scipy', 'pyarrow', 'pydantic'}"
    code = f"import sys, infolake.cli; print(sorted({heavy} & set(sys.modules)))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def test_progress_is_quiet_without_a_terminal(data):
    found = infolake("run", "job.yaml", cwd=data)
    assert (found.returncode, found.stderr) == (0, "")


def test_a_reader_that_leaves_early(data):
    command = f"{sys.executable} -m infolake.cli measures | head -1"
    found = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=60, check=False)
    assert found.stderr == ""
    assert len(found.stdout.splitlines()) == 1


def test_sigterm_stops_cleanly(data):
    slow = (
        "import time, infolake.cli as c, infolake.jobs.run as r\n"
        "def plan(_):\n    print('ready', flush=True)\n    time.sleep(60)\n"
        "r.plan = plan\nc.main()\n"
    )
    command = [sys.executable, "-c", slow, "run", "job.yaml"]
    process = subprocess.Popen(command, cwd=data, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "ready\n"
    start = time.monotonic()
    process.send_signal(signal.SIGTERM)
    _, stderr = process.communicate(timeout=30)
    assert process.returncode == 143
    assert time.monotonic() - start < 10
    assert "Traceback" not in stderr
    told = json.loads((data / "out" / "j" / "run.json").read_text())
    assert (told["status"], told["exit_code"]) == ("failed", 143)
    assert [p.name for p in (data / "out" / "j").iterdir()] == ["run.json"]


def test_below_dask(data):
    command = [sys.executable, "-m", "dask", "infolake", "score", "none.parquet"]
    found = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, cwd=data)
    assert found.returncode == 66
    assert found.stderr.startswith("error: ")


@pytest.mark.parametrize("scheduler", ["sync", "threads", "processes"])
def test_every_scheduler_gives_the_same(data, scheduler):
    expected = call("score", "data.parquet").stdout
    found = infolake("score", "data.parquet", "--scheduler", scheduler, cwd=data)
    assert (found.returncode, found.stdout, found.stderr) == (0, expected, "")


@pytest.mark.cluster
def test_a_local_cluster_gives_the_same(data):
    expected = call("score", "data.parquet").stdout
    found = infolake("score", "data.parquet", "--workers", 2, "--memory-limit", "1GiB", cwd=data)
    assert (found.returncode, found.stdout, found.stderr) == (0, expected, "")


@pytest.mark.cluster
def test_an_address_where_nobody_listens(data):
    start = time.monotonic()
    environment = {**os.environ, "DASK_INFOLAKE__CONNECT_TIMEOUT": "1s"}
    found = infolake("score", "data.parquet", "--address", "tcp://127.0.0.1:9", cwd=data, env=environment)
    assert found.returncode == 69
    assert time.monotonic() - start < 30
    assert found.stderr.startswith("error: the scheduler does not answer\n  where:    tcp://127.0.0.1:9\n")


def test_an_estimator_takes_options_behind_a_colon(data):
    found = call("score", "data.parquet", "--entropy", "dirichlet:0.5", "--measure", "mi")
    assert found.exit_code == 0
    support = ["score", "data.parquet", "--entropy", "nsb", "--measure", "mi", "--columns", "a,b"]
    spelled = call("score", "data.parquet", "--entropy", "nsb:support=30", *support[4:])
    assert call(*support, "--support", 30).stdout == spelled.stdout != call(*support).stdout
    for value, told in (("some", "observed, table or a number"), ("0", "number of levels")):
        assert told in call(*support, "--support", value).stderr
    refused = call("score", "data.parquet", "--support", "table")
    assert refused.exit_code == 2
    assert "plug_in has no option" in refused.stderr
    wrong = call("score", "data.parquet", "--entropy", "nsb:suport=3", "--measure", "mi")
    assert wrong.exit_code == 2
    assert "support" in wrong.stderr
