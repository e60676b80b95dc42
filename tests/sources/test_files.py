"""Which files a path, glob, list or URL means, and what must not be opened."""

from __future__ import annotations

import http.server
import os
import threading
from pathlib import Path

import fsspec
import pyarrow as pa
import pyarrow.dataset as pads
import pyarrow.parquet as pq
import pytest

from infolake import sources
from infolake.errors import (
    AccessError,
    ChangedInputError,
    ClusterError,
    ConfigError,
    CorruptFileError,
    DuplicateInputError,
    InfolakeError,
    NoInputError,
    SchemaError,
    UsageError,
)
from infolake.sources.checks import reading, translated, without_secrets
from infolake.sources.files import split_url


def names(source):
    return [Path(entry["path"]).name for entry in source.inputs]


def test_folders_globs_and_lists(write, tmp_path, monkeypatch):
    for name in ("b.parquet", "a.parquet", "sub/c.parquet"):
        write(f"d/{name}", {"n": [1]})
    root = tmp_path / "d"
    assert names(sources.open_source(root)) == ["a.parquet", "b.parquet", "c.parquet"]
    assert names(sources.open_source(str(root / "*.parquet"))) == ["a.parquet", "b.parquet"]
    assert names(sources.open_source(str(root / "**/*.parquet"))) == ["a.parquet", "b.parquet", "c.parquet"]
    assert names(sources.open_source([root / "b.parquet", root / "a.parquet"])) == ["a.parquet", "b.parquet"]
    assert names(sources.open_source(f"file://{root}/a.parquet")) == ["a.parquet"]
    monkeypatch.chdir(root)
    assert names(sources.open_source("s*")) == ["c.parquet"]


def test_partitions_do_not_depend_on_the_working_folder(write, tmp_path, monkeypatch):
    write("d/a.parquet", {"n": [1]})
    monkeypatch.chdir(tmp_path)
    source = sources.open_source("d")
    monkeypatch.chdir("/")
    assert sum(t.num_rows for t in source.partitions[0].read(["n"])) == 1
    assert source.partitions[0].key == sources.open_source(tmp_path / "d").partitions[0].key


def test_a_path_with_glob_characters_that_exists_is_that_path(write):
    path = write("a[1].parquet", {"n": [1]})
    assert names(sources.open_source(path)) == ["a[1].parquet"]


def test_hidden_files_do_not_count(write, tmp_path):
    write("d/a.parquet", {"n": [1]})
    for name in ("_SUCCESS", ".a.parquet.crc", "_metadata"):
        (tmp_path / "d" / name).write_bytes(b"x")
    write("d/_temporary/x.parquet", {"n": [1]})
    assert names(sources.open_source(tmp_path / "d")) == ["a.parquet"]
    assert names(sources.open_source(str(tmp_path / "d/*"))) == ["a.parquet"]


@pytest.mark.parametrize("path", ["missing.parquet", "missing/*.parquet", "empty", "only_hidden", "a\0b"])
def test_nothing_matches(tmp_path, path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "only_hidden").mkdir()
    (tmp_path / "only_hidden/_SUCCESS").touch()
    with pytest.raises(NoInputError, match="0 files matched"):
        sources.open_source(str(tmp_path / path))


def test_an_empty_list_matches_nothing():
    with pytest.raises(NoInputError, match="0 files matched"):
        sources.open_source([])


def test_files_listed_twice_are_errors(write, tmp_path):
    path = write("d/a.parquet", {"n": [1]})
    (tmp_path / "soft.parquet").symlink_to(path)
    os.link(path, tmp_path / "hard.parquet")
    for other in (
        path,
        tmp_path / "d",
        tmp_path / "soft.parquet",
        tmp_path / "hard.parquet",
        str(tmp_path / "d/*"),
    ):
        with pytest.raises(DuplicateInputError, match="listed twice"):
            sources.open_source([path, other])


