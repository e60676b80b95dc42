"""The folder that counts spill to: enough room or an error at once, and gone whatever happens."""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import dask
import numpy as np
import pytest

from infolake.errors import OutputError, StorageError
from infolake.reduction import spilling
from sharded_twin import skewed, written

SCRIPT = """
import os, signal, sys, time
import dask
from infolake import cli
from infolake.reduction import planning, sharded
planning.SAMPLE_ABOVE = planning.SHARD_ABOVE = 0
sharded._resources = lambda: (2, 1 << 17, True)
dask.config.set({"infolake.spill-directory": sys.argv[1], "infolake.leaf-bytes": "64KiB"})
"""
SCORE = """
sys.argv = ["infolake", "score", sys.argv[2], "--bins", "exact", "--measure", "mi", "--scheduler", "threads"]
cli.main()
"""


@pytest.fixture
def root(tmp_path: Path) -> Iterator[Path]:
    """Return the folder that is set."""
    with dask.config.set({"infolake.spill-directory": str(tmp_path / "spill")}):
        yield tmp_path / "spill"


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return distinct pairs in several files."""
    cuts = range(2_000, 40_000, 2_000)
    folder = tmp_path_factory.mktemp("lake") / "data"
    return written(folder, skewed("all rows distinct", 40_000), cuts, row_group_size=1_000)


def script(text: str, spill: Path, data: str, prefix: tuple[str, ...] = ()) -> subprocess.Popen[str]:
    """Run a script that spills whatever it counts."""
    command = [*prefix, sys.executable, "-c", SCRIPT + text, str(spill), data]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.mark.parametrize("error", [None, ValueError, KeyboardInterrupt, SystemExit])
def test_the_folder_is_gone_at_the_end(root: Path, error: type[BaseException] | None) -> None:
    try:
        with spilling.spill_folder(1000) as folder:
            assert folder.parent == root
            assert folder.stat().st_mode & 0o077 == 0
            store = spilling.Spill(str(folder))
            blocks = store.put(np.arange(10, dtype=np.uint64), np.array([0, 4, 4, 10]))
            assert [b.load().tolist() for b in blocks] == [[0, 1, 2, 3], [], [4, 5, 6, 7, 8, 9]]
            if error is not None:
                raise error
    except BaseException as caught:
        assert error is not None and isinstance(caught, error)  # noqa: PT018, PT017
    assert list(root.iterdir()) == []


def test_two_runs_do_not_touch_each_other(root: Path) -> None:
    with spilling.spill_folder(0) as one, spilling.spill_folder(0) as two:
        assert one != two
        assert one.is_dir()
        assert two.is_dir()
    assert list(root.iterdir()) == []


def test_many_runs_begin_and_end_at_once(root: Path) -> None:
    """No run removes the folder of another one that has only begun."""
    failed: list[BaseException] = []

    def begin_and_end() -> None:
        try:
            for _ in range(40):
                with spilling.spill_folder(0) as folder:
                    (folder / "block").write_bytes(b"kept")
                    assert (folder / "block").read_bytes() == b"kept"
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=begin_and_end) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert failed == []
    assert list(root.iterdir()) == []


def test_a_thread_that_goes_on_writing_leaves_nothing(root: Path) -> None:
    """After an interrupt a task may be in the middle of its work: it fails, and its files are gone."""
    failed: list[BaseException] = []
    end = time.monotonic() + 60

    def write(folder: Path, begun: threading.Barrier) -> None:
        store, entries, bounds = spilling.Spill(str(folder)), np.zeros(10, np.uint64), np.array([0, 10])
        store.put(entries, bounds)
        begun.wait()
        try:
            while time.monotonic() < end:
                store.put(entries, bounds)
        except BaseException as error:
            failed.append(error)

    for _ in range(20):
        begun = threading.Barrier(5, timeout=60)
        with spilling.spill_folder(0) as folder:
            threads = [threading.Thread(target=write, args=(folder, begun)) for _ in range(4)]
            for thread in threads:
                thread.start()
            begun.wait()
        for thread in threads:
            thread.join(60)
        assert not any(thread.is_alive() for thread in threads)
        assert list(root.iterdir()) == []
    assert len(failed) == 80
    assert all(isinstance(error, StorageError) for error in failed)


def test_a_folder_that_was_never_locked_is_removed(root: Path) -> None:
    """A process can be killed between making its folder and locking it."""
    (root / f"{spilling.PREFIX}abandoned").mkdir(parents=True)
    with spilling.spill_folder(0) as folder:
        assert list(root.iterdir()) == [folder]


def test_nothing_else_in_the_folder_is_touched(root: Path) -> None:
    root.mkdir()
    (root / "mine").write_text("kept")
    (root / "infolake-other").mkdir()
    with spilling.spill_folder(0):
        pass
    assert {p.name for p in root.iterdir()} == {"mine", "infolake-other"}


def test_too_little_room_is_an_error_at_once(root: Path) -> None:
    free = shutil.disk_usage(root.parent).free
    with pytest.raises(StorageError) as caught, spilling.spill_folder(2 * free + 2**40):
        pytest.fail("began")
    assert caught.value.exit_code == 74
    assert "infolake.spill-directory" in str(caught.value)
    assert list(root.iterdir()) == []


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_may_not_be_written(root: Path) -> None:
    root.mkdir(mode=0o500)
    with pytest.raises(OutputError), spilling.spill_folder(0):
        pytest.fail("began")


def test_a_path_that_is_no_folder(root: Path) -> None:
    root.write_text("a file")
    with pytest.raises(OutputError) as caught, spilling.spill_folder(0):
        pytest.fail("began")
    assert caught.value.exit_code == 73


def test_what_a_killed_run_left_is_removed_by_the_next_one(root: Path, data: str) -> None:
    """SIGKILL amid spilling; a run that still lives keeps its folder."""
    text = """
