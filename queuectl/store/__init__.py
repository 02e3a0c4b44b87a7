"""Where the queue lives: the one seam to a database, with all the SQL there is.

``Store`` is what the rest of queuectl uses; today it stands on SQLite. Everything below it speaks in
values of ``queuectl.job`` and never in rows.
"""

from queuectl.store.asking import Answer
from queuectl.store.asking import Asking as Store
from queuectl.store.expectations import Expectation, Late
from queuectl.store.hooks import Called, Errand, Fate
from queuectl.store.metrics import Counted
from queuectl.store.queue import RunIdTaken
from queuectl.store.selection import Choice
from queuectl.store.slots import DueJob
from queuectl.store.values import Apply, Author, Origin, PastAttempt, Runner, Settlement
from queuectl.store.watching import ApplyLine, DeadGroup, Found, Result

__all__ = [
    "Answer",
    "Apply",
    "ApplyLine",
    "Author",
    "Called",
    "Choice",
    "Counted",
    "DeadGroup",
    "DueJob",
    "Errand",
    "Expectation",
    "Fate",
    "Found",
    "Late",
    "Origin",
    "PastAttempt",
    "Result",
    "RunIdTaken",
    "Runner",
    "Settlement",
    "Store",
]
