"""Run folders made by hand, in the stored form a run writes, with scores from scikit-learn."""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from sklearn.metrics import adjusted_mutual_info_score, mutual_info_score, normalized_mutual_info_score

from infolake.errors import UnknownColumnError
from infolake.tables import ContingencyTable

MEASURES = ("mutual_information", "normalized_mutual_information", "adjusted_mutual_information")
UNITS = {"mutual_information": "bits", "bias": "bits", "normalized_mutual_information": ""}


@dataclass(frozen=True)
class FrameCounts:
    """Counts of a frame in memory: what ``load`` gives the page in these tests."""

    frame: pd.DataFrame

    def table(self, *columns: str, missing: str = "pairwise") -> ContingencyTable:
        for name in columns:
            if name not in self.frame:
                raise UnknownColumnError(f"no column {name!r}")
        rows = self.frame[list(columns)]
        rows = rows if missing == "level" else rows.dropna()
        return ContingencyTable.from_labels(*(rows[c].tolist() for c in columns), columns=columns)


@dataclass
class Entry:
    name: str
    target: str | None = None
    missing: str = "pairwise"
    measures: tuple[str, ...] = MEASURES
    units: Mapping[str, str] = field(default_factory=lambda: dict(UNITS))


def score_rows(frame: pd.DataFrame, entry: Entry) -> list[dict[str, Any]]:
    names = list(frame.columns)
    pairs = (
        [(n, entry.target) for n in names if n != entry.target]
        if entry.target
        else itertools.combinations(names, 2)
    )
    rows = [score_row(frame, x, y) | {"question": entry.name} for x, y in pairs]
    return sorted(rows, key=lambda r: -r["mutual_information"] if r["n"] else np.inf)


def score_row(frame: pd.DataFrame, x: str, y: str) -> dict[str, Any]:
    both = frame[[x, y]].dropna()
    n, facts = len(both), {"x": x, "y": y, "n": len(both), "n_missing": len(frame) - len(both)}
    if not n:
        return facts | dict.fromkeys((*MEASURES, "bias"), np.nan) | {"thin": True}
    a, b = (pd.factorize(both[c])[0] for c in (x, y))
    sizes = (a.max() + 1, b.max() + 1)
    scores = (
        mutual_info_score(a, b) / np.log(2),
        normalized_mutual_info_score(a, b),
        adjusted_mutual_info_score(a, b),
    )
    bias = (sizes[0] - 1) * (sizes[1] - 1) / (2 * n * np.log(2))
    return (
        facts
        | dict(zip(MEASURES, scores, strict=True))
        | {"bias": bias, "thin": bool(n < 5 * sizes[0] * sizes[1])}
    )


def write_scores(
    folder: Path, rows: Sequence[Mapping[str, Any]], entries: Sequence[Entry], title: str
) -> None:
    names = ["question", "x", "y", "n", "n_missing", *MEASURES, "bias", "thin"]
    table = pa.table({name: [row.get(name) for row in rows] for name in names})
    questions = {
        e.name: {
            "target": e.target,
            "given": None,
            "measures": list(e.measures),
            "missing": e.missing,
            "base": 2,
        }
        for e in entries
    }
    units = {key: unit for e in entries for key, unit in e.units.items()}
    meta = {"units": units, "questions": questions, "title": title}
    pq.write_table(
        table.replace_schema_metadata({b"infolake": json.dumps(meta).encode()}), folder / "scores.parquet"
    )


def write_association(folder: Path, frame: pd.DataFrame, name: str, x: str, y: str, **facts: Any) -> None:
    both = frame[[x, y]].dropna()
    cells = both.groupby([x, y], observed=True).size().rename("count").reset_index()
    cells["count_x"] = cells.groupby(x)["count"].transform("sum")
    cells["count_y"] = cells.groupby(y)["count"].transform("sum")
    pmi = np.log2(cells["count"] * len(both) / (cells["count_x"] * cells["count_y"]))
    cells["pointwise_mutual_information"] = pmi
    cells["normalized_pointwise_mutual_information"] = pmi / -np.log2(cells["count"] / len(both))
    cells = cells[cells["count"] >= facts.get("min_count", 1)].sort_values(
        "pointwise_mutual_information", ascending=False
    )
    meta = {"units": {"pointwise_mutual_information": "bits", "normalized_pointwise_mutual_information": ""}}
    meta |= {"x": x, "y": y, "columns": {"x": x, "y": y}, "measures": list(cells.columns[-2:]), **facts}
    table = pa.Table.from_pandas(cells, preserve_index=False)
    (folder / "associations").mkdir(exist_ok=True)
    path = folder / "associations" / f"{name}.parquet"
    pq.write_table(table.replace_schema_metadata({b"infolake": json.dumps(meta).encode()}), path)


def run_facts(rows: int, title: str, **changes: Any) -> dict[str, Any]:
    facts = {
        "name": "flights",
        "title": title,
        "status": "ok",
        "exit_code": 0,
        "inputs": [
            {
                "path": "data/month=1/part.parquet",
                "size": 123456,
                "mtime": "2024-01-02T03:04:05Z",
                "rows": rows,
            }
        ],
        "reads": {"count": 1, "bins": 2},
        "ledger": {"rows_footer": rows, "rows_read": rows, "rows_counted": rows, "left_out": {"filtered": 0}},
        "versions": {"infolake": "0.1.0", "python": "3.11.2", "dask": "2026.8.0"},
        "timings": {"plan": 0.0123, "bins": 1.5, "count": 2.25},
        "retries": 0,
        "workers": {"threads": 2},
        "scheduler": "threads",
        "job": {"name": "flights", "scores": [{"name": "pairs"}]},
        "bins": {"dep_delay": [-43.0, -5.0, 0.5, 1301.0]},
        "warnings": [],
    }
    return facts | changes


def make_run(
    folder: Path,
    frame: pd.DataFrame,
    entries: Sequence[Entry] = (Entry("pairs"),),
    associations: Sequence[tuple[str, str, str]] = (),
    title: str = "New York flights",
    **changes: Any,
) -> FrameCounts:
    """Write a run of ``frame`` into ``folder`` and return its counts."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "counts").mkdir(exist_ok=True)
    write_scores(folder, [row for e in entries for row in score_rows(frame, e)], entries, title)
    for name, x, y in associations:
        write_association(folder, frame, name, x, y, min_count=1, top=None)
    (folder / "run.json").write_text(json.dumps(run_facts(len(frame), title, **changes)), "utf-8")
    return FrameCounts(frame)
