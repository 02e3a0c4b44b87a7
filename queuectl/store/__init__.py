"""Where the queue lives: the one seam to a database, with all the SQL there is.

``Store`` is what the rest of queuectl uses, ``archive.Archive`` the same with what explains and shows the past; today
they stand on SQLite. Everything below speaks in values of ``queuectl.job`` and never in rows.
"""

from queuectl.store.expectations import Expectation, Late
from queuectl.store.expectations import Expectations as Store
from queuectl.store.hooks import Called, Errand, Fate
from queuectl.store.metrics import Counted
from queuectl.store.queue import RunIdTaken
from queuectl.store.selection import Choice
from queuectl.store.slots import DueJob
from queuectl.store.values import Apply, Author, Origin, PastAttempt, Runner, Settlement

__all__ = [
    "Apply",
    "Author",
    "Called",
    "Choice",
    "Counted",
    "DueJob",
    "Errand",
    "Expectation",
    "Fate",
    "Late",
    "Origin",
    "PastAttempt",
    "RunIdTaken",
    "Runner",
    "Settlement",
    "Store",
]
