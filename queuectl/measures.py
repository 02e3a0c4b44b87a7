"""What is measured of the queue: what happened how often, how long it took, and how long it had waited.

Pure: the store adds a measure to its rows in the transaction of what it measures. Durations are whole microseconds,
so that sums stay exact.
"""

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Final

BOUNDS: Final = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3600.0, 14400.0, 86400.0)
"""The upper bounds of the histograms, in seconds; what took longer is counted behind the last."""

AD_HOC: Final = 0
"""The job of runs that belong to none."""


class Event(StrEnum):
    """What happened to a run; the first six are the outcomes of attempts."""

    EXITED = "exited"
    SIGNALLED = "signalled"
    TIMED_OUT = "timed out"
    CANCELLED = "cancelled"
    LOST = "lost"
    RELEASED = "released"
    ENQUEUED = "enqueued"  # it came into the queue
    REQUEUED = "requeued"  # it was over, and came back: retried by a person, or cured by an apply
    ENDED = "ended"  # without an attempt: cancelled or skipped

    @property
    def is_attempt(self) -> bool:
        """Whether it is the end of an attempt."""
        return self not in (Event.ENQUEUED, Event.REQUEUED, Event.ENDED)


# A width is what one row covers, in seconds, and how long such rows are kept before they are folded into the next.
FINE: Final = 300
WIDTHS: Final = (
    (FINE, timedelta(hours=26)),
    (3600, timedelta(days=8)),
    (86400, timedelta(days=400)),
)

_MICROS: Final = tuple(round(bound * 1_000_000) for bound in BOUNDS)
_CELLS: Final = len(BOUNDS) + 1

Sums = list[int]
"""Count, microseconds taken, microseconds waited, then both histograms, cell by cell: the columns, in their order."""

COLUMNS: Final = (
    "count",
    "took",
    "waited",
    *(f"took_{cell}" for cell in range(_CELLS)),
    *(f"waited_{cell}" for cell in range(_CELLS)),
)
_TOOK, _WAITED = 3, 3 + _CELLS


@dataclass(frozen=True, slots=True)
class Measure:
    """What happened so often, with the sums and histograms of how long attempts took and had waited to begin.

    ``took`` and ``waited`` are seconds. The histograms count by the cells of BOUNDS; what is longer is in the last.
    """

    count: int
    took: float
    waited: float
    took_cells: tuple[int, ...]
    waited_cells: tuple[int, ...]

    def __add__(self, other: "Measure") -> "Measure":
        return Measure(
            self.count + other.count,
            self.took + other.took,
            self.waited + other.waited,
            tuple(map(sum, zip(self.took_cells, other.took_cells, strict=True))),
            tuple(map(sum, zip(self.waited_cells, other.waited_cells, strict=True))),
        )


NOTHING: Final = Measure(0, 0.0, 0.0, (0,) * _CELLS, (0,) * _CELLS)


def measure_of(sums: Sequence[int]) -> Measure:
    """Return the measure that a row's columns stand for."""
    return Measure(
        sums[0],
        sums[1] / 1_000_000,
        sums[2] / 1_000_000,
        tuple(sums[_TOOK:_WAITED]),
        tuple(sums[_WAITED : _WAITED + _CELLS]),
    )


def no_sums() -> Sums:
    """Return the sums of nothing."""
    return [0] * len(COLUMNS)


def add_attempt(sums: Sums, *, took: int, waited: int) -> None:
    """Add an attempt that took and had waited so many microseconds; a clock set back makes neither negative."""
    took, waited = max(took, 0), max(waited, 0)
    sums[0] += 1
    sums[1] += took
    sums[2] += waited
    sums[_TOOK + bisect_left(_MICROS, took)] += 1
    sums[_WAITED + bisect_left(_MICROS, waited)] += 1


def total(measures: Iterable[Measure]) -> Measure:
    """Return what several measures are together."""
    return sum(measures, NOTHING)


def quantile(cells: Sequence[int], share: float) -> float | None:
    """Return below which seconds a ``share`` of what a histogram counts lies; None if it counts nothing.

    Within a cell all values are taken to be spread evenly, as Prometheus does; beyond the last bound counts as it.
    """
    rank = share * sum(cells)
    if not rank:
        return None
    before = 0
    for index, count in enumerate(cells[:-1]):
        if count and before + count >= rank:
            lower = BOUNDS[index - 1] if index else 0.0
            return lower + (BOUNDS[index] - lower) * (rank - before) / count
        before += count
    return BOUNDS[-1]
