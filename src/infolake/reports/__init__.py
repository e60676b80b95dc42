"""Saved results become one self-contained HTML page.

The page reads ``scores.parquet``, ``associations/``, ``counts/`` and ``run.json`` of a run's folder and
nothing else, so it can be made again at any time, and the same folder always gives the same bytes.
Everything that comes from the data is untrusted: see :mod:`infolake.reports.page`.
"""

from infolake.reports.page import render, write

__all__ = ["render", "write"]
