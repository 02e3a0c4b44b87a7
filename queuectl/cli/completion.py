"""`queuectl completion`: the scripts by which shells ask `cli/completing.py`."""

import sys
from enum import StrEnum
from typing import Annotated, Final

import typer


class Shell(StrEnum):
    """The shells that are known."""

    BASH = "bash"
    ZSH = "zsh"
    FISH = "fish"


_SCRIPTS: Final = {
    Shell.BASH: """\
_queuectl() {
    local IFS=$'\\n'
    COMPREPLY=($(_QUEUECTL_COMPLETE=bash "$1" "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null))
}
complete -o default -F _queuectl queuectl
""",
    Shell.ZSH: """\
#compdef queuectl
_queuectl() {
    local -a found
    found=("${(@f)$(_QUEUECTL_COMPLETE=zsh "${(Q)words[1]}" "${(@Q)words[2,CURRENT]}" 2>/dev/null)}")
    if [[ -n "$found" ]]; then
        _describe queuectl found
    else
        _files
    fi
}
if [[ "$funcstack[1]" == _queuectl ]]; then
    _queuectl "$@"
else
    compdef _queuectl queuectl
fi
""",
    Shell.FISH: """\
function __queuectl_complete
    set -l words (commandline -opc) (commandline -ct)
    set -l found (_QUEUECTL_COMPLETE=fish queuectl $words[2..-1] 2>/dev/null)
    if test (count $found) -gt 0
        printf '%s\\n' $found
    else
        __fish_complete_path (commandline -ct)
    end
end
complete -c queuectl -f -a '(__queuectl_complete)'
""",
}


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(
        "completion",
        epilog="Examples:  queuectl completion bash > ~/.local/share/bash-completion/completions/queuectl    "
        "queuectl completion fish > ~/.config/fish/completions/queuectl.fish",
    )(completion)


def completion(
    shell: Annotated[Shell, typer.Argument(help="Whose script to print.", show_default=False)],
) -> None:
    """Print a script that completes commands, options, and the names of jobs, manifests and runs."""
    sys.stdout.write(_SCRIPTS[shell])
