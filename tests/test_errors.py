"""The exception tree: what it resembles, what it says, and that every raise in the library uses it."""

from __future__ import annotations

import ast
import copy
import inspect
import pickle
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from infolake import errors
from infolake.errors import InfolakeError, listed, nearest, printable

SOURCE = Path(errors.__file__).parent
ALL = [c for _, c in inspect.getmembers(errors, inspect.isclass) if issubclass(c, InfolakeError)]
CODES = {1, 2, 65, 66, 69, 70, 71, 73, 74, 75, 77, 78}
FULL = {name: f"the {name}" for name in errors.FIELDS}

# what may be raised beside the tree, with the reason why no user meets it as it is
ALLOWED = {
    ("cli.py", "Terminated"): "SIGTERM ends a run as Ctrl-C does",
    ("cli.py", "click.exceptions.Exit"): "click's way to end with a code",
    ("cli.py", "SystemExit"): "the end of a command",
    ("summaries/byte_packing.py", "ValueError"): "a bug of ours, before a kernel reads memory unchecked",
    ("jobs/job.py", "_wrong"): "pydantic collects it; the job file's error follows",
    (
        "jobs/run.py",
        "job_file.error(problems) if problems else _in_file(error, job_file)",
    ): "a JobError, or that error",
    ("measures/catalogue.py", "ValueError"): "a name declared twice: no module of ours is imported then",
    ("reduction/cluster.py", "ValueError"): "becomes a ClusterError one call above",
    ("reduction/cluster.py", "_explained"): "a ClusterError, or the error of a task",
    ("sources/checks.py", "pa.ArrowInvalid"): "becomes a CorruptFileError one call above",
    ("sources/files.py", "FileNotFoundError"): "becomes a ChangedInputError one call above",
    ("sources/opening.py", "gzip.BadGzipFile"): "becomes a CorruptFileError one call above",
    ("sources/text.py", "gzip.BadGzipFile"): "becomes a CorruptFileError one call above",
    ("sources/csv_files.py", "AssertionError"): "cannot be reached",
    ("sources/json_files.py", "AssertionError"): "cannot be reached",
    ("sources/csv_files.py", "_typed"): "returns a DataError",
    ("sources/json_files.py", "_typed"): "returns a DataError",
    ("sources/parquet_files.py", "self._blamed"): "returns a translated error",
}


def tree() -> dict[str, tuple[str, int]]:
    """Read name -> (built-in parent, exit code) off the tree drawn in the module's docstring."""
    found = {}
    code = 1
    for line in (errors.__doc__ or "").split("::", 1)[1].splitlines():
        match = re.match(r"[\s│├└─]*(\w+Error)(?: \((\w+)\))?(?:\s+(\d+))?", line)
        if match:
            code = int(match[3] or code)
            found[match[1]] = (match[2] or "", code)
    return found


def test_the_drawn_tree_is_the_real_one() -> None:
    drawn = tree()
    assert drawn.keys() == {c.__name__ for c in ALL}
    for kind in ALL:
        builtin, code = drawn[kind.__name__]
        assert kind.exit_code == code, kind
        if builtin:
            assert issubclass(kind, getattr(__import__("builtins"), builtin)), kind


@pytest.mark.parametrize("kind", ALL)
def test_every_error_knows_its_exit_code_and_resembles_a_builtin(kind: type[InfolakeError]) -> None:
    assert kind.exit_code in CODES
    if kind is not InfolakeError:
        parents = [
            b
            for b in kind.__mro__
            if b.__module__ == "builtins" and b not in (Exception, BaseException, object)
        ]
        assert parents, f"{kind} resembles no built-in error"
    assert kind.__doc__


@pytest.mark.parametrize("kind", ALL)
@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_errors_travel_between_processes(kind: type[InfolakeError], protocol: int) -> None:
    error = kind("what", **FULL)
    for other in (pickle.loads(pickle.dumps(error, protocol)), copy.copy(error), copy.deepcopy(error)):
        assert type(other) is kind
        assert str(other) == str(error)
        assert other.fields == error.fields
        assert other.args == error.args


