"""Settings, with defaults from ``infolake.yaml``, through ``dask.config``."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import dask.config
import yaml
from dask.utils import parse_bytes, parse_timedelta

from infolake.errors import ConfigError, printable

Number = TypeVar("Number", int, float)
DEFAULTS = Path(__file__).parent.parent / "infolake.yaml"


@cache
def defaults() -> dict[str, Any]:
    """Return the settings of ``infolake.yaml``."""
    with DEFAULTS.open(encoding="utf-8") as stream:
        value: dict[str, Any] = yaml.safe_load(stream)
    return value


dask.config.update_defaults(defaults())


def setting(name: str) -> Any:
    """Return a setting as it is written, else its default.

    Dask forgets the defaults at the end of a ``with dask.config.set`` block that infolake was imported in.

    Examples
    --------
    >>> setting("retries")
    2
    """
    return dask.config.get(f"infolake.{name}", defaults()["infolake"][name])


def seconds(name: str) -> float:
    """Return a setting that is a time, in seconds.

    Examples
    --------
    >>> seconds("connect-timeout")
    10.0
    """
    return _parsed(name, lambda v: float(parse_timedelta(v)), "a time, like 10s")


def size(name: str) -> int | None:
    """Return a setting that is a number of bytes, or None.

    Examples
    --------
    >>> size("leaf-bytes")
    268435456
    """
    return (
        None if setting(name) is None else _parsed(name, lambda v: int(parse_bytes(v)), "a size, like 64MiB")
    )


def number(name: str) -> int:
    """Return a setting that is a whole number.

    Examples
    --------
    >>> number("split-every")
    8
    """
    return _parsed(name, int, "a whole number")


def _parsed(name: str, parse: Callable[[Any], Number], expected: str) -> Number:
    value = setting(name)
    try:
        return parse(value)
    except (ValueError, TypeError, KeyError):
        what = f"the setting infolake.{name} cannot be read"
        raise ConfigError(what, expected=expected, found=printable(value)) from None
