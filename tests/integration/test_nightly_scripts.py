"""The scripts of manifests/nightly.toml, run for real: each alone, without the queue.

Only `queuectl backup` is a stand-in here; the acceptance tests run the whole manifest with the real one.
"""

import gzip
import hashlib
import os
import shutil
import subprocess
import tarfile
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

MANIFESTS = Path(__file__).parents[2] / "manifests"
SCRIPTS = MANIFESTS / "scripts"
SHELLS = [path for path in map(shutil.which, ("sh", "bash")) if path]
DAY = 86400
MISCONFIGURED = 78
DAMAGED = 65

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def nightly(tmp_path: Path) -> Path:
    return tmp_path / "nightly dir"


@pytest.fixture(params=SHELLS, ids=[Path(shell).name for shell in SHELLS])
def run(request: pytest.FixtureRequest, tmp_path: Path, nightly: Path) -> Run:
    """Return a function that runs a script with the given variables, in every shell there is."""

    def run(script: str, **env: object) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [request.param, SCRIPTS / script],
            env={"PATH": os.environ["PATH"], "NIGHTLY_DIR": str(nightly)} | {k: str(v) for k, v in env.items()},
            cwd=tmp_path,
            check=False,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=30,
        )

    return run


def succeeded(result: subprocess.CompletedProcess[str]) -> bool:
    return result.returncode == 0 and result.stderr == "" and result.stdout.count("\n") in (1, 2)


def failed(result: subprocess.CompletedProcess[str], code: int, saying: str) -> bool:
    return result.returncode == code and saying in result.stderr


