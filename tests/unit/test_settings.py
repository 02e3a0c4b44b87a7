import tomllib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from queuectl.cli.init import SETTINGS_TEXT
from queuectl.document import Document
from queuectl.errors import UsageError
from queuectl.settings_edit import with_setting, without_setting
from queuectl.settings_model import InvalidSettings, check, check_value
from queuectl.settings_table import BY_KEY, BY_VARIABLE, SETTINGS, find_setting
from queuectl.settings_text import from_text, to_text
from queuectl.spec import RETRY_KEYS, JobSpec

VALUES = {
    "db": st.text("abc/ .~-", min_size=1),
    "workers": st.integers(1, 256),
    "drain_timeout": st.floats(0, 1e7).map(lambda seconds: round(seconds, 3)),
    "busy_timeout": st.integers(0, 3600).map(float),
    "durability": st.sampled_from(["full", "normal"]),
    "output_limit": st.integers(1 << 10, 1 << 40),
    "defaults.priority": st.integers(-1000, 1000),
    "defaults.timeout": st.integers(1, 10_000_000).map(float),
    "defaults.grace_period": st.integers(0, 10_000).map(lambda tenths: tenths / 10),
    "defaults.retries": st.integers(0, 1000),
    "defaults.retry_delay": st.integers(0, 100_000).map(float),
    "defaults.backoff_base": st.integers(10, 10_000).map(lambda tenths: tenths / 10),
    "defaults.backoff_max": st.integers(0, 100_000).map(float),
    "defaults.jitter": st.integers(0, 100).map(lambda hundredths: hundredths / 100),
    "defaults.shell": st.lists(st.text("bash -'\"$"), max_size=3).map(lambda arguments: ("sh", *arguments)),
    "retention.keep": st.integers(0, 1000),
    **{
        f"retention.{state}": st.integers(1, 10_000_000).map(float)
        for state in ("completed", "dead", "cancelled", "skipped")
    },
}
settings_and_values = st.sampled_from(SETTINGS).flatmap(
    lambda setting: st.tuples(st.just(setting), VALUES[setting.key])
)


def checked(text="", **variables):
    return check(Document("queuectl.toml", text.encode()), variables)


def problems(text="", **variables):
    with pytest.raises(InvalidSettings) as raised:
        checked(text, **variables)
    return str(raised.value).splitlines()


def test_nothing_written_sets_nothing():
    assert checked() == {}


def test_a_variable_goes_before_the_file():
    text = "workers = 2\n[defaults]\nretries = 1\ntimeout = '1h30m'\n"

    assert checked(text, QUEUECTL_RETRIES="7", QUEUECTL_OUTPUT_LIMIT="64 KiB") == {
        "workers": 2,
        "output_limit": 65536,
        "defaults.retries": 7,
        "defaults.timeout": 5400.0,
    }


def test_all_problems_of_the_file_and_the_variables_are_reported_at_once():
    text = 'workers = 0\nretries = 3\noutput_limit = 3\n\n[defaults]\nretries = "3"\nshel = 3\n'

    assert problems(text, QUEUECTL_JITTER="2", QUEUECTL_RETRYS="1") == [
        "the settings are not valid: 7 problems",
        "  queuectl.toml:1:11  `workers` must be 1 or more: 0",
        "  queuectl.toml:2:1   unknown key `retries` (`retries` belongs below `[defaults]`)",
        "  queuectl.toml:3:16  `output_limit` must be 1 KiB to 1 TiB: 3",
        "  queuectl.toml:6:11  `[defaults]`: `retries` must be a whole number, not a string: `3`",
        "  queuectl.toml:7:1   `[defaults]`: unknown key `shel` (did you mean `shell`?)",
        "  QUEUECTL_RETRYS     unknown variable (did you mean `QUEUECTL_RETRIES` or `QUEUECTL_WORKERS`?)",
        "  QUEUECTL_JITTER     must be 1 or less: 2",
    ]


def test_a_text_that_is_no_toml_is_refused_with_its_place():
    assert problems("workers = 1\ndb = \n")[1:] == ["  queuectl.toml:2:6  not valid TOML: invalid value"]


def test_defaults_that_are_no_table_are_refused_even_with_a_variable_over_them():
    assert problems("defaults = 3", QUEUECTL_RETRIES="1")[1:] == [
        "  queuectl.toml:1:12  `defaults` must be a table, not a whole number: 3"
    ]


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("workers", 257),
        ("workers", True),
        ("workers", 1.0),
        ("db", ""),
        ("db", "a\0b"),
        ("drain_timeout", -1),
        ("busy_timeout", "2h"),
        ("output_limit", 1023),
        ("output_limit", "10 MB"),
        ("output_limit", "2000 GiB"),
        ("output_limit", True),
        ("defaults.timeout", 0),
        ("defaults.backoff_base", 0.5),
        ("defaults.backoff_base", float("nan")),
        ("defaults.shell", []),
        ("defaults.shell", "bash -c"),
    ],
)
def test_a_bad_value_is_refused(key, value):
    with pytest.raises(UsageError, match="must"):
        check_value(BY_KEY[key], value)


