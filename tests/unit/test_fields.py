import json
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from queuectl.adhoc import Adhoc, parse_adhoc
from queuectl.errors import UsageError
from queuectl.faults import Fault, faults
from queuectl.fields import JOB_KEYS, JobFields, merge, to_spec
from queuectl.retry import RetryPolicy
from queuectl.rules import LONGEST_ARGUMENT
from queuectl.spec import JobSpec

FIELDS = TypeAdapter(JobFields)


def wrong(**written):
    """Return what is said about these keys of a job."""
    with pytest.raises(ValidationError) as refused:
        FIELDS.validate_python(written)
    return [fault.sentence for fault in faults(refused.value, known=lambda _: JOB_KEYS)]


def adhoc(**written):
    return parse_adhoc(json.dumps({"command": "true"} | written), folder="/srv")


def refused(text):
    with pytest.raises(UsageError) as error:
        parse_adhoc(text, folder="/srv")
    return str(error.value)


def test_the_keys_that_are_written_come_out_as_they_are_kept():
    fields = FIELDS.validate_python(
        {
            "command": ["rsync", "-a", ""],
            "timeout": "1h30m",
            "retry_delay": 0,
            "backoff_base": 2,
            "fail_on_exit_codes": [2, 1, 2],
            "tags": ["b", "a", "b"],
            "env": {"LANG": "C"},
        }
    )

    assert fields == {
        "command": ("rsync", "-a", ""),
        "timeout": 5400.0,
        "retry_delay": 0.0,
        "backoff_base": 2.0,
        "fail_on_exit_codes": (1, 2),
        "tags": ("b", "a"),
        "env": {"LANG": "C"},
    }


@pytest.mark.parametrize(
    ("key", "value", "sentence"),
    [
        ("retries", -1, "must be 0 or more: -1"),
        ("retries", 1001, "must be 1000 or less: 1001"),
        ("retries", "3", "must be a whole number, not a string: `3`"),
        ("retries", True, "must be a whole number, not a boolean: true"),
        ("retries", 3.0, "must be a whole number, not a number with a fraction: 3.0"),
        ("retries", 10**400, "must be 1000 or less: a number of very many digits"),
        ("priority", -1001, "must be -1000 or more: -1001"),
        ("revision", 0, "must be 1 or more: 0"),
        ("enabled", 1, "must be true or false, not a whole number: 1"),
        ("timeout", 0, "must be more than 0: 0"),
        ("timeout", "0s", "must be more than 0: `0s`"),
        ("timeout", "soon", "must be a duration like `90s`, `15m` or `1h30m`: `soon`"),
        ("timeout", True, "must be a duration like `90s`, `15m` or `1h30m`, not a boolean: true"),
        ("timeout", 10**400, "must be at most 366d: a number of very many digits"),
        ("grace_period", -0.5, "must be a duration of 0 or more: -0.5"),
        ("grace_period", float("inf"), "must be at most 366d: inf"),
        ("retry_delay", float("nan"), "must be a duration of 0 or more: nan"),
        ("backoff_base", 0.5, "must be 1 or more: 0.5"),
        ("backoff_base", 10**400, "is too large: a number of very many digits"),
        ("backoff_base", float("nan"), "must be a number: nan"),
        ("backoff_base", "2", "must be a number, not a string: `2`"),
        ("jitter", 1.5, "must be 1 or less: 1.5"),
        ("command", " ", "must not be empty"),
        ("command", [], "must not be empty: it needs a program"),
        ("command", ["", "x"], "must begin with a program: item 1 is empty"),
        ("command", ["a", 1], "must have strings only; item 2 is a whole number: 1"),
        ("command", 5, "must be a string or a list of strings, not a whole number: 5"),
        ("command", "a\0b", r"must not have a NUL character: `a\x00b`"),
        ("command", "\ud800", r"must be Unicode text, without lone surrogates: `\ud800`"),
        ("command", "ä" * 65_536, "must have at most 131,071 bytes; it has 131,072"),
        ("shell", "bash -c", "must be a list of strings, not a string: `bash -c`"),
        ("success_exit_codes", [], "must not be empty"),
        ("tags", ["a"] * 65, "must have at most 64 items"),
        ("cwd", "", "must not be empty"),
        ("timezone", "Berlin", "must be an IANA time zone like `Europe/Berlin`: `Berlin`"),
    ],
)
def test_a_wrong_value_is_refused_in_words(key, value, sentence):
    assert wrong(**{key: value}) == [f"`{key}` {sentence}"]


def test_a_number_that_python_does_not_print_is_refused_all_the_same():
    assert wrong(retries=10**5000) == ["`retries` must be 1000 or less: a number of very many digits"]


@pytest.mark.parametrize("name", ["", "A", ".a", "-a", "a b", "a\n", "a" * 64, "ä", "a/b"])
def test_a_name_is_short_lower_case_and_safe_in_a_path(name):
    [sentence] = wrong(renamed_from=name)

    assert "must be 1 to 63 of a-z, 0-9, `.`, `_` and `-`" in sentence


@pytest.mark.parametrize(
    ("written", "sentence"),
    [
        ({"tags": ["ok", 3]}, "`tags` item 2 must be a string, not a whole number: 3"),
        ({"fail_on_exit_codes": [0, 256]}, "`fail_on_exit_codes` item 2 must be 255 or less: 256"),
        ({"env": {"A": 1}}, "`env.A` must be a string, not a whole number: 1"),
        ({"env": {"1A": ""}}, "`env` must have names of letters, digits and `_`, no digit first: `1A`"),
        ({"env": {"A": "x" * LONGEST_ARGUMENT}}, "`env` must have at most 131,071 bytes; `A` has 131,073"),
        (
            {"env": {"QUEUECTL_JOB": "x"}},
            "`env` must not have names with `QUEUECTL_`, which queuectl sets itself: `QUEUECTL_JOB`",
        ),
        ({"env": []}, "`env` must be a table, not a list: 0 items"),
    ],
    ids=str,
)
def test_a_wrong_part_of_a_value_is_named(written, sentence):
    assert wrong(**written) == [sentence]