def test_loops_of_links_end(write, tmp_path):
    write("d/a.parquet", {"n": [1]})
    (tmp_path / "d/loop").symlink_to(tmp_path / "d")
    assert names(sources.open_source(tmp_path / "d")) == ["a.parquet"]


def test_a_file_of_an_unknown_format_is_never_skipped(write, tmp_path):
    write("d/a.parquet", {"n": [1]})
    (tmp_path / "d/README.md").write_text("hello\n")
    with pytest.raises(CorruptFileError, match="unknown format") as info:
        sources.open_source(tmp_path / "d")
    assert "README.md" in info.value.fields["where"]


def test_formats_without_a_known_name_show_by_their_first_bytes(write, read):
    assert read(write("part-0", {"n": [1]})) == [{"n": 1}]


@pytest.mark.parametrize(
    ("folders", "expected"),
    [
        (["year=2013", "year=2014"], [2013, 2014]),
        (["year=2013", "year=x"], ["2013", "x"]),
        (["year=01", "year=1"], ["01", "1"]),
        (["year=2013", "year=__HIVE_DEFAULT_PARTITION__"], [2013, None]),
        (["year=a%20b%2Fc", "year=é"], ["a b/c", "é"]),
        (["year=-5", "year=0"], [-5, 0]),
        ([f"year={2**63}", "year=1"], ["1", str(2**63)]),
    ],
)
def test_hive_values(write, read, tmp_path, folders, expected):
    for folder in folders:
        write(f"d/{folder}/a.parquet", {"n": [1]})
    found = read(tmp_path / "d")
    assert sorted((r["year"] for r in found), key=str) == sorted(expected, key=str)
    assert list(found[0]) == ["n", "year"]


def test_hive_keys_above_the_given_path_count_where_they_touch_it(write, read):
    path = write("x=1/d/year=2013/month=2/a.parquet", {"n": [1]})
    assert read(path) == [{"n": 1, "year": 2013, "month": 2}]
    assert read(path.parent) == [{"n": 1, "year": 2013, "month": 2}]
    assert read(str(path.parents[2] / "year=*/month=*/*.parquet")) == [{"n": 1, "year": 2013, "month": 2}]


def test_files_with_other_hive_keys_are_an_error(write, tmp_path):
    write("d/a=1/x.parquet", {"n": [1]})
    write("d/b=1/x.parquet", {"n": [1]})
    with pytest.raises(SchemaError, match="Hive keys"):
        sources.open_source(tmp_path / "d")


def test_the_hive_key_wins_over_a_column_of_its_name(write, read):
    path = write("k=1/a.parquet", {"k": [9], "n": [1]})
    assert read(path) == [{"n": 1, "k": 1}]