def make(path: Path, content: str = "", *, days_old: float = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    age(path, days_old)
    return path


def age(path: Path, days_old: float) -> None:
    then = path.lstat().st_mtime - days_old * DAY
    os.utime(path, (then, then), follow_symlinks=False)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def command_on_path(folder: Path, name: str, script: str) -> str:
    """Put a command before all others and return the PATH that finds it."""
    command = make(folder / name, f"#!/bin/sh\n{script}\n")
    command.chmod(0o755)
    return f"{folder}:{os.environ['PATH']}"


# The manifest


def test_every_nightly_job_names_a_script_and_sets_only_what_it_reads():
    jobs = tomllib.loads((MANIFESTS / "nightly.toml").read_text())["jobs"]

    scripts = {MANIFESTS / job["command"][1]: job["env"] for job in jobs.values()}
    unread = [key for script, env in scripts.items() for key in env if f"${{{key}:-" not in script.read_text()]

    assert set(scripts) == set(SCRIPTS.glob("*.sh")) - {SCRIPTS / "nightly.sh"}
    assert unread == []


def test_the_defaults_of_the_scripts_are_those_of_the_manifest():
    jobs = tomllib.loads((MANIFESTS / "nightly.toml").read_text())["jobs"]

    different = [
        f"{key}={value}"
        for job in jobs.values()
        for key, value in job["env"].items()
        if f"${{{key}:-{value}}}" not in (MANIFESTS / job["command"][1]).read_text()
    ]

    assert different == []


# backup-queue.sh


def test_a_backup_is_made_under_the_time_and_only_the_newest_are_kept(run, nightly, tmp_path):
    path = command_on_path(tmp_path / "bin", "queuectl", '[ ! -e "$2" ] && echo "$1" >"$2" && echo "$2"')
    for day in range(1, 10):
        make(nightly / f"backups/queue-2020010{day}T020000Z.db", "old")
    mine = make(nightly / "backups/queue-before-upgrade.db", "mine")

    result = run("backup-queue.sh", PATH=path, BACKUP_KEEP=3)

    kept = sorted((nightly / "backups").glob("queue-2*.db"))
    assert succeeded(result)
    assert [copy.name for copy in kept[:2]] == ["queue-20200108T020000Z.db", "queue-20200109T020000Z.db"]
    assert [copy.read_text() for copy in kept] == ["old", "old", "backup\n"]
    assert kept[-1].stat().st_mode & 0o777 == 0o600
    assert mine.exists()


def test_two_backups_in_one_second_are_no_failure(run, tmp_path):
    path = command_on_path(tmp_path / "bin", "queuectl", '[ ! -e "$2" ] && echo "$1" >"$2"')

    assert succeeded(run("backup-queue.sh", PATH=path))
    assert succeeded(run("backup-queue.sh", PATH=path))


@pytest.mark.parametrize("queuectl", ['echo half >"$2"; exit 1', "exit 0"], ids=["fails", "makes nothing"])
def test_a_failed_backup_leaves_no_copy_and_removes_none(run, nightly, tmp_path, queuectl):
    path = command_on_path(tmp_path / "bin", "queuectl", queuectl)
    make(nightly / "backups/queue-20200101T020000Z.db")
    make(nightly / "backups/queue-20200102T020000Z.db")

    result = run("backup-queue.sh", PATH=path, BACKUP_KEEP=1)

    assert failed(result, 1, "backup-queue.sh: queuectl ")
    assert names(nightly / "backups") == ["queue-20200101T020000Z.db", "queue-20200102T020000Z.db"]
    assert names(nightly / "queuectl-tmp") == []


@pytest.mark.parametrize("keep", ["0", "00", "-1", "seven", "7 ", "08", "99999999999999999999", "1;id"])
def test_a_senseless_number_is_refused_before_anything_is_done(run, nightly, keep):
    result = run("backup-queue.sh", BACKUP_KEEP=keep)

    assert failed(result, MISCONFIGURED, f"BACKUP_KEEP must be a whole number from 1 to 999999999: {keep}")
    assert not (nightly / "backups").exists()


# archive-folder.sh


def manifest_of(archive: Path) -> str:
    return f"{hashlib.sha256(archive.read_bytes()).hexdigest()}  {archive.name}\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    make(tmp_path / "my docs/index.md", "hello")
    make(tmp_path / "my docs/deep/-rf \n'$(id)'.md", "hostile")
    return tmp_path / "my docs"


def test_an_archive_holds_the_folder_and_its_manifest_verifies(run, nightly, folder):
    result = run("archive-folder.sh", ARCHIVE_SOURCE=folder)

    [archive, manifest] = sorted((nightly / "archives/my_docs").iterdir())
    with tarfile.open(archive) as tar:
        files = {member.name: tar.extractfile(member).read() for member in tar if member.isfile()}
    assert succeeded(result)
    assert manifest.read_text() == manifest_of(archive)
    assert files == {"./index.md": b"hello", "./deep/-rf \n'$(id)'.md": b"hostile"}


def test_a_damaged_archive_is_found_and_the_new_one_is_made_all_the_same(run, nightly, folder):
    old = make(nightly / "archives/my_docs/my_docs-20200101T020000Z.tar.gz", "as it was written")
    make(Path(f"{old}.sha256"), manifest_of(old))
    assert succeeded(run("archive-folder.sh", ARCHIVE_SOURCE=folder))
    old.write_text("as it was rotten!")

    result = run("archive-folder.sh", ARCHIVE_SOURCE=folder)

    assert failed(result, DAMAGED, f"not as the checksum manifest says, in {old.parent}: {old.name}\n")
    assert result.stdout.startswith(f"archived {folder}: ")


def test_an_archive_without_its_manifest_counts_as_damaged(run, nightly, folder):
    make(nightly / "archives/my_docs/my_docs-20200101T020000Z.tar.gz")

    result = run("archive-folder.sh", ARCHIVE_SOURCE=folder)

    assert failed(result, DAMAGED, "my_docs-20200101T020000Z.tar.gz")


def test_only_the_newest_archives_are_kept_with_their_manifests(run, nightly, folder):
    for day in range(1, 10):
        old = make(nightly / f"archives/my_docs/my_docs-2020010{day}T020000Z.tar.gz", f"day {day}")
        make(Path(f"{old}.sha256"), manifest_of(old))

    result = run("archive-folder.sh", ARCHIVE_SOURCE=folder, ARCHIVE_KEEP=2)

    assert succeeded(result)
    assert names(nightly / "archives/my_docs")[:2] == [
        "my_docs-20200109T020000Z.tar.gz",
        "my_docs-20200109T020000Z.tar.gz.sha256",
    ]
    assert len(names(nightly / "archives/my_docs")) == 4


def test_shasum_is_used_where_there_is_no_sha256sum(run, nightly, folder, tmp_path):
    # What macOS has: `shasum -a 256`, and no sha256sum.
    only = tmp_path / "only"
    for tool in ["dirname", "mkdir", "mktemp", "rm", "mv", "date", "tr", "tar", "gzip", "wc"]:
        make(only / tool, f'#!/bin/sh\nexec {shutil.which(tool)} "$@"\n').chmod(0o755)
    real = shutil.which("sha256sum") or f"{shutil.which('shasum')} -a 256"
    command_on_path(only, "shasum", f'[ "$1 $2" = "-a 256" ] || exit 9\nshift 2\nexec {real} "$@"')

    result = run("archive-folder.sh", ARCHIVE_SOURCE=folder, PATH=only)

    [archive, manifest] = sorted((nightly / "archives/my_docs").iterdir())
    assert succeeded(result)
    assert manifest.read_text() == manifest_of(archive)


def test_an_archive_that_tar_could_not_write_is_not_kept(run, nightly, folder, tmp_path):
    path = command_on_path(tmp_path / "bin", "tar", "echo half; echo disk full >&2; exit 2")

    result = run("archive-folder.sh", ARCHIVE_SOURCE=folder, PATH=path)

    assert failed(result, 1, "tar could not archive")
    assert names(nightly / "archives/my_docs") == []
    assert names(nightly / "queuectl-tmp") == []


def test_a_folder_that_holds_the_archives_is_refused(run, tmp_path):
    assert failed(run("archive-folder.sh", ARCHIVE_SOURCE=tmp_path), MISCONFIGURED, "contain themselves")


def test_a_folder_that_does_not_exist_is_refused(run):
    assert failed(run("archive-folder.sh", ARCHIVE_SOURCE="nowhere"), MISCONFIGURED, "nowhere")


# rotate-logs.sh


def generations(log: Path) -> dict[str, str]:
    """Return what each generation holds, by what stands after the log's name."""
    return {
        path.name.removeprefix(log.name): gzip.decompress(path.read_bytes()).decode()
        for path in log.parent.iterdir()
        if path.name.startswith(log.name) and path != log
    }


def test_without_logs_there_is_nothing_to_rotate(run, nightly):
    result = run("rotate-logs.sh")

    assert succeeded(result)
    assert result.stdout == f"no logs in {nightly}/logs yet: nothing to rotate\n"


def test_rotation_compresses_and_keeps_so_many_generations(run, nightly):
    log = nightly / "logs/app.log"

    for day in range(1, 6):
        make(log, f"day {day}" + " " * 1024)
        assert succeeded(run("rotate-logs.sh", LOG_MAX_KB=1, LOG_KEEP=3))

    kept = {generation: text.strip() for generation, text in generations(log).items()}
    assert kept == {".1.gz": "day 5", ".2.gz": "day 4", ".3.gz": "day 3"}
    assert log.read_text() == ""


def test_fewer_generations_than_before_are_kept_when_asked(run, nightly):
    log = make(nightly / "logs/app.log", "new" + " " * 1024)
    for n in range(1, 6):
        (nightly / f"logs/app.log.{n}.gz").write_bytes(gzip.compress(b"old %d" % n))

    run("rotate-logs.sh", LOG_MAX_KB=1, LOG_KEEP=2)

    kept = {generation: text.strip() for generation, text in generations(log).items()}
    assert kept == {".1.gz": "new", ".2.gz": "old 1"}


def test_a_small_log_is_left_alone(run, nightly):
    log = make(nightly / "logs/app.log", "x" * 1024)

    result = run("rotate-logs.sh", LOG_MAX_KB=1)

    assert succeeded(result)
    assert result.stdout.startswith("rotated 0 of 1 logs")
    assert names(log.parent) == ["app.log"]


@pytest.mark.parametrize("name", ["two\nlines and spaces.log", "-rf.log", "$(id) `id` ';*.log", "ünïcode.log"])
def test_a_hostile_name_is_a_name_like_any_other(run, nightly, name):
    log = make(nightly / "logs" / name, "x" * 2048)

    result = run("rotate-logs.sh", LOG_MAX_KB=1)

    assert succeeded(result)
    assert generations(log) == {".1.gz": "x" * 2048}


def test_a_program_that_has_the_log_open_goes_on_writing_to_it(run, nightly):
    log = make(nightly / "logs/app.log")
    with log.open("a") as writer:
        print("x" * 2048, file=writer, flush=True)

        run("rotate-logs.sh", LOG_MAX_KB=1)

        print("after", file=writer, flush=True)
    assert log.read_text() == "after\n"


def test_a_generation_can_be_read_by_whom_the_log_could(run, nightly):
    log = make(nightly / "logs/app.log", "x" * 2048)
    log.chmod(0o640)

    run("rotate-logs.sh", LOG_MAX_KB=1)

    assert (nightly / "logs/app.log.1.gz").stat().st_mode & 0o777 == 0o640


@pytest.mark.parametrize(
    "left_behind",
    [
        {".rotating": b"before the kill"},
        {".rotating": b"before the kill", ".rotating.gz": b"half"},
        {".rotating.gz": gzip.compress(b"before the kill")},
    ],
    ids=["before gzip", "in gzip", "after gzip"],
)
def test_a_rotation_that_was_killed_is_finished_the_next_time(run, nightly, left_behind):
    log = make(nightly / "logs/app.log", "small")
    (nightly / "logs/app.log.1.gz").write_bytes(gzip.compress(b"older"))
    for suffix, content in left_behind.items():
        Path(f"{log}{suffix}").write_bytes(content)

    result = run("rotate-logs.sh")

    assert succeeded(result)
    assert generations(log) == {".1.gz": "before the kill", ".2.gz": "older"}
    assert log.read_text() == "small"


def test_a_shift_that_was_killed_loses_no_generation(run, nightly):
    # The second generation had just become the third.
    log = make(nightly / "logs/app.log", "new" + " " * 1024)
    for n in (1, 3, 4):
        (nightly / f"logs/app.log.{n}.gz").write_bytes(gzip.compress(b"old %d" % n))

    run("rotate-logs.sh", LOG_MAX_KB=1, LOG_KEEP=4)

    kept = {generation: text.strip() for generation, text in generations(log).items()}
    assert kept == {".1.gz": "new", ".2.gz": "old 1", ".3.gz": "old 3", ".4.gz": "old 4"}


def test_a_log_that_cannot_be_copied_stays_whole_and_the_others_are_rotated(run, nightly, tmp_path):
    copy = shutil.which("cp")
    path = command_on_path(tmp_path / "bin", "cp", f'case $2 in *bad*) exit 1 ;; esac; exec {copy} "$@"')
    bad = make(nightly / "logs/bad.log", "x" * 2048)
    good = make(nightly / "logs/good.log", "x" * 2048)

    result = run("rotate-logs.sh", LOG_MAX_KB=1, PATH=path)

    assert failed(result, 1, "1 of 2 logs could not be rotated")
    assert bad.read_text() == "x" * 2048
    assert generations(bad) == {}
    assert generations(good) == {".1.gz": "x" * 2048}


def test_symbolic_links_in_the_folder_of_the_logs_are_not_followed(run, nightly, tmp_path):
    outside = make(tmp_path / "outside", "x" * 2048)
    (make(nightly / "logs/app.log", "x" * 2048).parent / "link.log").symlink_to(outside)
    (nightly / "logs/app.log.rotating").symlink_to(outside)

    result = run("rotate-logs.sh", LOG_MAX_KB=1)

    assert failed(result, 1, "a symbolic link is in the way")
    assert names(nightly / "logs") == ["app.log", "app.log.rotating", "link.log"]
    assert outside.read_text() == "x" * 2048


def test_a_folder_of_logs_that_does_not_exist_is_refused(run):
    assert failed(run("rotate-logs.sh", LOG_DIR="nowhere"), MISCONFIGURED, "LOG_DIR is not a folder")


# check-disk-space.sh


def test_the_free_space_is_shown(run, nightly):
    result = run("check-disk-space.sh", DISK_MIN_FREE_PERCENT=1, DISK_MIN_FREE_MB=1)

    assert succeeded(result)
    assert result.stdout.startswith(f"{nightly}: ")


@pytest.mark.parametrize("wanted", [{"DISK_MIN_FREE_MB": 999999999}, {"DISK_MIN_FREE_PERCENT": 100}])
def test_too_little_space_is_a_failure(run, wanted):
    result = run("check-disk-space.sh", **{"DISK_MIN_FREE_MB": 1, "DISK_MIN_FREE_PERCENT": 1} | wanted)

    assert failed(result, 1, "too little space")
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("/dev/sda1 1000000 700000 300000 70% /", "30 % free (292 MB)"),
        ("//me@host/My 100 Shares 1000000 700000 300000 70% /Volumes/My 5% Shares", "30 % free (292 MB)"),
        ("map auto_home 20000000000 0 15000000000 25% /System/Volumes/Data/home", "75 % free (14648437 MB)"),
        ("/dev/full 1000000 1000000 0 100% /", "0 % free (0 MB)"),
        ("/dev/reserve 1000000 1040000 -40000 104% /", "-4 % free (-39 MB)"),
    ],
)
def test_the_table_of_df_is_understood_whatever_its_names_are(run, tmp_path, line, shown):
    table = f"Filesystem 1024-blocks Used Available Capacity Mounted on\n{line}"
    path = command_on_path(tmp_path / "bin", "df", f"cat <<'END'\n{table}\nEND")

    result = run("check-disk-space.sh", PATH=path)

    assert shown in result.stdout + result.stderr


