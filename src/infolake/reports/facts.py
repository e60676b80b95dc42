"""What was read, counted and left out, as the page tells it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from infolake.reports.saved import Run
from infolake.reports.text import data_size, duration, number, plain, visible

MAX_INPUTS = 50
MAX_EDGES = 64
MAX_GROUPS = 50
REASONS = {
    "filtered": "left out by the job's filters",
    "listwise": "left out because a counted column is missing",
}
UNRECORDED = "n/a (not recorded)"


def tiles(run: Run) -> list[tuple[str, str, str]]:
    """Return the headline numbers as (number, what it is, detail)."""
    inputs = run.facts.get("inputs") or []
    pairs = sum(len(q) for q in run.questions)
    variables = {name for q in run.questions for name in q.variables}
    variables |= {name for a in run.associations for name in (a.x, a.y)}
    counted = (run.facts.get("ledger") or {}).get("rows_counted")
    size = _total(inputs, "size")
    questions = len(run.questions)
    return [
        (number(counted), "rows counted", _share(run.facts.get("ledger") or {})),
        (number(len(variables)), "columns" if len(variables) != 1 else "column", "that take part in a score"),
        (number(pairs), "pairs scored", f"in {number(questions)} question{'s' * (questions != 1)}"),
        (data_size(size) if size is not None else "n/a", "read", f"from {_files(len(inputs))}"),
    ]


def _files(count: int) -> str:
    return f"{number(count)} file{'s' * (count != 1)}" if count else "no recorded input"


def _count(value: Any) -> str:
    return UNRECORDED if value is None else number(value)


def _share(ledger: Mapping[str, Any]) -> str:
    footer, counted = ledger.get("rows_footer"), ledger.get("rows_counted")
    if counted is None:
        return "not recorded"
    if not footer:
        return "of an input without rows"
    return "all rows of the input" if footer == counted else f"{100 * counted / footer:.1f} % of the input"


def _total(inputs: Sequence[Mapping[str, Any]], key: str) -> int | None:
    values = [entry.get(key) for entry in inputs]
    return (
        None if not values or any(v is None for v in values) else sum(int(v) for v in values if v is not None)
    )


def ledger(run: Run) -> dict[str, Any]:
    """Return the row ledger: its lines, whether they add up, and each part's share in percent."""
    book = run.facts.get("ledger") or {}
    footer, read, counted = (book.get(k) for k in ("rows_footer", "rows_read", "rows_counted"))
    left = {str(k): int(v) for k, v in (book.get("left_out") or {}).items()}
    known = None not in (footer, read, counted)
    parts = [("counted", counted or 0)] + [(REASONS.get(k, f"left out: {k}"), v) for k, v in left.items()]
    return {
        "known": known,
        "footer": _count(footer),
        "read": _count(read),
        "counted": _count(counted),
        "left": [(REASONS.get(k, visible(f"left out: {k}")), number(v)) for k, v in left.items()],
        "balanced": known and footer == read == (counted or 0) + sum(left.values()),
        "parts": [(visible(name), f"{100 * rows / read:.4f}") for name, rows in parts if read and rows],
    }


def inputs(run: Run) -> dict[str, Any]:
    """Return the files that were read, at most ``MAX_INPUTS`` of them, and totals over all."""
    every = run.facts.get("inputs") or []
    shown = [
        (
            visible(e.get("path", UNRECORDED), 160),
            data_size(e.get("size")),
            _count(e.get("rows")),
            _identity(e),
        )
        for e in every[:MAX_INPUTS]
    ]
    size, rows = _total(every, "size"), _total(every, "rows")
    return {
        "files": shown,
        "more": number(len(every) - len(shown)) if len(every) > len(shown) else "",
        "count": _files(len(every)),
        "size": data_size(size) if size is not None else UNRECORDED,
        "rows": _count(rows),
    }


def _identity(entry: Mapping[str, Any]) -> str:
    return visible(entry.get("mtime") or entry.get("etag") or UNRECORDED, 60)


