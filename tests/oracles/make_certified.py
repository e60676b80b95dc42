"""Make certified.json: tables with their measures to 25 digits, computed with 50 to 90 (mpmath).

Run as ``python tests/oracles/make_certified.py`` from the project's root.
"""

import json
import random
import sys
from pathlib import Path

from mpmath import mp

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
    return {"name": name, "table": table, **{k: mp.nstr(v, 25) for k, v in values.items()}}


def main():
    tables = [*named_tables(), *random_tables()]
    entries = [certified(name, table) for name, table in tables if sum(map(sum, table))]
    text = ",\n".join(json.dumps(entry) for entry in entries)
    (HERE / "certified.json").write_text(f"[\n{text}\n]\n", encoding="utf-8")


if __name__ == "__main__":
    main()