def test_every_setting_has_its_own_variable():
    assert len(BY_VARIABLE) == len(SETTINGS)


def test_defaults_are_valid_and_what_a_job_has_that_says_nothing():
    spec = JobSpec(command="true")

    for setting in SETTINGS:
        if setting.default is not None:
            assert check_value(setting, setting.default) == setting.default
        if setting.is_job_default:
            key = setting.path[-1]
            assert setting.default == getattr(spec.retry if key in RETRY_KEYS else spec, key)


@pytest.mark.parametrize("name", ["retries", "max-retries", "max_retries", "defaults.retries", "defaults.max-retries"])
def test_a_job_key_has_friendly_names(name):
    assert find_setting(name).key == "defaults.retries"


def test_an_unknown_setting_is_refused_with_the_names_that_are_like_it():
    with pytest.raises(UsageError) as raised:
        find_setting("wrokers")

    assert (str(raised.value), raised.value.hint) == ("no setting `wrokers`", "did you mean `workers`?")


@given(settings_and_values)
def test_a_value_that_was_printed_can_be_set_again(pair):
    setting, value = pair

    assert check_value(setting, from_text(setting.kind, to_text(setting.kind, value))) == value


def test_an_array_of_words_is_read_as_one():
    kind = BY_KEY["defaults.shell"].kind

    assert from_text(kind, '["bash", "-c"]') == from_text(kind, "bash -c") == ["bash", "-c"]


@pytest.mark.parametrize("kind", sorted({setting.kind for setting in SETTINGS}))
@settings(max_examples=20)
@given(text=st.text())
def test_no_text_is_too_strange_to_be_read(kind, text):
    from_text(kind, text)


TEXTS = [
    "",
    "# only a comment",
    "workers = 4   # why\n",
    "# top\n\n# about the jobs\n[defaults]\nretries = 3 # here too\n\n# the end\n",
    "workers = 4\n\n# about the jobs\n[defaults]\n  retries   =   3\n",
    "workers = 4\r\n[defaults]\r\nretries = 3\r\n",
    "defaults.retries = 3\nworkers = 1",
    "defaults = { retries = 3, shell = ['sh', '-c'] } # inline\n",
    "'workers' = 4\n[ 'defaults' ]\n\"retries\" = 3\nshell = [\n  'bash', # first\n  '-c',\n]\n",
    SETTINGS_TEXT,
]


@pytest.mark.parametrize("text", TEXTS)
@settings(max_examples=20)
@given(pair=settings_and_values)
def test_setting_a_value_changes_nothing_else(text, pair):
    setting, value = pair
    written = list(value) if isinstance(value, tuple) else value
    *tables, key = setting.path
    wanted = tomllib.loads(text)
    (wanted.setdefault(tables[0], {}) if tables else wanted)[key] = written

    changed = with_setting(text, setting, written)

    assert tomllib.loads(changed) == wanted
    assert [line for line in comments(text) if line not in comments(changed)] == []
    assert with_setting(changed, setting, written) == changed


@pytest.mark.parametrize("text", TEXTS)
@settings(max_examples=20)
@given(pair=settings_and_values)
def test_unsetting_a_value_that_was_added_gives_back_the_old_values(text, pair):
    setting, value = pair
    before = without_setting(text, setting)

    after = without_setting(
        with_setting(before, setting, list(value) if setting.path[-1] == "shell" else value), setting
    )

    assert checked(after) == checked(before)
    assert comments(after) == comments(before)


def comments(text):
    return [line[line.index("#") :].strip() for line in text.splitlines() if "#" in line and "first" not in line]


def test_a_new_key_stands_behind_the_others_and_before_the_comment_about_a_table():
    text = "# top\n\n# about the jobs\n[defaults]\nretries = 3\n"

    changed = with_setting(text, BY_KEY["workers"], 8)

    assert changed == "# top\n\nworkers = 8\n\n# about the jobs\n[defaults]\nretries = 3\n"
    assert with_setting(changed, BY_KEY["db"], "q.db").startswith('# top\n\nworkers = 8\ndb = "q.db"\n\n# about')


def test_the_line_ends_of_a_file_stay():
    text = "workers = 4\r\n[defaults]\r\nretries = 3\r\n"

    assert with_setting(text, BY_KEY["db"], "x") == 'workers = 4\r\ndb = "x"\r\n[defaults]\r\nretries = 3\r\n'


def test_unsetting_what_is_not_set_changes_nothing():
    assert without_setting("# nothing\n", BY_KEY["defaults.retries"]) == "# nothing\n"


def test_the_first_settings_file_shows_every_setting_with_its_default():
    lines = [line.removeprefix("# ") for line in SETTINGS_TEXT.splitlines() if " = " in line or line.startswith("[")]
    written = check(Document("queuectl.toml", "\n".join(lines).encode()), {})

    shown = {key: value for key, value in written.items() if BY_KEY[key].default is not None}
    assert shown == {setting.key: setting.default for setting in SETTINGS if setting.default is not None}
    assert set(written) == set(BY_KEY)
