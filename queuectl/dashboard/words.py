"""How the dashboard writes: what others wrote stays text, states have a colour and a sign, times are near or exact."""

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

from queuectl.durations import format_duration
from queuectl.job import State
from queuectl.visible import visible

NONE: Final = "-"
Colour = Literal["gray", "blue", "green", "orange", "red", "violet"]


@dataclass(frozen=True, slots=True)
class Sign:
    """How a state is told apart, with and without colour; ``light`` and ``dark`` are for charts."""

    colour: Colour
    icon: str
    glyph: str
    light: str
    dark: str


# The colours lie as far apart as can be for normal, protanope, deuteranope and tritanope eyes.
SIGNS: Final = {
    State.PENDING: Sign("gray", ":material/schedule:", "○", "#788492", "#8B98A5"),
    State.PROCESSING: Sign("blue", ":material/progress_activity:", "▶", "#4F74C6", "#7397F2"),
    State.COMPLETED: Sign("green", ":material/check_circle:", "✓", "#3CA67A", "#3BA97C"),
    State.FAILED: Sign("orange", ":material/replay:", "!", "#C48F21", "#F6AA1A"),
    State.DEAD: Sign("red", ":material/skull:", "✕", "#890625", "#E6555F"),
    State.CANCELLED: Sign("violet", ":material/block:", "⊘", "#553C76", "#D7B7FD"),
    State.SKIPPED: Sign("gray", ":material/skip_next:", "»", "#BAC1C8", "#60666D"),
}


def quoted(text: str) -> str:
    """Return what somebody else wrote as Markdown that shows exactly this: in a code span nothing is interpreted."""
    shown = visible(text) or NONE
    fence = "`" * (max(map(len, re.findall("`+", shown)), default=0) + 1)
    padding = " " if shown[0] in "` " or shown[-1] in "` " else ""
    return f"{fence}{padding}{shown}{padding}{fence}"


def shortened(text: str, length: int = 120) -> str:
    """Return ``text`` on one line that is no longer than ``length``, made safe to show."""
    shown = visible(text)
    return shown if len(shown) <= length else shown[: length - 1] + "…"


def duration(seconds: float | None) -> str:
    """Return a length of time with a space before its unit: `2.4 s`, `4m 12s`; a dash for none."""
    if seconds is None:
        return NONE
    return re.sub(r"^([\d.]+)(ms|s)$", r"\1 \2", format_duration(seconds))


def exact(instant: datetime | None) -> str:
    """Return an instant to the second, in UTC; a dash for none."""
    return f"{instant:%Y-%m-%d %H:%M:%S} UTC" if instant else NONE
