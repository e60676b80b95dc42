"""What the tests of counting in shards share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dask
import pytest

from infolake.reduction import planning, sharded


@pytest.fixture
def attempts(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Return a list that tells what each scan in shards found."""
    found: list[Any] = []
    attempt = sharded._attempt

    def told(*arguments: Any, **options: Any) -> Any:
        found.append(attempt(*arguments, **options))
        return found[-1]

    monkeypatch.setattr(sharded, "_attempt", told)
    return found


@pytest.fixture
def taken(attempts: list[Any], monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Any]]:
    """Send every group through the shards; the list tells what each scan found."""
    monkeypatch.setattr(planning, "SAMPLE_ABOVE", 0)
    monkeypatch.setattr(planning, "SHARD_ABOVE", 0)
    with dask.config.set({"scheduler": "sync", "infolake.leaf-bytes": "1KiB"}):
        yield attempts


@pytest.fixture
def spilling(taken: list[Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Path]:
    """Leave so little memory that entries are spilled to the folder returned."""
    folder = tmp_path / "spill"
    monkeypatch.setattr(sharded, "_resources", lambda: (2, 1 << 14, True))
    with dask.config.set({"infolake.spill-directory": str(folder)}):
        yield folder
