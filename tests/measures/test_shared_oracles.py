"""Measures against published numbers and other tools on real data (`shared`)."""

import itertools
import json
import lzma
import math
from collections import Counter

import numpy as np
import pandas as pd
import pytest

import infolake.measures as il
from infolake.measures import numerics
from infolake.tables import ContingencyTable

pytestmark = pytest.mark.shared


def oracle(shared, name):
    return json.loads((shared / "oracles" / name).read_text("utf-8"))


def test_real_clusterings_as_scikit_learn(shared):
    expected = pd.read_csv(shared / "oracles/clusterings_sklearn.csv")
    checked = 0
    for file, rows in expected.groupby("file"):
        path = shared / f"data/clusterings/{file}.parquet"
        if not path.exists():
            continue
        labels = pd.read_parquet(path)
        for _, row in rows.iterrows():
            table = ContingencyTable.from_labels(labels[row.a].to_numpy(), labels[row.b].to_numpy())
            assert table.total == row.n
            found = {
                "mi_nats": il.mutual_information(table, base="e"),
                "ari": il.adjusted_rand_index(table),
                "homogeneity": il.homogeneity(table),
                "completeness": il.completeness(table),
                "v": il.v_measure(table),
            }
            for average in ("min", "geometric", "arithmetic", "max"):
                found[f"nmi_{average}"] = il.normalized_mutual_information(table, average=average)
                found[f"ami_{average}"] = il.adjusted_mutual_information(table, average=average)
            for name, value in found.items():
                near = 1e-9 if name.startswith("ami") else 1e-12  # scikit-learn's E[MI] has 1e-10
                assert value == pytest.approx(row[name], rel=near, abs=1e-12), (file, row.a, row.b, name)
            checked += 1
    assert checked > 10


def bigrams(shared, numbers):
    """Return the bigram table of the Genesis tokens with the margins of NLTK: those of all tokens."""
    text = lzma.decompress((shared / "data/text_genesis/english-web.tokens.txt.xz").read_bytes())
    tokens = text.decode().split("\n")
    tokens = tokens[:-1] if not tokens[-1] else tokens
    words, codes, margins = np.unique(np.array(tokens), return_inverse=True, return_counts=True)
    pairs = Counter(zip(codes[:-1].tolist(), codes[1:].tolist(), strict=True))
    rows, cols = np.array(list(pairs)).T
    return ContingencyTable.from_cells(
        (rows, cols),
        np.array(list(pairs.values())),
        levels=(words.tolist(), words.tolist()),
        columns=("first", "second"),
        margins=(margins, margins),
        total=len(tokens),
    )


NLTK = {
    "pmi_top_freq3": "pointwise_mutual_information",
    "likelihood_ratio_top_freq3": "g",
    "chi_sq_top_freq3": "chi_squared",
    "student_t_top_freq3": "t_score",
    "phi_sq_top_freq3": "phi_squared",
    "dice_top_freq3": "dice",
    "jaccard_top_freq3": "jaccard",
    "poisson_stirling_top_freq3": "poisson_stirling",
}


def test_collocations_of_genesis_as_nltk(shared):
    """The top lists, filtered to three and more: score, and order but for ties."""
    lists = oracle(shared, "nltk_collocations.json")
    table = bigrams(shared, lists)
    assert table.total == 44054
    batch, (codes, counts) = table.batch(), table.cells
    words = table.levels[0]
    place = {(words[r], words[c]): i for i, (r, c) in enumerate(zip(*codes, strict=True))}
    for name, measure in NLTK.items():
        scores = il.get(measure, per_cell=True).evaluate(batch)
        ranked = np.sort(scores[counts >= 3])[::-1]
        for rank, (first, second, truth, *_) in enumerate(lists[name]):
            assert scores[place[first, second]] == pytest.approx(truth, rel=1e-9), (name, first, second)
            assert ranked[rank] == pytest.approx(truth, rel=1e-9), (name, rank)


