"""The hooks that attempts called: written when an attempt is settled, taken by couriers, and what became of them."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final

from queuectl.hook import Hook, Trigger
from queuectl.hooks import called, facts
from queuectl.job import Run
from queuectl.records import to_instant, to_instant_or_none, to_micros, to_micros_or_none
from queuectl.store.metrics import Metrics
from queuectl.store.rows import to_json
from queuectl.store.values import Settlement

_MARGIN: Final = 30.0
"""So many seconds after its time-out a hook is due again of which nothing was heard."""

_LAST_OF_A_COURIER: Final = timedelta(seconds=7)


class Fate(StrEnum):
    """What became of a hook."""

    DELIVERED = "delivered"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Errand:
    """A hook that a courier has taken: what to do, where, and what to tell."""

    id: int
    trigger: Trigger
    hook: Hook
    cwd: str | None
    shell: tuple[str, ...]
    env: dict[str, str]
    env_file: str | None
    facts: dict[str, Any]
    tries: int
    failures: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Called:
    """A hook that an attempt called, and what became of it; ``fate`` is None until it is certain."""

    trigger: Trigger
    lease: int
    hook: Hook
    called_at: datetime
    due_at: datetime
    tries: int
    ended_at: datetime | None
    fate: Fate | None
    detail: str | None
    output: str | None


class Hooks(Metrics):
    """What stands in the store for hooks."""

    def _call_hooks(self, ends: Sequence[Settlement]) -> None:
        rows = []
        for before, after, attempt in ends:
            if (found := called(after)) is None:
                continue
            trigger, hook = found
            spec = after.spec
            what = {
                **hook.to_dict(),
                "cwd": spec.cwd,
                "shell": spec.shell,
                "env": {**spec.env},
                "env_file": spec.env_file,
            }
            rows.append(
                {
                    "run": before.number,
                    "lease": before.lease,
                    "hook": trigger,
                    "what": to_json(what),
                    "facts": to_json(facts(trigger, before, after, attempt)),
                    "now": to_micros(after.updated_at),
                }
            )
        if rows:
            self._many("insert_hook", rows)

    def claim_hooks(self, *, limit: int, runner: int, now: datetime) -> list[Errand]:
        """Take up to ``limit`` hooks that are due, for the courier of a runner."""
        keys = {"limit": limit, "runner": runner, "now": to_micros(now), "margin": _MARGIN}
        with self.transaction():
            rows = self._all("claim_hooks", keys)
        return [_errand(row) for row in sorted(rows)]

    def settle_hook(
        self,
        errand: Errand,
        *,
        fate: Fate | None,
        failures: int,
        due_at: datetime,
        detail: str,
        output: str,
        now: datetime,
        is_given_back: bool = False,
    ) -> bool:
        """Store how a try ended; without a ``fate`` it is due again. False if another courier has it by now.

        One that ``is_given_back`` does not count as a try.
        """
        return bool(
            self._all(
                "settle_hook",
                {
                    "id": errand.id,
                    "tries": errand.tries,
                    "failures": failures,
                    "due_at": to_micros(due_at),
                    "ended_at": to_micros_or_none(now if fate else None),
                    "fate": fate,
                    "detail": detail,
                    "output": output,
                    "given_back": is_given_back,
                },
            )
        )

    def hurry_hooks(self, runner: int, *, now: datetime) -> None:
        """Let the hooks that the courier of a dead runner had be due as soon as it is dead too."""
        self._all("hurry_hooks", {"runner": runner, "due_at": to_micros(now + _LAST_OF_A_COURIER)})

    def next_hook(self) -> datetime | None:
        """Return when the first hook that is not delivered is due; None if there is none."""
        [(micros,)] = self._all("next_hook")
        return to_instant_or_none(micros)

    def waiting_hooks(self) -> int:
        """Return how many hooks are not delivered."""
        return int(self._all("count_hooks")[0][0])

    def hooks(self, run: Run) -> list[Called]:
        """Return the hooks that the attempts of a run called, oldest first."""
        return [
            Called(
                trigger=Trigger(row["hook"]),
                lease=row["lease"],
                hook=_hook(json.loads(row["what"])),
                called_at=to_instant(row["called_at"]),
                due_at=to_instant(row["due_at"]),
                tries=row["tries"],
                ended_at=to_instant_or_none(row["ended_at"]),
                fate=None if row["fate"] is None else Fate(row["fate"]),
                detail=row["detail"],
                output=row["output"],
            )
            for row in self._dicts("hooks_of", {"run": run.number})
        ]


def _hook(what: dict[str, Any]) -> Hook:
    return Hook.from_dict({key: what[key] for key in ("command", "url", "timeout", "retries") if key in what})


def _errand(row: tuple[Any, ...]) -> Errand:
    what = json.loads(row[3])
    return Errand(
        id=row[0],
        trigger=Trigger(row[2]),
        hook=_hook(what),
        cwd=what["cwd"],
        shell=tuple(what["shell"]),
        env=what["env"],
        env_file=what["env_file"],
        facts=json.loads(row[4]),
        tries=row[5],
        failures=row[6],
    )
