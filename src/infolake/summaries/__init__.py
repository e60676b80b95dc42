"""Values that add: counts, quantile histograms, ledgers.

A **summary** is any value with ``+`` (and ``-`` where it makes sense), a fingerprint of what it
counted (unlike fingerprints refuse to add), a row ledger and ``nbytes``. Laws, each one a property
test: ``a + b == b + a``, ``(a + b) + c == a + (b + c)``, ``zero + a == a``, ``(a + b) - b == a``, and
*split anyhow, then add == count whole*.
"""

from __future__ import annotations

from typing import Protocol, Self

from infolake.summaries.ledger import Ledger


class Summary(Protocol):
    """What the reduction needs of a value: nothing but ``+`` and its bookkeeping."""

    ledger: Ledger

    def __add__(self, other: Self) -> Self: ...

    @property
    def fingerprint(self) -> str:
        """Digest of what was counted, not of the data."""
        ...

    @property
    def nbytes(self) -> int:
        """Bytes held."""
        ...

    def check(self, where: str) -> None:
        """Raise LedgerError unless every row is accounted for."""
        ...
