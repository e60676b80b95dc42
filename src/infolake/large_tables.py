"""Tables too large to hold: known by how often each count occurs, among cells and in the margins."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from infolake.errors import TooManyCellsError

Counts = NDArray[np.int64]
Frequencies = tuple[Counts, Counts]


@dataclass(frozen=True, eq=False)
class FrequencyTable:
    """A table of two columns, known by its frequencies of frequencies; it stands in for a batch of one.

    Measures that are functions of entropies and margins take it. Asked for its cells it raises
    TooManyCellsError. With ``z`` it stands for the strata of a conditional measure.

    Parameters
    ----------
    xy, x, y : tuple of (counts, multiplicities)
        The distinct non-zero counts, ascending, of cells, rows and columns, and how often each occurs;
        those of all strata together.
    z : tuple of (counts, multiplicities), optional
        The same of the strata's totals.

    Examples
    --------
    >>> import numpy as np
    >>> once = (np.array([1]), np.array([3]))
    >>> table = FrequencyTable(once, once, once)
    >>> table.n_cells, table.row_margins
    (array([3]), array([1, 1, 1]))
    """

    xy: Frequencies
    x: Frequencies
    y: Frequencies
    z: Frequencies | None = None
    weighted: bool = False
    n_effective: None = None
    sums_match: bool = True
    _memo: dict[str, Any] = field(default_factory=dict, repr=False)

    def __len__(self) -> int:
        return 1

    @property
    def totals(self) -> Counts:
        """The total, shape (1,)."""
        counts, multiplicities = self.xy
        return np.array([(counts * multiplicities).sum()])

    @property
    def n_cells(self) -> Counts:
        """The number of non-zero cells, shape (1,)."""
        return np.array([self.xy[1].sum()])

    @property
    def n_rows_nonempty(self) -> Counts:
        """The number of rows that hold a count, shape (1,)."""
        return np.array([self.x[1].sum()])

    @property
    def n_cols_nonempty(self) -> Counts:
        """The number of columns that hold a count, shape (1,)."""
        return np.array([self.y[1].sum()])

    @property
    def row_margins(self) -> Counts:
        """The non-zero row margins, ascending."""
        return np.repeat(*self.x)

    @property
    def col_margins(self) -> Counts:
        """The non-zero column margins, ascending."""
        return np.repeat(*self.y)

    @property
    def row_offsets(self) -> Counts:
        """Where the row margins start and end."""
        return np.array([0, self.n_rows_nonempty[0]])

    @property
    def col_offsets(self) -> Counts:
        """Where the column margins start and end."""
        return np.array([0, self.n_cols_nonempty[0]])

    def frequencies(self, which: str) -> Frequencies:
        """Return the counts and multiplicities of "x", "y" or "xy"; those of one table, not of strata."""
        if self.z is not None:
            self.__getattr__("cells")
        return {"x": self.x, "y": self.y, "xy": self.xy}[which]

    def cached(self, name: str, compute: Callable[[], Any]) -> Any:
        """Return ``compute()``, computed once."""
        if name not in self._memo:
            self._memo[name] = compute()
        return self._memo[name]

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        raise TooManyCellsError(
            "this measure needs every cell of a table that is too large to be held",
            found=f"{self.n_cells[0]:,} cells",
            next="ask for measures of entropies (mi, nmi, ami, vi, ...), "
            "or keep the most frequent levels only (max_levels=...)",
        )
