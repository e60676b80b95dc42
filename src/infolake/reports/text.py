"""Values as a reader sees them: numbers short, names free of anything invisible, nothing blank."""

from __future__ import annotations

import hashlib
import math
import unicodedata
from collections.abc import Mapping

NAME_LIMIT = 96
HIDDEN = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0") | frozenset(
    chr(code) for code in (*range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0))
)
SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
MAX_PLACES = 6


def visible(value: object, limit: int = NAME_LIMIT) -> str:
    r"""Return ``str(value)`` with every invisible character spelled out and long text cut.

    Control, format (bidirectional, zero-width), unassigned and private characters, lone surrogates and
    spaces other than U+0020 become ``⟨U+XXXX⟩``; leading and trailing spaces become ``␣``. Two values that
    differ never look the same: what is cut is named by its length and a hash.

    Parameters
    ----------
    value : object
        A column name, a level, a path, a title.
    limit : int, optional
        The longest result, in characters, before a text is cut.

    Examples
    --------
    >>> visible("a\u202eb ")
    'a⟨U+202E⟩b␣'
    """
    text = value.hex(" ") if isinstance(value, bytes) else str(value)
    short = text if len(text) <= limit else text[: limit // 2]
    inner = short.strip(" ")
    lead, trail = len(short) - len(short.lstrip(" ")), len(short) - len(short.rstrip(" "))
    shown = "␣" * lead + "".join(map(_spelled, inner)) + "␣" * (trail if inner else 0)
    return shown if short is text else f"{shown}… ⟨{len(text):,} characters, {_digest(text)}⟩"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:8]


def _spelled(character: str) -> str:
    category = unicodedata.category(character)
    hidden = category[0] == "C" or category in {"Zl", "Zp"} or character in HIDDEN
    if hidden or (category == "Zs" and character != " "):
        return f"⟨U+{ord(character):04X}⟩"
    return character


def number(value: float | None, digits: int = 4) -> str:
    """Return a number with about ``digits`` significant digits, grouped, or ``n/a``.

    Examples
    --------
    >>> number(336776), number(0.0123456), number(1.5e-7), number(float("nan"))
    ('336,776', '0.01235', '1.500×10⁻⁷', 'n/a')
    """
    if value is None or math.isnan(value):
        return "n/a"
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    if value == int(value) and abs(value) < 10**15:
        return f"{int(value):,}".replace("-", "−")
    return _fraction(float(value), digits).replace("-", "−")


def _fraction(value: float, digits: int) -> str:
    exponent = int(f"{value:.{digits - 1}e}".partition("e")[2])
    if -4 <= exponent < 9:
        return f"{value:,.{min(max(digits - 1 - exponent, 0), MAX_PLACES)}f}"
    mantissa = f"{value:.{digits - 1}e}".partition("e")[0]
    return f"{mantissa}×10{str(exponent).translate(SUPERSCRIPT)}"


def exact(value: float | None) -> str:
    """Return the shortest text that gives the same number back, or ``n/a``.

    Examples
    --------
    >>> exact(0.1), exact(3.0), exact(float("-inf"))
    ('0.1', '3', '−∞')
    """
    if value is None or not math.isfinite(value):
        return number(value)
    return str(int(value)) if value == int(value) else repr(float(value))


def data_size(count: float | None) -> str:
    """Return a number of bytes in the largest decimal unit that keeps it at least 1.

    Examples
    --------
    >>> data_size(999), data_size(23_456_789), data_size(None)
    ('999 B', '23.5 MB', 'n/a')
    """
    if count is None:
        return "n/a"
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if count < 1000 or unit == "TB":
            break
        count /= 1000
    return f"{count:,.0f} {unit}" if unit == "B" else f"{count:,.1f} {unit}"


def duration(seconds: float | None) -> str:
    """Return a time span in words a clock would use.

    Examples
    --------
    >>> duration(0.0123), duration(75.4), duration(4000)
    ('12 ms', '1 min 15 s', '1 h 6 min')
    """
    if seconds is None:
        return "n/a"
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def aligned(texts: list[str]) -> list[str]:
    """Pad numbers with figure spaces so that decimal points stand below one another.

    Examples
    --------
    >>> aligned(["1.25", "10.5", "n/a"]) == ["1.25", "10.5" + chr(0x2007), "n/a"]
    True
    """
    places = [len(t.partition(".")[2]) if "." in t and "×" not in t else 0 for t in texts]
    widest = max(places, default=0)
    return [t if "×" in t or "n/a" in t or not widest else _padded(t, widest) for t in texts]


def _padded(text: str, places: int) -> str:
    whole, point, fraction = text.partition(".")
    blank = "" if point else "\u2008"
    return f"{whole}{point}{blank}{fraction}" + "\u2007" * (places - len(fraction))


def with_unit(name: str, unit: str | None) -> str:
    """Return ``name [unit]``, or the name where a number has no unit.

    Examples
    --------
    >>> with_unit("bias", "bits"), with_unit("n", "")
    ('bias [bits]', 'n')
    """
    return f"{name} [{unit}]" if unit else name


def plain(mapping: Mapping[str, object]) -> list[tuple[str, str]]:
    """Return the items of a flat or nested mapping as pairs of visible texts.

    Examples
    --------
    >>> plain({"a": 1, "b": {"c": 2.5}})
    [('a', '1'), ('b c', '2.5')]
    """
    pairs: list[tuple[str, str]] = []
    for name, value in mapping.items():
        if isinstance(value, Mapping):
            pairs += [(f"{visible(name)} {inner}", text) for inner, text in plain(value)]
        else:
            pairs.append((visible(name), visible(value)))
    return pairs