def test_a_file_system_without_a_size_is_a_failure(run, tmp_path):
    path = command_on_path(tmp_path / "bin", "df", "echo 'Filesystem'; echo 'proc 0 0 0 - /proc'")

    assert failed(run("check-disk-space.sh", PATH=path), 1, "df shows no size")


def test_a_path_that_does_not_exist_is_refused(run):
    assert failed(run("check-disk-space.sh", DISK_PATH="nowhere"), MISCONFIGURED, "nowhere")


# clean-stale-files.sh


def test_only_old_files_are_removed(run, nightly):
    scratch = nightly / "queuectl-tmp"
    make(scratch / "young", days_old=2.9)
    make(scratch / "old", days_old=3.1)
    make(scratch / "folder/old -rf \n'$(id)' *", days_old=4)
    make(scratch / "folder/young")
    kept = make(nightly / "backups/old", days_old=400)

    result = run("clean-stale-files.sh", STALE_DAYS=3)

    assert succeeded(result)
    assert result.stdout.startswith("removed 2 files older than 3 days from ")
    assert names(scratch) == ["folder", "young"]
    assert names(scratch / "folder") == ["young"]
    assert kept.exists()


def test_old_folders_that_are_empty_are_removed(run, nightly):
    scratch = nightly / "queuectl-tmp"
    make(scratch / "full/young")
    for folder in ("old/older", "young"):
        (scratch / folder).mkdir(parents=True)
    for folder in ("old/older", "full"):
        age(scratch / folder, 5)

    result = run("clean-stale-files.sh")

    assert succeeded(result)
    assert sorted(str(path.relative_to(scratch)) for path in scratch.rglob("*")) == [
        "full",
        "full/young",
        "old",
        "young",
    ]


