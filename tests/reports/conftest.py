from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from payloads import STORABLE
from report_runs import Entry, FrameCounts, make_run

from infolake.reports import charts, page


@pytest.fixture(scope="session")
def frame() -> pd.DataFrame:
    """Six columns with every kind of dependence a page draws."""
    rng = np.random.default_rng(7)
    n = 600
    a = rng.choice(list("abc"), n, p=[0.5, 0.3, 0.2])
    b = np.where(rng.random(n) < 0.8, a, rng.choice(list("abcd"), n))
    data = {
        "origin": a,
        "carrier": b,
        "hour": rng.integers(0, 12, n),
        "late": rng.random(n) < np.where(b == "a", 0.7, 0.1),
        "tail": [f"N{k}" for k in rng.integers(0, 300, n)],
        "constant": ["only"] * n,
    }
    out = pd.DataFrame(data).astype(object)
    out.loc[rng.random(n) < 0.1, "hour"] = None
    return out


@pytest.fixture(scope="session")
def run(tmp_path_factory: pytest.TempPathFactory, frame: pd.DataFrame) -> tuple[Path, FrameCounts]:
    folder = tmp_path_factory.mktemp("run") / "flights"
    entries = [
        Entry("pairs"),
        Entry("lateness", target="late", measures=("mutual_information", "adjusted_mutual_information")),
    ]
    return folder, make_run(folder, frame, entries, [("routes", "origin", "carrier")])


@pytest.fixture
def without_bokeh_script(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Pages without the megabyte of BokehJS, for tests that parse them."""
    page._assets.cache_clear()
    monkeypatch.setattr(charts, "bokeh_script", lambda: "'use strict';")
    yield
    page._assets.cache_clear()


def hostile_run(folder: Path, words: list[str]) -> FrameCounts:
    """A run in which every place the data can reach holds one of the words (distinct, any number)."""
    rng = np.random.default_rng(11)
    n = 4 * len(words)
    few = words[:: max(len(words) // 9, 1)][:9]
    levels = np.array(words, dtype=object)[rng.integers(0, len(words), (n, len(words)))]
    wide = pd.DataFrame(levels, columns=words)
    wide["target"] = rng.choice(["yes", "no"], n)
    entries = [Entry(words[1], target="target", units={"mutual_information": words[2], "bias": words[3]})]
    facts = {
        "name": words[4],
        "inputs": [{"path": w, "size": 10, "rows": 1, "etag": w} for w in words],
        "versions": {w: w for w in words},
        "timings": dict.fromkeys(words, 1.0),
        "reads": dict.fromkeys(words, 1),
        "workers": {w: w for w in words},
        "ledger": {"rows_footer": n, "rows_read": n, "rows_counted": n, "left_out": dict.fromkeys(words, 0)},
        "bins": {w: [0.0, 1.0] for w in words},
        "job": {w: [w] for w in words},
        "warnings": words,
        "scheduler": words[5],
    }
    counts = make_run(folder / "wide", wide, entries, title=words[0], **facts)
    pairs = wide[few]
    make_run(
        folder / "pairs",
        pairs,
        [Entry(words[7], units={"mutual_information": words[8]})],
        [("cells", few[0], few[1])],
        title=words[6],
    )
    return counts


@pytest.fixture(scope="session")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, FrameCounts]:
    folder = tmp_path_factory.mktemp("hostile")
    return folder, hostile_run(folder, list(dict.fromkeys(STORABLE)))


@pytest.fixture(scope="session")
def benign(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, FrameCounts]:
    folder = tmp_path_factory.mktemp("benign")
    return folder, hostile_run(folder, [f"word {k}" for k in range(len(dict.fromkeys(STORABLE)))])
