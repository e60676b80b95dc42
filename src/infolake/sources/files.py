"""Files: which ones a path, URL, glob or list means, where they live, and what pins them."""

from __future__ import annotations

import glob
import ipaddress
import os
import re
import socket
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import pyarrow as pa
import pyarrow.fs as pafs

from infolake.errors import (
    ChangedInputError,
    ConfigError,
    DuplicateInputError,
    MissingExtraError,
    NoInputError,
    SchemaError,
    UsageError,
    listed,
    printable,
)
from infolake.sources.checks import one_line, reading, without_secrets

LOCAL = "local"
ARROW_SCHEMES = ("s3", "gs", "gcs", "abfs", "abfss", "hdfs")
FSSPEC_SCHEMES = ("http", "https", "memory", "az")
SCHEMES = ("file", *ARROW_SCHEMES, *FSSPEC_SCHEMES)
HIVE_MISSING = "__HIVE_DEFAULT_PARTITION__"
Constant = str | int | None

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.\-]*)://")
_CHAIN = re.compile(r"^[A-Za-z][A-Za-z0-9+.\-]*::")
_MAGIC = re.compile(r"[*?\[]")
_METADATA_HOSTS = frozenset({"metadata.google.internal", "metadata", "fd00:ec2::254", "100.100.100.200"})
_INTEGER = re.compile(r"0|-?[1-9][0-9]*")


@dataclass(frozen=True)
class File:
    """One input file, pinned when it was listed.

    Parameters
    ----------
    path
        The path in its filesystem.
    filesystem
        ``"local"``, the URL that gives the filesystem, or a pyarrow filesystem.
    size
        Bytes, None where the store does not say.
    tag
        Modification time in nanoseconds, or the store's etag.
    constants
        Hive keys with their values, in the order of the folders.
    """

    path: str
    filesystem: str | pafs.FileSystem = field(default=LOCAL, repr=False)
    size: int | None = None
    tag: str = ""
    constants: tuple[tuple[str, Constant], ...] = ()

    @property
    def shown(self) -> str:
        """The path as messages, reports and run.json show it: a URL without secrets."""
        return without_secrets(self._url)

    @property
    def _url(self) -> str:
        if not isinstance(self.filesystem, str):
            return f"{self.filesystem.type_name}://{self.path}"
        match = _SCHEME.match(self.filesystem)
        return self.path if match is None or _SCHEME.match(self.path) else match[0] + self.path.lstrip("/")

    @property
    def is_local(self) -> bool:
        """Whether the file is on a disk of this machine."""
        return self.filesystem == LOCAL

    def __repr__(self) -> str:
        return f"File({self.shown!r}, size={self.size})"

    def open(self) -> pa.NativeFile:
        """Open the file for reads at any position."""
        return filesystem(self.filesystem).open_input_file(self.path)

    def stream(self) -> pa.NativeFile:
        """Open the file for reading from begin to end, as it is (compressed stays compressed)."""
        return filesystem(self.filesystem).open_input_stream(self.path, compression=None)

    def check_unchanged(self) -> None:
        """Raise ChangedInputError unless the file still has the size and tag it was listed with."""
        with reading(self.shown):
            size, tag = identity(self.filesystem, self.path)
        if (size, tag) != (self.size, self.tag):
            raise ChangedInputError(
                "a file changed while it was being read",
                where=self.shown,
                expected=f"listed at {self.size} bytes, tag {self.tag}",
                found=f"{size} bytes, tag {tag}",
                next="run again when nothing writes to the input",
            )


def identity(spec: str | pafs.FileSystem, path: str) -> tuple[int | None, str]:
    """Return size and tag of a file: what must not change between planning and reading."""
    if spec == LOCAL:
        status = Path(path).stat()
        return status.st_size, str(status.st_mtime_ns)
    system = filesystem(spec)
    if isinstance(system, pafs.PyFileSystem) and isinstance(system.handler, pafs.FSSpecHandler):
        return _fsspec_identity(system.handler.fs.info(path))
    info = system.get_file_info(path)
    if info.type != pafs.FileType.File:
        raise FileNotFoundError(path)
    return info.size, str(info.mtime_ns or "")


