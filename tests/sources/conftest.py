from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from infolake import sources


def rows(source: Any, columns: Sequence[str] | None = None) -> list[dict[str, Any]]:
    names = list(source.schema) if columns is None else list(columns)
    return [r for _, t in sources.read_partitions(source.partitions, names) for r in t.to_pylist()]


@pytest.fixture
def read() -> Callable[..., list[dict[str, Any]]]:
    def open_and_read(data: object, **options: Any) -> list[dict[str, Any]]:
        return rows(sources.open_source(data, **options))

    return open_and_read


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    def write_parquet(name: str, columns: dict[str, Any], **options: Any) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(pa.table(columns), path, **options)
        return path

    return write_parquet
