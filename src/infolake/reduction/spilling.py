"""A folder for what does not fit in memory: found with enough room, and gone whatever happens.

The folder's owner holds a lock on a file in it. A folder that nobody locks belongs to a process that
was killed, and the next one that spills removes it.
"""

from __future__ import annotations

import errno
import math
import os
import shutil
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from infolake.errors import InfolakeError, OutputError, StorageError, printable
from infolake.reduction import config
from infolake.reduction.describing import size
from infolake.summaries.sharded import Block

Array = np.ndarray[Any, Any]
PREFIX = "infolake-spill-"
LOCK = "lock"
LOCK_SECONDS = 30.0
REMOVALS = 50
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@contextmanager
def spill_folder(need: int) -> Iterator[Path]:
    """Give a folder below ``infolake.spill-directory`` for ``need`` bytes, and remove it at the end.

    Raises
    ------
    StorageError
        There is less room than that.
    OutputError
        The folder cannot be made.
    """
    root = Path(config.setting("spill-directory") or tempfile.gettempdir())
    with _made(root) as folder:
        free = shutil.disk_usage(folder).free
        if free < need:
            raise StorageError(
                "the counts do not fit in memory, and there is too little room to spill them",
                where=printable(root),
                expected=f"up to {size(need)} free",
                found=f"{size(free)} free",
                effect="nothing was read in full, nothing published",
                next="free space, set infolake.spill-directory to another disk, or raise the memory limit",
            )
        yield folder


@contextmanager
def _made(root: Path) -> Iterator[Path]:
    with ExitStack() as stack:
        folder = _locked(root, stack)
        try:
            yield folder
        finally:
            _remove(folder)


def _remove(folder: Path) -> None:
    """Remove a folder to which a thread of an interrupted run may still write.

    Under its new name no thread finds it any more; a file that was just being opened is gone the next time.
    """
    gone = folder.with_name(f"{folder.name}-gone")
    with suppress(OSError):
        folder = folder.rename(gone)
    for _ in range(REMOVALS):
        shutil.rmtree(folder, ignore_errors=True)
        if not folder.exists():
            return
        time.sleep(0.02)


def _locked(root: Path, stack: ExitStack) -> Path:
    """Make a folder that stays locked as long as the stack."""
    import fcntl  # not on Windows, where only spilling is missed

    try:
        root.mkdir(parents=True, exist_ok=True)
        with _alone(root):
            _sweep(root)
            folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=root))
            lock = stack.enter_context((folder / LOCK).open("wb"))
            fcntl.flock(lock, fcntl.LOCK_EX)
    except OSError as error:
        raise OutputError(
            "no folder can be made to spill to",
            where=printable(root),
            found=str(error.strerror or error),
            effect="nothing was read in full",
            next="set infolake.spill-directory to a folder that may be written",
        ) from error
    return folder


@contextmanager
def _alone(root: Path) -> Iterator[None]:
    """Let one run at a time begin: a folder that is made but not yet locked is nobody's to sweep."""
    folder = os.open(root, os.O_RDONLY)
    try:
        _wait_for(folder)
        yield
    finally:
        os.close(folder)


def _wait_for(handle: int) -> None:
    """Lock a folder; BlockingIOError where another process keeps it locked."""
    import fcntl

    deadline = time.monotonic() + LOCK_SECONDS
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
        else:
            return


def _sweep(root: Path) -> None:
    """Remove the folders of processes that are gone, before or after they had locked them."""
    import fcntl

    for folder in root.glob(f"{PREFIX}*"):
        if not (folder / LOCK).exists():
            shutil.rmtree(folder, ignore_errors=True)
            continue
        with suppress(OSError), (folder / LOCK).open("rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder, ignore_errors=True)


@dataclass(frozen=True)
class FileBlock:
    """Entries of one shard in a file."""

    path: str
    start: int
    n: int
    words: tuple[int, ...] = ()  # the rest of the shape

    def load(self) -> Array:
        """Return the entries, ascending."""
        width = math.prod(self.words)
        found = np.fromfile(self.path, np.uint64, width * self.n, offset=8 * width * self.start)
        if len(found) < width * self.n:
            raise StorageError(
                "a spilled file is shorter than it was written", where=self.path, effect="nothing published"
            )
        return found.reshape(self.n, *self.words)


@dataclass(frozen=True)
class Spill:
    """Keeps entries in files of one folder."""

    folder: str

    def put(self, entries: Array, bounds: Array) -> list[Block]:
        """Keep the entries of each shard: one file for all of them."""
        path = f"{self.folder}/{uuid.uuid4().hex}"
        with _written(path):
            entries.tofile(path)
        return [FileBlock(path, a, b - a, entries.shape[1:]) for a, b in pairwise(bounds.tolist())]


@contextmanager
def _written(path: str) -> Iterator[None]:
    try:
        yield
    except InfolakeError:
        raise
    except OSError as error:
        full = error.errno in FULL or "requested and" in str(error)
        raise StorageError(
            "no space is left to spill to" if full else "the disk fails",
            where=os.path.dirname(path),  # noqa: PTH120
            found=str(error.strerror or error),
            effect="nothing published",
            next="free space, set infolake.spill-directory to another disk, or raise the memory limit",
        ) from error
