"""The row ledger: rows in the footer = rows read = rows counted + rows left out, by reason."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from infolake.errors import LedgerError

REASONS = ("filtered", "listwise")


@dataclass(frozen=True)
class Ledger:
    """Rows accounted for.

    Parameters
    ----------
    rows_footer : int
        Rows that the inputs promise (rows read, for inputs that promise none).
    rows_read, rows_counted : int
    filtered, listwise : int
        Rows left out by the filters, and for a missing value under ``missing="listwise"``.

    Examples
    --------
    >>> Ledger(10, 10, 8, filtered=2) + Ledger(5, 5, 5)
    Ledger(rows_footer=15, rows_read=15, rows_counted=13, filtered=2, listwise=0)
    """

    rows_footer: int = 0
    rows_read: int = 0
    rows_counted: int = 0
    filtered: int = 0
    listwise: int = 0

    @property
    def left_out(self) -> dict[str, int]:
        """Rows left out, by reason."""
        return {"filtered": self.filtered, "listwise": self.listwise}

    def __add__(self, other: Ledger) -> Ledger:
        return Ledger(*(a + b for a, b in zip(self.values, other.values, strict=True)))

    def __sub__(self, other: Ledger) -> Ledger:
        return Ledger(*(a - b for a, b in zip(self.values, other.values, strict=True)))

    @property
    def values(self) -> tuple[int, ...]:
        """The five numbers in order."""
        return self.rows_footer, self.rows_read, self.rows_counted, self.filtered, self.listwise

    def check(self, where: str) -> None:
        """Raise LedgerError unless every row is accounted for."""
        accounted = self.rows_counted + self.filtered + self.listwise
        if self.rows_footer == self.rows_read == accounted:
            return
        raise LedgerError(
            "internal: the row ledger does not balance",
            where=where,
            expected="rows in the footer = rows read = rows counted + rows left out",
            found=f"{self.rows_footer} in the footer, {self.rows_read} read, {accounted} accounted for",
            effect="nothing published",
            next="this is a bug or damaged input: please report it with the file",
        )

    def to_json(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return {
            "rows_footer": self.rows_footer,
            "rows_read": self.rows_read,
            "rows_counted": self.rows_counted,
            "left_out": self.left_out,
        }

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Ledger:
        """Rebuild from :meth:`to_json`."""
        left = stored["left_out"]
        return cls(
            stored["rows_footer"],
            stored["rows_read"],
            stored["rows_counted"],
            left["filtered"],
            left["listwise"],
        )
