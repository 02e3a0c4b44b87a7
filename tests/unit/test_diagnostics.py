import pytest

from queuectl.diagnostics import InvalidManifest, Positions, Problem, excerpt

DOCUMENT = Positions(
    b"""\
version = 1
jobs.quick.command = "true"
[jobs]
inline = { command = "x", # not the end
  retries = 3 }
"a.b"."r\\u00e4" = [1, # one
  [2, 3]]
[jobs.late.env]
X = "1"
[jobs.late]
  'c' = 1
\t"\xc3\xa4" = "\xc3\xb6" # \xe4\xb8\x96\xe7\x95\x8c
[ jobs . spaced ]
text  =  '''
[jobs.no]
'''
"""
)


def make_problem(**overrides):
    values = {"path": "manifests/reports.toml", "line": 14, "column": 11, "message": "job `sync`: `retries` is wrong"}
    return Problem(**(values | overrides))


@pytest.mark.parametrize(
    ("path", "key", "value"),
    [
        (("version",), (1, 1), (1, 11)),
        (("jobs",), (3, 2), (3, 2)),
        (("jobs", "quick", "command"), (2, 12), (2, 22)),
        (("jobs", "inline", "command"), (4, 12), (4, 22)),
        (("jobs", "inline", "retries"), (5, 3), (5, 13)),
        (("jobs", "a.b", "rä"), (6, 7), (6, 19)),
        (("jobs", "late"), (10, 7), (10, 7)),
        (("jobs", "late", "env"), (8, 12), (8, 12)),
        (("jobs", "late", "env", "X"), (9, 1), (9, 5)),
        (("jobs", "late", "c"), (11, 3), (11, 9)),
        (("jobs", "late", "ä"), (12, 2), (12, 8)),
        (("jobs", "spaced", "text"), (14, 1), (14, 10)),
    ],
    ids=str,
)
def test_every_key_and_its_value_have_a_position_in_characters(path, key, value):
    assert (DOCUMENT.of_key(path), DOCUMENT.of(path)) == (key, value)


@pytest.mark.parametrize(
    ("path", "position"),
    [(("jobs", "a.b", "rä", 0), (6, 20)), (("jobs", "a.b", "rä", 1), (7, 3)), (("jobs", "a.b", "rä", 1, 1), (7, 7))],
    ids=str,
)
def test_an_item_of_a_list_has_a_position(path, position):
    assert DOCUMENT.of(path) == position


@pytest.mark.parametrize(
    ("path", "position"),
    [
        (("jobs", "late", "retries"), (10, 7)),
        (("jobs", "late", "env", "Y", "z"), (8, 12)),
        (("jobs", "no"), (3, 2)),
        (("jobs", "a.b", "rä", 9), (6, 19)),
        (("defaults", "retries"), (1, 1)),
        ((), (1, 1)),
    ],
    ids=str,
)
def test_what_is_not_there_stands_where_its_nearest_parent_does(path, position):
    assert DOCUMENT.of(path) == position


def test_lines_that_end_as_on_windows_count_the_same():
    assert Positions(b"a = 1\r\n[b]\r\nc = 2\r\n").of(("b", "c")) == (3, 5)


def test_the_message_has_all_problems_under_a_head():
    error = InvalidManifest(
        [
            make_problem(message="job `nightly-report`: `retries` must be 0 or more: -1"),
            make_problem(
                line=22, column=1, message="job `sync`: unknown key `timeoutt`", hint="did you mean `timeout`?"
            ),
        ]
    )

    assert str(error) == (
        "`manifests/reports.toml` is not valid: 2 problems\n"
        "  manifests/reports.toml:14:11  job `nightly-report`: `retries` must be 0 or more: -1\n"
        "  manifests/reports.toml:22:1   job `sync`: unknown key `timeoutt`"
    )
    assert (error.hint, error.exit_code) == ("did you mean `timeout`?", 65)


def test_with_several_files_the_head_says_how_many():
    error = InvalidManifest([make_problem(path="a.toml"), make_problem(path="b.toml"), make_problem(path="b.toml")])

    assert str(error).splitlines()[0] == "2 files are not valid: 3 problems"


def test_each_of_several_hints_stands_with_its_problem():
    error = InvalidManifest([make_problem(message="one", hint="try a"), make_problem(message="two", hint="try b")])

    assert [line[-11:] for line in str(error).splitlines()[1:]] == ["one (try a)", "two (try b)"]
    assert error.hint is None


def test_a_terminal_is_shown_the_lines_with_a_caret():
    error = InvalidManifest([make_problem(source_line="retries = -1"), make_problem(message="no such file")])

    assert error.detailed() == (
        "`manifests/reports.toml` is not valid: 2 problems\n"
        "  manifests/reports.toml:14:11  job `sync`: `retries` is wrong\n"
        "        14 | retries = -1\n"
        "           |           ^\n"
        "  manifests/reports.toml:14:11  no such file"
    )


@pytest.mark.parametrize(
    ("line", "column", "shown"),
    [
        ("\tretries\t= -1", 11, [" retries = -1", "          ^"]),
        ("世界 = 1", 6, ["世界 = 1", "       ^"]),
        ("e\u0301 = 1", 6, ["e\u0301 = 1", "    ^"]),
        ("\x1b[2J = 1", 8, [r"\x1b[2J = 1", "          ^"]),
        ("", 1, ["", "^"]),
        ("x", 5, ["x", " ^"]),
    ],
)
def test_the_caret_stands_below_its_column_whatever_comes_before(line, column, shown):
    gutters = ["       3 | ", "         | "]

    assert [each[2:] for each in excerpt(line, 3, column)] == [
        (gutter + part).rstrip() for gutter, part in zip(gutters, shown, strict=True)
    ]


def test_of_a_long_line_the_part_around_the_column_is_shown():
    first, caret = excerpt("a" * 500 + "b" + "c" * 500, 3, 501)

    assert first == "         3 | …" + "a" * 20 + "b" + "c" * 79 + "…"
    assert first.index("b") == caret.index("^")


def test_a_hostile_path_is_inert():
    assert str(InvalidManifest([make_problem(path="a\x1b[2J\n.toml")])).splitlines() == [
        r"`a\x1b[2J\n.toml` is not valid: 1 problem",
        r"  a\x1b[2J\n.toml:14:11  job `sync`: `retries` is wrong",
    ]
