"""Sends one document to one address, and says what came back: a process of its own for each try.

What is sent comes as JSON on standard input. It exits with 0 if the answer is one of success; redirects are not
followed, for what they lead to is not what was declared. What is written names no more of an address than its host.
"""

import json
import sys
import urllib.error
import urllib.request
from http.client import HTTPException
from typing import Any, Final
from urllib.parse import urlsplit

from queuectl import __version__
from queuectl.hook import shown_url

_MOST_SHOWN: Final = 2048


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *args: Any, **keys: Any) -> None:
        """Let the answer be what it is."""


def send(told: dict[str, Any]) -> tuple[bool, str]:
    """Return whether the address took the document, and what to say about it."""
    url, facts = told["url"], told["facts"]
    if urlsplit(url).scheme not in ("http", "https"):
        return False, "its address must begin with http:// or https://"
    request = urllib.request.Request(  # noqa: S310 - checked above
        url,
        data=json.dumps(facts, ensure_ascii=False).encode(),
        method="POST",
        headers={
            "Content-Type": "application/json",
            "User-Agent": f"queuectl/{__version__}",
            "Idempotency-Key": told["key"],
            "X-Queuectl-Hook": facts["hook"],
            "X-Queuectl-Try": str(told["try"]),
        },
    )
    opener = urllib.request.build_opener(_NoRedirect)
    where = shown_url(url)
    try:
        with opener.open(request, timeout=told["timeout"]) as answer:
            return True, f"HTTP {answer.status}\n{_said(answer)}"
    except urllib.error.HTTPError as error:
        leads = " to another address: redirects are not followed" if 300 <= error.code < 400 else ""
        with error:
            return False, f"HTTP {error.code}{leads} from {where}\n{_said(error)}"
    except urllib.error.URLError as error:
        return False, f"{where}: {_why(error.reason)}"
    except (OSError, HTTPException, ValueError) as error:
        return False, f"{where}: {_why(error)}"


def _said(answer: Any) -> str:
    try:
        return str(answer.read(_MOST_SHOWN).decode(errors="replace"))
    except (OSError, HTTPException):
        return ""


def _why(error: object) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return type(error).__name__ if isinstance(error, Exception) else str(error)


def main() -> None:
    """Send what standard input says."""
    is_taken, said = send(json.load(sys.stdin))
    sys.stdout.write(said)
    sys.exit(not is_taken)


if __name__ == "__main__":
    main()
