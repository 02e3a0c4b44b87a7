import random
import re
from contextlib import suppress
from datetime import UTC, date, datetime, time, timedelta
from itertools import groupby, islice, pairwise
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from queuectl.catchup import MOST_CAUGHT_UP, MOST_RECORDED, ON_TIME, CaughtUp, Due, catch_up
from queuectl.cron import MACROS, FieldMatch
from queuectl.job import Catchup
from queuectl.rules import Refused
from queuectl.schedule import YEARS_AHEAD, Explanation, parse_schedule, spread_delay
from tests.support.cron_oracle import fires, ticks
from tests.support.factories import NOW

BERLIN = "Europe/Berlin"
LATEST, NONE, ALL = Catchup.LATEST, Catchup.NONE, Catchup.ALL

# Days on which clocks changed, each in a way of its own: by hours, at midnight, by parts of an hour, by a day.
CHANGES = [
    ("Europe/Berlin", date(2026, 3, 29)),
    ("Europe/Berlin", date(2026, 10, 25)),
    ("America/New_York", date(2027, 3, 14)),
    ("America/New_York", date(2027, 11, 7)),
    ("Australia/Lord_Howe", date(2026, 10, 4)),
    ("Australia/Lord_Howe", date(2026, 4, 5)),
    ("Pacific/Apia", date(2011, 12, 30)),
    ("America/Sao_Paulo", date(2018, 11, 4)),
    ("America/Sao_Paulo", date(2018, 2, 18)),
    ("America/Havana", date(2026, 3, 8)),
    ("America/Havana", date(2026, 11, 1)),
    ("America/St_Johns", date(2006, 10, 29)),
    ("Antarctica/Troll", date(2026, 3, 29)),
    ("Antarctica/Troll", date(2026, 10, 25)),
    ("Antarctica/Casey", date(2020, 3, 8)),
    ("Antarctica/Casey", date(2020, 10, 4)),
    ("Antarctica/Vostok", date(1994, 2, 1)),
    ("Asia/Kathmandu", date(1986, 1, 1)),
    ("America/Caracas", date(2007, 12, 9)),
    ("Africa/Casablanca", date(2027, 2, 7)),
]
WITHOUT_CHANGE = [("Asia/Kolkata", date(2026, 6, 1)), ("UTC", date(2038, 1, 19))]
EXAMPLES = 70, 50  # random expressions on the days around each of these, and on days anywhere


MONTHS = ["jan", "feb", "mar", "apr", "May", "jun", "jul", "AUG", "sep", "oct", "nov", "dec"]
WEEKDAYS = ["sun", "Mon", "tue", "WED", "thu", "fri", "sat"]


def utc(text):
    return datetime.fromisoformat(f"{text}Z")


def slots(expression, after, until, zone="UTC"):
    """Return the slots between two instants without their year and zone."""
    found = parse_schedule(expression, zone=zone).slots(utc(after), utc(until))
    return [f"{slot:%m-%dT%H:%M}" for slot in found]


def refused(written, zone=None):
    with pytest.raises(ValueError, match=r"^(must|has) ") as error:
        parse_schedule(written, zone=zone)
    return str(error.value), error.value.hint if isinstance(error.value, Refused) else None


# --- what is a schedule --------------------------------------------------------------------------------------


def test_a_schedule_keeps_the_expression_as_written_and_is_in_utc_without_a_zone():
    schedule = parse_schedule(" 30 2  * * Mon\t")

    assert (schedule.expression, schedule.zone) == ("30 2  * * Mon", "UTC")
    assert schedule == parse_schedule("30 2  * * Mon", zone="UTC")
    assert parse_schedule("@every\t90").meaning == timedelta(seconds=90)