def _fsspec_identity(info: dict[str, Any]) -> tuple[int | None, str]:
    tags = ("ETag", "etag", "content_md5", "mtime", "LastModified", "last_modified", "created")
    return info.get("size"), str(next((info[t] for t in tags if info.get(t)), ""))


def filesystem(spec: str | pafs.FileSystem) -> pafs.FileSystem:
    """Return the filesystem of a specification; one for each process, never sent between processes."""
    return _filesystem(spec, os.getpid()) if isinstance(spec, str) else spec


@lru_cache(maxsize=64)
def _filesystem(spec: str, process: int) -> pafs.FileSystem:  # noqa: ARG001
    if spec == LOCAL:
        return pafs.LocalFileSystem()
    scheme = spec.partition("://")[0]
    if scheme in ARROW_SCHEMES:
        return pafs.FileSystem.from_uri(spec)[0]
    import fsspec

    try:
        return pafs.PyFileSystem(pafs.FSSpecHandler(fsspec.filesystem(scheme)))
    except ImportError as error:
        raise MissingExtraError(f"URLs with {scheme}:// need another package: {one_line(error)}") from error


def split_url(url: str) -> tuple[str, str]:
    """Return filesystem specification and path of a path or URL.

    Raises
    ------
    ConfigError
        The scheme is not allowed, several are chained, or the host is one that hands out credentials.

    Examples
    --------
    >>> split_url("s3://bucket/a/b.parquet?region=eu-west-1")
    ('s3://bucket?region=eu-west-1', 'bucket/a/b.parquet')
    >>> split_url("relative/a.csv")
    ('local', 'relative/a.csv')
    """
    if _CHAIN.match(url) or ("::" in url and "://" in url):
        raise ConfigError("chained URLs are refused", where=without_secrets(url), next="give one plain URL")
    match = _SCHEME.match(url)
    if match is None:
        return LOCAL, str(Path(url).expanduser())
    scheme = match[1].lower()
    if scheme not in SCHEMES:
        allowed = ", ".join(SCHEMES)
        raise ConfigError(
            "a URL scheme that is not allowed", where=without_secrets(url), expected=allowed, found=scheme
        )
    return _split_allowed(scheme, url)


def _split_allowed(scheme: str, url: str) -> tuple[str, str]:
    parts = urlsplit(url)
    if scheme == "file":
        if parts.netloc not in {"", "localhost"}:
            raise ConfigError("a file URL with a host", where=without_secrets(url), next="write file:///path")
        return LOCAL, unquote(parts.path)
    _refuse_metadata_hosts(scheme, url)
    if scheme == "memory":
        return "memory://", url.partition("://")[2].join(["/", ""])
    if scheme in FSSPEC_SCHEMES:
        return f"{scheme}://{parts.netloc}", url if scheme != "az" else url.partition("://")[2]
    spec = f"{scheme}://{parts.netloc}" + (f"?{parts.query}" if parts.query else "")
    host = parts.netloc.rpartition("@")[2]
    if scheme == "hdfs":
        return spec, parts.path
    container = parts.netloc.partition("@")[0] if scheme.startswith("abfs") and "@" in parts.netloc else host
    return spec, (container + unquote(parts.path)).rstrip("/")


def _refuse_metadata_hosts(scheme: str, url: str) -> None:
    parts = urlsplit(url)
    hosts = [parts.hostname] if scheme in {"http", "https", "hdfs"} else []
    for name in ("endpoint_override", "blob_storage_authority", "dfs_storage_authority"):
        hosts += [
            urlsplit(v if "://" in v else f"//{v}").hostname for v in parse_qs(parts.query).get(name, [])
        ]
    for host in hosts:
        if host and _hands_out_credentials(host):
            raise ConfigError("a URL to a link-local or metadata host is refused", where=without_secrets(url))


