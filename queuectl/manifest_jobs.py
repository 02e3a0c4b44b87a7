"""From the validated keys of one manifest to its jobs; what is wrong between keys that are right one by one."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from queuectl.faults import Fault, KeyPath, named
from queuectl.fields import clashing_exit_codes, merge, to_spec
from queuectl.instants import to_instant
from queuectl.job import RECURRENCE_KEYS, Catchup, Job, Overlap, Recurrence
from queuectl.manifest_keys import DEFAULTS_WORDS, ManifestFields, broken_keys, job_words
from queuectl.rules import shown
from queuectl.schedule import parse_schedule

_WITH_SCHEDULE: Final = frozenset(RECURRENCE_KEYS) - {"schedule", "timezone"}
_ZONE_HINT: Final = 'or say where it holds: `timezone = "Europe/Berlin"`'


def declared_jobs(
    fields: ManifestFields, broken: Sequence[Fault], *, folder: str, defaults: Mapping[str, object]
) -> tuple[list[Job], list[Fault]]:
    """Return the jobs of a manifest and what more is wrong with them.

    ``defaults`` are weaker than the manifest's own. If there are faults, the jobs are as good as they could be made.
    """
    own: Mapping[str, object] = fields.get("defaults", {})
    declared: Mapping[str, Mapping[str, object]] = fields.get("jobs", {})
    weaker = merge(defaults, own)
    lost = broken_keys(broken)
    found: list[Fault] = []
    renamed: dict[str, str] = {}
    jobs = []
    for name, written in declared.items():
        keys = _Keys(name, written, own, merge(weaker, written), lost, found)
        keys.check_presence()
        keys.check_exit_codes()
        keys.check_rename(declared, renamed)
        jobs.append(
            Job(
                manifest=fields.get("manifest", ""),
                name=name,
                spec=to_spec(keys.merged, folder=folder),
                run_at=keys.run_at(),
                recurrence=keys.recurrence(),
                enabled=keys.merged.get("enabled", True),
                revision=keys.merged.get("revision", 1),
                max_wait=keys.merged.get("max_wait"),
                expect_success_within=keys.merged.get("expect_success_within"),
                renamed_from=keys.merged.get("renamed_from"),
            )
        )
    return jobs, list(dict.fromkeys(found))


class _Keys:
    """The keys of one job, merged, and where each of them is written; adds to ``found`` what is wrong."""

    def __init__(
        self,
        name: str,
        written: Mapping[str, object],
        own_defaults: Mapping[str, object],
        merged: dict[str, Any],
        lost: frozenset[KeyPath],
        found: list[Fault],
    ) -> None:
        self.merged = merged
        self._name = name
        self._written = written
        self._defaults = own_defaults
        self._lost = lost
        self._found = found

    def check_presence(self) -> None:
        if "command" not in self.merged:
            if not self._is_lost("command"):
                self._refuse("command", "is missing")
            self.merged["command"] = "true"

    def check_exit_codes(self) -> None:
        if "fail_on_exit_codes" not in self.merged or self._is_lost("success_exit_codes"):
            return
        for code in clashing_exit_codes(self.merged):
            self._refuse("fail_on_exit_codes", f"has {code}, which `success_exit_codes` has too")

    def check_rename(self, declared: Mapping[str, object], renamed: dict[str, str]) -> None:
        """Check that the old name is free, for this job alone; ``renamed`` maps old names to the jobs before."""
        old = self.merged.get("renamed_from")
        if old is None:
            return
        if old in declared:
            self._refuse("renamed_from", f"names a job that is still declared: {shown(old)}")
        elif (other := renamed.setdefault(old, self._name)) != self._name:
            self._refuse("renamed_from", f"is {shown(old)}, as in job {shown(other)}")

    def run_at(self) -> datetime | None:
        """Return when the job is due, if a time is written."""
        if "run_at" not in self.merged or self._is_lost("timezone"):
            return None
        zone = self.merged.get("timezone")
        try:
            return to_instant(self.merged["run_at"], zone=zone)
        except ValueError as error:
            # Only a time without an offset has a hint.
            self._refuse("run_at", str(error), hint=_ZONE_HINT if getattr(error, "hint", None) else None)
            return None

    def recurrence(self) -> Recurrence | None:
        """Return when and how the job recurs, if a schedule is written."""
        keys = {key: self.merged[key] for key in RECURRENCE_KEYS if key in self.merged}
        if "schedule" not in keys:
            for key in self._written.keys() & _WITH_SCHEDULE:
                self._refuse(key, "needs a `schedule`")
            return None
        if "run_at" in self.merged:
            self._refuse("run_at", "cannot stand beside `schedule`", hint="a job is due once or again and again")
        if "revision" in self._written:
            self._refuse("revision", "cannot stand beside `schedule`", hint="a recurring job runs again by itself")
        recurrence = Recurrence(**keys)
        if recurrence.catchup is Catchup.ALL and recurrence.overlap in (Overlap.SKIP, Overlap.REPLACE):
            hint = 'add `overlap = "queue"` or `overlap = "allow"`'
            sentence = f'is "all", but `overlap` is "{recurrence.overlap}": of several slots only one would run'
            self._refuse("catchup", sentence, hint=hint)
        if recurrence.catchup is Catchup.NONE and recurrence.catchup_window is not None:
            self._refuse("catchup_window", 'has nothing to limit: `catchup` is "none"')
        try:
            parse_schedule(recurrence.schedule, zone=None if self._is_lost("timezone") else recurrence.timezone)
        except ValueError as error:
            self._refuse("schedule", str(error), hint=getattr(error, "hint", None))
        return recurrence

    def _is_lost(self, key: str) -> bool:
        return ("jobs", self._name, key) in self._lost or ("defaults", key) in self._lost

    def _refuse(self, key: str, sentence: str, *, hint: str | None = None) -> None:
        if key not in self._written and key in self._defaults:
            at: KeyPath = ("defaults", key)
            words = DEFAULTS_WORDS
        else:
            at, words = ("jobs", self._name, key), job_words(self._name)
        self._found.append(Fault(at=at, sentence=words + named((key,), sentence), hint=hint))
