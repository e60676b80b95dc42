"""The catalogue, and every measure tested by the properties it declares."""

import doctest
import inspect
import math
import pickle
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import infolake.measures as il
from infolake.errors import UnknownMeasureError, UsageError
from infolake.measures import agreement, catalogue, plug_in
from infolake.tables import ContingencyTable, Strata, TableBatch

EVERY = catalogue.every()
TABLE = [m for m in EVERY if not m.per_cell and m.needs != "strata"]
CELL = [m for m in EVERY if m.per_cell]
CONDITIONAL = [m for m in EVERY if m.conditional]
SUMMED = {"g_statistic", "chi_squared", "degrees_of_freedom", "g_p_value", "chi_squared_p_value"}


def by_name(measures):
    return {
        "argvalues": measures,
        "ids": [f"{m.name}{'-cell' * m.per_cell}" for m in measures],
        "argnames": "m",
    }


@st.composite
def arrays(draw, low=0, side=5):
    shape = draw(st.tuples(st.integers(1, side), st.integers(1, side)))
    top = draw(st.sampled_from([1, 5, 50, 10**6, 10**14]))
    flat = draw(st.lists(st.integers(low, top), min_size=shape[0] * shape[1], max_size=shape[0] * shape[1]))
    return np.array(flat, dtype=np.int64).reshape(shape)


def value(m, array):
    return m.of(ContingencyTable(array), {})


def same(a, b):
    return np.array_equal(a, b, equal_nan=True)


def sparse(table):
    codes, counts = table.cells
    return ContingencyTable.from_cells(codes, counts, levels=table.levels, columns=table.columns)


@pytest.mark.parametrize(**by_name(TABLE))
@settings(max_examples=25, deadline=None)
@given(array=arrays())
def test_symmetric_measures_do_not_know_the_orientation(m, array):
    if m.symmetric:
        assert same(value(m, array), value(m, array.T))


@pytest.mark.parametrize(**by_name(CELL))
@settings(max_examples=15, deadline=None)
@given(array=arrays())
def test_symmetric_cell_measures_transpose(m, array):
    if m.symmetric:
        assert np.allclose(value(m, array), value(m, array.T).T, rtol=1e-13, atol=0, equal_nan=True)


@pytest.mark.parametrize(**by_name(EVERY))
@settings(max_examples=25, deadline=None)
@given(array=arrays())
def test_bounds(m, array):
    if m.needs == "strata" or not array.sum():
        return
    values = np.asarray(value(m, array))
    values = values[~np.isnan(values)]
    low, high = m.bounds
    assert low is None or (values >= low - 1e-12).all()
    assert high is None or (values <= high + 1e-12).all()


@pytest.mark.parametrize(**by_name([m for m in EVERY if m.needs != "strata"]))
@settings(max_examples=15, deadline=None)
@given(array=arrays(), seed=st.integers(0, 99))
def test_renaming_levels_changes_nothing(m, array, seed):
    rng = np.random.default_rng(seed)
    rows, cols = rng.permutation(array.shape[0]), rng.permutation(array.shape[1])
    moved = value(m, array[rows][:, cols])
    if m.per_cell:
        assert np.allclose(value(m, array)[rows][:, cols], moved, rtol=1e-13, equal_nan=True)
    else:
        assert same(value(m, array), moved)


@pytest.mark.parametrize(**by_name([m for m in EVERY if m.needs != "strata"]))
@settings(max_examples=15, deadline=None)
@given(array=arrays())
def test_an_empty_row_and_column_change_nothing(m, array):
    padded = np.pad(array, ((1, 0), (0, 1)))
    found = value(m, padded)
    assert same(value(m, array), found[1:, :-1] if m.per_cell else found)


@pytest.mark.parametrize(**by_name([m for m in EVERY if m.needs != "strata"]))
@settings(max_examples=15, deadline=None)
@given(array=arrays())
def test_dense_and_sparse_are_the_same_to_the_bit(m, array):
    table = ContingencyTable(array)
    assert same(m.of(table, {}), m.of(sparse(table), {}))


@pytest.mark.parametrize(**by_name([m for m in TABLE if m.symmetric]))
@settings(max_examples=15, deadline=None)
@given(array=arrays(), seed=st.integers(0, 99))
def test_weighted_tables_do_not_know_the_orientation(m, array, seed):
    weights = array * np.random.default_rng(seed).random(array.shape)
    assert same(value(m, weights), value(m, weights.T))


def batch_of(arrays_):
    cells = np.concatenate([a.ravel() for a in arrays_])
    rows = np.concatenate([np.repeat(np.arange(a.shape[0]), a.shape[1]) for a in arrays_])
    cols = np.concatenate([np.tile(np.arange(a.shape[1]), a.shape[0]) for a in arrays_])
    offsets = np.cumsum([0, *(a.size for a in arrays_)])
    n_rows, n_cols = (np.array([a.shape[k] for a in arrays_]) for k in (0, 1))
    return TableBatch.from_cells(cells, rows, cols, offsets, n_rows, n_cols)


