"""Points in time as people write them: ISO 8601, with an offset or with a time zone beside it.

Standard library only. Everything comes out in UTC.
"""

import re
from datetime import UTC, date, datetime, time
from functools import lru_cache
from typing import TYPE_CHECKING

from queuectl.rules import Refused, not_as, shown, text

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

FIRST_YEAR, LAST_YEAR = 1970, 2999

_ISO = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}"
    r"(?:[Tt ](?:[01][0-9]|2[0-3]):[0-9]{2}(?::[0-9]{2}(?:\.[0-9]{1,6})?)?(?:[Zz]|[+-][0-9]{2}:[0-9]{2})?)?"
)


def parse_instant(written: str, *, zone: str | None) -> datetime:
    """Return the instant in UTC that a date or a date-time means, in ``zone`` if it has no offset itself.

    A date alone is its midnight. A time that the clocks skip in spring is that much later; of a time that
    comes twice in autumn the first is meant. Raises ValueError with a sentence that can be shown, also
    for a time that has neither an offset nor a ``zone``.
    """
    return to_instant(_parsed(text(written)), zone=zone)


def parse_local(written: str, *, zone: str) -> datetime:
    """Return the local time in ``zone``, without a time zone of its own, that a date or a date-time means.

    One without an offset is taken as it is, whether the clocks show it on that day or not. Raises ValueError as
    ``parse_instant`` does.
    """
    local = _with_time(_parsed(text(written)))
    return local.replace(tzinfo=None) if local.tzinfo is None else local.astimezone(_zone(zone)).replace(tzinfo=None)


@lru_cache(maxsize=64)  # what happens in one turn of a runner happens at one instant
def format_instant(instant: datetime) -> str:
    """Return an instant in UTC to the second: `2026-12-01T02:00:00Z`."""
    return instant.isoformat(timespec="seconds").replace("+00:00", "Z")


def format_in_zone(instant: datetime, zone: str) -> str:
    """Return an instant in UTC with its local time: `2026-12-01T02:00:00Z (03:00:00 +0100 Europe/Berlin)`.

    Without one in a zone that is not known: it was, where it was written down.
    """
    if zone == "UTC":
        return format_instant(instant)
    try:
        local = instant.astimezone(_zone(zone))
    except Refused:
        return format_instant(instant)
    day = "" if local.date() == instant.date() else f"{local:%a %Y-%m-%d} "
    return f"{format_instant(instant)} ({day}{local:%H:%M:%S %z} {zone})"


def to_instant(value: object, *, zone: str | None) -> datetime:
    """Return the instant that a date-time of TOML or an ISO string means; as ``parse_instant``."""
    if isinstance(value, str):
        return parse_instant(value, zone=zone)
    local = _with_time(value)
    if local.tzinfo is None:
        if zone is None:
            raise Refused(
                f"must have an offset from UTC, such as `Z` or `+01:00`: {shown(value)}",
                hint=f"for example `{local.isoformat()}Z`",
            )
        local = local.replace(tzinfo=_zone(zone))
    try:
        instant = local.astimezone(UTC)
    except OverflowError:
        instant = datetime.min.replace(tzinfo=UTC)
    if not FIRST_YEAR <= instant.year <= LAST_YEAR:
        raise ValueError(f"must lie in the years {FIRST_YEAR} to {LAST_YEAR}: {shown(value)}")
    return instant


def time_zone(value: object) -> str:
    """Return the name of an IANA time zone; raises ValueError, with the names that are like it."""
    zone = text(value)
    _zone(zone)
    return zone


@lru_cache(maxsize=64)
def _zone(name: str) -> "ZoneInfo":
    from zoneinfo import ZoneInfo

    # The list, not just the attempt to open it: a file system may ignore case, or hold zones of its own.
    known = _known_zones()
    if name not in known:
        raise Refused(f"must be an IANA time zone like `Europe/Berlin`: {shown(name)}", word=name, known=known)
    return ZoneInfo(name)


@lru_cache(maxsize=1)
def _known_zones() -> frozenset[str]:
    from importlib.resources import files

    return frozenset(files("tzdata").joinpath("zones").read_text(encoding="ascii").split())


def _parsed(written: str) -> date:
    if not _ISO.fullmatch(written):
        raise ValueError(f"must be a time like `2026-12-01T02:00:00+01:00`: {shown(written)}")
    try:
        return datetime.fromisoformat(written.upper()) if len(written) > 10 else date.fromisoformat(written)
    except ValueError:
        raise ValueError(f"must be a time that exists: {shown(written)}") from None


def _with_time(value: object) -> datetime:
    if isinstance(value, datetime):
        return value
    if isinstance(value, date):
        return datetime.combine(value, time())
    raise ValueError(f"must be a date and time, {not_as(value)}")
