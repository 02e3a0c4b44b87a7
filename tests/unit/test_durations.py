import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from queuectl.durations import LONGEST, format_duration, parse_duration

UNITS = {"w": 604800, "d": 86400, "h": 3600, "m": 60, "s": 1, "ms": 0.001}


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90", 90),
        ("0.5", 0.5),
        ("90s", 90),
        ("250ms", 0.25),
        ("15m", 900),
        ("1.5h", 5400),
        ("1h30m", 5400),
        ("2d", 172800),
        ("1w", 604800),
        ("0", 0),
    ],
)
def test_a_duration_is_a_number_of_seconds_or_numbers_with_units(text, seconds):
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(
    "text", ["", " 5s", "5 s", "5s\n", "-1s", "+1s", "1e3", "nan", "inf", ".5s", "5.", "h", "٣s", "5S"]
)
def test_anything_else_is_refused_with_a_sentence(text):
    with pytest.raises(ValueError, match=r"^must be a duration like `90s`, `15m` or `1h30m`: "):
        parse_duration(text)


@pytest.mark.parametrize("text", ["367d", "9999999999", "9" * 400])
def test_a_duration_of_more_than_a_year_is_a_typing_error(text):
    with pytest.raises(ValueError, match=r"^must be at most 366d: "):
        parse_duration(text)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0ms"),
        (0.25, "250ms"),
        (1, "1s"),
        (2.44, "2.4s"),
        (59.96, "1m"),
        (252, "4m 12s"),
        (3599.9, "1h"),
        (3900, "1h 05m"),
        (266_400, "3d 2h"),
    ],
)
def test_a_duration_is_shown_with_its_two_largest_units(seconds, text):
    assert format_duration(seconds) == text


@settings(max_examples=50)
@given(st.lists(st.tuples(st.integers(0, 99), st.sampled_from(list(UNITS))), min_size=1, max_size=3))
def test_the_parts_of_a_duration_add_up(parts):
    seconds = sum(number * UNITS[unit] for number, unit in parts)

    if seconds <= LONGEST:
        assert parse_duration("".join(f"{number}{unit}" for number, unit in parts)) == pytest.approx(seconds)


@settings(max_examples=100)
@given(st.floats(0, LONGEST))
def test_what_is_shown_of_a_duration_reads_as_that_duration_within_rounding(seconds):
    read = parse_duration(format_duration(seconds).replace(" ", ""))

    assert abs(read - seconds) <= max(0.0006, 0.051 if seconds < 60 else seconds / 24)
