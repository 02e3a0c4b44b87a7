"""An executor that runs every call at once, in this thread: the runner's round without processes of ours."""

from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import Any


class InlineExecutor(Executor):
    """Has done everything when ``submit`` returns."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Call and return what came back, or the exception."""
        future: Future[Any] = Future()
        future.set_running_or_notify_cancel()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:  # noqa: BLE001 - an Executor keeps it
            future.set_exception(error)
        return future


class HeldExecutor(Executor):
    """Keeps the futures and leaves it to the test how each call ends."""

    def __init__(self) -> None:
        self.futures: list[Future[Any]] = []

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Keep a pending future."""
        self.futures.append(Future())
        return self.futures[-1]
