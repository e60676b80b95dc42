"""Connections that answer, and waits that end.

Computing follows Dask's own choice of scheduler. On a cluster nothing waits without a bound: a
scheduler that is silent, workers that never come, workers that all leave and a task that kills its
workers each become one error.
"""

from __future__ import annotations

import logging
import socket
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import CancelledError
from contextlib import ExitStack, contextmanager, suppress
from contextvars import ContextVar
from typing import Any, TypeAlias
from urllib.parse import urlsplit

import dask
import dask.base
from dask.callbacks import Callback
from dask.utils import parse_bytes

from infolake.errors import (
    ClusterError,
    ConfigError,
    LostClusterError,
    MemoryLimitError,
    UsageError,
    printable,
)
from infolake.reduction import config

# Dask's types come and go between versions.
Client: TypeAlias = Any
Future: TypeAlias = Any
Progress: TypeAlias = Callable[[int, int], None]

SCHEDULERS = ("threads", "processes", "sync")
LOOPBACK = ("127.0.0.1", "localhost", "::1")

_reporter: ContextVar[Progress | None] = ContextVar("progress", default=None)


class InsecureClusterWarning(UserWarning):
    """Data travels to another machine without encryption."""


@contextmanager
def reporting(progress: Progress | None) -> Iterator[None]:
    """Call ``progress(done, total)`` while anything computes inside the block."""
    token = _reporter.set(progress)
    try:
        yield
    finally:
        _reporter.reset(token)


@contextmanager
def connect(
    address: str | None = None,
    *,
    workers: int | None = None,
    scheduler: str | None = None,
    memory_limit: str | int | None = None,
) -> Iterator[Client | None]:
    """Choose where everything inside the block computes.

    Parameters
    ----------
    address : str, optional
        A scheduler's address; default ``DASK_SCHEDULER_ADDRESS`` when nothing else is chosen.
    workers : int, optional
        Start a cluster of so many processes of one thread on this machine, closed to the network.
        With ``scheduler``: its number of threads or processes.
    scheduler : {"threads", "processes", "sync"}, optional
        Compute in this process, or in a pool of processes.
    memory_limit : str or int, optional
        A bound in bytes, like ``"2GiB"``: for each worker, or for this process.

    Yields
    ------
    distributed.Client or None
        None where this process computes by itself.

    Raises
    ------
    ClusterError
        Nobody answers, the connection is refused, or no worker comes, within a minute.
    UsageError
        Choices that exclude each other.
    """
    _check_choice(address, workers, scheduler)
    if scheduler is None and workers is None:
        address = address or dask.config.get("scheduler-address", None)
    limit = None if memory_limit is None else _bytes(memory_limit)
    with ExitStack() as stack:
        if address:
            stack.enter_context(_quiet())
            yield stack.enter_context(_remote(address))
        elif workers is not None and scheduler is None:
            stack.enter_context(_quiet())
            yield stack.enter_context(_local_cluster(workers, limit))
        else:
            stack.enter_context(_in_process(scheduler, workers, limit))
            yield None


def _check_choice(address: str | None, workers: int | None, scheduler: str | None) -> None:
    if address and (scheduler or workers):
        raise UsageError("an address excludes --scheduler and --workers", next="give one of them")
    if scheduler is not None and scheduler not in SCHEDULERS:
        raise UsageError(f"unknown scheduler {printable(scheduler)!r}", expected=", ".join(SCHEDULERS))
    if workers is not None and workers < 1:
        raise UsageError("a run needs at least one worker", found=str(workers))


def _bytes(value: str | int) -> int:
    try:
        return int(parse_bytes(value))
    except ValueError:
        raise UsageError(
            "the memory limit is no size", expected="2GiB, 500MB", found=printable(value)
        ) from None


@contextmanager
def _in_process(scheduler: str | None, workers: int | None, limit: int | None) -> Iterator[None]:
    chosen = {"scheduler": scheduler, "num_workers": workers, "infolake.memory-limit": limit}
    with dask.config.set({k: v for k, v in chosen.items() if v is not None}):
        yield


