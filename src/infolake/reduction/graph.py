"""Dask graphs: leaves, a tree of sums, and rounds that broadcast what a round before found."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import dask
import dask.threaded
from dask.base import DaskMethodsMixin
from dask.highlevelgraph import HighLevelGraph, MaterializedLayer
from dask.task_spec import List, Task, TaskRef

from infolake.reduction import config

Key = str | tuple[Any, ...]


def token(*parts: str) -> str:
    """Return a name for ``parts`` that is the same in every process.

    Examples
    --------
    >>> token("a", "b") == token("a", "b"), token("a", "b") == token("ab")
    (True, False)
    """
    digest = hashlib.blake2b(digest_size=16)
    for part in parts:
        digest.update(f"{len(part)}:{part}".encode("utf-8", "surrogatepass"))
    return digest.hexdigest()


@dataclass
class Graph:
    """Layers under construction: one per stage, with a readable prefix and a deterministic name."""

    layers: dict[str, MaterializedLayer] = field(default_factory=dict)
    dependencies: dict[str, set[str]] = field(default_factory=dict)

    def add_layer(
        self,
        name: str,
        tasks: Iterable[Task],
        below: Iterable[str] = (),
        annotations: dict[str, Any] | None = None,
    ) -> list[Key]:
        """Add a stage that depends on the stages ``below``; return its keys."""
        mapping = {task.key: task for task in tasks}
        self.layers[name] = MaterializedLayer(mapping, annotations=annotations)
        self.dependencies[name] = set(below)
        return list(mapping)

    def one(self, name: str, function: Callable[..., Any], *arguments: Any, below: Iterable[str] = ()) -> Key:
        """Add a stage of a single task."""
        return self.add_layer(name, [Task(name, function, *arguments)], below)[0]

    def leaves(
        self,
        name: str,
        function: Callable[..., Any],
        arguments: Sequence[Sequence[Any]],
        below: Iterable[str] = (),
    ) -> list[Key]:
        """Add a stage of one task per partition; a lost or failed one is tried again."""
        tasks = [Task((name, i), function, *given) for i, given in enumerate(arguments)]
        return self.add_layer(name, tasks, below, {"retries": config.number("retries")})

    def tree(
        self,
        name: str,
        function: Callable[..., Any],
        keys: Sequence[Key],
        below: str,
        split_every: int | None = None,
    ) -> Key:
        """Add stages that merge ``split_every`` values at a time until one is left."""
        width = max(2, split_every or config.number("split-every"))
        level = 0
        while len(keys) > 1 or level == 0:
            stage = f"{name}-{level}"
            groups = [keys[i : i + width] for i in range(0, len(keys), width)]
            tasks = [Task((stage, i), function, List(*map(TaskRef, g))) for i, g in enumerate(groups)]
            keys, below, level = self.add_layer(stage, tasks, {below}), stage, level + 1
        return keys[0]

    def finished(self) -> HighLevelGraph:
        """Return the graph."""
        return HighLevelGraph(self.layers, self.dependencies)


class Lazy(DaskMethodsMixin):  # type: ignore[misc]
    """A value that Dask computes: the root of a graph.

    It works with ``.compute()``, ``.persist()``, ``dask.compute(a, b)`` and ``Client.compute`` on every
    scheduler; building it reads footers and at most a bounded sample.
    """

    __dask_scheduler__ = staticmethod(dask.threaded.get)
    __dask_optimize__ = None

    def __init__(self, graph: HighLevelGraph, key: Key) -> None:
        self._graph = graph
        self._key = key

    def __dask_graph__(self) -> HighLevelGraph:
        return self._graph

    def __dask_keys__(self) -> list[Key]:
        return [self._key]

    def __dask_layers__(self) -> tuple[str, ...]:
        return (self._key[0] if isinstance(self._key, tuple) else self._key,)

    def __dask_tokenize__(self) -> Key:
        return self._key

    def __dask_postcompute__(self) -> tuple[Callable[..., Any], tuple[()]]:
        return _first, ()

    def __dask_postpersist__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return _rebuilt, (type(self), self._key)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {len(self._graph)} tasks: .compute() gives the value>"


class LazyCounts(Lazy):
    """Joint counts that Dask computes; ``.compute()`` gives :class:`JointCounts`."""


def _first(results: Sequence[Any]) -> Any:
    return results[0]


def _rebuilt(graph: Any, kind: type[Lazy], key: Key, *, rename: dict[str, str] | None = None) -> Lazy:
    if rename:
        key = (rename.get(key[0], key[0]), *key[1:]) if isinstance(key, tuple) else rename.get(key, key)
    name = key[0] if isinstance(key, tuple) else key
    if not isinstance(graph, HighLevelGraph):
        graph = HighLevelGraph({name: MaterializedLayer(dict(graph))}, {name: set()})
    return kind(graph, key)
