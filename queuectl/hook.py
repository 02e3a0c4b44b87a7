"""A hook: what a job wants done when an attempt of it has ended; a command, or a document sent to an address."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, Self

TIMEOUT: Final = 30.0
RETRIES: Final = {"command": 0, "url": 3}


class Trigger(StrEnum):
    """What calls a hook: the keys under which jobs have them."""

    ON_SUCCESS = "on_success"
    ON_FAILURE = "on_failure"
    ON_DEAD = "on_dead"


HOOK_KEYS: Final = tuple(trigger.value for trigger in Trigger)


@dataclass(frozen=True, kw_only=True)
class Hook:
    """Either a ``command``, a line for the job's shell or a program with its arguments, or a ``url`` that gets JSON.

    ``timeout`` is seconds for each try; ``retries`` is how often one that failed is tried again.
    """

    command: str | tuple[str, ...] | None = None
    url: str | None = None
    timeout: float = TIMEOUT
    retries: int = 0

    def to_dict(self) -> dict[str, Any]:
        """Return the hook as plain values."""
        what = {"url": self.url} if self.url else {"command": self.command}
        return {**what, "timeout": self.timeout, "retries": self.retries}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Return the hook that ``to_dict`` gave ``values`` for; JSON's lists become tuples again."""
        given: dict[str, Any] = {
            key: tuple(value) if isinstance(value, list) else value for key, value in values.items()
        }
        return cls(**given)

    def __str__(self) -> str:
        """Return what people may see: of an address only the host, for the rest is often a secret."""
        if self.url is None:
            what = self.command if isinstance(self.command, str) else " ".join(self.command or ())
        else:
            from hashlib import sha256  # as urllib below: whatever imports a job must not pay for it

            digest = sha256(self.url.encode()).hexdigest()[:6]  # tells one secret from the next
            what = f"POST {shown_url(self.url)} #{digest}"
        return f"{what} (timeout {self.timeout:g} s, retries {self.retries})"


def shown_url(url: str) -> str:
    """Return an address without what may be a secret: its user, path and query."""
    if url.startswith("$"):
        return url.partition("}")[0] + "}" if url.startswith("${") else "$…"
    from urllib.parse import urlsplit

    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}/…"