@pytest.mark.parametrize(**by_name([m for m in EVERY if m.needs != "strata"]))
@settings(max_examples=12, deadline=None)
@given(several=st.lists(arrays(), min_size=1, max_size=5))
def test_alone_and_in_a_batch_are_the_same_to_the_bit(m, several):
    batch = batch_of(several)
    together = m.evaluate(batch)
    if m.per_cell:
        alone = np.concatenate([m.evaluate(ContingencyTable(a).batch()) for a in several])
    else:
        alone = np.array([value(m, a) for a in several])
    assert same(together, alone)


@pytest.mark.parametrize(**by_name(TABLE))
def test_zero_rows_are_nan(m):
    assert math.isnan(value(m, np.zeros((2, 3), dtype=np.int64)))
    assert len(m.evaluate(batch_of([np.zeros((0, 0), dtype=np.int64)]))) == 1


@pytest.mark.parametrize(**by_name(CELL))
def test_cells_of_zero_rows_are_nan(m):
    assert same(value(m, np.zeros((2, 3), dtype=np.int64)), np.full((2, 3), np.nan))


@pytest.mark.parametrize(**by_name(EVERY))
@settings(max_examples=10, deadline=None)
@given(array=arrays())
def test_the_base_scales_information_and_nothing_else(m, array):
    table = ContingencyTable(array)
    if m.needs == "strata":
        return
    if m.unit == "information":
        nats, bits = m.of(table, {"base": "e"}), m.of(table, {"base": 2})
        assert np.allclose(np.divide(nats, math.log(2)), bits, rtol=1e-15, equal_nan=True)
    else:
        assert "base" not in m.options
        with pytest.raises(UsageError, match="base"):
            m.of(table, {"base": 2})


@given(array=arrays(low=1))
@settings(max_examples=60, deadline=None)
def test_a_column_tells_all_of_itself(array):
    table = ContingencyTable(np.diag(array.ravel()))
    assert il.mutual_information(table) == pytest.approx(il.entropy(table), rel=1e-14)
    assert il.conditional_entropy(table) == 0
    assert il.variation_of_information(table) == 0
    if array.size > 1:
        assert il.normalized_mutual_information(table) == pytest.approx(1, rel=1e-14)
        assert il.cramers_v(table) == pytest.approx(1, rel=1e-14)
        assert il.adjusted_mutual_information(table) == pytest.approx(1, rel=1e-12)


@given(
    st.lists(st.integers(1, 10**7), min_size=1, max_size=6),
    st.lists(st.integers(1, 10**7), min_size=1, max_size=6),
)
@settings(max_examples=80, deadline=None)
def test_independence_gives_zero_exactly(a, b):
    table = ContingencyTable(np.outer(a, b))
    assert il.mutual_information(table) == 0
    assert il.chi_squared(table) == 0
    assert (il.pointwise_mutual_information(table) == 0).all()
    assert (il.g(table) < 1e-30).all()


@given(array=arrays())
@settings(max_examples=80, deadline=None)
def test_identities_of_information(array):
    if not array.sum():
        return
    table = ContingencyTable(array)
    h_x, h_y, h_xy = il.entropy(table), il.entropy(table, of="y"), il.joint_entropy(table)
    mi = il.mutual_information(table)
    assert mi == pytest.approx(h_x + h_y - h_xy, abs=1e-12)
    assert mi == pytest.approx(h_y - il.conditional_entropy(table), abs=1e-12)
    assert il.variation_of_information(table) == pytest.approx(h_xy - mi, abs=1e-12)
    assert mi == pytest.approx(il.contribution(table).sum(), abs=1e-12)
    assert mi == pytest.approx(il.total_correlation(table), abs=1e-12)
    assert il.g_statistic(table) == pytest.approx(
        il.g_contribution(table).sum(), rel=1e-9, abs=1e-3 * array.sum() * 1e-12
    )
    assert il.chi_squared(table) == pytest.approx(il.chi_squared_contribution(table).sum(), rel=1e-12)


@pytest.mark.parametrize("average", agreement.AVERAGES)
@given(array=arrays())
@settings(max_examples=25, deadline=None)
def test_averages(average, array):
    table = ContingencyTable(array)
    nmi = il.normalized_mutual_information(table, average=average)
    assert nmi == il.normalized_mutual_information(table.T, average=average) or math.isnan(nmi)
    assert math.isnan(nmi) or -1e-15 <= nmi <= 1 + 1e-12
    ami = il.adjusted_mutual_information(table, average=average)
    assert math.isnan(ami) or ami <= 1 + 1e-9


