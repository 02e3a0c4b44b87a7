from hypothesis import given
from hypothesis import strategies as st

from queuectl.measures import BOUNDS, NOTHING, add_attempt, measure_of, no_sums, quantile, total

MINUTE = 60_000_000


def measured(*seconds):
    sums = no_sums()
    for each in seconds:
        add_attempt(sums, took=round(each * 1_000_000), waited=0)
    return measure_of(sums)


def test_an_attempt_is_counted_in_the_cell_of_its_bound():
    sums = no_sums()
    add_attempt(sums, took=MINUTE, waited=MINUTE + 1)

    measure = measure_of(sums)

    assert (measure.count, measure.took, measure.waited) == (1, 60.0, 60.000001)
    assert measure.took_cells.index(1) == BOUNDS.index(60.0)
    assert measure.waited_cells.index(1) == BOUNDS.index(60.0) + 1


def test_a_clock_that_was_set_back_makes_no_negative_time():
    sums = no_sums()
    add_attempt(sums, took=-5, waited=-MINUTE)

    assert (measure_of(sums).took, measure_of(sums).waited) == (0, 0)


def test_what_is_longer_than_all_bounds_is_counted_last():
    assert measured(86_401).took_cells == (*[0] * len(BOUNDS), 1)


def test_measures_add_up():
    assert total([measured(1, 5), measured(), measured(100)]) == measured(1, 5, 100)
    assert total([]) == NOTHING


def test_a_histogram_of_nothing_has_no_quantile():
    assert quantile(NOTHING.took_cells, 0.5) is None


def test_a_quantile_is_spread_evenly_within_its_cell():
    assert quantile(measured(31, 32, 33, 34).took_cells, 0.5) == 45.0
    assert quantile(measured(100_000).took_cells, 0.95) == BOUNDS[-1]


@given(st.lists(st.floats(0, 80_000), min_size=1), st.floats(0.01, 1))
def test_a_quantile_lies_in_the_cell_of_the_true_one(seconds, share):
    true = sorted(seconds)[max(-int(-share * len(seconds) // 1) - 1, 0)]
    bounds = (0.0, *BOUNDS)
    cell = next(index for index, bound in enumerate(BOUNDS) if round(true * 1_000_000) <= round(bound * 1_000_000))

    found = quantile(measured(*seconds).took_cells, share)

    assert bounds[cell] <= found <= bounds[cell + 1]