def test_phrases_as_gensim(shared):
    """gensim takes margins and total of the tokens, and distinct words and pairs as vocabulary."""
    entry = oracle(shared, "gensim_phrases.json")
    tokens = Counter(word for sentence in entry["sentences"] for word in sentence)
    pairs = Counter(pair for s in entry["sentences"] for pair in itertools.pairwise(s))
    words = sorted(tokens)
    table = ContingencyTable.from_cells(
        tuple(np.array([words.index(pair[k]) for pair in pairs]) for k in (0, 1)),
        np.array(list(pairs.values())),
        levels=(words, words),
        columns=("first", "second"),
        margins=([tokens[w] for w in words],) * 2,
        total=tokens.total(),
    )
    at = [tuple(words.index(w) for w in name.split()) for name in entry["npmi"]]
    npmi = il.normalized_pointwise_mutual_information(table)
    assert [npmi[i] for i in at] == pytest.approx(entry["recomputed"]["npmi"], rel=1e-12)
    score = il.phrase_score(table, min_count=1, vocabulary_size=len(tokens) + len(pairs))
    assert [score[i] for i in at] == pytest.approx(entry["recomputed"]["default"], rel=1e-12)


def test_token_information_as_tensorflow_transform(shared):
    """The row sums of n PMI in bits; adjusted: less their means under fixed margins."""
    entry = oracle(shared, "tensorflow_transform.json")
    for case in entry["vocab"]:
        weights = case.get("w", [1] * len(case["x"]))
        table = weighed(case["x"], case["y"], weights)
        sums = (il.contribution(table) * table.total).sum(axis=1)
        if case["adjusted"]:
            sums = sums - expected_rows(table)
        for label, value in zip(table.levels[0], sums, strict=True):
            if label in case["recomputed"]:
                assert value == pytest.approx(case["recomputed"][label], rel=1e-9, abs=1e-9), case["name"]
                assert value == pytest.approx(case["expected"][label], abs=4e-4)
    for part in entry["info_theory"]["partial_emi"]:
        mean = numerics.expected_excess(*sorted((part["x"], part["y"])), part["n"]) / math.log(2)
        assert mean == pytest.approx(part["value"], abs=1e-5)


def weighed(x, y, weights):
    rows, cols = sorted(set(x)), sorted(set(y))
    cells = np.zeros((len(rows), len(cols)), dtype=np.int64)
    for a, b, w in zip(x, y, weights, strict=True):
        cells[rows.index(a), cols.index(b)] += w
    return ContingencyTable(cells, levels=(rows, cols))


def expected_rows(table):
    rows, cols = (m.tolist() for m in table.margins)
    means = [[numerics.expected_excess(min(a, b), max(a, b), table.total) for b in cols] for a in rows]
    return np.sum(means, axis=1) / math.log(2)


WEKA = {
    "InfoGainAttributeEval": il.mutual_information,
    "GainRatioAttributeEval": il.information_gain_ratio,
    "SymmetricalUncertAttributeEval": il.symmetric_uncertainty,
}
CLASSES = {
    "mushroom": "class",
    "vote": "Class",
    "nursery": "class",
    "car": "class",
    "weather.nominal": "play",
}


def test_attribute_rankings_as_weka(shared):
    """Missing values as a level of their own; Weka prints four to seven digits."""
    checked = 0
    for entry in oracle(shared, "weka_attribute_ranking.json")["results"]:
        path = shared / "data/uci_categorical" / (entry["data"].replace(".", "_") + ".parquet")
        if entry["data"] not in CLASSES or not path.exists() or not entry["missing"].startswith("merge"):
            continue
        frame = pd.read_parquet(path).astype(object)
        target = frame.columns[-1]
        for attribute, _, score in entry["ranking"]:
            table = ContingencyTable.from_labels(frame[attribute].to_numpy(), frame[target].to_numpy())
            value = WEKA[entry["evaluator"]](table)
            assert value == pytest.approx(score, abs=6e-5), (entry["data"], attribute)
            checked += 1
    assert checked > 100