@pytest.mark.parametrize(
    ("written", "sentence", "hint"),
    [
        (30, "must be a string, not a whole number: 30", None),
        ("@every", "must say how often after `@every`", "for example `@every 15m`"),
        ("@every ", "must say how often after `@every`", "for example `@every 15m`"),
        ("@every 500ms", "has an `@every` that must be at least 1s: `500ms`", None),
        ("@every 0", "has an `@every` that must be at least 1s: `0`", None),
        ("@every day", "has an `@every` that must be a duration like `90s`, `15m` or `1h30m`: `day`", None),
        ("@every 400d", "has an `@every` that must be at most 366d: `400d`", None),
        ("* * * *\0 *", "must not have a NUL character: `* * * *\\0 *`", None),
    ],
)
def test_what_is_no_schedule_is_refused(written, sentence, hint):
    found, found_hint = refused(written)

    assert (found.replace("\\x00", "\\0"), found_hint) == (sentence, hint)


def test_an_unknown_zone_has_those_that_are_like_it():
    assert refused("@daily", zone="Europe/Berln") == (
        "must be an IANA time zone like `Europe/Berlin`: `Europe/Berln`",
        "did you mean `Europe/Berlin`?",
    )


# --- slots ---------------------------------------------------------------------------------------------------


def test_the_next_slot_is_strictly_after():
    schedule = parse_schedule("30 2 * * *")

    assert schedule.after(utc("2026-12-01T02:29:59.999999")) == utc("2026-12-01T02:30")
    assert schedule.after(utc("2026-12-01T02:30")) == utc("2026-12-02T02:30")


def test_slots_are_after_the_one_instant_and_up_to_the_other():
    assert slots("*/30 * * * *", "2026-12-01T02:00", "2026-12-01T03:00") == ["12-01T02:30", "12-01T03:00"]
    assert slots("*/30 * * * *", "2026-12-01T02:00", "2026-12-01T02:29:59") == []
    assert slots("*/30 * * * *", "2026-12-01T02:00", "2026-12-01T01:00") == []


@pytest.mark.parametrize(
    ("expression", "zone", "after", "expected"),
    [
        ("0 0 29 2 *", "UTC", "2026-01-01T00:00", "2028-02-29T00:00"),
        ("0 0 29 2 *", "UTC", "2096-02-29T00:00", "2104-02-29T00:00"),
        ("0 0 29 2 */7", "UTC", "2088-02-29T00:00", "2128-02-29T00:00"),
        ("14 3 19 1 *", "UTC", "2037-12-31T00:00", "2038-01-19T03:14"),
        ("0 0 * * *", "America/New_York", "2038-01-19T03:14", "2038-01-19T05:00"),
        ("30 2 28 3 *", BERLIN, "2100-01-01T00:00", "2100-03-28T01:00"),
        ("0 9 * * *", "Asia/Kolkata", "2026-12-01T00:00", "2026-12-01T03:30"),
        ("0 * * * *", "Asia/Kathmandu", "2026-12-01T00:00", "2026-12-01T00:15"),
        ("*/30 * * * *", "Pacific/Marquesas", "2026-12-01T00:00", "2026-12-01T00:30"),
        ("0 0 * * *", "UTC", "1900-01-01T00:00", "1970-01-01T00:00"),
    ],
)
def test_the_next_slot_is_found_far_away_and_in_odd_zones(expression, zone, after, expected):
    assert parse_schedule(expression, zone=zone).after(utc(after)) == utc(expected)


def test_there_is_no_slot_after_the_year_2999():
    last = utc("2999-12-31T23:59")

    assert [parse_schedule(each).after(last) for each in ("@daily", "@every 1h")] == [None, None]
    assert parse_schedule("@daily").after(datetime.max.replace(tzinfo=UTC)) is None


def test_an_interval_counts_from_1970_whenever_it_was_declared():
    assert slots("@every 40m", "2026-12-01T00:07", "2026-12-01T02:00") == ["12-01T00:40", "12-01T01:20", "12-01T02:00"]
    assert parse_schedule("@every 1w").after(utc("2026-12-01T00:00")) == utc("2026-12-03T00:00")  # like 1970-01-01
    assert parse_schedule("@every 1.5s").after(utc("1970-01-01T00:00")) == utc("1970-01-01T00:00:01.500000")


def one_by_one(schedule, instant):
    while instant := schedule.after(instant):
        yield instant