def groups(run: Run) -> list[tuple[str, list[tuple[str, str]]]]:
    """Return titled lists of (name, value): the run, passes over the data, versions, timings."""
    facts = run.facts
    timings = [(visible(k).replace("_", " "), duration(v)) for k, v in (facts.get("timings") or {}).items()]
    reads = [(_reading(str(k)), number(v)) for k, v in (facts.get("reads") or {}).items()]
    return [
        ("This run", _run_facts(facts)),
        ("Passes over the data", reads),
        *([("Counted in shards", _in_shards(run))] if run.in_shards else []),
        ("Time taken", timings),
        ("Versions", plain(facts.get("versions") or {})),
    ]


def _in_shards(run: Run) -> list[tuple[str, str]]:
    """Return the groups whose tables are not kept, at most ``MAX_GROUPS`` of them."""
    shown = [(" × ".join(visible(c) for c in group), "no table kept") for group in run.in_shards[:MAX_GROUPS]]
    more = len(run.in_shards) - len(shown)
    return [*shown, ("more", number(more))] if more > 0 else shown


def _reading(name: str) -> str:
    words = {
        "count": "to count rows",
        "bins": "to find bin edges",
        "levels": "to find the most frequent levels",
        "shards": "to count in shards",
    }
    return words.get(name, visible(name))


def _run_facts(facts: Mapping[str, Any]) -> list[tuple[str, str]]:
    known = {
        key: facts.get(key) for key in ("name", "status", "exit_code", "scheduler", "workers", "retries")
    }
    pairs = plain({key.replace("_", " "): v for key, v in known.items() if v not in (None, {}, [])})
    return pairs or [("status", UNRECORDED)]


def bins(run: Run) -> list[tuple[str, str, str]]:
    """Return (column, number of intervals, edges) for each binned column."""
    return [_bin(str(column), edges) for column, edges in sorted((run.facts.get("bins") or {}).items())]


def _bin(column: str, edges: Sequence[Any]) -> tuple[str, str, str]:
    shown = "  ".join(f"{e:.10g}" if isinstance(e, float) else visible(e) for e in edges[:MAX_EDGES])
    more = f"  … and {len(edges) - MAX_EDGES} more" if len(edges) > MAX_EDGES else ""
    return visible(column), number(max(len(edges) - 1, 0)), shown + more


def kept(run: Run) -> list[tuple[str, str, str, str]]:
    """Return (column, levels asked for, kept, in the bucket with their rows) of each column with a limit."""
    entries = run.facts.get("max_levels") or {}
    return [_kept(str(column), entry) for column, entry in sorted(entries.items())]


def _kept(column: str, entry: Mapping[str, Any]) -> tuple[str, str, str, str]:
    rest, share = entry.get("rest_levels"), entry.get("rest_rows")
    asked = number(entry.get("limit"))
    if not rest:
        return visible(column), asked, "all", "none: exact"
    return visible(column), asked, number(entry.get("kept")), f"{number(rest)} levels, {number(share)} rows"


def notices(run: Run) -> list[str]:
    """Return what a reader must know first: an unfinished or partial run, then the run's own warnings."""
    first = []
    if run.facts.get("status", "ok") != "ok" or run.facts.get("exit_code", 0) != 0:
        state = visible(run.facts.get("status", "unknown"))
        first.append(
            f"INCOMPLETE: the run ended as “{state}” (exit code {visible(run.facts.get('exit_code'))})."
        )
    if ledger(run)["known"] and not ledger(run)["balanced"]:
        first.append("The row ledger does not add up: do not rely on the numbers of this page.")
    return first + [visible(w, 400) for w in run.facts.get("warnings") or []]


def job(run: Run) -> str:
    """Return the job as indented JSON with every invisible character spelled out."""
    entries = run.facts.get("job")
    if not entries:
        return ""
    lines = json.dumps(entries, indent=2, ensure_ascii=False, default=str).splitlines()
    return "\n".join(
        " " * (len(line) - len(line.lstrip(" "))) + visible(line.strip(" "), 2000) for line in lines[:400]
    )
