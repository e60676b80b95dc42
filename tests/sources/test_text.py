"""CSV and JSON lines."""

# ruff: noqa: DTZ001 - naive times are part of what is tested

from __future__ import annotations

import datetime as dt
import gzip
import tracemalloc

import pyarrow as pa
import pytest

from infolake import sources
from infolake.errors import CorruptFileError, DataError, SchemaError
from infolake.sources import text


@pytest.fixture
def file(tmp_path):
    def create(name, content):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return create


def columns(read, path, **options):
    found = read(path, **options)
    return {k: [r[k] for r in found] for k in found[0]} if found else {}


def test_csv_types_and_missing(file, read):
    path = file(
        "a.csv",
        "i,f,s,b,d,t\n1,0.5,x,true,2020-01-01,2020-01-01 10:00:00\n,,,,,\n"
        '3,1e3,"",false,2020-01-02,2020-01-02T00:00:00\n',
    )
    assert columns(read, path) == {
        "i": [1, None, 3],
        "f": [0.5, None, 1000.0],
        "s": ["x", None, ""],
        "b": [True, None, False],
        "d": [dt.date(2020, 1, 1), None, dt.date(2020, 1, 2)],
        "t": [dt.datetime(2020, 1, 1, 10), None, dt.datetime(2020, 1, 2)],
    }
    source = sources.open_source(path)
    assert source.n_rows is None
    assert source.partitions[0].n_rows is None


@pytest.mark.parametrize("value", ["NA", "NULL", "null", "nan-", "N/A", "None", " ", "#N/A"])
def test_csv_words_for_missing_are_values(file, read, value):
    assert columns(read, file("a.csv", f"s,n\n{value},1\nx,2\n")) == {"s": [value, "x"], "n": [1, 2]}


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (["007", "7"], pa.string()),
        (["0", "-7"], pa.int64()),
        (["+5", "6"], pa.string()),
        (["0.5", "007"], pa.string()),
        (["18446744073709551615", "1"], pa.uint64()),
        (["99999999999999999999", "1"], pa.string()),
        (["9007199254740993", ""], pa.int64()),
        (["0", "1"], pa.int64()),
        (["true", "1"], pa.string()),
        (["10:00:00", "11:00:00"], pa.time64("us")),
        (["2020-01-01T00:00:00Z"], pa.timestamp("us", "UTC")),
        (["2020-01-01", "x"], pa.string()),
        (["", ""], pa.string()),
    ],
)
def test_csv_inferred_types(file, values, expected):
    path = file("a.csv", "v,other\n" + "".join(f"{v},x\n" for v in values))
    assert sources.open_source(path).schema["v"] == expected


def test_csv_values_beyond_the_sample_must_parse(file):
    path = file("a.csv", "a,b\n" + "1,x\n" * 300_000 + "oops,x\n")
    source = sources.open_source(path)
    with pytest.raises(DataError, match="column 'a' does not parse") as info:
        list(source.partitions[0].read(["b", "a"]))
    assert "row 300002" in info.value.fields["where"]
    assert "oops" in info.value.fields["found"]
    assert info.value.fields["next"]


def test_csv_files_widen(file, read, tmp_path):
    file("d/a.csv", "n,m,s\n1,1,x\n")
    file("d/b.csv", "m,s,n\nq,,0.5\n")
    assert read(tmp_path / "d") == [{"n": 1.0, "m": "1", "s": "x"}, {"n": 0.5, "m": "q", "s": None}]


