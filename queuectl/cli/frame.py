"""What `queuectl watch` draws: pure, lines of text for a terminal of any width and height."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from textwrap import wrap
from typing import Any, Final

from rich.cells import cell_len, set_cell_size
from rich.text import Text

from queuectl.cli.output import STYLES, ago, stamp
from queuectl.durations import format_duration
from queuectl.visible import visible
from queuectl.wording import counted

_WIDE: Final = 60
_LONGEST_ID: Final = 20
_MUCH_LONGER: Final = 2.0  # times what is usual

Record = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """What is to be drawn; ``record`` is None before the queue could be read, ``trouble`` says what is wrong now."""

    db: str
    now: datetime
    record: Record | None
    rate: float | None = None
    interval: float = 1.0
    trouble: str | None = None


def draw(scene: Scene, *, width: int, height: int) -> Text:
    """Return the lines that fit, one below the other, none of them longer than ``width`` cells."""
    lines = [_title(scene, width)]
    if scene.trouble:
        lines += [Text(line, style="bold red") for line in wrap(visible(scene.trouble), width)]
    if scene.record is not None:
        lines += [_runners(scene), *_states(scene.record["runs"], width), Text()]
        lines += _parts(scene, width, height - len(lines) - 1)
    lines = lines[: max(height - 1, 1)]
    lines += [Text()] * (height - 1 - len(lines))
    if height > 1:
        lines.append(Text(f"q leaves; every {format_duration(scene.interval)}", style="dim"))
    for line in lines:
        line.truncate(width, overflow="ellipsis")
    return Text("\n", no_wrap=True).join(lines)


def title_of(run: Record) -> str:
    """Return what a person knows a run by, to be shown: its job, or an ad-hoc run's command."""
    command = run["command"]
    return visible(run["job"] or (command if isinstance(command, str) else " ".join(command)))


def _title(scene: Scene, width: int) -> Text:
    time = stamp(scene.now) if width >= _WIDE else stamp(scene.now).partition("T")[2]
    title = Text(visible(f"queuectl  {scene.db}"), style="bold")
    title.truncate(max(width - len(time) - 2, 0), overflow="ellipsis", pad=True)
    return title.append(f"  {time}", style="dim")


def _runners(scene: Scene) -> Text:
    record = scene.record or {}
    alive = [runner for runner in record["runners"] if runner["alive"]]
    if not alive:
        text = Text("no runner is alive", style="bold yellow")
    else:
        workers = sum(runner["workers"] for runner in alive)
        text = Text(f"{counted(len(alive), 'runner')}, {counted(workers, 'worker')}")
    if dead := len(record["runners"]) - len(alive):
        text.append(f", {counted(dead, 'dead runner')}", style="red")
    if scene.rate is not None:
        text.append(f", {scene.rate:.0f} runs a minute")
    return text


def _states(counts: Mapping[str, int], width: int) -> list[Text]:
    """Return the number of runs in each state, on as many lines as they need."""
    lines = [Text()]
    for state, count in counts.items():
        word = Text(f"{state} ", style="dim").append(f"{count:,}", style=STYLES.get(state, "") if count else "dim")
        if lines[-1] and len(lines[-1]) + 2 + len(word) > width:
            lines.append(Text())
        lines[-1].append_text(Text("  ") if lines[-1] else Text()).append_text(word)
    return lines


@dataclass(frozen=True, slots=True, kw_only=True)
class _Row:
    """A run or a slot: what it is called, since or until when, what it is, and what there is to say of it."""

    id: str
    style: str = ""
    when: str
    title: str
    tail: str = ""


def _parts(scene: Scene, width: int, room: int) -> list[Text]:
    """Return what runs, what is next and what died; if there is not room for all, each gives up some of it."""
    record, now = scene.record or {}, scene.now
    parts = [
        ("RUNNING", [_running(run, now) for run in record["running"]], "nothing"),
        ("NEXT", _upcoming(record, now), "nothing is due or scheduled"),
        ("DIED LAST", [_dead(run, now) for run in record["newest_dead"]], "nothing"),
    ]
    heights = _shares([max(len(rows), 1) for _, rows, _ in parts], room - 2 * len(parts) + 1)
    lines: list[Text] = []
    for (title, rows, nothing), height in zip(parts, heights, strict=True):
        if lines:
            lines.append(Text())
        lines.append(Text(title, style="bold"))
        left = len(rows) - height
        lines += _aligned(rows if left <= 0 else rows[: max(height - 1, 0)], width)
        if left > 0:
            lines.append(Text(f"  and {min(left + 1, len(rows)):,} more", style="dim"))
        elif not rows:
            lines.append(Text(f"  {nothing}", style="dim"))
    return lines


def _aligned(rows: Sequence[_Row], width: int) -> list[Text]:
    """Return rows in columns; what there is to say of a run has a half of what is left, or what the title leaves."""
    ids = max((cell_len(row.id) for row in rows), default=0)
    whens = max((len(row.when) for row in rows), default=0)
    lines = []
    for row in rows:
        line = Text("  ").append(set_cell_size(row.id, min(ids, _LONGEST_ID)), style=row.style)
        line.append(f"  {row.when:<{whens}}  ", style="dim")
        room = max(width - line.cell_len, 0)
        title = Text(row.title)
        title.truncate(max(room - cell_len(row.tail) - 2, room // 2) if row.tail else room, overflow="ellipsis")
        line.append_text(title)
        lines.append(line.append(f"  {row.tail}" if row.tail else "", style="dim"))
    return lines


def _shares(wanted: Sequence[int], room: int) -> list[int]:
    """Return how many lines each part gets of ``room``: what it wants, as long as the others have as much."""
    given = [0] * len(wanted)
    for _ in range(max(room, 0)):
        hungry = [index for index, share in enumerate(given) if share < wanted[index]]
        if not hungry:
            break
        given[min(hungry, key=lambda index: given[index])] += 1
    return given


def _running(run: Record, now: datetime) -> _Row:
    seconds = max((now - run["started_at"]).total_seconds(), 0.0)
    usual = run["usual_seconds"]
    is_long = usual is not None and seconds > max(usual, 1.0) * _MUCH_LONGER
    return _Row(
        id=visible(run["id"]),
        style="yellow" if is_long else "blue",
        when=format_duration(float(int(seconds))) if seconds >= 1 else "now",
        title=title_of(run),
        tail="" if usual is None else f"usually {format_duration(usual)}",
    )


def _upcoming(record: Record, now: datetime) -> list[_Row]:
    """Return what is due next, queued or by a schedule, by its time; what is due already keeps the order of claims."""
    runs = [
        (max(run["run_at"], now), _Row(id=visible(run["id"]), when=_when(run["run_at"], now), title=title_of(run)))
        for run in record["next_runs"]
    ]
    slots = [
        (slot["slot"], _Row(id="slot", when=_when(slot["slot"], now), title=visible(slot["job"])))
        for slot in record["next_slots"]
    ]
    return [row for _, row in sorted(runs + slots, key=lambda each: each[0])]


def _dead(run: Record, now: datetime) -> _Row:
    reason = visible(run["reason"] or "")
    return _Row(id=visible(run["id"]), style="red", when=ago(run["updated_at"], now), title=title_of(run), tail=reason)


def _when(at: datetime, now: datetime) -> str:
    return "due" if at <= now else ago(at, now)
