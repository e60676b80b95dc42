"""Files are there whole or not at all; equal frames are equal bytes."""

import errno
import json
import os

import pandas as pd
import pyarrow.parquet as pq
import pytest

from infolake.errors import OutputError, StorageError, UsageError
from infolake.jobs import saving


@pytest.fixture
def frame():
    found = pd.DataFrame(
        {"x": ["=1+1", "b", None], "n": [1, 2, 3], "score": [0.1, float("nan"), float("-inf")]}
    )
    found.attrs["units"] = {"score": "bits"}
    return found


def test_csv_runs_in_no_spreadsheet():
    frame = pd.DataFrame({"=a": ["=1", "+1", "-1", "@x", "\tx", "\rx", "x=1", "'"], "b": [-1.5] * 8})
    lines = saving.csv_bytes(frame).decode().split("\n")
    assert lines[0] == "'=a,b"
    assert lines[1:5] == ["'=1,-1.5", "'+1,-1.5", "'-1,-1.5", "'@x,-1.5"]
    assert "x=1,-1.5" in lines


def test_json_has_units_and_no_nan(frame):
    found = json.loads(saving.json_bytes(frame))
    assert found["units"] == {"score": "bits"}
    assert found["rows"][1] == {"x": "b", "n": 2, "score": None}
    assert found["rows"][2] == {"x": None, "n": 3, "score": "-Infinity"}


def test_parquet_is_the_same_bytes_and_names_no_version(frame, tmp_path):
    saving.write_frame(frame, tmp_path / "a.parquet", {"title": "t"})
    saving.write_frame(frame.copy(), tmp_path / "b.parquet", {"title": "t"})
    assert (tmp_path / "a.parquet").read_bytes() == (tmp_path / "b.parquet").read_bytes()
    metadata = pq.ParquetFile(tmp_path / "a.parquet").schema_arrow.metadata
    assert json.loads(metadata[b"infolake"]) == {"units": {"score": "bits"}, "title": "t"}
    assert set(metadata) == {b"infolake"}
    assert pd.read_parquet(tmp_path / "a.parquet")["n"].tolist() == [1, 2, 3]


@pytest.mark.parametrize("name", ["a.csv", "a.json", "a.parquet", "a.CSV"])
def test_a_file_has_the_usual_mode_and_no_leftovers(frame, tmp_path, name):
    saving.write_frame(frame, tmp_path / name)
    assert [p.name for p in tmp_path.iterdir()] == [name]
    plain = tmp_path / "plain"
    plain.touch()
    assert (tmp_path / name).stat().st_mode == plain.stat().st_mode


def test_another_ending_is_refused(frame, tmp_path):
    with pytest.raises(UsageError, match="ending"):
        saving.write_frame(frame, tmp_path / "a.xlsx")


def test_where_nothing_can_be_written(frame, tmp_path):
    (tmp_path / "file").touch()
    for path in (tmp_path / "none" / "a.csv", tmp_path / "file" / "a.csv"):
        with pytest.raises(OutputError) as caught:
            saving.write_frame(frame, path)
        assert caught.value.exit_code == 73


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EIO])
def test_a_full_disk_leaves_the_old_file(frame, tmp_path, monkeypatch, code):
    path = tmp_path / "a.csv"
    path.write_text("old")

    def full(_):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StorageError) as caught:
        saving.write_frame(frame, path)
    assert caught.value.exit_code == 74
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["a.csv"]


def test_a_stage_replaces_files_at_its_end(tmp_path):
    folder = tmp_path / "out" / "a"
    (folder / "associations").mkdir(parents=True)
    (folder / "associations" / "old.parquet").write_text("old")
    (folder / "mine.txt").write_text("mine")
    with saving.staged(folder) as stage:
        (stage / "associations").mkdir()
        (stage / "associations" / "new.parquet").write_text("new")
        (stage / "run.json").write_text("{}")
        assert not (folder / "run.json").exists()
    found = sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())
    assert found == ["associations/new.parquet", "mine.txt", "run.json"]


def test_a_failed_stage_changes_nothing(tmp_path):
    (tmp_path / "run.json").write_text("old")

    def fail():
        with saving.staged(tmp_path) as stage:
            (stage / "run.json").write_text("new")
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert [p.name for p in tmp_path.iterdir()] == ["run.json"]
    assert (tmp_path / "run.json").read_text() == "old"


def test_what_a_killed_run_left_is_swept_later(tmp_path):
    old, fresh = tmp_path / ".infolake-old", tmp_path / ".infolake-fresh"
    old.mkdir()
    fresh.mkdir()
    os.utime(old, (0, 0))
    with saving.staged(tmp_path):
        assert not old.exists()
    assert fresh.exists()