def test_csv_strings_beside_parquet_numbers_conflict(file, write, tmp_path):
    write("d/a.parquet", {"n": [1]})
    file("d/b.csv", "n,m\nx,1\n")
    with pytest.raises(SchemaError, match="changes type"):
        sources.open_source(tmp_path / "d")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", "a,b\n1,x\n2,y\n"),
        ("a.csv", "a,b\r\n1,x\r\n2,y\r\n"),
        ("a.csv", "\ufeffa,b\n1,x\n2,y\n"),
        ("a.csv", "a;b\n1;x\n2;y\n"),
        ("a.csv", "a\tb\n1\tx\n2\ty\n"),
        ("a.csv", "a|b\n1|x\n2|y\n"),
        ("a.tsv", "a\tb\n1\tx\n2\ty\n"),
        ("a.csv", '"a","b"\n"1","x"\n"2","y"\n'),
        ("a.csv", "a,b\n1,x\n\n2,y\n"),
    ],
)
def test_csv_dialects(file, read, name, content):
    expected = [{"a": 1, "b": "x"}, {"a": 2, "b": "y"}]
    path = file(name, content)
    assert read(path, columns=["a", "b"]) == expected
    packed = file(name + ".gz", gzip.compress(content.encode()))
    assert read(packed, columns=["a", "b"]) == expected


def test_csv_quotes_newlines_and_stray_quotes(file, read):
    path = file("a.csv", 'a,b\n1,"x\ny"\n2,"say ""hi"""\n3,5" pipe\n')
    assert columns(read, path)["b"] == ["x\ny", 'say "hi"', '5" pipe']


def test_csv_with_one_column_keeps_blank_lines_as_missing(file, read):
    assert columns(read, file("a.csv", "a\n1\n\n2\n")) == {"a": [1, None, 2]}


@pytest.mark.parametrize(
    ("content", "match"),
    [
        ("a,b\n1,x\n2,y,z\n", "another number of fields"),
        ("a,b\n1,x\n2\n", "another number of fields"),
        ("a,b\n1,x\n2,y", "last line does not end"),
        ("a,b", "last line does not end"),
        ('a,b\n1,"x\n2,y\n', "quote is not closed"),
        (b"a,b\n1,\xff\n", "not valid UTF-8"),
        ("a,b\n1,x\n".encode("utf-16"), "not UTF-8 text"),
        ("a,b\n1,x\n".encode("utf-16-le"), "not UTF-8 text"),
        (b"a,b\n1,caf\xe9\n", "not valid UTF-8"),
        (b"", "empty file"),
        (b"\n\n", "no header"),
    ],
)
@pytest.mark.parametrize("packed", [False, True])
def test_bad_csv(file, read, content, match, packed):
    content = content.encode() if isinstance(content, str) else content
    path = file("a.csv", gzip.compress(content) if packed else content)
    with pytest.raises(DataError, match=match):
        read(path)


def test_a_ragged_row_far_down_is_named(file, read):
    path = file("a.csv", "a,b\n" + "1,x\n" * 400_000 + "1\n")
    with pytest.raises(DataError, match="another number") as info:
        read(path)
    assert "row 400002" in info.value.fields["where"]


def test_a_csv_cut_anywhere_is_an_error_or_fewer_whole_rows(file, read):
    content = b'a,b\n1,"x, y"\n22,"p\nq"\n333,z\n'
    for length in range(len(content)):
        path = file("a.csv", content[:length])
        try:
            found = read(path)
        except DataError:
            continue
        assert content[length - 1 : length] == b"\n"
        assert len(found) <= 3


def test_gzip_members_and_truncation(file, read):
    one, two = gzip.compress(b"a,b\n1,x\n"), gzip.compress(b"2,y\n")
    assert columns(read, file("a.csv.gz", one + two)) == {"a": [1, 2], "b": ["x", "y"]}
    for cut in (1, 4, 8, 12):
        with pytest.raises(CorruptFileError):
            read(file("a.csv.gz", (one + two)[:-cut]))
    assert columns(read, file("plain.csv.gz", b"a,b\n1,x\n")) == {"a": [1], "b": ["x"]}


