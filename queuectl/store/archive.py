"""The store with what only explains, compares and shows: apart, since most commands need none of it."""

from queuectl.store.asking import Answer
from queuectl.store.asking import Asking as Archive
from queuectl.store.watching import ApplyLine, DeadGroup, Found, Result

__all__ = ["Answer", "ApplyLine", "Archive", "DeadGroup", "Found", "Result"]
