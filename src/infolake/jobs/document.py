"""YAML as a job file means it: plain values, each with the place it stands at.

The YAML 1.2 core schema decides what a word is: only ``true`` and ``false`` are booleans, ``no`` is
a string, ``0123`` is 123, ``2020-01-01`` is a string. Tags, anchors, aliases and merge keys are
refused, so no file can run code or grow.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import yaml

from infolake.errors import JobError, printable

MAX_BYTES = 2**20
MAX_DEPTH = 20

Place: TypeAlias = tuple[str | int, ...]
Mark: TypeAlias = tuple[int, int]

_WORDS: dict[str, tuple[str, str]] = {
    "null": (r"^(?:null|Null|NULL|~|)$", "nN~\0"),
    "bool": (r"^(?:true|True|TRUE|false|False|FALSE)$", "tTfF"),
    "int": (r"^[-+]?[0-9]+$", "-+0123456789"),
    "float": (
        r"^(?:[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$",
        "-+.0123456789",
    ),
}


@dataclass(frozen=True)
class Document:
    """The value of a YAML file and where each part of it stands.

    Parameters
    ----------
    value : Any
        Mappings, lists, strings, numbers, booleans and None.
    marks : Mapping[Place, Mark]
        Line and column (from 1) of every value, by the keys and indices that lead to it.
    keys : Mapping[Place, Mark]
        The same for the keys of mappings.
    name : str
        The file's name, for messages.
    """

    value: Any
    marks: Mapping[Place, Mark] = field(default_factory=dict)
    keys: Mapping[Place, Mark] = field(default_factory=dict)
    name: str = "job"

    def where(self, place: Place, *, key: bool = False) -> str:
        """Return ``file:line:column`` of a value, or of the nearest thing around it."""
        if key and place in self.keys:
            return _where(self.name, self.keys[place])
        for length in range(len(place), -1, -1):
            if place[:length] in self.marks:
                return _where(self.name, self.marks[place[:length]])
        return f"{printable(self.name, 400)}: {shown_place(place)}"


def shown_place(place: Place) -> str:
    """Return a place as people write it.

    Examples
    --------
    >>> shown_place(("scores", 0, "target"))
    'scores[0].target'
    """
    text = "".join(f"[{p}]" if isinstance(p, int) else f".{printable(p)}" for p in place)
    return text.removeprefix(".") or "the file"


def read(path: str | Path) -> Document:
    """Read a YAML file.

    Raises
    ------
    JobError
        The file cannot be read, is no text, or is not the YAML that job files are written in.
    """
    return parse(_text(path), str(path))


def parse(text: str, name: str = "job") -> Document:
    """Read YAML text.

    Examples
    --------
    >>> parse("{a: no, b: [0123, 2020-01-01]}").value
    {'a': 'no', 'b': [123, '2020-01-01']}
    """
    if "\0" in text:
        line = text[: text.index("\0")].count("\n") + 1
        raise JobError("the file holds a NUL character", where=_where(name, (line, 1)), expected="text")
    builder = _Builder(name)
    value = builder.build(_node(text, name), (), 1)
    return Document(value, builder.marks, builder.keys, name)


def _text(path: str | Path) -> str:
    try:
        with Path(path).open("rb") as stream:
            data = stream.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise JobError(f"the job file cannot be read: {reason}", where=printable(path, 400)) from None
    if len(data) > MAX_BYTES:
        raise JobError("the job file is too big", where=printable(path, 400), expected="at most 1 MiB")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise JobError("the job file is not UTF-8", where=_where(str(path), (line, 1))) from None


def _where(name: str, mark: Mark) -> str:
    return f"{printable(name, 400)}:{mark[0]}:{mark[1]}"


class _Loader(yaml.SafeLoader):
    """A safe loader that knows the words of YAML 1.2 only."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012


for _tag, (_pattern, _first) in _WORDS.items():
    for _character in _first:
        _Loader.yaml_implicit_resolvers.setdefault("" if _character == "\0" else _character, []).append(
            (f"tag:yaml.org,2002:{_tag}", re.compile(_pattern))
        )


def _node(text: str, name: str) -> yaml.Node | None:
    try:
        _refuse_tricks(text, name)
        return yaml.compose(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        problem = error.problem or error.context or "not YAML"
        raise JobError(f"the job file is not YAML: {printable(problem)}", where=_where(name, place)) from None
    except yaml.YAMLError as error:
        what = f"the job file is not YAML: {printable(str(error).splitlines()[0])}"
        raise JobError(what, where=printable(name, 400)) from None


def _refuse_tricks(text: str, name: str) -> None:
    """Refuse anchors, aliases, tags and deep nesting before anything is composed."""
    depth = 0
    for event in yaml.parse(text, Loader=_Loader):
        start: Any = event.start_mark
        mark = (start.line + 1, start.column + 1)
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            what = "anchors and aliases are not allowed in a job file"
            raise JobError(what, where=_where(name, mark), next="write the value out")
        if tag := getattr(event, "tag", None):
            what = f"tags are not allowed in a job file: {printable(tag)}"
            raise JobError(what, where=_where(name, mark))
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > MAX_DEPTH:
            what = "the job file is nested too deep"
            raise JobError(what, where=_where(name, mark), expected=f"at most {MAX_DEPTH} levels")


class _Builder:
    """Turns nodes into values and notes where they stand."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.marks: dict[Place, Mark] = {}
        self.keys: dict[Place, Mark] = {}

    def build(self, node: yaml.Node | None, place: Place, depth: int) -> Any:
        if node is None:
            return None
        self.marks[place] = _mark(node)
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, place, depth)
        if isinstance(node, yaml.SequenceNode):
            return [self.build(child, (*place, i), depth + 1) for i, child in enumerate(node.value)]
        return self._scalar(node)

    def _mapping(self, node: yaml.MappingNode, place: Place, depth: int) -> dict[str, Any]:
        value: dict[str, Any] = {}
        for key_node, child in node.value:
            key = self._key(key_node)
            here = (*place, key)
            if key in value:
                first = _where(self.name, self.keys[here])
                what = f"the key {printable(key)!r} stands twice"
                raise JobError(what, where=_where(self.name, _mark(key_node)), found=f"first at {first}")
            self.keys[here] = _mark(key_node)
            value[key] = self.build(child, here, depth + 1)
        return value

    def _key(self, node: yaml.Node) -> str:
        where = _where(self.name, _mark(node))
        if not isinstance(node, yaml.ScalarNode):
            raise JobError("a key must be a word", where=where)
        if node.value == "<<" and node.style is None:
            raise JobError("merge keys are not allowed in a job file", where=where, next="write the keys out")
        return str(node.value)

    def _scalar(self, node: yaml.Node) -> str | int | float | bool | None:
        kind = node.tag.rpartition(":")[2]
        text = str(node.value)
        if kind == "null":
            return None
        if kind == "bool":
            return text.lower() == "true"
        if kind == "int":
            return self._integer(text, node)
        return _float(text) if kind == "float" else text

    def _integer(self, text: str, node: yaml.Node) -> int:
        if len(text) > 100:
            raise JobError("a number is too long", where=_where(self.name, _mark(node)))
        return int(text)


def _float(text: str) -> float:
    return float(text.lower().replace(".inf", "inf").replace(".nan", "nan"))


def _mark(node: yaml.Node) -> Mark:
    return (node.start_mark.line + 1, node.start_mark.column + 1)