def _hands_out_credentials(host: str) -> bool:
    if host.lower().rstrip(".") in _METADATA_HOSTS:
        return True
    try:
        found = {str(entry[4][0]).partition("%")[0] for entry in socket.getaddrinfo(host, None)}
    except (OSError, UnicodeError):
        return False  # unknown hosts fail when they are opened
    addresses = [ipaddress.ip_address(a) for a in found]
    mapped = [getattr(a, "ipv4_mapped", None) or a for a in addresses]
    return any(a.is_link_local or str(a) in _METADATA_HOSTS for a in mapped)


def find_files(paths: Sequence[str]) -> tuple[File, ...]:
    """Return the files that paths, URLs and globs mean, sorted by path, each once, with their Hive keys.

    Raises
    ------
    NoInputError
        Nothing matches.
    DuplicateInputError
        A file is listed twice, by overlapping paths or by a link.
    AccessError
        A folder or file may not be read.
    """
    found = [f for path in paths for f in _matching(path)]
    if not found:
        shown = listed(without_secrets(p) for p in paths) if paths else "an empty list"
        raise NoInputError(
            f"0 files matched {shown}", next="check the path; hidden files (_ or .) do not count"
        )
    found.sort(key=lambda f: (f.shown, f.path))
    refuse_duplicates(found)
    return tuple(_typed_constants(found))


def _matching(path: str) -> Iterator[File]:
    spec, inner = split_url(path)
    with reading(without_secrets(path), planning=True):
        # workers may run in other folders
        roots = _local_roots(str(Path.cwd() / inner)) if spec == LOCAL else _remote_roots(spec, inner)
        files = list(roots)
    for root, name in files:
        size, tag = _pinned(spec, name)
        yield File(name, spec, size, tag, _hive_keys(root, name))


def _pinned(spec: str, path: str) -> tuple[int | None, str]:
    with reading(File(path, spec).shown, planning=True):
        return identity(spec, path)


def _local_roots(path: str) -> Iterator[tuple[str, str]]:
    """Yield (folder from which Hive keys are read, file)."""
    if "\0" in path:
        return
    if os.path.lexists(path):
        yield from _local_root(path)
    elif _MAGIC.search(path):
        hidden_wanted = Path(path).name.startswith(("_", "."))
        recursive = "**" in path
        for match in sorted(glob.glob(path, recursive=True)):  # noqa: PTH207
            name = Path(match).name
            if (is_hidden(name) and not hidden_wanted) or (recursive and Path(match).is_dir()):
                continue
            yield from _local_root(match)


def _local_root(path: str) -> Iterator[tuple[str, str]]:
    if Path(path).is_dir():
        yield from ((path, name) for name in _walk(path))
    else:
        yield str(Path(path).parent), path


def _walk(folder: str) -> Iterator[str]:
    def fail(error: OSError) -> None:
        raise error

    visited: set[str] = set()
    for here, folders, names in os.walk(folder, followlinks=True, onerror=fail):
        real = os.path.realpath(here)
        if real in visited:
            folders.clear()
            continue
        visited.add(real)
        folders[:] = sorted(f for f in folders if not is_hidden(f))
        yield from (str(Path(here) / n) for n in sorted(names) if not is_hidden(n))


def is_hidden(name: str) -> bool:
    """Return whether a file or folder of this name is not data, such as ``_SUCCESS``.

    Examples
    --------
    >>> is_hidden("_SUCCESS"), is_hidden(".part-0.crc"), is_hidden("_day=3"), is_hidden("part-0.parquet")
    (True, True, False, False)
    """
    return name.startswith(".") or (name.startswith("_") and "=" not in name)