from infolake.reduction.spilling import Spill
put = Spill.put
def slowly(self, *arguments):
    found = put(self, *arguments)
    print("spilled", flush=True)
    time.sleep(0.5)
    return found
Spill.put = slowly
"""
    with script(text + SCORE, root, data) as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("spilled")
        left = [p for p in root.iterdir() if any(f.stat().st_size for f in p.iterdir())]
        assert len(left) == 1
        with spilling.spill_folder(0):
            assert left[0].is_dir()
        process.send_signal(signal.SIGKILL)
        process.wait(30)
    assert left[0].is_dir()
    with spilling.spill_folder(0):
        assert not left[0].exists()
    assert list(root.iterdir()) == []


@pytest.mark.parametrize(("sent", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_run_that_is_stopped_leaves_nothing(root: Path, data: str, sent: signal.Signals, code: int) -> None:
    text = """
from infolake.reduction.spilling import Spill
put = Spill.put
def slowly(self, *arguments):
    print("spilled", flush=True)
    time.sleep(0.3)
    return put(self, *arguments)
Spill.put = slowly
"""
    with script(text + SCORE, root, data) as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("spilled")
        process.send_signal(sent)
        process.communicate(timeout=60)
    assert process.returncode == code
    assert list(root.iterdir()) == []


TMPFS = ("unshare", "-m", "sh", "-c", 'mount -t tmpfs -o size=200k none "$0" && exec "$@"')


def _mounted(folder: Path) -> tuple[str, ...]:
    """Return a prefix that runs a command with a small disk at ``folder``; skip where that is not allowed."""
    folder.mkdir()
    prefix = (*TMPFS, str(folder))
    if (
        not shutil.which("unshare")
        or subprocess.run([*prefix, "true"], check=False, capture_output=True).returncode
    ):
        pytest.skip("no private mounts here")
    return prefix


def test_a_small_disk_stops_the_run_before_anything_is_read(root: Path, data: str) -> None:
    prefix = _mounted(root)
    text = "sharded.keys_leaf = lambda *_: os._exit(99)\n"
    with script(text + SCORE, root, data, prefix) as process:
        _, told = process.communicate(timeout=60)
    assert process.returncode == 74, told
    assert "free" in told


def test_a_disk_that_fills_amid_the_run_stops_it(root: Path, data: str) -> None:
    """The room that was free is gone: a clear error within a minute, and no result."""
    prefix = _mounted(root)
    text = "import shutil\nshutil.disk_usage = lambda _: shutil._ntuple_diskusage(2**40, 0, 2**40)\n"
    begun = time.monotonic()
    with script(text + SCORE, root, data, prefix) as process:
        shown, told = process.communicate(timeout=60)
    assert process.returncode == 74, told
    assert "no space is left" in told
    assert "mutual" not in shown
    assert time.monotonic() - begun < 60


def test_a_read_only_disk_is_an_output_error(root: Path, data: str) -> None:
    _mounted(root)
    mount = 'mount -t tmpfs -o ro none "$0" && exec "$@"'
    with script(SCORE, root, data, ("unshare", "-m", "sh", "-c", mount, str(root))) as process:
        _, told = process.communicate(timeout=60)
    assert process.returncode == 73, told


def test_a_folder_that_another_process_keeps_locked_is_an_error_not_a_hang(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The wait has a bound."""
    monkeypatch.setattr(spilling, "LOCK_SECONDS", 0.2)
    handle = os.open(tmp_path, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        with (
            dask.config.set({"infolake.spill-directory": str(tmp_path)}),
            pytest.raises(OutputError, match="no folder"),
            spilling.spill_folder(1),
        ):
            pytest.fail("the folder was made")
    finally:
        os.close(handle)
