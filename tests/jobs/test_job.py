"""A job file is a value, and says everything that is wrong with it at once."""

import dataclasses
import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infolake.errors import JobError
from infolake.jobs import job as jobs

WHOLE = """
name: whole
source: {path: [a.parquet, b.parquet], columns: [x, y, z, w], filters: [[x, '>', 0], [y, in, [p, q]]]}
bins: {x: 16, z: exact, w: [0, 1.5, 3], v: {method: uniform, bins: 8}}
base: e
missing: level
weights: w
max_levels: {z: 1000}
rest: bucket
scores:
  - {name: s, columns: [x], target: y, given: [z], measures: [mi], base: 10, missing: pairwise, entropy: mm,
     support: 9, p_values: g, intervals: delta, level: 0.9, correction: bh, permutations: 99, seed: 7}
associations:
  - {name: a, x: x, y: y, measures: [pmi], base: bits, missing: level, min_count: 3, top: 5, sort_by: count}
report: {title: no}
"""
SMALL = "name: a\nsource: {path: x}\nscores: [{name: pairs}]\n"


def test_every_field_round_trips():
    job = jobs.from_text(WHOLE)
    stored = json.loads(json.dumps(jobs.to_mapping(job)))
    assert jobs.from_mapping(stored) == job
    for value in (job, job.source, job.scores[0], job.associations[0], job.report):
        for field in dataclasses.fields(value):
            given_value, default = getattr(value, field.name), field.default
            assert given_value != default, f"the test must give {field.name}"


def test_a_job_is_frozen():
    job = jobs.from_text(SMALL)
    with pytest.raises(dataclasses.FrozenInstanceError):
        job.name = "b"


def test_defaults_are_those_of_the_functions():
    import inspect

    import infolake as il

    entry = jobs.from_text(SMALL).scores[0]
    signature = inspect.signature(il.score).parameters
    assert entry.measures == tuple(signature["measures"].default)
    keywords = ("entropy", "support", "p_values", "intervals", "level", "correction", "permutations", "seed")
    for keyword in keywords:
        assert getattr(entry, keyword) == signature[keyword].default
    signature = inspect.signature(il.associations).parameters
    fields = {f.name: f.default for f in dataclasses.fields(jobs.Association)}
    assert fields["measures"] == tuple(signature["measures"].default)
    assert (fields["min_count"], fields["top"]) == (signature["min_count"].default, signature["top"].default)


@pytest.mark.parametrize(
    ("line", "where", "told"),
    [
        ("sorce: 1", "4:1", "unknown key; did you mean 'source'?"),
        ("base: 0.5", "4:7", "2, e, 10, bits"),
        ("base: true", "4:7", "true (a boolean)"),
        ("missing: pairwize", "4:10", "did you mean 'pairwise'?"),
        ("weights: 3", "4:10", "a string"),
        ("bins: zero", "4:7", "a number of bins"),
        ("bins: {x: [2, 1]}", "4:11", "rising edges"),
        ("bins: {x: {method: kmeans}}", "4:11", "quantile"),
        ("max_levels: none", "4:13", "how many levels to keep"),
        ("max_levels: {x: 0}", "4:17", "how many levels to keep"),
        ("max_levels: 9\nrest: drop", "5:7", "bucket"),
        ("rest: bucket", "4:7", "max_levels"),
        ("report: {titel: a}", "4:10", "did you mean 'title'?"),
        ("report: x", "4:9", "keys and values"),
        ("associations: [{name: a, x: p, y: q, min_count: 0}]", "4:49", "greater than or equal to 1"),
        ("associations: [{name: a, x: p, y: q, top: '3'}]", "4:43", "'3' (a string)"),
        ("associations: [{name: a, x: p}]", "4:16", "'y' is missing"),
        ("associations: [{name: a, x: p, y: p}]", "4:35", "the same column"),
        ("associations: [{name: a, x: p, y: q, measures: [mi]}]", "4:49", "ask for it under scores"),
        ("associations: [{name: a, x: p, y: q, sort_by: mi}]", "4:47", "one of the entry's measures"),
        ("associations: [{name: a, x: p, y: q}, {name: A, x: p, y: r}]", "4:46", "is taken"),
        ("associations: [{name: ../a, x: p, y: q}]", "4:23", "not safe"),
        ("associations: {name: a}", "4:15", "a list"),
    ],
)
def test_one_error_has_its_place(line, where, told):
    with pytest.raises(JobError) as caught:
        jobs.from_text(SMALL + line, "f.yaml")
    error = caught.value
    assert error.fields["where"] == f"f.yaml:{where}"
    for part in told.split("; "):
        assert part in " ".join(str(error).split())
    assert error.exit_code == 78