@contextmanager
def _local_cluster(workers: int, limit: int | None) -> Iterator[Client]:
    from distributed import Client, LocalCluster

    options = {"n_workers": workers, "threads_per_worker": 1, "processes": True, "host": "127.0.0.1"}
    memory = "auto" if limit is None else limit
    # Port 0 on loopback: any free port, never one that other machines reach.
    with (
        LocalCluster(
            **options, dashboard_address="127.0.0.1:0", memory_limit=memory, silence_logs=50
        ) as cluster,
        Client(cluster, timeout=config.seconds("connect-timeout")) as client,
    ):
        _await_workers(client, str(cluster.scheduler_address))
        yield client


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep Dask's own words about lost connections off stderr: an error says it once."""
    import distributed  # noqa: F401 (its import sets the levels)

    loggers = [logging.getLogger(f"distributed.{name}") for name in ("client", "core", "comm", "batched")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


@contextmanager
def _remote(address: str) -> Iterator[Client]:
    _warn_if_open(address)
    client = _client(address)
    try:
        _await_workers(client, address)
        # An outer client, if any, is not the one meant.
        with client.as_current():
            yield client
    finally:
        with suppress(Exception):
            client.close(timeout=5)


def _client(address: str) -> Client:
    from distributed import Client

    timeout = config.seconds("connect-timeout")
    try:
        # A Client that cannot connect lingers, so the door is tried first.
        _knock(address, timeout)
        return Client(address, timeout=timeout)
    except (OSError, TimeoutError, TypeError, ValueError, RuntimeError, ImportError) as error:
        raise _refused(address, error) from error


def _knock(address: str, timeout: float) -> None:
    from distributed.comm import get_address_host_port
    from distributed.security import Security

    if address.startswith("inproc://"):
        return
    host, port = get_address_host_port(address)
    deadline = time.monotonic() + timeout
    while not _listens(host, port, deadline):
        time.sleep(0.2)
    if address.startswith("tls://") and not Security().get_connection_args("client").get("ssl_context"):
        raise ValueError("no certificates are configured (distributed.comm.tls)")


def _listens(host: str, port: int, deadline: float) -> bool:
    """Return whether somebody listens; raise when nobody does until the deadline."""
    try:
        socket.create_connection((host, port), timeout=max(0.1, deadline - time.monotonic())).close()
    except ConnectionRefusedError:
        if time.monotonic() > deadline:
            raise
        return False
    return True


def _refused(address: str, error: Exception) -> ClusterError:
    reason = str(error).splitlines()[0] if str(error) else type(error).__name__
    host, shown = (text.rpartition("://")[2] for text in (address, _shown(address)))
    return ClusterError(
        "the scheduler does not answer",
        where=_shown(address),
        found=printable(reason.replace(host, shown), 300),
        effect="nothing was read",
        next="check that the scheduler runs there and how it is secured, or leave --address out",
    )


def _await_workers(client: Client, address: str) -> None:
    timeout = config.seconds("workers-timeout")
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        if _workers(client):
            return
        time.sleep(0.1)
    raise ClusterError(
        "the scheduler has no workers",
        where=_shown(address),
        expected=f"a worker within {timeout:g} s",
        effect="nothing was read",
        next="start workers: dask worker " + _shown(address),
    )


def _shown(address: str) -> str:
    """Return an address without user name and password."""
    scheme, mark, rest = address.rpartition("://")
    return printable(scheme + mark + rest.rpartition("@")[2], 200)


def _warn_if_open(address: str) -> None:
    scheme, mark, _ = address.partition("://")
    host = urlsplit(address if mark else f"tcp://{address}").hostname or ""
    if (
        scheme not in ("tls", "inproc", "wss", "ucxs")
        and host not in LOOPBACK
        and not host.startswith("127.")
    ):
        text = (
            f"the connection to {_shown(address)} is not encrypted; anyone on the way can read and run code"
        )
        warnings.warn(text, InsecureClusterWarning, stacklevel=2)


def active_client() -> Client | None:
    """Return the Client that Dask would compute with now, if any."""
    if "distributed" not in sys.modules:
        return None
    import distributed

    owner = getattr(dask.base.get_scheduler(), "__self__", None)
    return owner if isinstance(owner, distributed.Client) else None


def compute(collection: Any, *, retries: int | None = None, progress: Progress | None = None) -> Any:
    """Compute a Dask collection on the scheduler that Dask would choose, without endless waits.

    Parameters
    ----------
    collection : dask collection
        What to compute.
    retries : int, optional
        How often a failed task is tried again on a cluster; default the setting ``infolake.retries``.
    progress : callable, optional
        Called with the number of tasks done and of all tasks; default that of :func:`reporting`.

    Returns
    -------
    object
        The collection's value.

    Raises
    ------
    ClusterError
        All workers are gone, or one task kills its workers.
    LostClusterError
        The scheduler went away.
    MemoryLimitError
        This process grew beyond ``infolake.memory-limit``.
    """
    progress = progress or _reporter.get()
    client = active_client()
    if client is None:
        with _LocalWatch(progress, config.size("memory-limit")):
            return collection.compute()
    return _compute_on(client, collection, config.number("retries") if retries is None else retries, progress)


class _LocalWatch(Callback):  # type: ignore[misc]
    """Counts finished tasks and holds this process against a bound."""

    def __init__(self, progress: Progress | None, limit: int | None) -> None:
        super().__init__()
        self.progress = progress
        self.limit = limit
        self.done = 0
        self.total = 0

    def _start_state(self, _: Any, state: Any) -> None:
        self.done, self.total = 0, sum(len(state[k]) for k in ("ready", "waiting"))
        self._tell()

    def _posttask(self, *_: Any) -> None:
        self.done += 1
        self._tell()
        if self.limit is not None:
            _check_memory(self.limit)

    def _tell(self) -> None:
        if self.progress is not None:
            self.progress(self.done, self.total)


def _check_memory(limit: int) -> None:
    import psutil

    used = psutil.Process().memory_info().rss
    if used > limit:
        raise MemoryLimitError(
            "the run needs more memory than it may use",
            expected=f"at most {limit / 2**20:.0f} MiB",
            found=f"{used / 2**20:.0f} MiB",
            effect="nothing was published",
            next="raise --memory-limit, count fewer columns, or use --workers",
        )


def _compute_on(client: Client, collection: Any, retries: int, progress: Progress | None) -> Any:
    graph = collection.__dask_graph__()
    future = client.compute(collection, retries=retries)
    try:
        with _cluster_progress(client, future, progress):
            return _awaited(client, future, graph)
    except BaseException:
        with suppress(Exception):
            client.cancel(future)
        raise


def _awaited(client: Client, future: Future, graph: Any) -> Any:
    """Wait for a future, looking at the cluster again and again."""
    from distributed import wait

    watch = _Watch(client)
    while True:
        if future.status == "error":
            error = future.exception(timeout=config.seconds("connect-timeout"))
            raise _explained(error, graph) from error.__cause__
        if future.status == "cancelled":
            raise _lost()
        with suppress(TimeoutError, CancelledError):
            if future.status == "finished":
                return future.result(timeout=config.seconds("no-workers-timeout"))
            wait([future], timeout=config.seconds("poll-interval"))
        watch.look()


class _Watch:
    """Notices when a cluster is gone."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.seen = time.monotonic()

    def look(self) -> None:
        self._check_scheduler()
        if _workers(self.client):
            self.seen = time.monotonic()
        self._check_scheduler()
        timeout = config.seconds("no-workers-timeout")
        if time.monotonic() - self.seen > timeout:
            raise ClusterError(
                f"the cluster has had no workers for {timeout:g} s",
                effect="nothing was published",
                next="look at the workers' logs, start workers, and run again",
            )

    def _check_scheduler(self) -> None:
        # A client that has to connect again has lost its futures.
        if self.client.status != "running":
            raise _lost()


def _workers(client: Client) -> int:
    """Return how many workers the scheduler knows; 0 when it does not answer in time."""
    try:
        answer = client.sync(client.scheduler.ncores, callback_timeout=config.seconds("connect-timeout"))
    except (OSError, TimeoutError, AttributeError, RuntimeError):
        return 0
    return len(answer)


def _lost() -> LostClusterError:
    return LostClusterError(
        "the scheduler was lost", effect="nothing was published", next="run again: it is safe at any time"
    )


def _explained(error: Exception, graph: Any) -> Exception:
    from distributed import KilledWorker

    if "deserialization" in str(error) or (isinstance(error, ImportError) and "infolake" in str(error)):
        return ConfigError(
            "the cluster runs other software than this process",
            found=printable(str(error).splitlines()[0], 300),
            effect="nothing was published",
            next="install the same versions of infolake and dask on the scheduler and all workers",
        )
    if not isinstance(error, KilledWorker):
        return error
    return ClusterError(
        "one task keeps killing its workers",
        where=_partition_of(error.args[0], graph),
        found=f"{error.args[2] + 1} workers died while they ran it",
        effect="nothing was published",
        next="give workers more memory (--memory-limit), or look at their logs",
    )


def _partition_of(key: Any, graph: Any) -> str:
    """Return which partition a task reads, or the task's own name."""
    with suppress(Exception):
        task = graph[key]
        found = sorted(set(_paths(getattr(task, "args", ())) + _paths(getattr(task, "kwargs", {}))))
        if found:
            return printable(", ".join(found[:3]) + (" and more" if len(found) > 3 else ""), 400)
    return f"task {printable(key)}"


def _paths(value: Any, depth: int = 0) -> list[str]:
    if isinstance(getattr(value, "path", None), str):
        return [str(value.path)]
    inner = getattr(value, "args", value)
    items = inner.values() if isinstance(inner, dict) else inner
    if depth > 4 or not isinstance(inner, dict | list | tuple):
        return []
    return [path for item in items for path in _paths(item, depth + 1)]


@contextmanager
def _cluster_progress(client: Client, future: Future, progress: Progress | None) -> Iterator[None]:
    if progress is None:
        yield
        return
    closed = threading.Event()
    bar = _bar(client, future, lambda done, total: None if closed.is_set() else progress(done, total))

    async def listen() -> None:
        # A lost progress bar is no reason to lose a run.
        with suppress(Exception):
            await bar.listen()

    client.loop.add_callback(listen)
    try:
        yield
    finally:
        closed.set()


def _bar(client: Client, future: Future, tell: Progress) -> Any:
    from distributed.diagnostics.progressbar import ProgressBar

    class Bar(ProgressBar):  # type: ignore[misc]
        def _draw_bar(self, remaining: int, all: int, **_: Any) -> None:  # noqa: A002
            tell(all - remaining, all)

    return Bar([future], scheduler=client.scheduler.address, interval="200ms")


def workers() -> dict[str, int]:
    """Return the addresses and threads of the active cluster's workers; empty without one."""
    client = active_client()
    if client is None:
        return {}
    timeout = config.seconds("connect-timeout")
    found: dict[str, int] = client.sync(client.scheduler.ncores, callback_timeout=timeout)
    return found


def description(before: Mapping[str, int] | None = None) -> dict[str, Any]:
    """Return which scheduler and workers compute now, for run.json.

    Parameters
    ----------
    before : mapping, optional
        What :func:`workers` said earlier: workers that are gone count as lost.
    """
    if active_client() is None:
        # Dask's schedulers in one process try nothing again.
        return {"scheduler": _chosen(), "workers": {}, "retries": 0}
    now = workers()
    told = {"count": len(now), "threads": sum(now.values()), "lost": len(set(before or ()) - set(now))}
    return {"scheduler": "distributed", "workers": told, "retries": None}


def _chosen() -> str:
    chosen = dask.config.get("scheduler", None)
    return chosen if isinstance(chosen, str) else "threads"
