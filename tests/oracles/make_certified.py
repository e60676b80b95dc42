"""Make certified.json: tables with their measures to 25 digits, computed with 50 to 120 (mpmath).

A table of 1,000 x 1,000 is not stored but made again by `large`.

Run as ``python tests/oracles/make_certified.py`` from the project's root.
"""

import json
import random
import sys
from collections import Counter
from fractions import Fraction
from pathlib import Path

from mpmath import mp, mpf

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "measures"))

import exact_measures as ref  # noqa: E402


def named_tables():
    yield "deequ", [[3, 0], [0, 1]]
    yield "one cell", [[7]]
    yield "constant column", [[1], [2], [3]]
    yield "independent", [[2, 4], [3, 6]]
    yield "identity", [[5, 0, 0], [0, 3, 0], [0, 0, 9]]
    yield "empty row and column", [[1, 0, 2], [0, 0, 0], [3, 0, 1]]
    yield "ten billion rows", [[4 * 10**9, 10**9], [10**9, 4 * 10**9]]
    yield "margins of 3.04e9", [[3 * 10**9, 4 * 10**7], [4 * 10**7, 3 * 10**9]]
    for k, e in enumerate((3, 6, 9, 12, 15)):
        n = 10**e // 4
        yield f"off by one at 1e{e}", [[n + 1, n], [n, n]]
        yield f"rare at 1e{e}", [[10**e - 1, 0], [0, 1]]
        yield f"skewed {k}", [[10**e, 3], [2, 1]]
        yield (
            f"nearly independent 1e{e}",
            [[10**e // 10 + 1, 2 * 10**e // 10], [3 * 10**e // 10, 6 * 10**e // 10]],
        )
    yield "close to 2**63", [[2**61, 2**61 - 1], [2**61 - 3, 2**61 + 2]]
    yield "close to 2**63, dependent", [[2**62, 5], [7, 2**62 - 100]]


def random_tables():
    draw = random.Random(20260101)
    for k in range(36):
        shape = draw.randint(1, 6), draw.randint(2, 6)
        top = 10 ** draw.choice([1, 1, 2, 3, 6, 12])
        zeros = draw.choice([0.0, 0.3, 0.7])
        yield (
            f"random {k}",
            [
                [0 if draw.random() < zeros else draw.randint(0, top) for _ in range(shape[1])]
                for _ in range(shape[0])
            ],
        )


def large(kind):
    """Return 1,000 x 1,000 cells: a smooth dependence, or a diagonal over even noise."""
    side = range(1000)
    if kind == "smooth":
        return [[10**6 + (i % 7 - 3) * (j % 11 - 5) * 10**4 for j in side] for i in side]
    return [[1 + (i % 5) * (j % 3) + 10**9 * (i == j) for j in side] for i in side]


def large_entropies(table):
    """Return H(X), H(Y), H(X,Y) and MI from how often each cell and margins occur together."""
    rows, cols = ref.margins(table)
    total = sum(rows)
    triples = Counter((n, rows[i], cols[j]) for i, row in enumerate(table) for j, n in enumerate(row) if n)
    with mp.workdps(90):
        mi = sum(
            (
                times * ref.exact(Fraction(n, total)) * ref.log(Fraction(n * total, a * b))
                for (n, a, b), times in triples.items()
            ),
            mpf(0),
        )
    cells = Counter(n for row in table for n in row)
    return (*(entropy_of(Counter(values), total) for values in (rows, cols)), entropy_of(cells, total), +mi)


def entropy_of(counts, total):
    terms = (
        times * ref.exact(Fraction(n, total)) * ref.log(Fraction(total, n))
        for n, times in counts.items()
        if n
    )
    return sum(terms, mpf(0))


def certified_large(kind):
    h_x, h_y, h_xy, mi = large_entropies(large(kind))
    values = {
        "mutual_information": mi,
        "entropy": h_x,
        "entropy_y": h_y,
        "joint_entropy": h_xy,
        "normalized_mutual_information": 2 * mi / (h_x + h_y),
    }
    return {"name": f"1,000 x 1,000, {kind}", "large": kind, **{k: mp.nstr(v, 25) for k, v in values.items()}}


def pmi(table):
    """Return row, column and PMI (nats) of the first non-zero cells."""
    rows, cols = ref.margins(table)
    cells = [(i, j, n) for i, row in enumerate(table) for j, n in enumerate(row) if n][:4]
    return [[i, j, mp.nstr(ref.log(Fraction(n * sum(rows), rows[i] * cols[j])), 25)] for i, j, n in cells]


def shares(values):
    """Return NMI and, where E[I] is there, AMI: arithmetic, with scikit-learn's limits."""
    mi, mean = values["mutual_information"], (values["entropy"] + values["entropy_y"]) / 2
    found = {"normalized_mutual_information": mi / mean if mean else mpf(1)}
    expected = values.get("expected_mutual_information")
    if expected is not None and abs(mean - expected) > mpf(10) ** -30:
        found["adjusted_mutual_information"] = (mi - expected) / (mean - expected)
    return found


def certified(name, table):
    rows, cols = ref.margins(table)
    values = {
        "mutual_information": ref.mutual_information(table),
        "entropy": ref.entropy(rows),
        "entropy_y": ref.entropy(cols),
        "joint_entropy": ref.joint(table),
        "conditional_entropy": ref.joint(table) - ref.entropy(rows),
        "chi_squared": ref.exact(ref.chi_squared(table)),
    }
    if sum(rows) <= 5000:
        values["expected_mutual_information"] = ref.expected_mutual_information(table)
    values |= shares(values)
    return {"name": name, "table": table, **{k: mp.nstr(v, 25) for k, v in values.items()}, "pmi": pmi(table)}


def main():
    tables = [*named_tables(), *random_tables()]
    entries = [certified(name, table) for name, table in tables if sum(map(sum, table))]
    entries += [certified_large(kind) for kind in ("smooth", "diagonal")]
    text = ",\n".join(json.dumps(entry) for entry in entries)
    (HERE / "certified.json").write_text(f"[\n{text}\n]\n", encoding="utf-8")


if __name__ == "__main__":
    main()
