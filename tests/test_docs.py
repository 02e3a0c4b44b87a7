"""The docs say all there is, and what they show works."""

import importlib
import os
import pkgutil
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import typer

import queuectl
from queuectl import errors
from queuectl.cli import build
from queuectl.errors import QueuectlError
from queuectl.fields import JOB_KEYS
from queuectl.settings import GIVEN_TO_JOBS
from queuectl.settings_table import SETTINGS
from queuectl.views import attempt_record, job_record, run_record
from tests.support.factories import make_attempt, make_job, make_run, make_stored

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "queuectl"
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
SHOWN = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])

_DOCUMENT_SECONDS = 600
_COMMAND_SECONDS = 120
_HERE_DOCUMENT = re.compile(r"<<(-?)\s*(['\"]?)(\w+)\2")
_LINK = re.compile(r"\[[^\]\n]*\]\(([^)\s]+)\)")


def reference(name: str) -> str:
    return (ROOT / "docs" / "reference" / f"{name}.md").read_text(encoding="utf-8")


def is_said(code: str, text: str) -> bool:
    """Whether `code`, perhaps with what belongs to it, stands between backticks."""
    return re.search(rf"`{re.escape(code)}(?![\w-])[^`\n]*`", text) is not None


# --- all there is -------------------------------------------------------------------------------------------


def commands() -> dict[str, list[str]]:
    """Return the long options of each command of the real command line; the groups are in it too."""
    found: dict[str, list[str]] = {}

    def walk(command: typer.core.TyperCommand | typer.core.TyperGroup, name: str) -> None:
        found[name] = [
            word
            for parameter in command.params
            if parameter.param_type_name == "option"
            for word in (*parameter.opts, *parameter.secondary_opts)
            if word.startswith("--") and word != "--help"
        ]
        for word, each in getattr(command, "commands", {}).items():
            walk(each, f"{name} {word}")

    walk(typer.main.get_command(build()), "queuectl")
    return found


def section(text: str, title: str) -> str | None:
    """Return what stands under the heading ``title``, up to the next one."""
    found = re.search(rf"^#+ {re.escape(title)}\n(.*?)(?=^#|\Z)", text, re.MULTILINE | re.DOTALL)
    return found and found[1]


def prose(text: str) -> str:
    """Return a document without its code blocks: their comments would look like headings."""
    return re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)


def error_classes() -> set[type[QueuectlError]]:
    for module in pkgutil.walk_packages(queuectl.__path__, "queuectl."):
        if module.name != "queuectl.__main__":
            importlib.import_module(module.name)
    found, left = {QueuectlError}, [QueuectlError]
    while left:
        below = [each for each in left.pop().__subclasses__() if each.__module__.startswith("queuectl.")]
        found.update(below)
        left += below
    return {each for each in found if not each.__name__.startswith("_")}


def test_every_command_has_a_heading_in_the_reference():
    text = prose(reference("cli"))

    assert [name for name in commands() if name != "queuectl" and section(text, name) is None] == []


def test_every_option_stands_under_the_heading_of_its_command():
    text = prose(reference("cli"))

    missing = [
        f"{name} {option}"
        for name, options in commands().items()
        for option in options
        if not is_said(option, (section(text, "Everywhere" if name == "queuectl" else name)) or "")
    ]

    assert missing == []


def test_the_reference_shows_no_option_that_does_not_exist():
    text, known = prose(reference("cli")), commands()

    unknown = [
        f"{name} {option}"
        for name, options in known.items()
        for option in re.findall(r"^\| `(--[\w-]+)", section(text, name) or "", re.MULTILINE)
        if option not in options
    ]

    assert unknown == []


def test_every_exit_code_of_an_error_is_in_the_reference():
    table = section(reference("cli"), "Exit codes") or ""

    codes = {each.exit_code for each in error_classes()} | {0, 2, 130, 143}

    assert [code for code in sorted(codes) if not re.search(rf"^\| {code} ", table, re.MULTILINE)] == []


def test_every_error_has_a_line_in_the_tree():
    tree = errors.__doc__ or ""

    assert sorted(each.__name__ for each in error_classes() if not re.search(rf"\b{each.__name__}\b", tree)) == []


def test_every_setting_is_in_the_reference():
    text = reference("settings")

    assert [setting.key for setting in SETTINGS if not is_said(setting.key, text)] == []
    assert [setting.variable for setting in SETTINGS if not is_said(setting.variable, text)] == []


def test_every_key_of_a_job_is_in_the_reference():
    assert [key for key in JOB_KEYS if not is_said(key, reference("manifest"))] == []


def test_every_key_of_a_json_document_is_in_the_reference():
    run = make_run()
    keys = [*run_record(run), *attempt_record(make_attempt(run)), *job_record(make_stored(make_job()))]

    assert [key for key in keys if not is_said(key, section(reference("cli"), "JSON") or "")] == []


def test_every_variable_that_a_job_is_given_is_in_the_reference():
    text = section(reference("cli"), "What jobs are given") or ""

    assert sorted(variable for variable in GIVEN_TO_JOBS if not is_said(variable, text)) == []


def test_every_file_of_the_package_has_a_line_in_the_architecture():
    text = (ROOT / "docs" / "explanation" / "architecture.md").read_text(encoding="utf-8")
    files = [path.relative_to(PACKAGE).as_posix() for kind in ("*.py", "*.sql") for path in PACKAGE.rglob(kind)]

    assert sorted(file for file in files if not re.search(rf"^\| `{re.escape(file)}` ", text, re.MULTILINE)) == []


