"""A crontab as Debian's cron reads it: entries with what was set and said before them, or every problem at once."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from queuectl import rules
from queuectl.cron import KINDS, MACROS, parse_cron
from queuectl.diagnostics import InvalidManifest, Problem
from queuectl.instants import time_zone

REBOOT: Final = "@reboot"
ZONE: Final = "CRON_TZ"

_VARIABLE: Final = re.compile(r"""[ \t]*("[^"]*"|'[^']*'|[^\s="'][^\s=]*)[ \t]*=[ \t]*(.*?)[ \t]*""")
_FIELD: Final = re.compile(r"[^ \t]+")
_ESCAPED: Final = re.compile(r"\\[%\\]|%")
_MAIL: Final = frozenset({"MAILTO", "MAILFROM", "CONTENT_TYPE", "CONTENT_TRANSFER_ENCODING"})


class InvalidCrontab(InvalidManifest):
    """A crontab that cannot be read, with every problem."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One line that says when to run what.

    ``command`` is what the shell gets, ``stdin`` what that is given to read, both with each `%` resolved. ``user`` is
    that of a system crontab. ``variables`` are those that were set before, ``zone`` the last `CRON_TZ` of them.
    ``before`` are the lines before it that are no entries: comments, empty ones, notes on what cron would have done.
    """

    line: int
    schedule: str
    command: str
    stdin: str | None
    user: str | None
    variables: Mapping[str, str]
    zone: str | None
    before: tuple[str, ...] = ()

    @property
    def script(self) -> str:
        """A text for a shell that reads what cron gives the command to read, then is the command."""
        return fed(self.command, self.stdin)


@dataclass(frozen=True, slots=True, kw_only=True)
class Crontab:
    """A whole file; ``after`` are the lines after its last entry that are none."""

    path: str
    entries: tuple[Entry, ...]
    after: tuple[str, ...] = ()


def parse_crontab(source: bytes, path: str, *, has_user: bool = False) -> Crontab:
    """Return what is in a crontab, ``has_user`` in one of the system; raises InvalidCrontab with every problem."""
    return _Reader(source, path, has_user).read()


def resolve_percent(written: str) -> tuple[str, str | None]:
    r"""Return the command and what it reads: the first `%` ends the command, each later one is a new line.

    `\\%` is a percent sign. In a command, but not in what it reads, two backslashes are one, as in Debian's cron.
    """
    command: list[str] = []
    begin = 0
    for found in _ESCAPED.finditer(written):
        command.append(written[begin : found.start()])
        begin = found.end()
        if found[0] == "%":
            text = re.sub(r"(\\)?%", lambda each: "%" if each[1] else "\n", written[begin:])
            return "".join(command), (text if text.endswith("\n") else text + "\n") if text else None
        command.append(found[0][1])
    return "".join([*command, written[begin:]]), None


def fed(command: str, stdin: str | None) -> str:
    """Return a text for a shell of POSIX in which ``command`` reads ``stdin``, whatever either of them looks like."""
    if stdin is None:
        return command
    end = "STDIN"
    while f"\n{end}\n" in f"\n{stdin}":
        end += "_"
    # The shell itself reads it, as under cron: redirecting only the command would need it to be a whole one.
    return f"exec <<'{end}'\n{stdin}{end}\n{command}"


