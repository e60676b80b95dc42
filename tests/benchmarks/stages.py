"""Where the time goes: processor seconds of each stage, on one thread."""

from __future__ import annotations

import importlib
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

from benchmarks import contenders

STAGES = {
    "plan and sample": ("infolake.analyses.counts:plan_count",),
    "open and decode": ("infolake.sources.partitions:_counted",),
    "check and convert": ("infolake.sources.partitions:canonical_table",),
    "map dictionaries": ("infolake.encoding.columns:ColumnEncoder.encode",),
    "pack": (
        "infolake.summaries.byte_packing:BytePacker.pack",
        "infolake.plane_kernels:set_planes",
    ),
    "scatter": (
        "infolake.kernels:count_pairs",
        "infolake.kernels:scatter_one",
        "infolake.kernels:scatter_two",
        "infolake.plane_kernels:count_planes",
    ),
    "tables of a leaf": ("infolake.summaries.counting:LeafCounter.result",),
    "merge": ("infolake.summaries.joint_counts:add",),
    "measures and frame": ("infolake:score",),
}


class Stopwatch:
    """Processor seconds per stage; what runs inside another stage counts for that one alone."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)
        self.open: list[str] = []
        self.since = time.thread_time()

    @contextmanager
    def __call__(self, stage: str) -> Iterator[None]:
        """Give the time until the block ends to a stage."""
        self._turn()
        self.open.append(stage)
        try:
            yield
        finally:
            self._turn()
            self.open.pop()

    def _turn(self) -> None:
        now = time.thread_time()
        self.seconds[self.open[-1] if self.open else "the rest"] += now - self.since
        self.since = now

    def wrapped(self, stage: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return a function that tells its time; of a generator, that of each step."""

        def call(*args: Any, **options: Any) -> Any:
            with self(stage):
                found = function(*args, **options)
            return self._steps(stage, found) if hasattr(found, "send") else found

        return call

    def _steps(self, stage: str, steps: Iterator[Any]) -> Iterator[Any]:
        end = object()
        while True:
            with self(stage):
                found = next(steps, end)
            if found is end:
                return
            yield found


def profile(folder: str, options: dict[str, Any]) -> dict[str, float]:
    """Return the processor seconds of each stage of infolake's answer, warm, on one thread."""
    import dask

    run = contenders.infolake(folder, options)
    watch = Stopwatch()
    with dask.config.set(scheduler="sync"):
        run()
        patches = [_patched(watch, stage, place) for stage, places in STAGES.items() for place in places]
        for each in patches:
            each.start()
        try:
            watch.seconds.clear()
            watch.since = time.thread_time()
            run()
            watch._turn()
        finally:
            for each in patches:
                each.stop()
    return {stage: watch.seconds[stage] for stage in (*STAGES, "the rest")}


def _patched(watch: Stopwatch, stage: str, place: str) -> Any:
    module, _, path = place.partition(":")
    *outer, name = path.split(".")
    owner: Any = importlib.import_module(module)
    for part in outer:
        owner = getattr(owner, part)
    return patch.object(owner, name, watch.wrapped(stage, getattr(owner, name)))


def table(results: dict[str, dict[str, float]]) -> str:
    """Return the Markdown table of the stages of several workloads, milliseconds."""
    lines = [
        "Milliseconds of one processor, one thread, warm; a stage's time holds no other stage's.",
        "",
        f"| stage | {' | '.join(results)} |",
        "|---|" + "---:|" * len(results),
    ]
    for stage in (*STAGES, "the rest"):
        cells = " | ".join(f"{1000 * found[stage]:,.0f}" for found in results.values())
        lines.append(f"| {stage} | {cells} |")
    totals = " | ".join(f"{1000 * sum(found.values()):,.0f}" for found in results.values())
    return "\n".join([*lines, f"| all | {totals} |"])
