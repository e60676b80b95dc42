"""YAML means what it looks like, and nothing in it runs or grows."""

import pytest

from infolake.errors import JobError
from infolake.jobs import document


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("no", "no"),
        ("yes", "yes"),
        ("On", "On"),
        ("y", "y"),
        ("true", True),
        ("False", False),
        ("null", None),
        ("~", None),
        ("0123", 123),
        ("-7", -7),
        ("0o17", "0o17"),
        ("0x1F", "0x1F"),
        ("1_000", "1_000"),
        ("12:30:00", "12:30:00"),
        ("2020-01-01", "2020-01-01"),
        ("1e3", 1000.0),
        ("1.5", 1.5),
        (".inf", float("inf")),
        ("'1'", "1"),
        ('"true"', "true"),
        ("<<", "<<"),
        ("=", "="),
    ],
)
def test_a_word_is_what_it_looks_like(text, value):
    found = document.parse(f"a: {text}").value["a"]
    assert found == value
    assert type(found) is type(value)


def test_keys_are_words():
    assert document.parse("{no: 1, 2013: 2, true: 3, 0123: 4}").value == {
        "no": 1,
        "2013": 2,
        "true": 3,
        "0123": 4,
    }


@pytest.mark.parametrize(
    ("text", "where", "what"),
    [
        ("a: 1\nb: 2\na: 3", "job:3:1", "stands twice"),
        ("a: &x 1\nb: *x", "job:1:4", "anchors"),
        ("a: *x", "job:1:4", "anchors"),
        ("a: !!python/object/apply:os.system ['echo']", "job:1:4", "tags"),
        ("a: !!str 1", "job:1:4", "tags"),
        ("a: ! x", "job:1:4", "tags"),
        ("<<: {a: 1}", "job:1:1", "merge keys"),
        ("a:\n  - [b", "job:2:", "not YAML"),
        ("a: b: c", "job:1:5", "not YAML"),
        ("a: 1\n---\nb: 2", "job:2:1", "not YAML"),
        ("? [a]\n: 1", "job:1:3", "a key must be a word"),
        ("a: x\0y", "job:1:1", "NUL"),
        ("a: \x07", "job", "not YAML"),
        ("[" * 30, "job:1:21", "nested too deep"),
        ("a: " + "9" * 200, "job:1:4", "too long"),
    ],
)
def test_tricks_are_refused_with_their_place(text, where, what):
    with pytest.raises(JobError) as caught:
        document.parse(text)
    assert what in caught.value.what
    assert caught.value.fields["where"].startswith(where)
    assert caught.value.exit_code == 78


def test_a_bomb_is_refused_at_once():
    lines = ["a0: &a0 [x, x]"] + [f"a{i}: &a{i} [*a{i - 1}, *a{i - 1}]" for i in range(1, 30)]
    with pytest.raises(JobError, match="anchors"):
        document.parse("\n".join(lines))


def test_a_file_that_cannot_be_read(tmp_path):
    cases = {
        "none": None,
        "big": b"a" * (2**20 + 1),
        "latin": "a: ä".encode("latin-1"),
        "utf16": "a: b".encode("utf-16"),
    }
    for name, content in cases.items():
        path = tmp_path / name
        if content is not None:
            path.write_bytes(content)
        with pytest.raises(JobError) as caught:
            document.read(path)
        assert str(path) in caught.value.fields["where"]
    with pytest.raises(JobError, match="cannot be read"):
        document.read(tmp_path)


def test_places(tmp_path):
    path = tmp_path / "job.yaml"
    path.write_text("\ufeffa:\n  - b: 1\n", encoding="utf-8")
    found = document.read(path)
    assert found.where(("a", 0, "b")) == f"{path}:2:8"
    assert found.where(("a", 0, "b"), key=True) == f"{path}:2:5"
    assert found.where(("a", 0, "z", "q")) == f"{path}:2:5"
