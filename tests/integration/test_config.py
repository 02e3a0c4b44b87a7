import json
import os
import subprocess
import sys
import zlib
from pathlib import Path

import pytest

from queuectl.cli import main
from queuectl.errors import UsageError
from queuectl.manifest import load as load_manifests
from queuectl.settings import Source, load
from queuectl.settings_model import InvalidSettings
from queuectl.settings_table import SETTINGS
from queuectl.settings_text import to_text

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A user's folder with nothing in it; the environment says nothing else."""
    for name in [name for name in os.environ if name.startswith(("QUEUECTL_", "XDG_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "home").mkdir()
    return tmp_path / "home"


@pytest.fixture
def folder(home, monkeypatch):
    """The present folder: a project without settings."""
    project = home / "project"
    project.mkdir()
    monkeypatch.chdir(project)
    return project


def write(folder, text):
    file = folder / "queuectl.toml"
    file.write_text(text)
    return file


def settings(folder, db=None, **variables):
    return load(cwd=folder, environ={"HOME": os.environ["HOME"], **variables}, db=db)


def queuectl(*arguments):
    return main([str(argument) for argument in arguments])


def test_without_a_file_the_queue_is_in_the_users_state_folder(folder, home):
    found = settings(folder)

    state = "Library/Application Support" if sys.platform == "darwin" else ".local/state"
    assert (found.db, found.file, found.workers) == (home / state / "queuectl" / "queue.db", None, 4)


def test_xdg_moves_the_state_folder_unless_it_is_relative(folder, home, tmp_path):
    assert settings(folder, XDG_STATE_HOME=str(tmp_path)).db == tmp_path / "queuectl" / "queue.db"
    assert settings(folder, XDG_STATE_HOME="state").db == settings(folder).db


def test_the_nearest_file_above_counts_and_the_queue_lies_beside_it(folder, home):
    write(home, "workers = 1\n")
    file = write(folder, "workers = 2\n")
    (folder / "deep" / "er").mkdir(parents=True)

    found = settings(folder / "deep" / "er")

    assert (found.file, found.db, found.workers) == (file, folder / ".queuectl" / "queue.db", 2)


def test_the_database_is_named_by_flag_variable_or_file_in_this_order(folder):
    write(folder, 'db = "file.db"\n')
    deep = folder / "deep"
    deep.mkdir()

    assert settings(deep).db == folder / "file.db"
    assert settings(deep, QUEUECTL_DB="variable.db").db == deep / "variable.db"
    assert settings(deep, QUEUECTL_DB="variable.db", db="flag.db").db == deep / "flag.db"


def test_a_tilde_in_the_file_is_the_users_folder(folder, home):
    write(folder, 'db = "~/queue.db"\n')

    assert settings(folder).db == home / "queue.db"


def test_two_ways_to_one_database_are_one_path(folder, tmp_path):
    (tmp_path / "link").symlink_to(folder)

    assert settings(folder, db=str(tmp_path / "link" / "q.db")).db == settings(folder, db="./q.db").db


def test_every_value_knows_where_it_comes_from(folder):
    write(folder, "workers = 2\n[defaults]\nretries = 1\n")

    found = settings(folder, QUEUECTL_RETRIES="5", QUEUECTL_SHELL="bash -c", db="q.db")

    assert found.defaults == {"retries": 5, "shell": ("bash", "-c")}
    assert found.sources == {
        "workers": Source.FILE,
        "defaults.retries": Source.VARIABLE,
        "defaults.shell": Source.VARIABLE,
        "db": Source.FLAG,
    }


def test_an_empty_variable_and_what_jobs_are_told_set_nothing(folder):
    told = {f"QUEUECTL_{name}": "1" for name in ("RUN_ID", "JOB", "MANIFEST", "ATTEMPT", "MAX_ATTEMPTS", "EXECUTION")}

    assert settings(folder, QUEUECTL_WORKERS="", QUEUECTL_DB="", **told) == settings(folder)


def test_a_file_that_cannot_be_read_is_an_error(folder):
    file = write(folder, "x" * (1 << 20) + "x")

    with pytest.raises(UsageError, match="larger than 1 MiB"):
        settings(folder)

    file.write_bytes(b"db = '\xff'\n")
    with pytest.raises(InvalidSettings, match=r"queuectl\.toml:1:7 +not UTF-8 text"):
        settings(folder)


def modules_imported_by_load(folder, **variables):
    code = (
        "import os, sys; from pathlib import Path; from queuectl.settings import load;"
        "load(cwd=Path.cwd(), environ=os.environ); print(*sys.modules)"
    )
    environ = {"HOME": os.environ["HOME"], "PYTHONPATH": os.pathsep.join(sys.path), **variables}
    done = subprocess.run([sys.executable, "-c", code], cwd=folder, env=environ, capture_output=True, check=True)
    return set(done.stdout.decode().split())


def test_nothing_heavy_is_imported_without_a_file_or_for_one_that_was_valid_before(folder):
    heavy = {"pydantic", "tomli", "tomlkit", "tree_sitter", "typer"}

    assert not heavy & modules_imported_by_load(folder, QUEUECTL_DB="q.db", QUEUECTL_RUN_ID="r1")
    write(folder, "workers = 2\n")
    assert heavy & modules_imported_by_load(folder) == {"pydantic", "tomli"}
    assert not heavy & modules_imported_by_load(folder)
    assert heavy & modules_imported_by_load(folder, QUEUECTL_WORKERS="3") == {"pydantic", "tomli"}
    assert not heavy & modules_imported_by_load(folder, QUEUECTL_WORKERS="3")


def forge(entry, change):
    """Write something else into an entry, with a seal that fits."""
    text = json.dumps(change(json.loads(entry.read_bytes().partition(b"\n")[2]))).encode()
    entry.write_bytes(f"{zlib.crc32(text):08x}\n".encode() + text)


def cache_entries(home):
    return sorted((home / ".cache" / "queuectl").iterdir())


def test_what_was_valid_is_kept_for_its_owner_only(folder, home):
    write(folder, 'workers = 2\n[defaults]\nshell = ["bash", "-c"]\ntimeout = "1m"\n')
    first = settings(folder)

    (entry,) = cache_entries(home)
    assert settings(folder) == first
    assert (entry.stat().st_mode & 0o777, entry.parent.stat().st_mode & 0o777) == (0o600, 0o700)


@pytest.mark.parametrize(
    "damage",
    [
        lambda entry: entry.write_bytes(b""),
        lambda entry: entry.write_bytes(entry.read_bytes().replace(b"2", b"3")),
        lambda entry: entry.write_bytes(entry.read_bytes()[:-1]),
        lambda entry: entry.write_bytes(b"\xff" * 100),
        lambda entry: (entry.unlink(), entry.mkdir()),
        lambda entry: (entry.unlink(), entry.symlink_to("nowhere")),
        lambda entry: entry.chmod(0o666),
        lambda entry: forge(entry, lambda _: None),
        lambda entry: forge(entry, lambda found: found[:1]),
        lambda entry: forge(entry, lambda found: [found[0], None]),
    ],
)
def test_a_damaged_cache_is_no_error_and_changes_nothing(folder, home, damage):
    write(folder, "workers = 2\n")
    first = settings(folder)
    damage(cache_entries(home)[0])

    assert settings(folder) == first


def test_a_home_that_cannot_be_written_to_is_no_error(folder, home):
    write(folder, "workers = 2\n")
    (home / ".cache").write_text("in the way")

    assert settings(folder).workers == 2


def test_the_cache_does_not_grow_for_ever(folder, home):
    for number in range(70):
        settings(folder, QUEUECTL_RETRIES=str(number))

    assert len(cache_entries(home)) == 64


def test_bad_settings_are_never_kept(folder, home):
    write(folder, "workers = 0\n")

    for _ in range(2):
        with pytest.raises(InvalidSettings):
            settings(folder)
    assert not (home / ".cache").exists()


def test_set_makes_a_file_in_this_folder(folder, capsys):
    assert queuectl("config", "set", "max-retries", 5) == 0

    assert (folder / "queuectl.toml").read_text() == "[defaults]\nretries = 5\n"
    assert capsys.readouterr() == (
        "",
        "`queuectl.toml`: defaults.retries = 5\nruns that are queued already keep what they were queued with\n",
    )


def test_set_edits_the_nearest_file_and_keeps_what_it_does_not_change(folder, monkeypatch):
    file = write(folder, "# ours\nworkers = 4   # enough\n\n# jobs\n[defaults]\nretries = 3\n")
    (folder / "deep").mkdir()
    monkeypatch.chdir(folder / "deep")

    assert queuectl("config", "set", "workers", 8) == 0

    assert file.read_text() == "# ours\nworkers = 8   # enough\n\n# jobs\n[defaults]\nretries = 3\n"


def test_set_keeps_the_mode_of_the_file_and_follows_a_link(folder, tmp_path):
    target = tmp_path / "shared.toml"
    target.write_text("workers = 4\n")
    target.chmod(0o640)
    (folder / "queuectl.toml").symlink_to(target)

    assert queuectl("config", "set", "workers", 8) == 0

    assert (target.read_text(), target.stat().st_mode & 0o777) == ("workers = 8\n", 0o640)
    assert (folder / "queuectl.toml").is_symlink()
    assert list(tmp_path.glob(".*")) == []


def test_a_negative_value_is_no_option(folder):
    assert queuectl("config", "set", "priority", "-5") == 0

    assert settings(folder).defaults == {"priority": -5}


@pytest.mark.parametrize(("key", "value"), [("workers", "many"), ("wrokers", "8"), ("jitter", "2"), ("db", "")])
def test_set_refuses_bad_values_and_unknown_keys_before_it_writes(folder, key, value, capsys):
    assert queuectl("config", "set", key, value) == 64

    assert list(folder.iterdir()) == []
    assert capsys.readouterr().err.startswith("error: ")


def test_set_can_mend_the_only_bad_value_but_not_hide_another(folder, capsys):
    file = write(folder, "workers = 0\nbusy_timeout = '9d'\n")

    assert queuectl("config", "set", "workers", 8) == 64
    assert "queuectl.toml:2:16  `busy_timeout` must be at most 1h" in capsys.readouterr().err
    assert file.read_text() == "workers = 0\nbusy_timeout = '9d'\n"

    write(folder, "workers = 0\n")
    assert queuectl("config", "set", "workers", 8) == 0
    assert file.read_text() == "workers = 8\n"


@pytest.mark.parametrize("text", ["workers = \n", "defaults = 3\n", "[[defaults]]\n", "a" + ".a" * 50_000 + " = 1\n"])
def test_set_refuses_a_file_that_makes_no_sense(folder, text, capsys):
    file = write(folder, text)

    assert queuectl("config", "set", "retries", 1) == 64

    assert "queuectl.toml:1:" in capsys.readouterr().err
    assert file.read_text() == text


def test_set_says_that_a_variable_goes_before_the_file(folder, monkeypatch, capsys):
    monkeypatch.setenv("QUEUECTL_WORKERS", "2")

    assert queuectl("config", "set", "workers", 8) == 0

    assert "`QUEUECTL_WORKERS` is set in the environment" in capsys.readouterr().err


def test_set_says_when_it_may_not_write(folder, monkeypatch, capsys):
    def refuse(*_args, **_options):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("queuectl.atomic.os.fsync", refuse)

    assert queuectl("config", "set", "workers", 8) == 1

    assert capsys.readouterr().err == "error: `queuectl.toml` cannot be written: Permission denied\n"
    assert list(folder.iterdir()) == []


def test_unset_removes_a_value_and_does_nothing_where_there_is_none(folder, capsys):
    file = write(folder, "workers = 8 # many\ndb = 'q.db'\n")

    assert queuectl("config", "unset", "workers") == 0
    assert queuectl("config", "unset", "retry-delay") == 0

    assert file.read_text() == "db = 'q.db'\n"
    assert "`queuectl.toml`: workers is not set; the default is 4\n" in capsys.readouterr().err


def test_unset_makes_no_file(folder):
    assert queuectl("config", "unset", "workers") == 0

    assert list(folder.iterdir()) == []


@pytest.mark.parametrize(
    ("key", "text", "document"),
    [
        ("workers", "4", 4),
        ("max-retries", "7", 7),
        ("backoff-base", "2", 2.0),
        ("timeout", "none", None),
        ("backoff_max", "1h30m", 5400.0),
        ("output-limit", "10 MiB", 10485760),
        ("shell", "/bin/sh -c", ["/bin/sh", "-c"]),
    ],
)
def test_get_prints_the_value_that_holds(folder, key, text, document, monkeypatch, capsys):
    write(folder, "[defaults]\nretries = 1\nbackoff_max = '90m'\n")
    monkeypatch.setenv("QUEUECTL_RETRIES", "7")

    assert queuectl("config", "get", key) == 0
    assert capsys.readouterr() == (f"{text}\n", "")

    assert queuectl("config", "get", key, "--json") == 0
    assert json.loads(capsys.readouterr().out) == document


def test_list_shows_every_setting_and_where_it_comes_from(folder, monkeypatch, capsys):
    write(folder, "workers = 8\n")
    monkeypatch.setenv("QUEUECTL_RETRIES", "7")

    assert queuectl("config", "list") == 0

    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert lines[0] == ["KEY", "VALUE", "FROM"]
    assert ["workers", "8", "queuectl.toml"] in lines
    assert ["defaults.retries", "7", "QUEUECTL_RETRIES"] in lines
    assert ["defaults.timeout", "none", "default"] in lines


def test_list_as_json_is_one_document(folder, capsys):
    file = write(folder, "workers = 8\n")

    assert queuectl("config", "list", "--json") == 0

    rows = {row["key"]: row for row in json.loads(capsys.readouterr().out)}
    assert rows["workers"] == {
        "key": "workers",
        "value": 8,
        "source": "file",
        "file": str(file),
        "variable": "QUEUECTL_WORKERS",
        "description": "how many attempts run at a time, 1 to 256",
    }
    assert rows["db"]["value"] == str(folder / ".queuectl" / "queue.db")


def test_init_writes_valid_files_and_says_what_is_next(folder, capsys):
    assert queuectl("init") == 0

    assert settings(folder).defaults == {"retries": 3}
    (manifest,) = load_manifests([folder / "manifests"])
    assert [job.full_name for job in manifest.jobs] == ["example/hello"]
    assert capsys.readouterr().err.splitlines() == [
        "wrote `queuectl.toml`",
        "wrote `manifests/example.toml`",
        "next: `queuectl apply manifests/`, then `queuectl run --drain`",
    ]


def test_init_leaves_files_alone_that_are_there(folder, capsys):
    file = write(folder, "workers = 8\n")

    assert queuectl("init") == 0

    assert file.read_text() == "workers = 8\n"
    assert capsys.readouterr().err.startswith("left `queuectl.toml` as it is\nwrote `manifests/example.toml`\n")


def test_init_begins_in_another_folder(folder, capsys):
    assert queuectl("init", "my jobs") == 0

    assert settings(folder / "my jobs").file == folder / "my jobs" / "queuectl.toml"
    assert "next: `cd 'my jobs' && queuectl apply manifests/`" in capsys.readouterr().err


def test_the_settings_of_this_repository_are_valid(home):
    assert settings(REPOSITORY).file == REPOSITORY / "queuectl.toml"


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: setting.key)
def test_the_reference_describes_every_setting(setting):
    default = "see [below](#the-database)" if setting.key == "db" else f"`{to_text(setting.kind, setting.default)}`"
    row = f"| `{setting.key}` | `{setting.variable}` | {default} | {setting.description} |"

    assert row in (REPOSITORY / "docs" / "reference" / "settings.md").read_text().splitlines()