def test_the_architecture_has_no_line_for_a_file_that_does_not_exist():
    text = (ROOT / "docs" / "explanation" / "architecture.md").read_text(encoding="utf-8")

    assert [
        file
        for file in re.findall(r"^\| `([\w/.]+\.(?:py|sql))` ", text, re.MULTILINE)
        if not (PACKAGE / file).exists()
    ] == []


# --- what is shown works ------------------------------------------------------------------------------------


@dataclass
class Command:
    """One command of a console block, with what the block says of it."""

    line: int
    text: str
    output: list[str] = field(default_factory=list)

    @property
    def exit_codes(self) -> range:
        """The exit codes that the block promises."""
        for line in self.output:
            if found := re.fullmatch(r"# exits with (\d+)", line.strip()):
                return range(int(found[1]), int(found[1]) + 1)
        is_refused = any(line.startswith("error:") for line in self.output)
        return range(1, 256) if is_refused and "||" not in self.text else range(1)


def console_commands(text: str) -> Iterator[Command]:
    """Yield the commands of all console blocks, here-documents and continued lines included."""
    command: Command | None = None
    is_inside = False
    end: tuple[str, bool] | None = None
    for number, line in enumerate(text.splitlines(), start=1):
        if end is not None and command is not None:
            command.text += f"\n{line}"
            if (line.lstrip("\t") if end[1] else line) == end[0]:
                end = None
        elif line.startswith("```"):
            is_inside = line == "```console"
            if command:
                yield command
            command = None
        elif is_inside and line.startswith("$ "):
            if command:
                yield command
            command = Command(number, line[2:])
        elif is_inside and command and command.text.endswith("\\") and line.startswith("> "):
            command.text += f"\n{line[2:]}"
        elif is_inside and command:
            command.output.append(line)
            continue
        else:
            continue
        if command and end is None and (found := _HERE_DOCUMENT.search(command.text.rpartition("\n")[2])):
            is_new = "\n" not in command.text
            end = (found[3], found[1] == "-") if is_new else None


def run_commands(commands: list[Command], folder: Path) -> list[int]:
    """Run commands one after the other in one bash, in a fresh folder and home, and return their exit codes."""
    home, project = folder / "home", folder / "project"
    home.mkdir()
    project.mkdir()
    codes, log = folder / "codes", folder / "log"
    lines = [f"eval {shlex.quote(command.text)}\necho $? >&9\n" for command in commands]
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("QUEUECTL_", "XDG_", "GIT_"))}
    path = f"{Path(sys.executable).parent}{os.pathsep}{kept.get('PATH', os.defpath)}"
    with log.open("wb") as output:
        bash = subprocess.Popen(
            ["bash", "-c", f"exec 9> {shlex.quote(str(codes))}\n{''.join(lines)}"],
            cwd=project,
            env={**kept, "HOME": str(home), "PATH": path, "NO_COLOR": "1"},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            bash.wait(timeout=_DOCUMENT_SECONDS)
        except subprocess.TimeoutExpired:
            pytest.fail(f"not done in {_DOCUMENT_SECONDS} s\n{log.read_text(errors='replace')}")
        finally:
            with suppress(ProcessLookupError):
                os.killpg(bash.pid, signal.SIGKILL)
            bash.wait(timeout=_COMMAND_SECONDS)
    return [int(code) for code in codes.read_text().split()]


@pytest.mark.parametrize("document", SHOWN, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_every_command_that_is_shown_works(document, tmp_path):
    commands = list(console_commands(document.read_text(encoding="utf-8")))
    if not commands:
        return

    codes = run_commands(commands, tmp_path)

    wrong = [
        f"{document.relative_to(ROOT)}:{command.line}: exit {code}: {command.text}"
        for command, code in zip(commands, codes, strict=False)
        if code not in command.exit_codes
    ]
    log = (tmp_path / "log").read_text(errors="replace")
    assert wrong == [], log
    assert len(codes) == len(commands), log
    assert "Traceback" not in log


def test_a_console_block_is_read_with_its_here_documents_and_its_promises():
    text = (
        "```console\n$ cat > a <<'EOF'\n$ no command\n```\nEOF\n$ false\n# exits with 1\n$ queuectl show x\n"
        "error: no run `x`\n```\n$ no block\n```console\n$ true\nwell\n```\n"
    )

    found = [(command.line, command.text, command.exit_codes) for command in console_commands(text)]

    assert found == [
        (2, "cat > a <<'EOF'\n$ no command\n```\nEOF", range(1)),
        (6, "false", range(1, 2)),
        (8, "queuectl show x", range(1, 256)),
        (13, "true", range(1)),
    ]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_every_relative_link_leads_somewhere(document):
    text = prose(document.read_text(encoding="utf-8"))

    assert [link for link in _LINK.findall(text) if not leads_somewhere(document, link)] == []


def leads_somewhere(document: Path, link: str) -> bool:
    """Whether the file is there, and has the heading that the link names, if it names one."""
    if re.match(r"[a-z]+:", link):
        return True
    path, _, anchor = link.partition("#")
    target = document.parent / path if path else document
    if not target.exists():
        return False
    return not anchor or anchor in anchors(target.read_text(encoding="utf-8"))


def anchors(text: str) -> set[str]:
    """Return the names that headings have as the target of a link."""
    titles = re.findall(r"^#+ (.+)$", prose(text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title).strip().lower().replace(" ", "-") for title in titles}