@settings(max_examples=50)
@given(st.sampled_from(["@every 7m", "*/7 * * * *", "30 2 * * *", "0 */2 * * 0"]), st.integers(0, 10**6), st.integers())
def test_counting_is_listing_and_going_from_slot_to_slot(expression, minutes, seed):
    schedule = parse_schedule(expression, zone=BERLIN)
    after = utc("2026-01-01T00:00") + timedelta(minutes=minutes)
    until = after + timedelta(hours=seed % 100)

    listed = list(schedule.slots(after, until))

    assert schedule.count(after, until) == len(listed)
    assert listed == list(islice(one_by_one(schedule, after), len(listed)))


# --- changes of the clocks -----------------------------------------------------------------------------------

# expression, slots in UTC from noon to noon around the change; the page docs/reference/schedules.md shows some of them
BERLIN_SPRING = [
    ("59 1 * * *", ["03-29T00:59"]),
    ("0 2 * * *", ["03-29T01:00"]),
    ("30 2 * * *", ["03-29T01:00"]),
    ("0,30 2 * * *", ["03-29T01:00"]),
    ("30 2,3 * * *", ["03-29T01:00", "03-29T01:30"]),
    ("0 3 * * *", ["03-29T01:00"]),
    ("0 2,3 * * *", ["03-29T01:00"]),
    ("*/30 2 * * *", []),
    ("0 */2 * * *", [f"03-28T{hour}:00" for hour in (13, 15, 17, 19, 21, 23)] + ["03-29T02:00", "03-29T04:00"]),
]
BERLIN_AUTUMN = [
    ("59 1 * * *", ["10-24T23:59"]),
    ("0 2 * * *", ["10-25T00:00"]),
    ("30 2 * * *", ["10-25T00:30"]),
    ("0 3 * * *", ["10-25T02:00"]),
    ("*/30 2 * * *", ["10-25T00:00", "10-25T00:30", "10-25T01:00", "10-25T01:30"]),
    ("*/30 2 24 * *", []),
]


@pytest.mark.parametrize(("expression", "expected"), BERLIN_SPRING)
def test_of_skipped_times_the_fixed_ones_come_once_right_after_and_others_do_not(expression, expected):
    assert slots(expression, "2026-03-28T12:00", "2026-03-29T05:59", BERLIN) == expected


@pytest.mark.parametrize(("expression", "expected"), BERLIN_AUTUMN)
def test_of_repeated_times_the_fixed_ones_come_once_and_others_twice(expression, expected):
    assert slots(expression, "2026-10-24T12:00", "2026-10-25T12:00", BERLIN) == expected


@pytest.mark.parametrize("expression", ["@hourly", "0 * * * *", "*/15 * * * *", "*/20 */1 * * *"])
@pytest.mark.parametrize("day", ["2026-03-29", "2026-10-25"])
def test_times_in_every_hour_are_evenly_spaced_when_clocks_change(expression, day):
    found = list(parse_schedule(expression, zone=BERLIN).slots(utc(f"{day}T00:00"), utc(f"{day}T06:00")))

    assert len({later - earlier for earlier, later in pairwise(found)}) == 1


