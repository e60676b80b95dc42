"""infolake measures how much variables tell each other, on data too big for memory.

Count once, ask many questions::

    import infolake as il

    counts = il.count("flights/", groups="pairs")       # one scan, on Dask
    il.score(counts, target="arr_late")                 # MI, NMI, AMI of every pair, no further scan
    il.associations(counts, "carrier", "dest")          # PMI of every cell
    il.mutual_information(counts.table("carrier", "dest"))

All names below are loaded when first used, so that ``import infolake`` is quick.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_HOMES = {
    "count": "infolake.analyses.counts",
    "score": "infolake.analyses.scores",
    "matrix": "infolake.analyses.scores",
    "associations": "infolake.analyses.associations",
    "kullback_leibler_divergence": "infolake.analyses.drift",
    "jensen_shannon_divergence": "infolake.analyses.drift",
    "permutation_p_value": "infolake.measures.inference",
    "exact_p_value": "infolake.measures.inference",
    "corrected_p_values": "infolake.measures.inference",
    "confidence_interval": "infolake.measures.intervals",
    "plan": "infolake.jobs.plans",
    "load": "infolake.summaries.storage",
    "JointCounts": "infolake.summaries.joint_counts",
    "ContingencyTable": "infolake.tables",
    "TableBatch": "infolake.tables",
    "InfolakeError": "infolake.errors",
}

if TYPE_CHECKING:
    from infolake.analyses.associations import associations as associations
    from infolake.analyses.counts import count as count
    from infolake.analyses.drift import jensen_shannon_divergence as jensen_shannon_divergence
    from infolake.analyses.drift import kullback_leibler_divergence as kullback_leibler_divergence
    from infolake.analyses.scores import matrix as matrix
    from infolake.analyses.scores import score as score
    from infolake.errors import InfolakeError as InfolakeError
    from infolake.jobs.plans import plan as plan
    from infolake.measures.inference import corrected_p_values as corrected_p_values
    from infolake.measures.inference import exact_p_value as exact_p_value
    from infolake.measures.inference import permutation_p_value as permutation_p_value
    from infolake.measures.intervals import confidence_interval as confidence_interval
    from infolake.summaries.joint_counts import JointCounts as JointCounts
    from infolake.summaries.storage import load as load
    from infolake.tables import ContingencyTable as ContingencyTable
    from infolake.tables import TableBatch as TableBatch


def __getattr__(name: str) -> Any:
    if name.startswith("_"):
        raise AttributeError(name)
    if name == "measures":
        return importlib.import_module("infolake.measures")  # a module that is called
    home = _HOMES.get(name)
    if home is None:
        found = getattr(importlib.import_module("infolake.measures"), name, None)
        if found is None or not callable(found):
            raise AttributeError(f"module 'infolake' has no attribute {name!r}")
    else:
        found = getattr(importlib.import_module(home), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    from infolake.measures import catalogue

    return sorted({*_HOMES, "measures", "__version__", *(m.name for m in catalogue.every())})
