"""The examples under `--help` of every command are command lines that it takes."""

import re
import shlex

import pytest
import typer

from queuectl.cli import build

ROOT = typer.main.get_command(build())


def leaves(command=ROOT, name=""):
    """Yield the commands that do something, each with its name."""
    below = getattr(command, "commands", None)
    if below is None:
        yield name.strip(), command
    else:
        for word, each in below.items():
            yield from leaves(each, f"{name} {word}")


LEAVES = dict(leaves())


def examples(command):
    """Return the command lines in the last lines of a command's help."""
    title, _, listed = (command.epilog or "").partition(":")
    return re.split(r"\s{2,}", listed.strip()) if title == "Examples" else []


def words_of(example):
    """Return the words that `queuectl` itself gets in a line for a shell."""
    reader = shlex.shlex(example, posix=True, punctuation_chars=True)
    reader.whitespace_split = True
    words = list(reader)
    words = words[words.index("queuectl") + 1 :]
    end = next((index for index, word in enumerate(words) if word in {"|", ">", ">>", "&&", ";"}), len(words))
    return words[:end]


def parsed(words):
    """Return the name of the command that takes a command line; raises what the command line raises."""
    command, context, name, path = ROOT, None, "queuectl", []
    while True:
        context = command.make_context(name, words, parent=context)
        if not hasattr(command, "commands"):
            return " ".join(path)
        name, command, words = command.resolve_command(context, [*context._protected_args, *context.args])
        path.append(name)


@pytest.mark.parametrize("name", LEAVES)
def test_a_command_has_two_examples_that_it_takes(name):
    found = examples(LEAVES[name])

    assert len(found) >= 2
    assert {parsed(words_of(example)) for example in found} == {name}


def test_an_example_that_is_wrong_is_noticed():
    with pytest.raises(typer.exceptions.TyperException):
        parsed(words_of("queuectl list --stat dead | head"))