@pytest.mark.parametrize(
    ("zone", "expression", "after", "until", "expected"),
    [
        ("America/New_York", "30 2 * * *", "2027-03-14T00:00", "2027-03-15T12:00", ["03-14T07:00", "03-15T06:30"]),
        ("America/New_York", "30 1 * * *", "2027-11-07T00:00", "2027-11-08T12:00", ["11-07T05:30", "11-08T06:30"]),
        ("America/New_York", "*/30 1 * * *", "2027-11-07T05:45", "2027-11-07T12:00", ["11-07T06:00", "11-07T06:30"]),
        # Half an hour: 02:00 becomes 02:30, half an hour before the next full one.
        ("Australia/Lord_Howe", "15 2 * * *", "2026-10-03T12:00", "2026-10-04T12:00", ["10-03T15:30"]),
        ("Australia/Lord_Howe", "45 2 * * *", "2026-10-03T12:00", "2026-10-04T12:00", ["10-03T15:45"]),
        ("Australia/Lord_Howe", "*/15 2 * * *", "2026-10-03T12:00", "2026-10-04T12:00", ["10-03T15:30", "10-03T15:45"]),
        ("Australia/Lord_Howe", "* 3 * * *", "2026-10-03T12:00", "2026-10-03T16:01", ["10-03T16:00", "10-03T16:01"]),
        ("Australia/Lord_Howe", "45 1 * * *", "2026-04-04T12:00", "2026-04-05T12:00", ["04-04T14:45"]),
        ("Australia/Lord_Howe", "45 * * * *", "2026-04-04T14:40", "2026-04-04T15:30", ["04-04T14:45", "04-04T15:15"]),
        ("Australia/Lord_Howe", "*/15 2 * * *", "2026-04-04T14:00", "2026-04-04T15:50", ["04-04T15:30", "04-04T15:45"]),
        # A day that did not exist is a correction of the clocks: nothing is made up.
        ("Pacific/Apia", "0 12 * * *", "2011-12-29T00:00", "2011-12-31T12:00", ["12-29T22:00", "12-30T22:00"]),
        ("Pacific/Apia", "0 12 30 * *", "2011-12-29T00:00", "2012-01-30T12:00", ["01-29T22:00"]),
        ("Pacific/Apia", "0 */12 * * *", "2011-12-30T00:00", "2011-12-31T00:00", ["12-30T10:00", "12-30T22:00"]),
        # Midnight itself is skipped, and shown twice.
        ("America/Sao_Paulo", "0 0 * * *", "2018-11-03T12:00", "2018-11-05T12:00", ["11-04T03:00", "11-05T02:00"]),
        ("America/Sao_Paulo", "* 0 4 11 *", "2018-11-03T12:00", "2018-11-05T12:00", []),
        ("America/Sao_Paulo", "30 23 * * sat", "2018-02-17T12:00", "2018-02-18T12:00", ["02-18T01:30"]),
        ("America/Sao_Paulo", "9 */1 * * sat", "2018-02-18T01:00", "2018-02-18T12:00", ["02-18T01:09", "02-18T02:09"]),
    ],
)  # fmt: skip
def test_zones_change_their_clocks_in_many_ways(zone, expression, after, until, expected):
    assert slots(expression, after, until, zone) == expected


def test_a_time_that_came_in_the_first_of_two_hours_does_not_come_again_when_asked_in_the_second():
    assert parse_schedule("30 2 * * *", zone=BERLIN).after(utc("2026-10-25T01:15")) == utc("2026-10-26T01:30")


# --- the same as Debian's cron -------------------------------------------------------------------------------


def random_expression(chance, near):
    """Return an expression of five fields that is likely to fire on the days after ``near``."""

    def item(low, high, likely, names):
        kind = chance.random()
        if kind < 0.55:
            value = chance.choice(likely) if chance.random() < 0.7 else chance.randint(low, high)
            return names[value - low] if names and value - low < len(names) and chance.random() < 0.3 else str(value)
        first, last = sorted(chance.randint(low, high) for _ in range(2))
        step = f"/{chance.randint(1, high)}" if kind > 0.8 else ""
        return f"{first}-{last}{step}"

    def field(low, high, likely, star, names=()):
        kind = chance.random()
        if kind < star:
            return "*"
        if kind < star + 0.15:
            return f"*/{chance.randint(1, high + 1)}"
        items = [item(low, high, likely, names) for _ in range(chance.choice([1, 1, 1, 2, 3]))]
        if chance.random() < 0.04:
            items.insert(chance.randint(0, len(items)), "*")
        return ",".join(items)

    days = [(near + timedelta(days=ahead)).day for ahead in range(4)]
    return " ".join(
        [
            field(0, 59, [0, 15, 30, 45, 59], 0.15),
            field(0, 23, [0, 1, 2, 3, 23], 0.3),
            field(1, 31, days, 0.6),
            field(1, 12, [near.month], 0.75, MONTHS),
            field(0, 7, range(8), 0.6, WEEKDAYS),
        ]
    )


