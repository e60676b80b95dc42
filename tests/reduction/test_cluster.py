"""Connections that answer, and waits that end."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
import warnings
from pathlib import Path

import dask
import pytest
from dask.delayed import delayed

from infolake.errors import ClusterError, LostClusterError, MemoryLimitError, UsageError
from infolake.reduction import cluster

QUICK = {
    "infolake.connect-timeout": "2s",
    "infolake.workers-timeout": "3s",
    "infolake.no-workers-timeout": "3s",
    "infolake.poll-interval": "100ms",
}


class Reads:
    """Stands for a partition: something with a path."""

    path = "lake/part-0.parquet"

    def __sizeof__(self):
        return 10


def slow(value, seconds=0.3):
    time.sleep(seconds)
    return value


def deadly(partitions):
    os._exit(1)


def failing(value):
    raise KeyError(value)


def timing_out(value):
    raise TimeoutError(value)


def many(n=8, seconds=0.3):
    return delayed(sum)([delayed(slow)(i, seconds) for i in range(n)])


@pytest.mark.parametrize("scheduler", [None, "threads", "sync"])
def test_a_run_in_this_process(scheduler):
    told = []
    with cluster.connect(scheduler=scheduler, workers=2 if scheduler else None) as client:
        assert client is None
        with cluster.reporting(lambda done, total: told.append((done, total))):
            assert cluster.compute(many(4, 0)) == 6
    assert told[0] == (0, 5)
    assert told[-1] == (5, 5)


def test_what_is_chosen_is_forgotten_after():
    with cluster.connect(scheduler="sync", workers=3, memory_limit="1GiB"):
        assert dask.config.get("scheduler") == "sync"
        assert dask.config.get("num_workers") == 3
        assert dask.config.get("infolake.memory-limit") == 2**30
        assert cluster.description() == {"scheduler": "sync", "workers": {}, "retries": 0}
    assert dask.config.get("scheduler", None) is None
    assert dask.config.get("infolake.memory-limit") is None


def test_progress_given_to_compute():
    told = []
    cluster.compute(many(2, 0), progress=lambda *numbers: told.append(numbers))
    assert told[-1] == (3, 3)


def test_an_error_of_a_task_is_its_own():
    with pytest.raises(KeyError):
        cluster.compute(delayed(failing)(1))


def test_a_bound_for_this_process():
    with cluster.connect(scheduler="sync", memory_limit="1MiB"), pytest.raises(MemoryLimitError) as caught:
        cluster.compute(many(2, 0))
    assert caught.value.exit_code == 71


@pytest.mark.parametrize(
    "choice",
    [
        {"address": "tcp://127.0.0.1:1", "workers": 2},
        {"address": "tcp://127.0.0.1:1", "scheduler": "threads"},
        {"scheduler": "magic"},
        {"workers": 0},
        {"memory_limit": "lots"},
    ],
)
def test_choices_that_make_no_sense(choice):
    with pytest.raises(UsageError), cluster.connect(**choice):
        pass


@pytest.mark.parametrize(
    "address",
    ["tcp://127.0.0.1:1", "127.0.0.1:1", "tls://127.0.0.1:1", "tcp://127.0.0.1:x", "x://127.0.0.1:1"],
)
def test_nobody_listens(address):
    start = time.monotonic()
    with dask.config.set(QUICK), pytest.raises(ClusterError) as caught, cluster.connect(address):
        pass
    assert time.monotonic() - start < 20
    assert caught.value.exit_code == 69
    assert caught.value.fields["where"] == address


def test_the_environment_names_a_scheduler():
    with dask.config.set({**QUICK, "scheduler-address": "tcp://127.0.0.1:1"}):
        with pytest.raises(ClusterError), cluster.connect():
            pass
        with cluster.connect(scheduler="threads") as client:
            assert client is None


def test_a_tls_address_without_certificates():
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"tls://127.0.0.1:{server.getsockname()[1]}"
        with dask.config.set(QUICK), pytest.raises(ClusterError) as caught, cluster.connect(address):
            pass
    assert "certificates" in caught.value.fields["found"]


def test_passwords_are_not_shown():
    with (
        dask.config.set(QUICK),
        pytest.raises(ClusterError) as caught,
        cluster.connect("tcp://me:secret@127.0.0.1:1"),
    ):
        pass
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("address", ["tcp://10.0.0.1:1", "scheduler:8786", "ws://10.0.0.1:1"])
def test_an_open_connection_warns(address):
    with pytest.warns(cluster.InsecureClusterWarning, match="not encrypted"):
        cluster._warn_if_open(address)


@pytest.mark.parametrize(
    "address", ["tcp://127.0.0.1:1", "localhost:1", "tcp://[::1]:1", "tls://10.0.0.1:1", "inproc://a/1"]
)
def test_a_closed_connection_does_not_warn(address):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        cluster._warn_if_open(address)


@pytest.fixture(scope="module")
def two_workers():
    with dask.config.set(QUICK), cluster.connect(workers=2, memory_limit="1GiB") as client:
        yield client


@pytest.mark.cluster
def test_a_local_cluster_is_closed_to_the_network(two_workers):
    import psutil

    own = psutil.Process()
    listening = [
        c for p in [own, *own.children(recursive=True)] for c in p.net_connections() if c.status == "LISTEN"
    ]
    assert listening
    assert {c.laddr.ip for c in listening} <= {"127.0.0.1", "::1"}


@pytest.mark.cluster
def test_a_cluster_computes_and_tells(two_workers):
    told = []
    assert cluster.compute(many(), progress=lambda *numbers: told.append(numbers)) == 28
    assert told
    assert all(done <= total == 9 for done, total in told)
    found = cluster.description({"gone": 1})
    assert found == {
        "scheduler": "distributed",
        "workers": {"count": 2, "threads": 2, "lost": 1},
        "retries": None,
    }


@pytest.mark.cluster
@pytest.mark.parametrize(("function", "kind"), [(failing, KeyError), (timing_out, TimeoutError)])
def test_an_error_on_a_worker_is_its_own(two_workers, function, kind):
    with pytest.raises(kind):
        cluster.compute(delayed(function)(1), retries=0)


@pytest.mark.cluster
def test_a_killed_worker_changes_nothing(two_workers):
    pids = two_workers.run(os.getpid)
    timer = threading.Timer(0.5, os.kill, (next(iter(pids.values())), signal.SIGKILL))
    timer.start()
    assert cluster.compute(many(16, 0.2)) == 120
    timer.join()


@pytest.mark.cluster
def test_a_task_that_kills_its_workers_is_named(two_workers):
    with pytest.raises(ClusterError) as caught:
        cluster.compute(delayed(deadly, pure=False)([Reads()]))
    assert caught.value.fields["where"] == "lake/part-0.parquet"
    assert caught.value.exit_code == 69


def start(*arguments):
    command = [sys.executable, "-m", *arguments, "--no-dashboard"]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent)}
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment)


@pytest.fixture
def scheduler():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    process = start("distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port", str(port))
    yield process, f"tcp://127.0.0.1:{port}"
    process.kill()
    process.wait()


@pytest.fixture
def worker(scheduler):
    process = start("distributed.cli.dask_worker", scheduler[1], "--no-nanny", "--nthreads", "1")
    yield process
    process.kill()
    process.wait()


# A scheduler that starts takes its time on a busy machine.
PATIENT = {**QUICK, "infolake.connect-timeout": "20s", "infolake.workers-timeout": "20s"}


@pytest.mark.cluster
def test_a_scheduler_without_workers(scheduler):
    short = {**PATIENT, "infolake.workers-timeout": "1s"}
    with (
        dask.config.set(short),
        pytest.raises(ClusterError, match="no workers"),
        cluster.connect(scheduler[1]),
    ):
        pass


@pytest.mark.cluster
def test_all_workers_gone(scheduler, worker):
    with dask.config.set(PATIENT), cluster.connect(scheduler[1]):
        threading.Timer(1, worker.kill).start()
        with pytest.raises(ClusterError, match="no workers for 3 s"):
            cluster.compute(many(30))


@pytest.mark.cluster
def test_a_lost_scheduler(scheduler, worker):
    with dask.config.set(PATIENT), cluster.connect(scheduler[1]):
        threading.Timer(1, scheduler[0].kill).start()
        began = time.monotonic()
        with pytest.raises(LostClusterError) as caught:
            cluster.compute(many(30))
    assert time.monotonic() - began < 30
    assert caught.value.exit_code == 75
