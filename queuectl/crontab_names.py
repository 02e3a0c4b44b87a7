"""Names for jobs that have none: what a person would call a command line."""

import re
import shlex
from collections.abc import Iterable, Iterator, Sequence
from pathlib import PurePosixPath
from typing import Final

_LONGEST: Final = 48

# What stands before the program that the line is about; with how many words of its own, and which options take one.
_WRAPPERS: Final = {
    "chronic": (0, ""),
    "command": (0, ""),
    "cronic": (0, ""),
    "env": (0, "uCS"),
    "exec": (0, ""),
    "flock": (1, "wE"),
    "ionice": (0, "cnpt"),
    "nice": (0, "n"),
    "nohup": (0, ""),
    "setsid": (0, ""),
    "stdbuf": (0, "ioe"),
    "sudo": (0, "ugCDhpRT"),
    "taskset": (1, ""),
    "time": (0, "fo"),
    "timeout": (1, "ks"),
}
_INTERPRETERS: Final = re.compile(r"(ba|da|k|z)?sh|python[0-9.]*|perl|ruby|php[0-9.]*|node")
_PREPARATIONS: Final = frozenset(
    {
        "",
        ".",
        ":",
        "[",
        "cd",
        "done",
        "export",
        "fi",
        "for",
        "set",
        "sleep",
        "source",
        "test",
        "true",
        "ulimit",
        "umask",
        "}",
    }
)
_KEYWORDS: Final = frozenset({"!", "do", "else", "elif", "if", "then", "until", "while", "{"})
_EXTENSION: Final = re.compile(r"\.(sh|bash|py|pl|rb|php|js)$")
_ASSIGNMENT: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*=")
_WORD: Final = re.compile(r"[A-Za-z/~.][\w./:-]*", re.ASCII)


def distinct_names(commands: Iterable[str]) -> list[str]:
    """Return a name for each command line, none of them twice; each is one that a manifest takes."""
    taken: set[str] = set()
    names = []
    for command in commands:
        wanted = name = suggested_name(command)
        number = 1
        while name in taken:
            number += 1
            name = f"{wanted}-{number}"
        taken.add(name)
        names.append(name)
    return names


def suggested_name(command: str) -> str:
    """Return a short name for a command line: its program, and the argument that says most; `job` if nothing does."""
    for words in _simple_commands(command):
        program, *arguments = _unwrapped(words) or [""]
        if program in _PREPARATIONS:
            continue
        if _INTERPRETERS.fullmatch(_stem(program)):
            if "-c" in arguments[:-1] and (inner := suggested_name(arguments[arguments.index("-c") + 1])) != "job":
                return inner
            arguments = [word for word in arguments if not word.startswith("-")]
            program, *arguments = arguments or [program]
        telling = next((word for word in arguments if _WORD.fullmatch(word) and "://" not in word), "")
        if name := _slug(f"{_stem(program)}-{_stem(telling)}"):
            return name
    return "job"


def _simple_commands(line: str) -> Iterator[list[str]]:
    """Yield the words of each command of a line, without what is redirected."""
    try:
        lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
        lexer.whitespace_split = True
        lexer.commenters = ""
        tokens = list(lexer)
    except ValueError:  # a quote without its end: the shell will say so
        tokens = line.split()
    words: list[str] = []
    is_target = False
    for token in tokens:
        if is_target:
            is_target = False
        elif token[:1] in "<>":
            is_target = True
            if words and words[-1].isdigit():
                words.pop()
        elif token[:1] in ";&|()" and token:
            yield words
            words = []
        else:
            words.append(token)
    yield words


def _unwrapped(words: Sequence[str]) -> list[str]:
    """Return a command without the assignments and the programs that only run it."""
    left = list(words)
    while left:
        program = _stem(left[0])
        if left[0] in _KEYWORDS or _ASSIGNMENT.match(left[0]):
            left = left[1:]
        elif program in _WRAPPERS and len(left) > 1:
            own, with_value = _WRAPPERS[program]
            left = left[1:]
            while left and left[0].startswith("-"):
                takes_one = len(left[0]) == 2 and left[0][1] in with_value
                left = left[1 + takes_one :]
            left = left[own:]
        else:
            return left
    return left


def _stem(word: str) -> str:
    return _EXTENSION.sub("", PurePosixPath(word).name)


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:_LONGEST].strip("-")