def test_an_unknown_key_is_refused_with_the_one_that_is_like_it():
    with pytest.raises(ValidationError) as refused:
        FIELDS.validate_python({"timeoutt": 5})

    assert faults(refused.value, known=lambda _: JOB_KEYS) == [
        Fault(at=("timeoutt",), sentence="unknown key `timeoutt`", hint="did you mean `timeout`?", is_key=True)
    ]


def test_hostile_text_is_inert_in_a_message():
    assert wrong(**{"\x1b[2J\u202e": 1}) == [r"unknown key `\x1b[2J\u202e`"]


def test_keys_become_a_spec_with_absolute_paths():
    spec = to_spec(
        {"command": "true", "retries": 1, "cwd": "../data", "env_file": "x.env", "enabled": True}, folder="/a/b"
    )

    assert spec == JobSpec(command="true", retry=RetryPolicy(retries=1), cwd="/a/data", env_file="/a/b/x.env")


def test_the_stronger_keys_win_and_environments_are_merged():
    merged = merge({"retries": 1, "env": {"A": "1", "B": "1"}}, {"retries": 2, "env": {"B": "2"}})

    assert merged == {"retries": 2, "env": {"A": "1", "B": "2"}}


def test_a_run_in_json_is_read_with_the_other_name_for_retries():
    run = parse_adhoc('{"id": "job1", "command": "sleep 2", "max_retries": 5}', folder="/srv")

    assert run == Adhoc(id="job1", spec=JobSpec(command="sleep 2", cwd="/srv", retry=RetryPolicy(retries=5)))


def test_a_run_in_json_takes_what_it_does_not_say_from_the_defaults():
    run = parse_adhoc(
        {"command": "true", "run_at": "2026-12-01T02:00"},
        folder="/srv",
        defaults={"retries": 0, "priority": 5, "timezone": "Europe/Berlin"},
    )

    assert run == Adhoc(
        spec=JobSpec(command="true", cwd="/srv", priority=5, retry=RetryPolicy(retries=0)),
        run_at=datetime(2026, 12, 1, 1, tzinfo=UTC),
    )


@pytest.mark.parametrize("id", ["job1", "R2", "r", "rx1", "A.b_c-d", "x" * 64])
def test_a_person_may_choose_an_id(id):
    assert adhoc(id=id).id == id


@pytest.mark.parametrize("id", ["", "r1", "r007", "-a", "a b", "a\n", "x" * 65, "ä", "a/b"])
def test_an_id_that_would_not_be_typed_easily_or_is_ours_is_refused(id):
    with pytest.raises(UsageError, match=r"^`id` must "):
        adhoc(id=id)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("{", "not valid JSON at character 2: expecting property name enclosed in double quotes: `{`"),
        ("[1]", """a run in JSON is an object like `{"command": "sleep 2"}`: `[1]`"""),
        ('{"id": "a"}', "`command` is missing"),
        ('{"comand": "x"}', "unknown key `comand`"),
        ('{"command": "x", "command": "y"}', "not valid JSON: the key `command` comes twice: `{"),
        ('{"command": "x", "jitter": NaN}', "not valid JSON: NaN is not a value of JSON: "),
        (
            '{"command": "x", "retries": ' + "9" * 5000 + "}",
            "not valid JSON: a whole number of 5,000 digits is too large",
        ),
        ('{"a":' * 100_000, "not valid JSON: nested too deeply: "),
        (
            '{"command": "x", "retries": 1, "max_retries": 1}',
            "`retries` and `max_retries` are one key: give one of them",
        ),
        ('{"command": "x", "timeout": null}', "`timeout` must be a duration like `90s`, `15m` or `1h30m`, not null"),
        (
            '{"command": "x", "run_at": "2026-12-01"}',
            "`run_at` must have an offset from UTC, such as `Z` or `+01:00`: ",
        ),
        (
            '{"command": "x", "fail_on_exit_codes": [0]}',
            "`fail_on_exit_codes` has 0, which `success_exit_codes` has too",
        ),
        ("{" + " " * 2_000_000, "the JSON of a run must have at most 1,048,576 characters; it has 2,000,001"),
    ],
    ids=lambda value: value[:30],
)
def test_a_run_in_json_that_is_wrong_is_refused_with_a_clear_sentence(text, sentence):
    assert refused(text).startswith(sentence)


def test_all_that_is_wrong_with_a_run_in_json_is_said_at_once():
    assert refused('{"command": "", "timeout": 0, "prio": 1}').splitlines() == [
        "the run has 3 problems",
        "  `command` must not be empty",
        "  `timeout` must be more than 0: 0",
        "  unknown key `prio`",
    ]


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@settings(max_examples=50)
@given(st.text() | st.dictionaries(st.sampled_from(["id", "max_retries", *JOB_KEYS]), json_values).map(json.dumps))
def test_any_text_is_a_run_or_refused(text):
    try:
        run = parse_adhoc(text, folder="/srv")
    except UsageError:
        return
    assert JobSpec.from_dict(json.loads(json.dumps(run.spec.to_dict()))) == run.spec
