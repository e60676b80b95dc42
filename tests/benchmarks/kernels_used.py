"""A small use of everything that is compiled, for the time that takes; ``python -m`` prints what was not."""

from __future__ import annotations

import importlib
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest.mock import patch

import numpy as np
import pandas as pd

MODULES = ("kernels", "plane_kernels", "key_kernels", "summaries.dense_pairs", "measures.numerics")


def use_all() -> None:
    """Count and score small data of every kind."""
    import infolake as il
    from infolake.reduction import planning

    random = np.random.default_rng(1)
    frame = pd.DataFrame({f"c{i}": random.integers(0, 3, 2000) for i in range(60)})
    frame["text"] = [f"t{i}" for i in random.integers(0, 90, 2000)]
    frame["number"], frame["weight"] = random.normal(size=2000), random.random(2000)
    frame["many"] = [f"m{i}" for i in random.integers(0, 600, 2000)]
    few = ["c0", "c1", "text", "number", "many"]
    il.score(frame.drop(columns=["number", "weight"]), measures=["mi", "nmi", "ami"])
    for options in ({"bins": 4}, {"bins": 40, "weights": "weight"}, {"bins": 4, "given": "c2"}):
        il.score(frame, columns=few, measures=["mi"], **options)  # type: ignore[arg-type]
    il.score(frame, columns=few[:3], measures=["mi"], p_values="permutation", entropy="nsb")
    il.score(frame, columns=few[:3], measures=["mi"], entropy="panzeri_treves")
    known = il.measures()
    of_tables = known.index[~known["per_cell"] & (known["needs"] == "table")]
    for weights in (None, "weight"):
        il.score(frame, columns=few[:3], measures=[*of_tables], weights=weights, missing="level")
    il.associations(frame, "c0", "text", measures=[*known.index[known["per_cell"]]])
    with TemporaryDirectory() as folder:
        frame.to_parquet(Path(folder) / "a.parquet")
        il.score(folder, columns=["text", "many"], measures=["mi"])
    with TemporaryDirectory() as folder, patch.multiple(planning, SHARD_ABOVE=0, SAMPLE_ABOVE=0):
        _in_shards(il, Path(folder), random)


def _in_shards(il: Any, folder: Path, random: np.random.Generator) -> None:
    ids = random.permutation(5000)
    frame = pd.DataFrame({"x": ids, "y": ids[::-1], "z": ids % 3000, "t": [f"t{i}" for i in ids]})
    frame["x"] = frame["x"].astype("Int64").mask(frame["x"] < 3)
    for name in ("a", "b"):
        frame.to_parquet(folder / f"{name}.parquet")
    il.score(str(folder), columns=["x", "y"], measures=["mi"], bins="exact")
    il.score(str(folder), columns=["t", "y"], measures=["mi"], bins="exact", given="z")
    il.associations(str(folder), "t", "y", measures=["npmi"], bins="exact", top=10)


def unused() -> list[str]:
    """Return the kernels, beside those that are always inlined, that were not compiled in this process."""
    found = []
    for name in MODULES:
        module = importlib.import_module(f"infolake.{name}")
        own = {k: v for k, v in vars(module).items() if getattr(v, "__module__", "") == module.__name__}
        kernels = {k: v for k, v in own.items() if hasattr(v, "py_func") and "inline" not in v.targetoptions}
        found += [f"{name}.{key}" for key, kernel in kernels.items() if not kernel.signatures]
    return found


if __name__ == "__main__":
    use_all()
    print("\n".join(unused()) or "every kernel was used")
