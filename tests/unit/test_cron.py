from datetime import UTC, datetime, timedelta

import pytest

from queuectl.cron import MACROS, parse_cron
from queuectl.rules import Refused


def refused(written):
    """Return the sentence and the hint that an expression is refused with."""
    with pytest.raises(ValueError, match=r"^(must|never) ") as error:
        parse_cron(written)
    return str(error.value), error.value.hint if isinstance(error.value, Refused) else None


def values(written):
    return [sorted(field.values) for field in parse_cron(written).fields]


def days(written, first, count):
    """Return which of the days from ``first`` on have a local time of the expression."""
    first = datetime.fromisoformat(f"{first}T00:00Z")
    return sorted({f"{local:%m-%d}" for local in parse_cron(written).local_times(first, first + timedelta(days=count))})


@pytest.mark.parametrize(
    ("written", "place", "expected"),
    [
        ("7 * * * *", 0, [7]),
        ("007 * * * *", 0, [7]),
        ("1,3,1 * * * *", 0, [1, 3]),
        ("10-12 * * * *", 0, [10, 11, 12]),
        ("10-20/4 * * * *", 0, [10, 14, 18]),
        ("*/25 * * * *", 0, [0, 25, 50]),
        ("*/100 * * * *", 0, [0]),
        ("5-5/2 * * * *", 0, [5]),
        ("*,5 22-23 * * *", 1, [22, 23]),
        ("0 0 */10 * *", 2, [1, 11, 21, 31]),
        ("0 0 * jan,MAR-May *", 3, [1, 3, 4, 5]),
        ("0 0 * */5 *", 3, [1, 6, 11]),
        ("0 0 * * 7", 4, [0]),
        ("0 0 * * 5-7", 4, [0, 5, 6]),
        ("0 0 * * Sun-tue", 4, [0, 1, 2]),
        ("0 0 * * */2", 4, [0, 2, 4, 6]),
        ("0 0 * * 1-7/2", 4, [0, 1, 3, 5]),
        ("\t0  0\t* * 3 ", 4, [3]),
    ],
)
def test_a_field_allows_what_it_lists(written, place, expected):
    assert values(written)[place] == expected


@pytest.mark.parametrize(("macro", "fields"), MACROS.items())
def test_a_macro_is_five_fields(macro, fields):
    assert parse_cron(macro) == parse_cron(fields)


# 2026-12-01 is a Tuesday.
@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("0 0 5 * *", ["12-05"]),
        ("0 0 * * sat", ["12-05", "12-12"]),
        ("0 0 7 * sat", ["12-05", "12-07", "12-12"]),
        ("0 0 */2 * sat", ["12-05"]),
        ("0 0 6,7 * */6", ["12-06"]),
        ("0 0 1-31 * sat", [f"12-{day:02}" for day in range(1, 15)]),
        ("0 0 *,5 * sat", ["12-05", "12-12"]),
        ("0 0 5,* * sat", [f"12-{day:02}" for day in range(1, 15)]),
        ("0 0 5-5/2 * *", ["12-05"]),
        ("0 0 5 11 sat", []),
    ],
)
def test_one_day_field_is_enough_unless_one_begins_with_a_star(written, expected):
    assert days(written, "2026-12-01", 14) == expected


def test_times_are_those_in_the_range_without_its_end():
    cron = parse_cron("0,30 8-9 * * *")
    first = datetime(2026, 12, 1, 8, 30, tzinfo=UTC)

    found = list(cron.local_times(first, first + timedelta(days=1), minus=timedelta(hours=1)))

    assert [f"{instant:%dT%H:%M}" for instant in found] == ["01T07:30", "01T08:00", "01T08:30", "02T07:00"]
    assert cron.count(first, first + timedelta(days=1)) == 4


@pytest.mark.parametrize(
    ("written", "sentence"),
    [
        ("60 * * * *", "must have a minute from 0 to 59: `60`"),
        ("0-60/5 * * * *", "must have a minute from 0 to 59: `0-60/5`"),
        ("-1 * * * *", "must have a minute from 0 to 59: `-1`"),
        ("+1 * * * *", "must have a minute from 0 to 59: `+1`"),
        ("mon * * * *", "must have a minute from 0 to 59: `mon`"),
        ("1-2-3 * * * *", "must have a minute from 0 to 59: `1-2-3`"),
        ("٢ * * * *", "must have a minute from 0 to 59: `٢`"),
        ("0 24 * * *", "must have an hour from 0 to 23: `24`"),
        ("0 0 0 * *", "must have a day of month from 1 to 31: `0`"),
        ("0 0 32 * *", "must have a day of month from 1 to 31: `32`"),
        ("0 0 * 13 *", "must have a month from 1 to 12 or `jan` to `dec`: `13`"),
        ("0 0 * mon *", "must have a month from 1 to 12 or `jan` to `dec`: `mon`"),
        ("0 0 * * 8", "must have a day of week from 0 to 7 or `sun` to `sat`: `8`"),
        ("*/0 * * * *", "must have steps of 1 or more in the minute: `*/0`"),
        ("*-5 * * * *", "must have `*` alone or with a step in the minute: `*-5`"),
        ("1,,2 * * * *", "must have a value on both sides of each comma in the minute"),
        ("0 1, * * *", "must have a value on both sides of each comma in the hour"),
        ("0 0 30 2 *", "never comes: day of month `30`, but month `2` has 29 at most"),
        ("0 0 31 feb,4-6/2 */2", "never comes: day of month `31`, but month `feb,4-6/2` has 30 at most"),
        ("0 " * 300, f"must have at most 500 characters: `{'0 ' * 29}0…`"),
    ],
)
def test_what_cron_does_not_know_is_refused(written, sentence):
    assert refused(written) == (sentence, None)


