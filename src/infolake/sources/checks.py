"""Checks of what readers return, and one typed error in place of the many that readers raise."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from infolake.errors import (
    AccessError,
    ChangedInputError,
    ClusterError,
    ConfigError,
    CorruptFileError,
    InfolakeError,
    NoInputError,
    printable,
)

_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.\-]*://)([^\s'\"<>]*)")
_DENIED = re.compile(
    r"ACCESS_DENIED|AccessDenied|Access Denied|403 Forbidden|InvalidAccessKeyId|NO_CREDENTIALS"
    r"|PERMISSION_DENIED|UNAUTHENTICATED|AuthenticationException"
)
_UNREACHABLE = re.compile(
    r"NETWORK_CONNECTION|curlCode|CURL error|SLOW_DOWN|SERVICE_UNAVAILABLE|Status\(UNAVAILABLE"
)


def without_secrets(text: str) -> str:
    """Return text with user names, passwords and queries cut out of every URL in it.

    Examples
    --------
    >>> without_secrets("no s3://key:secret@bucket/a.parquet?X-Amz-Signature=abc here")
    'no s3://bucket/a.parquet here'
    """
    return _URL.sub(lambda match: match[1] + re.split(r"[?#]", match[2].rpartition("@")[2])[0], text)


def one_line(error: BaseException) -> str:
    """Return what an exception says, on one line, without secrets."""
    text = " ".join(without_secrets(str(error) or type(error).__name__).split())
    return printable(text, 300)


@contextmanager
def reading(where: str, *, planning: bool = False) -> Iterator[None]:
    """Turn whatever a reader raises into one typed error that names ``where``."""
    try:
        yield
    except Exception as error:
        if isinstance(error, InfolakeError) or is_bug(error):
            raise
        # the original may hold a signed URL: it is quoted cleaned, and not chained
        raise translated(error, where, planning=planning) from None


def is_bug(error: Exception) -> bool:
    """Return whether an exception is a mistake of ours, which must not look like a damaged file."""
    ours = isinstance(error, TypeError | AttributeError | NameError | AssertionError)
    return ours and not isinstance(error, pa.ArrowException)


def translated(error: Exception, where: str, *, planning: bool = False) -> InfolakeError:
    """Return the infolake error for a reader's exception at ``where``."""
    found, status = one_line(error), _http_status(error)
    if isinstance(error, PermissionError) or status in {401, 403} or _denied(error):
        return AccessError("access denied", where=where, found=found, next="check permissions or credentials")
    if status >= 500 or _unreached(error):
        return ClusterError("the store cannot be reached", where=where, found=found, next="run again later")
    if isinstance(error, FileNotFoundError):
        return _absent(where, planning=planning)
    if planning:
        return ConfigError(
            "a path or URL that cannot be listed", where=where, found=found, next="check its spelling"
        )
    if isinstance(error, MemoryError):
        found = f"needs more memory than there is: {found}"
    return CorruptFileError(
        "a file cannot be read",
        where=where,
        found=found,
        next="restore the file, or leave it out of the input",
    )


def _denied(error: Exception) -> bool:
    return isinstance(error, OSError) and bool(_DENIED.search(without_secrets(str(error))))


def _unreached(error: Exception) -> bool:
    broken = any(
        isinstance(e, ConnectionError | TimeoutError) or type(e).__name__.startswith("ClientConnect")
        for e in _chain(error)
    )
    return broken or bool(_UNREACHABLE.search(without_secrets(str(error))))


def _http_status(error: Exception) -> int:
    """Return the HTTP status that an exception, or one it comes from, bears; else 0."""
    found = (getattr(e, "status", None) for e in _chain(error))
    return next((s for s in found if isinstance(s, int)), 0)


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _absent(where: str, *, planning: bool) -> InfolakeError:
    if planning:
        return NoInputError(f"0 files matched {where}", next="check the path")
    return ChangedInputError(
        "a file listed when planning is gone", where=where, next="run again when nothing writes to the input"
    )


def check_column(column: pa.ChunkedArray, *, full: bool = False, texts: bool = True) -> None:
    """Raise pyarrow.ArrowInvalid where a column is not what it claims to be.

    Dictionary indices are held against the dictionary and strings against UTF-8. Indices
    in missing slots are not looked at: whoever reads them must mask them.

    Parameters
    ----------
    column
        A column as read.
    full
        Check every buffer, as for files whose buffers are used as they are (Arrow IPC).
    texts
        Hold strings that are no dictionary against UTF-8; False where whoever reads them looks at each byte.
    """
    for chunk in column.chunks:
        kind = chunk.type
        if pa.types.is_dictionary(kind):
            chunk.validate()
            _check_dictionary(chunk)
        else:
            chunk.validate(full=full or (texts and _holds_utf8(kind)))


def _holds_utf8(dtype: pa.DataType) -> bool:
    return bool(
        pa.types.is_string(dtype) or pa.types.is_large_string(dtype) or pa.types.is_string_view(dtype)
    )


def _check_dictionary(chunk: pa.DictionaryArray) -> None:
    dictionary = chunk.dictionary
    dictionary.validate(full=True)
    low, high = _bounds(chunk.indices)
    if low < 0 or high >= len(dictionary):
        found = low if low < 0 else high
        raise pa.ArrowInvalid(
            f"dictionary index {found} is outside its dictionary of {len(dictionary)} values"
        )


def _bounds(indices: pa.Array) -> tuple[int, int]:
    """Return the smallest index, 0 for all that are not negative, and the largest one."""
    if indices.null_count == len(indices):
        return 0, -1
    if indices.null_count:
        extremes = pc.min_max(indices)
        return extremes["min"].as_py(), extremes["max"].as_py()
    values = np.asarray(indices)
    # one pass instead of two: as an unsigned number a negative index is larger than all others
    high = int(values.view(f"u{values.itemsize}").max())
    negative = values.dtype.kind == "i" and high >> (8 * values.itemsize - 1)
    return (int(values.min()), high) if negative else (0, high)