@pytest.mark.parametrize(
    ("entry", "told"),
    [
        ("{name: a, measures: [mutual_informaton]}", "did you mean 'mutual_information'?"),
        ("{name: a, measures: [pmi]}", "ask for it under associations"),
        ("{name: a, measures: []}", "at least one"),
        ("{name: a, measures: mi}", "a list"),
        ("{name: a, entropy: miler_madow}", "did you mean 'miller_madow'?"),
        ("{name: a, missing: listwise}", "for the whole job"),
        ("{name: a, target: 1}", "1 (an integer)"),
        ("{name: a, top: 1}", "unknown key"),
        ("{name: a, given: z, measures: [cramers_v]}", "no conditional form"),
        ("{measures: [mi]}", "'name' is missing"),
        ("{name: a, p_values: permutations}", "did you mean 'permutation'?"),
        ("{name: a, intervals: 3}", "delta, bootstrap"),
        ("{name: a, entropy: nsb, support: tables}", "observed, table, or a number of levels"),
        ("{name: a, entropy: nsb, support: 0}", "observed, table, or a number of levels"),
        ("{name: a, entropy: zhang, support: table}", "zhang has no option 'support'"),
        ("{name: a, level: 95}", "less than 1"),
        ("{name: a, correction: bh}", "a correction needs p-values"),
        ("{name: a, permutations: 0}", "greater than or equal to 1"),
        ("{name: a, seed: -1}", "greater than or equal to 0"),
        ("{name: a, measures: [mi, cramers_v], intervals: delta}", "`intervals: bootstrap`"),
    ],
)
def test_errors_in_scores(entry, told):
    with pytest.raises(JobError) as caught:
        jobs.from_text(f"name: a\nsource: {{path: x}}\nscores:\n  - {entry}\n", "f.yaml")
    assert told in str(caught.value)
    assert caught.value.fields["where"].startswith("f.yaml:4:")


def test_weighted_rows_cannot_be_shuffled():
    text = "name: a\nsource: {path: x}\nweights: w\nscores:\n  - {name: p, p_values: permutation}\n"
    with pytest.raises(JobError, match="cannot be shuffled"):
        jobs.from_text(text, "f.yaml")


def test_weighted_rows_refuse_estimators_of_whole_counts():
    text = "name: a\nsource: {path: x}\nweights: w\nscores:\n  - {name: p, entropy: chao_shen}\n"
    with pytest.raises(JobError, match="needs numbers of rows, not weights"):
        jobs.from_text(text, "f.yaml")
    assert jobs.from_text(text.replace("chao_shen", "zhang"), "f.yaml").weights == "w"


def test_all_errors_are_listed_in_the_order_of_the_file():
    text = (
        "nam: a\nsource: {path: 3, column: [a]}\nbase: zz\nscores: [{name: p, measures: [mii]}]\nmissing: x\n"
    )
    with pytest.raises(JobError) as caught:
        jobs.from_text(text, "f.yaml")
    lines = caught.value.what.splitlines()
    assert lines[0] == "the job file has 7 errors"
    assert [line.split(":")[1] for line in lines[2:]] == ["1", "2", "2", "3", "4", "5"]
    assert all(line.startswith("  f.yaml:") for line in lines[1:])


def test_listwise_holds_for_the_whole_job():
    with pytest.raises(JobError, match="listwise"):
        jobs.from_text("name: a\nsource: {path: x}\nmissing: listwise\nscores: [{name: p, missing: level}]")
    job = jobs.from_text("name: a\nsource: {path: x}\nmissing: listwise\nscores: [{name: p}]")
    assert (job.count_missing, job.reading(job.scores[0])) == ("listwise", "pairwise")


@pytest.mark.parametrize("text", ["", "- a", "3", "name: a\nsource: {path: x}\n"])
def test_what_is_no_job(text):
    with pytest.raises(JobError):
        jobs.from_text(text)


@pytest.mark.parametrize(
    "name", ["../x", "a/b", "a\\b", ".a", "-a", "a b", "ä", "a\n", "", "a" * 101, "a\0", "%2e", "a:b"]
)
def test_unsafe_names(name):
    with pytest.raises(JobError):
        jobs.from_mapping({"name": name, "source": {"path": "x"}, "scores": [{"name": "p"}]})


@pytest.mark.parametrize(
    "clause",
    [["a", ">"], ["a", "like", "b"], ["a", "in", 3], ["a", "=", [1]], [1, "=", 1], "a > 3", ["a", "=", None]],
)
def test_filters_are_lists_only(clause):
    value = {"name": "a", "source": {"path": "x", "filters": [clause]}, "scores": [{"name": "p"}]}
    with pytest.raises(JobError) as caught:
        jobs.from_mapping(value)
    assert "source.filters[0]" in caught.value.what


def test_paths_are_relative_to_the_file(tmp_path):
    (tmp_path / "jobs").mkdir()
    path = tmp_path / "jobs" / "a.yaml"
    path.write_text("name: a\nsource: {path: [../data, 's3://bucket/x', /abs]}\nscores: [{name: p}]\n")
    assert jobs.load(path).data == [str(tmp_path.resolve() / "data"), "s3://bucket/x", "/abs"]


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@given(
    st.sampled_from(
        [
            "name",
            "source",
            "bins",
            "base",
            "missing",
            "weights",
            "max_levels",
            "rest",
            "scores",
            "associations",
            "report",
        ]
    ),
    json_values,
)
def test_any_value_anywhere_is_a_job_or_a_job_error(key, value):
    base = {"name": "a", "source": {"path": "x"}, "scores": [{"name": "p"}]}
    with suppress(JobError):
        job = jobs.from_mapping({**base, key: value})
        assert jobs.from_mapping(jobs.to_mapping(job)) == job