def test_unreadable_folders_are_access_errors(write, tmp_path, monkeypatch):
    write("d/a.parquet", {"n": [1]})

    def refuse(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(AccessError):
        sources.open_source(tmp_path / "d")


@pytest.mark.parametrize(
    "url",
    [
        "ftp://host/a.parquet",
        "ssh://host/a.parquet",
        "dask://x",
        "reference://x",
        "simplecache::http://host/a.parquet",
        "simplecache::/etc/passwd",
        "s3://a/b::file:///etc/passwd",
        "file://other-host/a.parquet",
        "http://169.254.169.254/latest/meta-data",
        "http://2852039166/latest",
        "http://[fe80::1]/x",
        "http://[::ffff:169.254.169.254]/x",
        "http://metadata.google.internal/x",
        "http://user:pass@169.254.169.254/x",
        "s3://bucket/a.parquet?endpoint_override=http://169.254.169.254",
        "s3://bucket/a.parquet?endpoint_override=169.254.169.254:80",
        "hdfs://169.254.1.1:8020/x",
    ],
)
def test_unsafe_urls_are_refused(url):
    with pytest.raises(ConfigError):
        sources.open_source(url)


def test_url_parts():
    assert split_url("s3://bucket/a%20b/c.parquet") == ("s3://bucket", "bucket/a b/c.parquet")
    assert (
        split_url("abfs://container@account.dfs.core.windows.net/d/a.parquet")[1] == "container/d/a.parquet"
    )
    assert split_url("hdfs://127.0.0.1:8020/d/a.parquet") == ("hdfs://127.0.0.1:8020", "/d/a.parquet")
    assert split_url("file:///tmp/a%20b.csv") == ("local", "/tmp/a b.csv")
    assert split_url("https://127.0.0.1/a.parquet?sig=1") == (
        "https://127.0.0.1",
        "https://127.0.0.1/a.parquet?sig=1",
    )


SECRET = "hunter2secret"


@pytest.mark.parametrize(
    "url",
    [
        f"s3://key:{SECRET}@bucket/x.parquet",
        f"https://127.0.0.1:1/x.parquet?X-Amz-Signature={SECRET}",
        f"http://user:{SECRET}@127.0.0.1:1/x.parquet",
        f"ftp://user:{SECRET}@host/x",
        f"http://169.254.169.254/?token={SECRET}",
        f"simplecache::http://user:{SECRET}@host/x",
    ],
)
def test_secrets_are_never_shown(url):
    assert SECRET not in without_secrets(url)
    assert SECRET not in str(translated(OSError(f"cannot open {url}: 500"), without_secrets(url)))
    if url.startswith("s3"):
        return
    with pytest.raises(InfolakeError) as info:
        sources.open_source(url)
    assert SECRET not in str(info.value)
    assert SECRET not in repr(info.value)
    assert info.value.__cause__ is None


def test_memory_urls(read):
    store = fsspec.filesystem("memory")
    with store.open("/lake/k=1/a.parquet", "wb") as file:
        pq.write_table(pa.table({"s": ["x", "y"]}), file)
    with store.open("/lake/k=2/b.csv.gz", "wb") as file:
        import gzip

        file.write(gzip.compress(b"s\nz\n"))
    expected = [{"s": "x", "k": 1}, {"s": "y", "k": 1}, {"s": "z", "k": 2}]
    assert read("memory://lake") == expected
    assert read("memory://lake/*/*") == expected
    assert read("memory://lake/k=1/a.parquet") == expected[:2]
    source = sources.open_source("memory://lake/k=1")
    assert source.inputs[0]["path"].startswith("memory://")
    with store.open("/lake/k=1/a.parquet", "wb") as file:
        pq.write_table(pa.table({"s": ["x", "z"]}), file)
    with pytest.raises(ChangedInputError):
        list(source.partitions[0].read(["s"]))
    with pytest.raises(NoInputError):
        sources.open_source("memory://nowhere/*")


@pytest.fixture
def server(tmp_path):
    class Quiet(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *args):
            super().__init__(*args, directory=str(tmp_path))

        def log_message(self, *_):
            pass

        def send_head(self):
            if "forbidden" in self.path:
                return self.send_error(403)
            return super().send_head()

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Quiet) as running:
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{running.server_address[1]}"
        running.shutdown()
        thread.join()


def test_http_urls(server, write, read, tmp_path):
    write("k=3/a.parquet", {"s": ["x"]})
    (tmp_path / "b.csv").write_text("s\nz\n")
    assert read(f"{server}/k=3/a.parquet?token=5") == [{"s": "x"}]
    assert read(f"{server}/b.csv") == [{"s": "z"}]
    with pytest.raises(NoInputError):
        sources.open_source(f"{server}/missing.parquet")
    with pytest.raises(AccessError):
        sources.open_source(f"{server}/forbidden.parquet")
    with pytest.raises(UsageError, match="glob"):
        sources.open_source(f"{server}/*.parquet")


