"""Text files: streamed in blocks, unpacked, checked to be UTF-8; what CSV and JSON lines share."""

from __future__ import annotations

import codecs
import io
import threading
from typing import Any

import pyarrow as pa

from infolake.errors import CorruptFileError
from infolake.sources.files import File

SAMPLE_BYTES = 2**20
# pyarrow reads up to 32 blocks ahead
BLOCK_BYTES = 2**21
HEAD_BYTES = 2**16
GZIP = b"\x1f\x8b"
GZIP_RATIO = 5
FIX_TYPES = "types come from the first MiB of each file: write it as Parquet with the types you mean"


class Lines(io.RawIOBase):
    """A text file's bytes, unpacked, checked to be UTF-8 and, for CSV, to end with a whole line."""

    def __init__(self, file: File, *, whole_lines: bool) -> None:
        super().__init__()
        self.lock = threading.RLock()
        self.stream: Any = None
        self.file, self.whole_lines = file, whole_lines
        packed = head(file, 2) == GZIP
        raw = file.stream()
        self.stream = pa.CompressedInputStream(raw, "gzip") if packed else raw
        self.decoder = codecs.getincrementaldecoder("utf-8")()
        self.position = 0
        self.last = b""
        self.quotes = 0
        self.ended = False

    def readable(self) -> bool:
        """Return True."""
        return True

    def read(self, size: int = -1) -> bytes:
        """Return up to ``size`` bytes."""
        # pyarrow reads ahead in a thread of its own, also while the file is being closed
        with self.lock:
            if self.closed:
                return b""
            data: bytes = self.stream.read(size if size >= 0 else None)
            self._look_at(data)
        return data

    def _look_at(self, data: bytes) -> None:
        try:
            self.decoder.decode(data, final=not data)
        except UnicodeDecodeError as error:
            raise self._bad(
                "not valid UTF-8", f"byte {self.position + error.start}: {error.reason}"
            ) from None
        self.position += len(data)
        self.quotes += data.count(b'"') if self.whole_lines else 0
        self.last = data[-1:] or self.last
        self.ended = self.ended or not data
        if self.ended and self.whole_lines and self.last not in {b"\n", b"\r"}:
            raise self._bad(
                "the last line does not end",
                "cut in the middle of a line?",
                "append a newline if the file is complete",
            )

    def _bad(
        self, what: str, found: str, remedy: str = "restore the file, or leave it out"
    ) -> CorruptFileError:
        return CorruptFileError(what, where=self.file.shown, found=found, next=remedy)

    def close(self) -> None:
        """Close the file."""
        with self.lock:
            if not self.closed and self.stream is not None:
                self.stream.close()
            super().close()


def head(file: File, size: int = HEAD_BYTES) -> bytes:
    """Return the first bytes of a file as they are stored."""
    with file.stream() as stream:
        return _read_up_to(stream, size)


def _read_up_to(stream: pa.NativeFile, size: int) -> bytes:
    """Return ``size`` bytes, fewer only at the end: a stream may give less at once."""
    data = b""
    while len(data) < size and (more := stream.read(size - len(data))):
        data += more
    return data


def text_head(file: File) -> bytes:
    """Return the first unpacked bytes of a file; refuse UTF-16 and binary ones."""
    packed = head(file, 2) == GZIP
    with file.stream() as raw:
        text = _read_up_to(pa.CompressedInputStream(raw, "gzip") if packed else raw, HEAD_BYTES)
    if not text:
        raise CorruptFileError("an empty file", where=file.shown, found="no text")
    if text.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) or b"\0" in text.splitlines()[0]:
        raise CorruptFileError(
            "not UTF-8 text",
            where=file.shown,
            found="UTF-16 or binary content",
            next="convert the file to UTF-8",
        )
    return text.removeprefix(codecs.BOM_UTF8)


def decoded_size(file: File) -> int:
    """Return about how many bytes a file holds when unpacked."""
    return (file.size or SAMPLE_BYTES) * (GZIP_RATIO if head(file, 2) == GZIP else 1)


def block_bytes(batch_rows: int | None) -> int:
    """Return the size of the blocks to read: small ones where a few rows are wanted."""
    return BLOCK_BYTES if batch_rows is None else SAMPLE_BYTES