def _remote_roots(spec: str, path: str) -> Iterator[tuple[str, str]]:
    if spec.startswith("http"):
        if "*" in urlsplit(path).path:
            raise UsageError(
                "a glob in an http URL", where=without_secrets(path), next="list the files' URLs"
            )
        yield "", path
        return
    system = filesystem(spec)
    kind = system.get_file_info(path).type
    if kind == pafs.FileType.File:
        yield path.rpartition("/")[0], path
    elif kind == pafs.FileType.Directory:
        yield from ((path, name) for name in _remote_walk(system, path))
    elif _MAGIC.search(path):
        base = _MAGIC.split(path)[0].rpartition("/")[0]
        pattern = re.compile(_glob_pattern(path))
        yield from ((base, name) for name in _remote_walk(system, base) if pattern.fullmatch(name.strip("/")))


def _remote_walk(system: pafs.FileSystem, folder: str) -> list[str]:
    infos = system.get_file_info(pafs.FileSelector(folder, allow_not_found=True, recursive=True))
    names = [i.path for i in infos if i.type == pafs.FileType.File]
    start = len(folder.strip("/").split("/")) if folder.strip("/") else 0
    return sorted(n for n in names if not any(is_hidden(part) for part in n.strip("/").split("/")[start:]))


def _glob_pattern(path: str) -> str:
    """Return the regular expression of a glob; a match of a folder takes all files below it."""
    tokens = re.split(r"(\*\*/|\*|\?|\[[^\]]+\])", path.strip("/"))
    known = {"**/": "(?:.*/)?", "*": "[^/]*", "?": "[^/]"}
    text = "".join(known.get(t) or (t if t.startswith("[") else re.escape(t)) for t in tokens)
    return text + "(?:/.*)?"


def refuse_duplicates(files: Sequence[File]) -> None:
    """Raise DuplicateInputError where two paths mean one file."""
    first: dict[object, File] = {}
    for file in files:
        other = first.setdefault(_physical(file), file)
        if other is not file:
            raise DuplicateInputError(
                "a file is listed twice",
                where=file.shown,
                found=f"the same file as {printable(other.shown, 400)}",
                next="list every file once: paths overlap, or one is a link to the other",
            )


def _physical(file: File) -> object:
    if not file.is_local:
        return file.shown if file.filesystem != LOCAL and "?" not in file.path else file.path
    status = Path(file.path).stat()
    return status.st_dev, status.st_ino


def _hive_keys(root: str, path: str) -> tuple[tuple[str, Constant], ...]:
    """Return the ``key=value`` folders below ``root``, and those ``root`` itself ends with."""
    if not root:
        return ()
    base = [p for p in str(root).replace(os.sep, "/").split("/") if p]
    below = [p for p in path.replace(os.sep, "/").split("/") if p][len(base) : -1]
    trailing: list[str] = []
    while base and "=" in base[-1]:
        trailing.insert(0, base.pop())
    pairs = [p.partition("=") for p in (*trailing, *below) if "=" in p]
    return tuple((unquote(key), None if value == HIVE_MISSING else unquote(value)) for key, _, value in pairs)


def _typed_constants(files: list[File]) -> Iterator[File]:
    keys = {tuple(k for k, _ in f.constants): f for f in files}
    if len(keys) > 1:
        (some, a), (other, b) = list(keys.items())[:2]
        raise SchemaError(
            "files disagree about their Hive keys",
            where=f"{printable(a.shown, 400)} and {printable(b.shown, 400)}",
            expected=f"keys {list(some)}",
            found=f"keys {list(other)}",
            next="give one folder whose files all lie at the same depth",
        )
    names = next(iter(keys))
    if len(set(names)) < len(names):
        raise SchemaError(f"a Hive key appears twice: {list(names)}", where=files[0].shown)
    as_int = {i for i in range(len(names)) if _all_integers(f.constants[i][1] for f in files)}
    for file in files:
        yield replace(file, constants=tuple(_typed(c, i in as_int) for i, c in enumerate(file.constants)))


def _typed(constant: tuple[str, Constant], as_int: bool) -> tuple[str, Constant]:
    name, value = constant
    return name, int(value) if as_int and value is not None else value


def _all_integers(values: Iterable[Constant]) -> bool:
    present = [str(v) for v in values if v is not None]
    return bool(present) and all(_INTEGER.fullmatch(v) and -(2**63) <= int(v) < 2**63 for v in present)
