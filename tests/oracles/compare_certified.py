"""Print how many digits of the certified values infolake, scikit-learn and scipy get right.

Run as ``python tests/oracles/compare_certified.py``. A number is the log relative error, -log10 of
|value - truth| / |truth|, at most 16; a truth of 0 counts as 16 where the value is below 1e-30. A dash:
the library cannot be asked (it takes labels, and the table holds more than a million rows).
"""

import json
import math
import sys
import warnings
from pathlib import Path

import numpy as np
import scipy.stats
import sklearn.metrics as sk
from mpmath import mp, mpf

import infolake.measures as il
from infolake.tables import ContingencyTable

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))
sys.path.insert(0, str(HERE.parent / "measures"))

import make_certified  # noqa: E402

mp.dps = 50
MAX_LABELS = 10**6
SHORT = {
    "mutual_information": "MI",
    "normalized_mutual_information": "NMI",
    "adjusted_mutual_information": "AMI",
}


def entries():
    return json.loads((HERE / "certified.json").read_text(encoding="utf-8"))


def array_of(entry):
    return np.array(make_certified.large(entry["large"]) if "large" in entry else entry["table"])


def digits(value, truth):
    """Return the log relative error of a float."""
    truth = mpf(truth)
    if not math.isfinite(value):
        return 0.0
    if abs(truth) < mpf(10) ** -40:
        return 16.0 if abs(value) < 1e-30 else 0.0
    error = abs(mpf(value) - truth) / abs(truth)
    return 16.0 if not error else max(0.0, min(16.0, float(-mp.log10(error))))


def by_infolake(array):
    table = ContingencyTable(array)
    return {
        "mutual_information": il.mutual_information(table, base="e"),
        "normalized_mutual_information": il.normalized_mutual_information(table),
        "adjusted_mutual_information": il.adjusted_mutual_information(table),
    }


def by_scikit_learn(array):
    found = {"mutual_information": sk.mutual_info_score(None, None, contingency=array)}
    if sum(map(int, array.ravel())) <= MAX_LABELS:
        rows, cols = (np.repeat(index.ravel(), array.ravel()) for index in np.indices(array.shape))
        found["normalized_mutual_information"] = sk.normalized_mutual_info_score(rows, cols)
        found["adjusted_mutual_information"] = sk.adjusted_mutual_info_score(rows, cols)
    return found


def by_scipy(array):
    """Return MI from the G statistic; the empty rows that scipy refuses are left out."""
    full = array[array.any(axis=1)][:, array.any(axis=0)]
    g = scipy_g(full) if min(full.shape) > 1 else 0.0
    return {"mutual_information": g / 2 / float(full.sum(dtype=float))}


def scipy_g(array):
    return float(scipy.stats.chi2_contingency(array, lambda_="log-likelihood", correction=False).statistic)


LIBRARIES = {"infolake": by_infolake, "scikit-learn": by_scikit_learn, "scipy": by_scipy}


def compared(entry):
    """Return per library and measure the digits that are right."""
    array = array_of(entry)
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        found = {name: library(array) for name, library in LIBRARIES.items()}
    return {
        (name, measure): digits(float(value), entry[measure])
        for name, values in found.items()
        for measure, value in values.items()
        if measure in entry
    }


def main():
    columns = [(m, name) for m in SHORT for name in LIBRARIES if name != "scipy" or m == "mutual_information"]
    rows = [["table", *(f"{SHORT[m]} {name}" for m, name in columns)]]
    for entry in entries():
        found = compared(entry)
        told = [f"{found[name, m]:.1f}" if (name, m) in found else "-" for m, name in columns]
        rows.append([entry["name"], *told])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        print("  ".join(text.rjust(width) for text, width in zip(row, widths, strict=True)))


if __name__ == "__main__":
    main()