def test_a_symbolic_link_is_removed_and_what_it_leads_to_is_not(run, nightly, tmp_path):
    outside = make(tmp_path / "outside/precious", days_old=400)
    scratch = nightly / "queuectl-tmp"
    scratch.mkdir(parents=True)
    (scratch / "to-file").symlink_to(outside)
    (scratch / "to-folder").symlink_to(outside.parent)
    age(scratch / "to-file", 5)
    age(scratch / "to-folder", 5)

    result = run("clean-stale-files.sh")

    assert succeeded(result)
    assert names(scratch) == []
    assert outside.exists()


def test_a_scratch_folder_that_is_a_symbolic_link_is_refused(run, nightly, tmp_path):
    outside = make(tmp_path / "outside/precious", days_old=400)
    nightly.mkdir()
    (nightly / "queuectl-tmp").symlink_to(outside.parent)

    result = run("clean-stale-files.sh")

    assert failed(result, MISCONFIGURED, "is a symbolic link")
    assert outside.exists()


def test_what_a_killed_script_left_is_removed_in_time(run, nightly, tmp_path):
    path = command_on_path(tmp_path / "bin", "queuectl", 'echo half >"$2"; kill -9 "$PPID"')
    killed = run("backup-queue.sh", PATH=path)
    [left] = (nightly / "queuectl-tmp").rglob("queue.db")
    age(left, 5)

    result = run("clean-stale-files.sh")

    assert killed.returncode == -9
    assert result.stdout.startswith("removed 1 files")
