"""Where the queue lives: the one seam to a database, with all the SQL there is.

``Store`` is what the rest of queuectl uses; today it stands on SQLite. Everything below it speaks in
values of ``queuectl.job`` and never in rows.
"""

from queuectl.store.history import History as Store
from queuectl.store.metrics import Counted
from queuectl.store.queue import RunIdTaken
from queuectl.store.slots import DueJob
from queuectl.store.values import Apply, Author, RunFilter, Runner, Settlement

__all__ = ["Apply", "Author", "Counted", "DueJob", "RunFilter", "RunIdTaken", "Runner", "Settlement", "Store"]