def test_directions():
    """The rows tell the columns, not the other way round."""
    table = ContingencyTable([[1, 0], [1, 0], [0, 2]])
    assert il.uncertainty_coefficient(table) == il.uncertainty_coefficient(table, given="x") == 1
    assert il.uncertainty_coefficient(table, given="y") < 1
    assert il.conditional_entropy(table) == 0
    assert il.homogeneity(table) < 1
    assert il.completeness(table) == 1
    assert il.information_gain_ratio(table) == il.homogeneity(table)
    assert il.uncertainty_coefficient(table, given="symmetric") == il.normalized_mutual_information(table)


def test_ami_where_every_table_has_the_same_mi():
    unique = ContingencyTable(np.eye(6, dtype=np.int64))
    halves = ContingencyTable([[1, 0]] * 3 + [[0, 1]] * 3)
    assert il.adjusted_mutual_information(unique) == 1
    assert il.adjusted_mutual_information(halves) == 0
    assert il.adjusted_mutual_information(halves, average="min") == 1
    assert math.isnan(il.adjusted_mutual_information(ContingencyTable([[0.5, 1.5], [2.5, 1.0]])))


@given(st.integers(2, 40), st.integers(2, 40), st.integers(0, 9))
@settings(max_examples=20, deadline=None)
def test_grouped_margins_change_nothing(rows, cols, seed):
    """Tables of more than 32 levels are summed by distinct margins."""
    array = np.random.default_rng(seed).integers(0, 4, (rows, cols))
    table = ContingencyTable(array)
    wide = ContingencyTable(np.pad(array, ((0, 40), (0, 40))))
    assert il.expected_mutual_information(table) == il.expected_mutual_information(wide)


def test_entropies_replace_the_residual_form_by_size_alone(monkeypatch):
    table = ContingencyTable(np.arange(1, 13).reshape(3, 4))
    residual = il.mutual_information(table)
    monkeypatch.setattr(plug_in, "RESIDUAL_CELLS", 12 + 3 + 4)
    assert il.mutual_information(table) == residual
    monkeypatch.setattr(plug_in, "RESIDUAL_CELLS", 12 + 3 + 3)
    parts = (
        il.entropy(table, base="e") + il.entropy(table, of="y", base="e") - il.joint_entropy(table, base="e")
    )
    assert il.mutual_information(table, base="e") == parts


def xyz():
    rng = np.random.default_rng(3)
    return ContingencyTable(rng.integers(0, 9, (3, 2, 4)))


@pytest.mark.parametrize(**by_name(CONDITIONAL))
def test_strata_of_one_table_are_that_table(m):
    batch = ContingencyTable([[3, 1, 2], [1, 4, 0]]).batch()
    one = Strata(batch, np.array([0]), 1)
    assert np.allclose(m.evaluate(one), m.evaluate(batch), rtol=1e-15)


@pytest.mark.parametrize(**by_name([m for m in CONDITIONAL if m.unit == "information"]))
def test_conditional_information_is_the_mean_over_rows(m):
    strata = xyz().strata()
    means = m.evaluate(Strata(strata, np.array([0, 0, 1, 1]), 2))
    for group, part in ((0, slice(0, 2)), (1, slice(2, 4))):
        each = [m.evaluate(Strata(strata, np.arange(4), 4))[part]]
        assert means[group] == pytest.approx(np.average(each[0], weights=strata.totals[part]))


def test_conditional_mutual_information_is_its_entropies():
    table = xyz()
    truth = (
        il.joint_entropy(table.marginal("x", "z"))
        + il.joint_entropy(table.marginal("y", "z"))
        - il.joint_entropy(table)
        - il.entropy(table.marginal("z"))
    )
    assert il.conditional_mutual_information(table) == pytest.approx(truth, abs=1e-13)
    assert il.conditional_mutual_information(table.strata(), groups=[0, 0, 0, 0])[0] == pytest.approx(
        truth, abs=1e-13
    )
    assert il.co_information(table) == pytest.approx(il.mutual_information(table.marginal("x", "y")) - truth)


def test_statistics_of_strata_add():
    strata = xyz().strata()
    whole = Strata(strata, np.zeros(4, dtype=np.int64), 1)
    for function in (il.g_statistic, il.chi_squared, il.degrees_of_freedom):
        assert function(whole)[0] == pytest.approx(function(strata).sum())
    assert 0 < il.g_p_value(whole)[0] < 1


def test_empty_strata_add_nothing_and_empty_groups_are_nan():
    table = ContingencyTable(np.dstack([[[1, 0], [0, 1]], [[0, 0], [0, 0]]]))
    assert il.conditional_mutual_information(table) == 1
    groups = Strata(table.strata(), np.array([0, 1]), 2)
    assert same(il.mutual_information(groups), [1, np.nan])
    assert same(il.degrees_of_freedom(groups), [1, np.nan])
    assert same(il.normalized_mutual_information(groups), [1, np.nan])