@pytest.mark.parametrize("url", ["http://127.0.0.1:1/a.parquet", "https://127.0.0.1:1/a.csv"])
def test_unreachable_hosts_are_errors_that_invite_to_run_again(url):
    with pytest.raises(ClusterError, match="cannot be reached") as info:
        sources.open_source(url)
    assert info.value.exit_code == 69


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (OSError("AWS Error NETWORK_CONNECTION during HeadObject operation: curlCode: 7"), ClusterError),
        (OSError("AWS Error ACCESS_DENIED during GetObject operation"), AccessError),
        (PermissionError(13, "denied"), AccessError),
        (OSError("Parquet file size is 403 bytes"), CorruptFileError),
        (pa.ArrowInvalid("bad"), CorruptFileError),
        (pa.ArrowNotImplementedError("bad"), CorruptFileError),
        (pa.ArrowMemoryError("malloc of size 5 failed"), CorruptFileError),
        (UnicodeDecodeError("utf-8", b"x", 0, 1, "bad"), CorruptFileError),
        (FileNotFoundError("x"), ChangedInputError),
        (TimeoutError("late"), ClusterError),
    ],
)
def test_readers_errors_become_one_typed_error(error, kind):
    found = translated(error, "a.parquet (row group 3)")
    assert type(found) is kind
    assert "row group 3" in str(found)


def test_our_own_mistakes_do_not_look_like_damaged_files():
    with pytest.raises(TypeError, match="mine"), reading("a.parquet"):
        raise TypeError("mine")


@pytest.mark.parametrize("kind", ["parquet", "feather", "csv"])
def test_arrow_datasets_are_their_files(tmp_path, read, kind):
    table = pa.table({"k": ["a", "b", "a"], "n": [1, 2, 3]})
    flavour = pads.partitioning(pa.schema([("k", pa.string())]), flavor="hive")
    if kind == "csv":
        for key in "ab":
            (tmp_path / f"d/k={key}").mkdir(parents=True)
            (tmp_path / f"d/k={key}/x.csv").write_text("n\n1\n3\n" if key == "a" else "n\n2\n")
    else:
        pads.write_dataset(table, tmp_path / "d", format=kind, partitioning=flavour)
    dataset = pads.dataset(tmp_path / "d", format=kind, partitioning=flavour)
    assert read(dataset) == [{"n": 1, "k": "a"}, {"n": 3, "k": "a"}, {"n": 2, "k": "b"}]
    assert sources.open_source(dataset, filters=[("k", "==", "b")]).pruned_files == 1
    assert read(pads.dataset([dataset]), columns=["n"]) == [{"n": 1}, {"n": 3}, {"n": 2}]


def test_datasets_in_memory_and_with_filters():
    dataset = pads.dataset(pa.table({"n": [1, 2]}))
    assert sources.open_source(dataset).n_rows == 2
    with pytest.raises(UsageError, match="filter of its own"):
        sources.open_source(dataset.filter(pads.field("n") > 1))


def test_mixed_formats_share_a_schema(write, read, tmp_path):
    write("d/a.parquet", {"n": [1], "s": ["x"]})
    (tmp_path / "d/b.csv").write_text("s,n\ny,2\n")
    source = sources.open_source(tmp_path / "d")
    assert (source.kind, source.n_rows) == ("mixed", None)
    assert read(tmp_path / "d") == [{"n": 1, "s": "x"}, {"n": 2, "s": "y"}]


@pytest.mark.parametrize("data", [5, None, {"a": [1]}, [1, 2]])
def test_other_kinds_of_data_are_usage_errors(data):
    with pytest.raises(UsageError, match="cannot be read"):
        sources.open_source(data)


def test_bad_columns_arguments():
    table = pa.table({"a": [1]})
    with pytest.raises(UsageError, match="string"):
        sources.open_source(table, columns="a")
    with pytest.raises(UsageError, match="twice"):
        sources.open_source(table, columns=["a", "a"])


def test_many_files_are_listed_quickly(tmp_path):
    pq.write_table(pa.table({"n": [1]}), tmp_path / "x.parquet")
    content = (tmp_path / "x.parquet").read_bytes()
    (tmp_path / "d").mkdir()
    for i in range(500):
        (tmp_path / f"d/{i:04d}.parquet").write_bytes(content)
    source = sources.open_source(tmp_path / "d")
    assert len(source.partitions) == source.n_rows == 500
