from contextlib import suppress
from datetime import UTC, date, datetime, time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from queuectl.instants import parse_instant, time_zone, to_instant
from queuectl.rules import Refused

BERLIN = "Europe/Berlin"


@pytest.mark.parametrize(
    ("text", "zone", "instant"),
    [
        ("2026-12-01T02:00:00+01:00", None, datetime(2026, 12, 1, 1, tzinfo=UTC)),
        ("2026-12-01 02:00Z", None, datetime(2026, 12, 1, 2, tzinfo=UTC)),
        ("2026-12-01t02:00:00.25z", None, datetime(2026, 12, 1, 2, 0, 0, 250_000, tzinfo=UTC)),
        ("2026-12-01T02:00", BERLIN, datetime(2026, 12, 1, 1, tzinfo=UTC)),
        ("2026-07-01T02:00", BERLIN, datetime(2026, 7, 1, tzinfo=UTC)),
        ("2026-12-01", BERLIN, datetime(2026, 11, 30, 23, tzinfo=UTC)),
        ("2026-12-01T02:00Z", BERLIN, datetime(2026, 12, 1, 2, tzinfo=UTC)),
    ],
)
def test_a_time_is_read_by_its_offset_or_else_by_the_zone(text, zone, instant):
    assert parse_instant(text, zone=zone) == instant


def test_a_time_that_the_clocks_skip_is_an_hour_later():
    assert parse_instant("2026-03-29T02:30", zone=BERLIN) == parse_instant("2026-03-29T03:30", zone=BERLIN)


def test_of_a_time_that_comes_twice_the_first_is_meant():
    assert parse_instant("2026-10-25T02:30", zone=BERLIN) == datetime(2026, 10, 25, 0, 30, tzinfo=UTC)


@pytest.mark.parametrize("text", ["2026-12-01T02:00", "2026-12-01"])
def test_a_time_without_an_offset_is_refused_if_there_is_no_zone(text):
    with pytest.raises(Refused, match=r"^must have an offset from UTC, such as `Z` or `\+01:00`: ") as refused:
        parse_instant(text, zone=None)

    assert refused.value.hint == f"for example `2026-12-01T0{2 if 'T' in text else 0}:00:00Z`"


@pytest.mark.parametrize(
    "text", ["", "now", "2026-12-1", "20261201", "2026-W01-1", "2026-12-01T24:00Z", "٢026-12-01", "1"]
)
def test_what_is_not_written_like_a_time_is_refused(text):
    with pytest.raises(ValueError, match=r"^must be a time like `2026-12-01T02:00:00\+01:00`: "):
        parse_instant(text, zone=BERLIN)


@pytest.mark.parametrize("text", ["2026-02-29", "2026-13-01T00:00Z", "2026-12-01T02:60Z", "2026-12-01T02:00+25:00"])
def test_a_time_that_does_not_exist_is_refused(text):
    with pytest.raises(ValueError, match=r"^must be a time that exists: "):
        parse_instant(text, zone=BERLIN)


@pytest.mark.parametrize(
    "text", ["0001-01-01T00:00+14:00", "1970-01-01T00:00+00:01", "3000-01-01T00:00Z", "9999-12-31T23:59-14:00"]
)
def test_a_year_far_away_is_refused(text):
    with pytest.raises(ValueError, match=r"^must lie in the years 1970 to 2999: "):
        parse_instant(text, zone=None)


@pytest.mark.parametrize(
    "value",
    [date(2026, 12, 1), datetime(2026, 12, 1), datetime(2026, 12, 1, tzinfo=UTC), "2026-12-01"],  # noqa: DTZ001
)
def test_the_dates_and_times_of_toml_are_read_as_their_text(value):
    assert to_instant(value, zone="UTC") == datetime(2026, 12, 1, tzinfo=UTC)


@pytest.mark.parametrize(("value", "what"), [(time(2), "a time of day: `02:00:00`"), (7, "a whole number: 7")])
def test_what_is_no_date_is_refused(value, what):
    with pytest.raises(ValueError, match=f"^must be a date and time, not {what}$"):
        to_instant(value, zone=BERLIN)


@pytest.mark.parametrize("zone", ["europe/berlin", "localtime", "../etc/passwd", "America", "", "Europe/Berlin\0"])
def test_only_the_names_of_the_zone_database_are_zones(zone):
    with pytest.raises(ValueError, match=r"^must (be an IANA time zone like|not have a NUL)"):
        time_zone(zone)


def test_an_unknown_zone_has_those_that_are_like_it():
    with pytest.raises(Refused) as refused:
        time_zone("Europe/Berln")

    assert refused.value.hint == "did you mean `Europe/Berlin`?"


@settings(max_examples=50)
@given(st.text(max_size=30) | st.datetimes().map(str) | st.datetimes(timezones=st.just(UTC)).map(datetime.isoformat))
def test_any_text_is_an_instant_in_utc_or_refused(text):
    with suppress(ValueError):
        assert parse_instant(text, zone=BERLIN).tzinfo is UTC