@pytest.mark.parametrize("kind", ALL)
def test_messages_say_what_where_expected_found_effect_next(kind: type[InfolakeError]) -> None:
    lines = str(kind("what is wrong", **FULL)).splitlines()
    assert lines[0] == "what is wrong"
    assert [line.split(":")[0].strip() for line in lines[1:]] == [
        "where",
        "expected",
        "found",
        "effect",
        "next",
    ]
    assert str(kind("only this")) == "only this"
    assert len({line.index("the ") for line in lines[1:]}) == 1


def test_missing_extras_say_how_to_install() -> None:
    error = errors.MissingExtraError(package="polars", extra="polars")
    assert "pip install 'infolake[polars]'" in str(error)
    assert str(pickle.loads(pickle.dumps(error))) == str(error)


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("a\x1b[31mb", "a\\x1b[31mb"),
        ("a\nb\tc\r", "a\\nb\\tc\\r"),
        ("\u202egnp.exe", "\\u202egnp.exe"),
        ("\udcff", "\\udcff"),
        ("\x00", "\\x00"),
        ("\u200b", "\\u200b"),
        ("ä€😀", "ä€😀"),
        (None, "None"),
        (3, "3"),
        ("", ""),
    ],
)
def test_text_from_the_data_is_shown_harmless(value: object, shown: str) -> None:
    assert printable(value) == shown
    printable(value).encode()


def test_long_text_is_cut() -> None:
    assert len(printable("x" * 10_000)) == errors.MAX_VALUE
    assert printable("x" * 10_000).endswith("…")
    assert printable("x" * 5, 5) == "xxxxx"
    assert len(printable("\n" * 100, 10)) == 10


def test_the_nearest_name_is_offered() -> None:
    assert nearest("carier", ["carrier", "dest"]) == "did you mean 'carrier'?"
    assert nearest("zzz", ["a", "b"]) == "known: a, b"
    assert nearest("zzz", []) == "known: "
    assert nearest("zzz", (f"name {i}" for i in range(30))).endswith("…")
    assert "\x1b" not in nearest("zzz", ["\x1b[31m"])
    assert "\x1b" not in nearest("\x1b[31m", ["\x1b[31mx"])


def test_long_lists_are_counted() -> None:
    assert listed(["b", "a"]) == "a, b"
    assert listed(map(str, range(25)), 3) == "0, 1, 10 and 22 more"
    assert "\n" not in listed(["a\nb"])


# -- every raise of the library


def raises() -> Iterator[tuple[str, str]]:
    """Yield (place, expression) of every ``raise`` in the library."""
    for path in sorted(SOURCE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Raise) and node.exc is not None:
                called = node.exc.func if isinstance(node.exc, ast.Call) else node.exc
                yield f"{path.relative_to(SOURCE)}:{node.lineno}", ast.unparse(called)


def _returned() -> dict[str, set[str]]:
    """Return the annotation of the result of every function of the library, by name."""
    found: dict[str, set[str]] = {}
    for path in sorted(SOURCE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef) and node.returns is not None:
                found.setdefault(node.name, set()).add(ast.unparse(node.returns))
    return found


def _tree_names(annotation: str) -> bool:
    names = set(re.findall(r"\w*Error\w*", annotation))
    return bool(names) and names <= {c.__name__ for c in ALL}


def test_every_raise_uses_the_tree() -> None:
    names = {c.__name__ for c in ALL}
    returned = _returned()
    strange = []
    for place, expression in raises():
        last = expression.rsplit(".", 1)[-1]
        name = place.rpartition(":")[0]
        if last in names or expression in {"error", "AttributeError"} or (name, expression) in ALLOWED:
            continue
        if last in returned and all(map(_tree_names, returned[last])):
            continue
        strange.append(f"{place}: raise {expression}")
    assert strange == []


def test_there_are_raises_at_all() -> None:
    assert len(list(raises())) > 100