@pytest.mark.parametrize(("zone", "day"), [*CHANGES, *WITHOUT_CHANGE])
def test_random_expressions_fire_as_in_debians_cron(zone, day):
    chance = random.Random(f"{zone} {day}")
    around = datetime.combine(day, time(), UTC) - timedelta(days=1)
    anywhere = datetime(chance.randint(1996, 2040), chance.randint(1, 12), 1, tzinfo=UTC)
    count = 0
    for begin, examples in zip((around, anywhere), EXAMPLES, strict=True):
        minutes = list(ticks(zone, begin - timedelta(days=1), begin + timedelta(days=3)))
        for _ in range(examples):
            expression = random_expression(chance, begin)
            after = begin + timedelta(seconds=chance.randrange(2 * 86400))
            expected = [instant for instant in fires(expression, minutes) if instant > after]
            count += len(expected)

            found = []
            with suppress(ValueError):  # it never comes
                found = list(parse_schedule(expression, zone=zone).slots(after, minutes[-1].instant))

            assert (expression, after, found) == (expression, after, expected)
    assert count > 1000


# --- explanations --------------------------------------------------------------------------------------------


def explained(expression, local, zone=BERLIN):
    return parse_schedule(expression, zone=zone).explain(datetime.fromisoformat(local))


def test_a_local_minute_is_explained_field_by_field():
    assert explained("*/15 2 1,15 * Tue", "2026-12-02T02:30") == Explanation(
        fields=(
            FieldMatch("minute", "*/15", 30, True),
            FieldMatch("hour", "2", 2, True),
            FieldMatch("day of month", "1,15", 2, False),
            FieldMatch("month", "*", 12, True),
            FieldMatch("day of week", "Tue", 3, False),
        ),
        is_either_day=True,
        is_named=False,
        offset=timedelta(hours=1),
        irregular=None,
        slots=(),
    )


@pytest.mark.parametrize(
    ("expression", "local", "is_named", "irregular", "expected"),
    [
        ("30 2 * * *", "2026-12-01T02:30:59", True, None, ["2026-12-01T01:30"]),
        ("30 2 * * *", "2026-12-01T02:31", False, None, []),
        ("30 2 * * *", "2026-03-29T02:30", True, "gap", ["2026-03-29T01:00"]),
        ("31 2 * * *", "2026-03-29T02:30", False, "gap", []),
        ("*/30 2 * * *", "2026-03-29T02:30", True, "gap", []),
        ("30 2 * * *", "2026-10-25T02:30", True, "overlap", ["2026-10-25T00:30"]),
        ("*/30 2 * * *", "2026-10-25T02:30", True, "overlap", ["2026-10-25T00:30", "2026-10-25T01:30"]),
        ("@every 20s", "2026-12-01T02:30", True, None, [f"2026-12-01T01:30:{second}" for second in ("00", "20", "40")]),
        ("@every 20m", "2026-12-01T02:30", False, None, []),
        ("@every 20m", "2026-03-29T02:20", False, "gap", []),
    ],
)
def test_a_local_minute_leads_to_slots_or_to_none(expression, local, is_named, irregular, expected):
    found = explained(expression, local)

    assert (found.is_named, found.irregular, found.slots) == (is_named, irregular, tuple(map(utc, expected)))


def test_a_minute_of_a_day_that_the_clocks_skipped_leads_to_none():
    found = explained("0 0 * * *", "2011-12-30T00:00", "Pacific/Apia")

    assert (found.is_named, found.irregular, found.slots) == (True, "gap", ())


# --- warnings ------------------------------------------------------------------------------------------------

ON = "on 2027-03-28 the clocks of Europe/Berlin"
BACK = "on 2027-10-31 the clocks of Europe/Berlin"


