"""Times in which slots do not run, because somebody said so."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Pause:
    """A time in which the slots of ``scope`` do not run: a job's full name, a manifest's name, or "" for everything."""

    scope: str
    begins_at: datetime
    until: datetime | None = None
    ended_at: datetime | None = None
    reason: str | None = None
    by: str = ""
    ended_by: str | None = None

    def covers(self, job: str, instant: datetime) -> bool:
        """Whether the slots of a job of this full name do not run at an instant."""
        if self.scope not in ("", job, job.partition("/")[0]) or instant < self.begins_at:
            return False
        return all(end is None or instant < end for end in (self.until, self.ended_at))
