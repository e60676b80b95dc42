"""Sources: files, frames and tables become partitions that one task reads, with a stable identity."""

from __future__ import annotations

from infolake.sources.filters import filter_mask
from infolake.sources.opening import open_source
from infolake.sources.partitions import Partition, Source, read_partitions

__all__ = ["Partition", "Source", "filter_mask", "open_source", "read_partitions"]