@pytest.mark.parametrize(
    ("expression", "zone", "expected"),
    [
        ("30 3 * * *", BERLIN, []),
        ("30 2 * * *", "UTC", []),
        ("0 * * * *", BERLIN, []),
        ("@every 1h", BERLIN, []),
        ("30 2 29 3 *", BERLIN, [
            "on 2037-03-29 the clocks of Europe/Berlin go from 02:00 to 03:00: what is due at 02:30 runs at 03:00",
        ]),
        ("5,30 2 * * *", BERLIN, [
            f"{ON} go from 02:00 to 03:00: what is due at 02:05, 02:30 runs at 03:00",
            f"{BACK} go back from 03:00 to 02:00: what is due at 02:05, 02:30 runs once, the first time",
        ]),
        ("*/10 2 * * *", BERLIN, [
            f"{ON} go from 02:00 to 03:00: what is due at 02:00, 02:10, … 02:50 does not run",
            f"{BACK} go back from 03:00 to 02:00: what is due at 02:00, 02:10, … 02:50 runs both times",
        ]),
        ("0 * * * *", "Australia/Lord_Howe", [
            "on 2027-10-03 the clocks of Australia/Lord_Howe go from 02:00 to 02:30: what is due at 02:00 does not run",
        ]),
        ("0 12 13 * fri", "UTC", [
            "both day fields are set, and either is enough: it runs on days of month `13`, and on days of week `fri`",
        ]),
        ("*/7 3 * * *", "UTC", ["the minute `*/7` does not go on evenly: after 56 comes 0"]),
    ],
)  # fmt: skip
def test_what_is_likely_not_meant_is_warned_of(expression, zone, expected):
    now = utc("2027-10-31T12:00") if "29 3" in expression else NOW

    assert parse_schedule(expression, zone=zone).warnings(now=now, timeout=None) == expected


@pytest.mark.parametrize(
    ("expression", "timeout", "shortest"),
    [
        ("*/15 * * * *", 900.1, "15m"),
        ("*/7 * * * *", 300, "4m"),
        ("0 2,3 * * *", 5400, "1h"),
        ("30 2 * * *", 86000, "23h 30m"),
        ("@every 90s", 120, "1m 30s"),
    ],
)
def test_a_time_out_longer_than_the_shortest_interval_is_warned_of(expression, timeout, shortest):
    schedule = parse_schedule(expression, zone=BERLIN)

    assert f"is longer than the shortest interval, {shortest}: " in schedule.warnings(now=NOW, timeout=timeout)[-1]


@pytest.mark.parametrize("expression", ["*/15 * * * *", "@every 15m", "0 0 29 2 *"])
def test_a_time_out_as_long_as_the_shortest_interval_is_none_to_speak_of(expression):
    assert parse_schedule(expression).warnings(now=NOW, timeout=900) == []


# --- after a downtime ----------------------------------------------------------------------------------------


def caught_up(late, *, every=60, catchup=LATEST, window=None, slots=1):
    """Catch up when the last of ``slots`` is ``late`` seconds ago; return how many of each reason, oldest first."""
    schedule = parse_schedule(f"@every {every}")
    first = NOW - timedelta(seconds=every * (slots - 1))
    after = catch_up(schedule, first, NOW + timedelta(seconds=late), catchup=catchup, window=window)
    assert [due.slot for due in after.due] == [first + timedelta(seconds=every * number) for number in range(slots)]
    assert after.next_slot == NOW + timedelta(seconds=every)
    return [(reason, len(list(group))) for reason, group in groupby(due.reason for due in after.due)]


def test_before_the_next_slot_nothing_is_due():
    schedule = parse_schedule("@hourly")

    assert catch_up(schedule, NOW, NOW - timedelta(hours=3), catchup=ALL) == CaughtUp(next_slot=NOW)


def test_a_slot_is_due_at_its_own_instant():
    after = catch_up(parse_schedule("@hourly"), NOW, NOW, catchup=NONE)

    assert after == CaughtUp(due=(Due(NOW),), next_slot=NOW + timedelta(hours=1))


@pytest.mark.parametrize(
    ("catchup", "expected"),
    [
        (LATEST, [("coalesced", 999), (None, 1)]),
        (NONE, [("missed", 1000)]),
        (ALL, [("missed", 900), (None, 100)]),
    ],
)
def test_of_a_thousand_missed_slots_one_runs_or_none_or_a_hundred(catchup, expected):
    assert caught_up(100, every=120, slots=1000, catchup=catchup) == expected


