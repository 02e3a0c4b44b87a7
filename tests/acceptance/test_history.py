"""What a run ran with, how it differs from another, and the way back from the queue to a manifest."""

import pytest

JOB = """
[jobs.import]
command = "{command}"
retries = 0
env = {{ LEVEL = "{level}" }}
"""


@pytest.fixture
def cured(queuectl):
    """A run `r1` that died, and completed once its job was changed."""
    queuectl.manifest(JOB.format(command="echo bad >&2; exit 3", level="1"))
    queuectl("apply", "nightly.toml")
    queuectl("run", "--drain", code=1)
    queuectl.manifest(JOB.format(command="echo good", level="2"))
    queuectl("apply", "nightly.toml")
    queuectl("run", "--drain")
    return queuectl


def test_show_tells_what_each_attempt_ran_with_where_and_from_which_apply(cured):
    run = cured.json("show", "r1")

    assert [(each["spec"]["command"], each["apply"]) for each in run["attempts_made"]] == [
        ("echo bad >&2; exit 3", 1),
        ("echo good", 2),
    ]
    assert all(each["host"] and each["pid"] and each["cwd"] == str(cured.folder) for each in run["attempts_made"])
    text = cured("show", "r1").stdout
    assert "ATTEMPT  KEY      RAN WITH                NOW" in text
    assert "1        command  'echo bad >&2; exit 3'  'echo good'" in text


def test_two_runs_are_compared_down_to_what_they_wrote(cured):
    cured("enqueue", "--id", "other", "--retries", "0", "--", "sh", "-c", "printf 'a\\033[31mb'; exit 4")
    cured("run", "--drain", code=1)

    found = cured.json("runs", "diff", "r1", "other")

    values = {each["key"]: (each["a"], each["b"]) for each in found["differences"]}
    assert (values["state"], values["exit_code"]) == (("completed", "dead"), (0, 4))
    assert (values["env.LEVEL"], values["apply"]) == (("2", None), (2, None))
    assert (found["a"]["output"]["stdout"], found["b"]["output"]["stdout"]) == (["good"], ["a\x1b[31mb"])
    text = cured("runs", "diff", "r1", "other").stdout
    assert "state " in text
    assert "other, the end of stdout\n  a\\x1b[31mb\n" in text
    assert "the end of" not in cured("runs", "diff", "r1", "other", "--lines", "0").stdout
    assert "`gone`" in cured("runs", "diff", "r1", "gone", code=3).stderr


def test_one_run_is_compared_with_the_last_good_one_before_it(cured):
    cured.manifest(JOB.format(command="exit 7", level="2"))
    cured("apply", "nightly.toml")
    cured("trigger", "nightly/import")
    cured("run", "--drain", code=1)
    ids = [run["id"] for run in cured.json("list", "nightly/import")][::-1]

    for words in ([ids[1]], ids, ["nightly/import"], ["--manifest", "nightly"]):
        found = cured.json("runs", "diff", *words)
        assert (found["a"]["id"], found["b"]["id"]) == tuple(ids), words

    cured("enqueue", "--id", "lonely", "--", "true")
    assert "it is of no job" in cured("runs", "diff", "lonely", code=64).stderr
    assert "was completed before" in cured("runs", "diff", ids[0], code=3).stderr
    assert "no two runs" in cured("runs", "diff", "--state", "dead", code=3).stderr
    assert "name one run or two" in cured("runs", "diff", code=64).stderr


def test_an_export_that_takes_the_place_of_its_manifest_changes_nothing(cured):
    text = cured("export").stdout

    (cured.folder / "nightly.toml").write_text(text)

    assert "1 unchanged" in cured("plan", "nightly.toml").stdout
    assert cured.json("applies")[0]["number"] == 2
    cured("apply", "nightly.toml")
    assert cured.json("applies")[0]["number"] == 2


def test_runs_are_exported_as_jobs_that_run(cured):
    cured("enqueue", "--id", "Tidy", "--", "echo", 'it\'s "done"')

    (cured.folder / "copy.toml").write_text(cured("export", "Tidy", "r1", "--name", "copy").stdout)
    cured("apply", "copy.toml")
    cured("run", "--drain")

    assert {("copy/tidy", "completed"), ("copy/import", "completed")} <= set(cured.states())


def test_what_is_exported_can_be_selected(cured):
    cured.manifest(
        '[jobs.b]\ncommand = "true"\ntags = ["disk"]\n[jobs.c]\ncommand = "false"\nretries = 0\n', name="weekly.toml"
    )
    cured("apply", "weekly.toml")
    cured("run", "--drain", code=1)

    def tables(*words):
        return [line for line in cured("export", *words).stdout.splitlines() if line.startswith("[jobs.")]

    assert tables("--tag", "disk") == ["[jobs.b]"]
    assert tables("--job", "*/c") == ["[jobs.c]"]
    assert tables("weekly/*") == ["[jobs.b]", "[jobs.c]"]
    assert tables("--manifest", "nightly", "--grep", "GOOD") == ["[jobs.import]"]
    assert tables("--state", "dead") == ["[jobs.c]"]
    assert tables("--state", "completed", "--since", "1h") == ["[jobs.import]", "[jobs.b]"]
    assert "no run is like that" in cured("export", "--exit-code", "99", code=3).stderr
    assert "no job is declared like that" in cured("export", "--tag", "no", code=3).stderr


def test_what_cannot_be_one_manifest_is_refused(cured):
    cured.manifest('[jobs.b]\ncommand = "true"\n', name="weekly.toml")
    cured("apply", "weekly.toml")

    assert "nightly, weekly" in cured("export", code=64).stderr
    assert "of 2 manifests" in cured("export", "nightly/import", "weekly/b", code=64).stderr
    assert "no manifest `no`" in cured("export", "--manifest", "no", code=3).stderr
    assert cured("export", "nightly/import", "weekly/b", "--name", "both").stdout.count("[jobs.") == 2