@pytest.mark.parametrize("size", [65530, 65533, 65536, 65539, 70000])
def test_csv_with_a_byte_order_mark_of_any_size(file, read, size):
    body = b"\xef\xbb\xbfa,b\n" + b"1,xyzw\n" * (size // 7)
    for content in (body, gzip.compress(body), gzip.compress(body[:50]) + gzip.compress(body[50:])):
        assert len(read(file("a.csv", content))) == size // 7


def test_csv_columns_that_are_empty_in_the_sample_may_hold_values_later(file, read):
    path = file("a.csv", "a,b\n" + "1,\n" * 600_000 + "1,late\n")
    assert [r["b"] for r in read(path)][-2:] == [None, "late"]


def test_csv_header_only(file):
    source = sources.open_source(file("a.csv", "a,b\n"))
    assert source.schema == {"a": pa.string(), "b": pa.string()}
    assert sum(t.num_rows for t in source.partitions[0].read(["a"])) == 0


def test_csv_streams_in_bounded_memory(file, monkeypatch):
    monkeypatch.setattr(text, "BLOCK_BYTES", 2**18)
    path = file("a.csv.gz", gzip.compress(b"a,b\n" + b"12345,some text here\n" * 500_000))
    source = sources.open_source(path)
    before = pa.total_allocated_bytes()
    tracemalloc.start()
    peak = n = 0
    for table in source.partitions[0].read(["a", "b"]):
        n += table.num_rows
        peak = max(peak, pa.total_allocated_bytes() - before)
    python_peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert n == 500_000
    assert peak < 2**23
    # pyarrow reads up to 32 blocks ahead
    assert python_peak < 2**24


def test_json_lines(file, read):
    path = file(
        "a.jsonl",
        '{"a": 1, "s": "x", "f": 0.5, "b": true}\n{"s": null, "a": 9007199254740993}\n\n{"b": false}',
    )
    assert read(path) == [
        {"a": 1, "s": "x", "f": 0.5, "b": True},
        {"a": 9007199254740993, "s": None, "f": None, "b": None},
        {"a": None, "s": None, "f": None, "b": False},
    ]
    assert read(file("a.json.gz", gzip.compress(path.read_bytes())), columns=["s"])[0] == {"s": "x"}
    assert read(file("b", path.read_bytes()), columns=["s"])[0] == {"s": "x"}


def test_json_large_integers_stay_exact(file, read):
    assert columns(read, file("a.jsonl", '{"a": 18446744073709551615}\n{"a": 1}\n')) == {"a": [2**64 - 1, 1]}


def test_json_files_widen_and_absent_fields_are_missing(file, read, tmp_path):
    file("d/a.jsonl", '{"n": 1, "s": 5, "t": "2020-01-01", "k": true}\n')
    file("d/b.jsonl", '{"n": 0.5, "s": "x", "t": "soon", "new": "z", "k": "no"}\n')
    assert read(tmp_path / "d", columns=["n", "s", "t", "k"]) == [
        {"n": 1.0, "s": "5", "t": "2020-01-01", "k": "true"},
        {"n": 0.5, "s": "x", "t": "soon", "k": "no"},
    ]
    assert [r["new"] for r in read(tmp_path / "d", columns=["new"])] == [None, "z"]


@pytest.mark.parametrize(
    ("content", "match"),
    [
        ('[{"a": 1}]', "JSON array"),
        ('{"a": 1}\n{"a": ', "not JSON lines"),
        ('{"a": 1}\n{"a": "x"}\n', "another kind"),
        (b'{"a": "\xff"}\n', "not valid UTF-8"),
        ("\n", "not JSON lines"),
        ('{"a": 1}\nhello\n', "not JSON lines"),
        ('{"a": 1, "a": 2}\n', "not JSON lines"),
    ],
)
def test_bad_json(file, read, content, match):
    with pytest.raises(DataError, match=match):
        read(file("a.jsonl", content))


def test_json_values_beyond_the_sample_must_parse(file):
    path = file("a.jsonl", '{"a": 1, "pad": "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"}\n' * 60_000 + '{"a": 0.5}\n')
    with pytest.raises(DataError, match="another kind"):
        list(sources.open_source(path).partitions[0].read(["a"]))


def test_json_nested_columns(file, read):
    path = file("a.jsonl", '{"a": 1, "deep": {"x": [1]}}\n')
    with pytest.raises(SchemaError, match="nested"):
        read(path)
    assert read(path, columns=["a"]) == [{"a": 1}]