def test_total_correlation_of_many_columns():
    rng = np.random.default_rng(8)
    table = ContingencyTable(rng.integers(0, 5, (2, 3, 2, 2)))
    singles = sum(il.entropy(table.marginal(c)) for c in table.columns)
    assert il.total_correlation(table) == pytest.approx(singles - il.joint_entropy(table), abs=1e-13)
    assert il.co_information(ContingencyTable.from_labels([0, 1], [0, 1], [0, 1])) == 1


def test_measures_refuse_tables_they_are_not_for():
    cube = xyz()
    with pytest.raises(UsageError, match="two columns"):
        il.mutual_information(cube)
    with pytest.raises(UsageError, match="three or more"):
        il.conditional_mutual_information(cube.marginal("x", "y"))
    for function in (il.co_information, il.total_correlation, il.dual_total_correlation, il.o_information):
        with pytest.raises(UsageError, match="two or more"):
            function(cube.marginal("x"))
    with pytest.raises(UsageError, match="at most 16"):
        il.co_information(ContingencyTable.from_labels(*([[0, 1]] * 17)))
    with pytest.raises(UsageError, match="conditional"):
        il.adjusted_mutual_information(Strata(cube.strata(), np.zeros(4, dtype=np.int64), 1))
    given = ContingencyTable.from_cells(
        ([0], [0]), np.array([2]), levels=("ab", "cd"), columns=("x", "y"), margins=([3, 1], [2, 5]), total=9
    )
    with pytest.raises(UsageError, match="sums of the cells"):
        il.mutual_information(given)
    assert il.lift(given)[0, 0] == 3


def test_weights_scale_out():
    array = np.array([[3, 1, 2], [1, 4, 0]])
    for m in (il.mutual_information, il.normalized_mutual_information, il.entropy, il.cramers_v):
        assert m(ContingencyTable(array / 7)) == pytest.approx(m(ContingencyTable(array)), rel=1e-13)
    for m in (il.pointwise_mutual_information, il.normalized_pointwise_mutual_information, il.lift, il.dice):
        assert np.allclose(m(ContingencyTable(array / 7)), m(ContingencyTable(array)), rtol=1e-13)
    independent = np.outer([0.1, 0.2, 0.7], [0.3, 0.7])
    assert abs(il.mutual_information(ContingencyTable(independent))) < 1e-30
    assert il.mutual_information(ContingencyTable(independent * 1e9)) >= 0


def test_get_and_its_errors():
    assert il.get("mi") is il.get("mutual_information")
    assert il.get("chi_squared", per_cell=True).per_cell
    assert not il.get("chi_squared").per_cell
    assert il.get("pmi").per_cell
    with pytest.raises(UnknownMeasureError, match="mutual_information"):
        il.get("mutual_infomation")
    with pytest.raises(UnknownMeasureError, match="one value per table"):
        il.get("nmi", per_cell=True)
    with pytest.raises(UnknownMeasureError):
        il.get(["mi"])
    with pytest.raises(ValueError, match="taken twice"):
        catalogue.measure("mi")(lambda tables: tables)


def test_wrong_options():
    table = ContingencyTable([[1]])
    with pytest.raises(UsageError, match="average"):
        il.normalized_mutual_information(table, averge="min")
    with pytest.raises(UsageError, match="geometric"):
        il.normalized_mutual_information(table, average="geometrc")
    for base in (1, 0, -2, math.nan, math.inf, "trits", True, None):
        with pytest.raises(UsageError, match="base"):
            il.mutual_information(table, base=base)
    with pytest.raises(UsageError, match="shift"):
        il.shifted_positive_pointwise_mutual_information(table, shift=0)
    with pytest.raises(UsageError, match="beta"):
        il.v_measure(table, beta=0)


def test_the_frame_of_measures():
    frame = il.measures()
    assert len(frame) == len(EVERY)
    assert frame.loc["adjusted_mutual_information", "aliases"] == "ami"
    assert frame["summary"].str.startswith("Return ").all()
    assert set(frame["unit"]) == {"information", "none", "count"}


@pytest.mark.parametrize(**by_name(EVERY))
def test_public_functions(m):
    assert m.function.__name__ in il.__all__
    assert getattr(il, m.function.__name__) is m.function
    signature = inspect.signature(m.function)
    assert set(signature.parameters) == m.options | {"table"}
    assert pickle.loads(pickle.dumps(m.function)) is m.function


@pytest.mark.parametrize(**by_name(EVERY))
def test_doctests(m):
    module = sys.modules[m.function.__module__]
    test = doctest.DocTestParser().get_doctest(m.function.__doc__, vars(module).copy(), m.name, None, 0)
    assert test.examples
    assert doctest.DocTestRunner().run(test).failed == 0