@pytest.mark.parametrize(("late", "reason"), [(0, None), (60, None), (60.001, "missed")])
def test_a_slot_is_on_time_for_a_minute(late, reason):
    assert caught_up(late, every=3600, catchup=NONE) == [(reason, 1)]


def test_slots_that_are_on_time_all_run_if_late_ones_do_not():
    assert caught_up(0, every=20, slots=6, catchup=NONE) == [("missed", 2), (None, 4)]


@pytest.mark.parametrize(
    ("catchup", "window", "expected"),
    [
        (LATEST, 3600, [("missed", 6), ("coalesced", 3), (None, 1)]),
        (LATEST, 300, [("missed", 10)]),
        (ALL, 3600, [("missed", 6), (None, 4)]),
        (ALL, 300, [("missed", 10)]),
        (NONE, 3600, [("missed", 10)]),
    ],
)
def test_what_is_older_than_the_window_is_missed(catchup, window, expected):
    assert caught_up(500, every=900, slots=10, catchup=catchup, window=window) == expected


@pytest.mark.parametrize("catchup", [LATEST, ALL])
def test_no_window_is_too_small_for_a_slot_that_is_on_time(catchup):
    assert caught_up(60, every=3600, slots=2, catchup=catchup, window=0) == [("missed", 1), (None, 1)]


@pytest.mark.parametrize(("expression", "years"), [("* * * * *", 30), ("@every 1s", 10)])
def test_slots_beyond_number_are_folded(expression, years):
    first = NOW - years * timedelta(days=365)
    after = catch_up(parse_schedule(expression, zone=BERLIN), first, NOW, catchup=LATEST)
    step = after.due[1].slot - after.due[0].slot

    assert len(after.due) == MOST_RECORDED
    assert after.due[-1] == Due(NOW)
    assert after.due[0] == Due(NOW - (MOST_RECORDED - 1) * step, "coalesced")
    assert after.folded == years * timedelta(days=365) // step + 1 - MOST_RECORDED
    assert (after.first_folded, after.last_folded) == (first, after.due[0].slot - step)


@pytest.mark.parametrize("folded", [0, 1, 2])
def test_the_last_slot_that_is_folded_is_the_one_before_the_first_that_is_not(folded):
    first = NOW - timedelta(minutes=MOST_RECORDED - 1 + folded)

    after = catch_up(parse_schedule("* * * * *"), first, NOW, catchup=ALL)

    assert after.folded == folded
    assert after.due[0].slot == first + timedelta(minutes=folded)
    assert after.last_folded == (after.due[0].slot - timedelta(minutes=1) if folded else None)
    assert sum(due.reason is None for due in after.due) == MOST_CAUGHT_UP


def test_a_stored_slot_that_the_schedule_does_not_have_counts_once():
    odd = NOW - timedelta(minutes=7)

    after = catch_up(parse_schedule("@hourly"), odd, NOW, catchup=ALL)

    assert after.due == (Due(odd), Due(NOW))


@settings(max_examples=100)
@given(st.sampled_from(list(Catchup)), st.integers(0, 10**6), st.none() | st.integers(0, 10**6), st.integers(1, 3000))
def test_every_slot_is_accounted_for_once_and_nothing_twice(catchup, seconds, window, every):
    schedule = parse_schedule(f"@every {every}")
    first = schedule.after(NOW)
    now = first + timedelta(seconds=seconds)

    after = catch_up(schedule, first, now, catchup=catchup, window=window)

    assert after.folded + len(after.due) == 1 + schedule.count(first, now)
    assert [due.slot for due in after.due] == sorted({due.slot for due in after.due})
    assert sum(due.reason is None for due in after.due) <= (1 if catchup is LATEST else MOST_CAUGHT_UP)
    assert after.next_slot == schedule.after(now)
    assert catch_up(schedule, after.next_slot, now, catchup=catchup) == CaughtUp(next_slot=after.next_slot)


# --- spreading -----------------------------------------------------------------------------------------------


def test_a_job_always_waits_as_long():
    assert spread_delay("nightly/backup", 3600) == timedelta(seconds=3196)