@pytest.mark.parametrize(
    ("written", "sentence", "hint"),
    [
        ("", "must not be empty", "for example `30 2 * * *` or `@daily`"),
        (
            "30 2 * *",
            "must have 5 fields, not 4: `30 2 * *`",
            "the fields are: minute, hour, day of month, month, day of week",
        ),
        (
            "0 30 2 * * mon",
            "must have 5 fields, not 6: `0 30 2 * * mon`",
            "there are no seconds and no years: `30 2 * * mon` or `0 30 2 * *`",
        ),
        ("*/10 * * * * *", "must have 5 fields, not 6: `*/10 * * * * *`", "for seconds: `@every 10s`"),
        ("* * * * * *", "must have 5 fields, not 6: `* * * * * *`", "for seconds: `@every 1s`"),
        (
            "@reboot",
            "must be a time, and `@reboot` is none",
            "let the machine's cron or systemd call `queuectl enqueue` when it starts",
        ),
        (
            "@Daily",
            f"must be one of {', '.join(MACROS)}, @every or five fields: `@Daily`",
            "did you mean `@daily`?",
        ),
        ("5/15 * * * *", "must have steps after `*` or a range in the minute: `5/15`", "`5-59/15`"),
        ("0 22-2 * * *", "must have ranges that go up in the hour: `22-2`", "`22-23,0-2`"),
        ("0 23-1 * * *", "must have ranges that go up in the hour: `23-1`", "`23,0-1`"),
        ("0 22-2/2 * * *", "must have ranges that go up in the hour: `22-2/2`", None),
        ("0 0 * nov-feb *", "must have ranges that go up in the month: `nov-feb`", "`11-12,1-2`"),
        ("0 0 * * fri-sun", "must have ranges that go up in the day of week: `fri-sun`", "`5-7`"),
        ("0 0 * * fri-mon", "must have ranges that go up in the day of week: `fri-mon`", "`5-6,0-1`"),
        (
            "0 0 * February *",
            "must have a month from 1 to 12 or `jan` to `dec`: `February`",
            "`feb`",
        ),
        ("0 0 ? * mon", "must not have `?` in the day of month: `?`", "`*` means the same"),
        (
            "H H(0-7) * * *",
            "must not have `H` in the minute: `H`",
            "write a number of your choice, another one for each job",
        ),
    ],
)
def test_who_writes_another_dialect_is_told_what_to_write(written, sentence, hint):
    assert refused(written) == (sentence, hint)


@pytest.mark.parametrize(
    ("written", "sign"),
    [
        ("0 0 L * *", "L"),
        ("0 0 L-3 * *", "L"),
        ("0 0 LW * *", "W"),
        ("0 0 15W * *", "W"),
        ("0 0 * * 5L", "L"),
        ("0 0 * * friL", "L"),
        ("0 0 * * mon#2", "#"),
    ],
)
def test_days_that_cron_cannot_name_are_for_the_command_to_test(written, sign):
    sentence, hint = refused(written)

    assert sentence.startswith(f"must not have `{sign}` in the day of ")
    assert hint == "name more days than needed, and let the command test the date"


@pytest.mark.parametrize("written", ["0 0 30 2 mon", "0 0 29 2 *", "0 0 31 */2 *"])
def test_what_is_rare_is_no_mistake(written):
    begin = datetime(2097, 1, 1, tzinfo=UTC)

    assert parse_cron(written).count(begin, begin + timedelta(days=8 * 366)) > 0


@pytest.mark.parametrize(
    ("written", "remarks"),
    [
        ("*/7 * * * *", ["the minute `*/7` does not go on evenly: after 56 comes 0; `@every 7m` goes on evenly"]),
        ("*/7 3 * * *", ["the minute `*/7` does not go on evenly: after 56 comes 0"]),
        ("0 0-23/5 * * *", ["the hour `0-23/5` does not go on evenly: after 20 comes 0; `@every 5h` goes on evenly"]),
        ("*/90 * * * *", ["the minute `*/90` means 0 only: the last of all is 59; `@every 90m` goes on evenly"]),
        ("0 0 */2 * *", ["the day of month `*/2` begins again with every month: after 31 comes 1"]),
        ("0 0 1 */5 *", ["the month `*/5` does not go on evenly: after 11 comes 1"]),
        ("0 0 * * */2", ["the day of week `*/2` does not go on evenly: after 6 comes 0"]),
        (
            "0 0 13 * fri",
            ["both day fields are set, and either is enough: it runs on days of month `13`, and on days of week `fri`"],
        ),
        (
            "0 0 *,13 * fri",
            [
                "the day of month `*,13` begins with `*`, so a day must match both day fields: `*,13` and `fri`",
            ],
        ),
        ("*/5 */2 * */3 *", []),
        ("0-30/7 5-10 1-15/2 * *", []),
        ("0 0 * * */7", []),
        ("@weekly", []),
    ],
)
def test_what_surprises_people_is_remarked_upon(written, remarks):
    assert parse_cron(written).remarks() == remarks