@dataclass(slots=True)
class _Reader:
    source: bytes
    path: str
    has_user: bool
    problems: list[Problem] = field(default_factory=list)
    entries: list[Entry] = field(default_factory=list)
    before: list[str] = field(default_factory=list)
    variables: dict[str, str] = field(default_factory=dict)
    zone: str | None = None

    def read(self) -> Crontab:
        for number, raw in enumerate(self.source.removesuffix(b"\n").split(b"\n"), start=1):
            line = self._decoded(raw, number)
            if line is not None:
                self._take(line.lstrip(" \t"), line, number)
        if self.problems:
            raise InvalidCrontab(self.problems)
        return Crontab(path=self.path, entries=tuple(self.entries), after=tuple(self.before))

    def _decoded(self, raw: bytes, number: int) -> str | None:
        shown = raw.decode(errors="replace")
        try:
            line = raw.decode()
            rules.text(line)
        except UnicodeDecodeError as error:
            column = len(raw[: error.start].decode(errors="replace")) + 1
            self._refuse(number, column, "not UTF-8 text", shown)
            return None
        except ValueError:
            self._refuse(number, line.index("\0") + 1, "must not have a NUL character", shown)
            return None
        if line.endswith("\r"):
            hint = "remove them: `tr -d '\\r'`"
            self._refuse(number, len(line), "ends with a carriage return, which cron gives to the command", shown, hint)
            return None
        return line

    def _take(self, text: str, line: str, number: int) -> None:
        if not text or text.startswith("#"):
            self.before.append(text)
        elif found := _VARIABLE.fullmatch(line):
            self._set(found, line, number)
        else:
            self._add(line, number)

    def _set(self, found: re.Match[str], line: str, number: int) -> None:
        name, value = (_unquoted(part) for part in found.groups())
        if name in _MAIL:
            self.before.append(f"# {name}={value}: cron's mail; `queuectl logs` has what each attempt wrote")
            return
        try:
            if name == ZONE:
                self.zone = time_zone(value)
                return
            rules.environment({rules.env_name(name): value})
        except ValueError as error:
            sentence = f"`{ZONE}` {error}" if name == ZONE else f"a variable {error}"
            self._refuse(
                number, found.start(2 if name == ZONE else 1) + 1, sentence, line, getattr(error, "hint", None)
            )
            return
        if name == "TZ":
            self.before.append("# TZ is for the command only, as under cron: the times are those of `timezone`")
        self.variables[name] = value

    def _add(self, line: str, number: int) -> None:
        words = list(_FIELD.finditer(line))
        count = 1 if words[0][0].startswith("@") else len(KINDS)
        needed = count + self.has_user
        if len(words) <= needed:
            user = "a user " if self.has_user else ""
            sentence = f"must have five fields or a macro, {user}and a command"
            self._refuse(number, len(line.rstrip()) + 1, sentence, line)
            return
        schedule = " ".join(word[0] for word in words[:count])
        if schedule == REBOOT:
            note = (
                "that is no time: let systemd, or the machine's cron, call `queuectl enqueue` when the machine starts"
            )
            self.before += [f"# {REBOOT} {line[words[1].start() :]}", f"#   {note}", ""]
            return
        if not self._is_schedule(schedule, words, line, number):
            return
        command, stdin = resolve_percent(line[words[needed].start() :])
        try:
            rules.command(command)
            rules.command(fed(command, stdin))
        except ValueError as error:
            self._refuse(number, words[needed].start() + 1, f"the command {error}", line)
            return
        self.entries.append(
            Entry(
                line=number,
                schedule=schedule,
                command=command,
                stdin=stdin,
                user=words[count][0] if self.has_user else None,
                variables=dict(self.variables),
                zone=self.zone,
                before=tuple(self.before),
            )
        )
        self.before.clear()

    def _is_schedule(self, schedule: str, words: list[re.Match[str]], line: str, number: int) -> bool:
        """Whether cron's schedule is one of ours; if not, its first wrong field is refused."""
        try:
            if schedule.startswith("@") and schedule not in MACROS:
                known = [*MACROS, REBOOT]
                hint = rules.suggestion(schedule.lower(), known)
                raise rules.Refused(f"must be one of {', '.join(known)}: {rules.shown(schedule)}", hint=hint)
            parse_cron(schedule)
        except ValueError as error:
            place = next(_wrong_fields(schedule), 0)
            self._refuse(number, words[place].start() + 1, f"the schedule {error}", line, getattr(error, "hint", None))
            return False
        return True

    def _refuse(self, number: int, column: int, message: str, line: str, hint: str | None = None) -> None:
        self.problems.append(
            Problem(path=self.path, line=number, column=column, message=message, hint=hint, source_line=line)
        )


def _wrong_fields(schedule: str) -> Iterator[int]:
    """Yield which fields are wrong by themselves."""
    fields = schedule.split(" ")
    for place in range(len(fields) if len(fields) == len(KINDS) else 0):
        try:
            parse_cron(" ".join(text if at == place else "*" for at, text in enumerate(fields)))
        except ValueError:
            yield place


def _unquoted(written: str) -> str:
    return written[1:-1] if len(written) > 1 and written[0] == written[-1] and written[0] in "\"'" else written