@given(st.text(max_size=20), st.floats(0, 10**7))
def test_a_delay_is_a_number_of_seconds_below_the_spread(job, spread):
    delay = spread_delay(job, spread)

    assert delay % timedelta(seconds=1) == timedelta()
    assert timedelta() <= delay < timedelta(seconds=spread) or not delay


def test_delays_are_spread_evenly():
    delays = {spread_delay(f"nightly/job-{number}", 600) for number in range(3000)}

    assert len(delays) > 590


# --- the page docs/reference/schedules.md ----------------------------------------------------------------------

PAGE = (Path(__file__).parents[2] / "docs" / "reference" / "schedules.md").read_text(encoding="utf-8")


def table(title):
    """Return the cells of all the tables below a heading, without the names of their columns."""
    text = PAGE.partition(f"# {title}\n")[2].partition("\n#")[0]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line[:1] == "|"]
    return [
        row for row, below in pairwise([*rows, [""]]) if not row[0].startswith("--") and not below[0].startswith("--")
    ]


def codes(cell):
    return re.findall(r"`([^`]+)`", cell)


@pytest.mark.parametrize("title", re.findall(r"^### (\w+/\w+, .*)$", PAGE, re.MULTILINE))
def test_the_page_shows_the_slots_around_changes_of_the_clocks(title):
    zone, first, last = re.fullmatch(r"(.*), (\S+?)(?: to (\S+))?", title).groups()
    tz, after = ZoneInfo(zone), utc(f"{first}T00:00") - timedelta(days=2)
    show = "%m-%d %H:%M" if last else "%H:%M"
    assert table(title)
    for expression, shown in table(title):
        found = parse_schedule(*codes(expression), zone=zone).slots(after, after + timedelta(days=8))
        local = [slot.astimezone(tz) for slot in found if first <= f"{slot.astimezone(tz):%Y-%m-%d}" <= (last or first)]
        assert shown == (", ".join(each.strftime(show) + each.isoformat()[-6:] for each in local) or "not at all")


def test_the_page_shows_what_the_macros_mean():
    assert {macro: fields for row in table("Macros") for macro, fields in [map("".join, map(codes, row))]} == MACROS


def test_what_the_page_says_is_refused_is_and_what_it_says_to_write_is_not():
    rows = table("What is refused")
    assert len(rows) > 10
    for wrong, instead in rows:
        with pytest.raises(ValueError, match=r"^(must|has|never)"):
            parse_schedule(*codes(wrong))
        for code in codes(instead):
            if code.startswith("@") or len(code.split()) == 5:
                parse_schedule(code)


def test_the_page_says_which_day_matches():
    first = utc("2026-12-01T00:00")  # a Tuesday
    due = {
        example: [slot.day for slot in parse_schedule(*codes(example)).slots(first, first + timedelta(days=20))]
        for *_, example, _ in table("Expressions")
        if codes(example)[0].startswith("0 2 ")
    }
    assert list(due.values()) == [[1, 4, 11, 15, 18], [4, 11, 18], [11]]


def test_the_page_says_what_runs_after_a_downtime():
    rows = [row for row in table("After a downtime") if len(row) == 5]
    assert len(rows) == 5
    for catchup, window, *numbers in rows:
        found = caught_up(100, every=120, slots=1000, catchup=Catchup(*codes(catchup)), window=3600 if window else None)
        assert [f"{dict(found).get(reason, 0):,}" for reason in (None, "coalesced", "missed")] == numbers


def test_the_page_has_the_numbers():
    expressions = sum(EXAMPLES) * len([*CHANGES, *WITHOUT_CHANGE])
    numbers = [ON_TIME.total_seconds(), MOST_CAUGHT_UP, MOST_RECORDED, YEARS_AHEAD, len(CHANGES), expressions]
    assert numbers == [60, 100, 10_000, 10, 20, 2640]
    for words in (
        "more than 60 s old",
        "the newest 100",
        "more than 10,000",
        "the next ten years",
        "20 changes",
        "2,640 random expressions",
    ):
        assert words in " ".join(PAGE.split())
