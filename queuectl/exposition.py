"""The queue in Prometheus's words: what is scraped, and what the text-file collector reads.

The numbers are read from the store when they are asked for. How many series there are is bounded: states and outcomes
are few, ad-hoc runs are one job, and jobs beyond the first MOST_JOBS share the label `other`.
"""

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from threading import Lock
from typing import Final

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from queuectl import presence
from queuectl.errors import QueuectlError
from queuectl.job import State
from queuectl.measures import AD_HOC, BOUNDS, NOTHING, Event, Measure, total
from queuectl.spool import Spool
from queuectl.store import Counted, Store

MOST_JOBS: Final = 500
"""Jobs with a label of their own: those that were declared first, so that no series moves from one label to another."""

_ATTEMPTS: Final = [event for event in Event if event.is_attempt]


class QueueCollector(Collector):
    """Opens the queue for each scrape, in the thread that asks, and closes it; a scrape that fails says so.

    ``open_store`` returns a store of its own for each call.
    """

    def __init__(self, open_store: Callable[[], Store], clock: Callable[[], datetime]) -> None:
        self._open_store = open_store
        self._clock = clock
        self._lock = Lock()  # many that scrape at once read one after the other

    def collect(self) -> Iterator[Metric]:
        """Yield the metrics."""
        try:
            with self._lock, self._open_store() as store:
                found = list(families(store, now=self._clock()))
        except QueuectlError:
            found = []
        yield GaugeMetricFamily("queuectl_scrape_success", "Whether the queue could be read.", value=bool(found))
        yield from found


def registry_of(open_store: Callable[[], Store], clock: Callable[[], datetime]) -> CollectorRegistry:
    """Return a registry that has the queue and nothing else."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(QueueCollector(open_store, clock))
    return registry


def exposition(store: Store, *, now: datetime) -> bytes:
    """Return the queue in the text format of Prometheus; raises what reading the store raises."""

    class Once(Collector):
        def collect(self) -> Iterable[Metric]:
            return families(store, now=now)

    registry = CollectorRegistry(auto_describe=False)
    registry.register(Once())
    return generate_latest(registry)


def families(store: Store, *, now: datetime) -> Iterator[Metric]:
    """Yield the metrics of a queue, all from one state of it."""
    with store.snapshot():
        counts, due, hooks = store.counts(), store.next_due(), store.waiting_hooks()
        runners, counted = store.running_runners(), store.metric_totals()
    spool = Spool(str(store.path))
    alive = [runner for runner in runners if presence.is_alive(spool, runner.id)]
    yield _labelled(GaugeMetricFamily("queuectl_runs", "Runs by state.", labels=["state"]), counts)
    yield GaugeMetricFamily("queuectl_dlq_runs", "Runs in the dead letter queue.", value=counts[State.DEAD])
    age = max((now - due).total_seconds(), 0.0) if due else 0.0
    yield GaugeMetricFamily(
        "queuectl_oldest_due_age_seconds", "For how long the earliest waiting run is due.", value=age
    )
    yield GaugeMetricFamily("queuectl_runners_alive", "Runners that live.", value=len(alive))
    yield GaugeMetricFamily(
        "queuectl_workers", "Workers of the runners that live.", value=sum(r.workers for r in alive)
    )
    yield GaugeMetricFamily("queuectl_hooks_waiting", "Hooks that are not delivered yet.", value=hooks)
    yield from _totals(counted)
    yield from _by_job(counted)


def _totals(counted: list[Counted]) -> Iterator[Metric]:
    by_event = {event: total(each.measure for each in counted if each.event is event) for event in Event}
    attempts = CounterMetricFamily("queuectl_attempts", "Attempts that ended, by outcome.", labels=["outcome"])
    yield _labelled(attempts, {_label(event): by_event[event].count for event in _ATTEMPTS})
    enqueued, requeued = by_event[Event.ENQUEUED].count, by_event[Event.REQUEUED].count
    yield CounterMetricFamily("queuectl_runs_enqueued", "Runs that came into the queue.", value=enqueued)
    yield CounterMetricFamily("queuectl_runs_requeued", "Runs that were over and came back.", value=requeued)
    ended = CounterMetricFamily(
        "queuectl_runs_ended", "Runs that were over, by the state they ended in.", labels=["state"]
    )
    finals = [state for state in State if state.is_final]
    yield _labelled(
        ended, {state: total(each.measure for each in counted if each.state is state).count for state in finals}
    )
    took = HistogramMetricFamily(
        "queuectl_attempt_duration_seconds", "How long attempts took, by outcome.", labels=["outcome"]
    )
    for event in _ATTEMPTS:
        measure = by_event[event]
        took.add_metric([_label(event)], _buckets(measure.took_cells), measure.took)
    yield took
    all_attempts = total(by_event[event] for event in _ATTEMPTS)
    yield HistogramMetricFamily(
        "queuectl_attempt_wait_seconds",
        "How long runs had been due when their attempts began.",
        _buckets(all_attempts.waited_cells),
        all_attempts.waited,
    )


def _by_job(counted: list[Counted]) -> Iterator[Metric]:
    attempts = CounterMetricFamily(
        "queuectl_job_attempts", "Attempts that ended, by job and the state of the run then.", labels=["job", "state"]
    )
    took = CounterMetricFamily("queuectl_job_attempt_seconds", "Time that attempts took, by job.", labels=["job"])
    success = GaugeMetricFamily(
        "queuectl_job_last_success_timestamp_seconds", "When a job last succeeded.", labels=["job"]
    )
    by_job: dict[str, dict[State, Measure]] = {}
    for each in counted:
        name = _job_label(each)
        if name is None or not each.event.is_attempt:
            continue
        states = by_job.setdefault(name, {})
        states[each.state] = states.get(each.state, NOTHING) + each.measure
        if each.state is State.COMPLETED and each.job and each.job_id <= MOST_JOBS:
            success.add_metric([name], each.latest.timestamp())
    for name, states in by_job.items():
        for state, measure in states.items():
            attempts.add_metric([name, state], measure.count)
        took.add_metric([name], total(states.values()).took)
    yield attempts
    yield took
    yield success


def _job_label(counted: Counted) -> str | None:
    """Return the label of a job; None for one that was removed."""
    if counted.job_id == AD_HOC:
        return "ad-hoc"
    if counted.job_id > MOST_JOBS:
        return "other"
    return counted.job if counted.is_declared else None


def _label(event: Event) -> str:
    return event.value.replace(" ", "_")


def _labelled(family: Metric, values: dict[State, int] | dict[str, int]) -> Metric:
    for label, value in values.items():
        family.add_metric([label], value)  # type: ignore[attr-defined]
    return family


def _buckets(cells: tuple[int, ...]) -> list[tuple[str, float]]:
    """Return a histogram as Prometheus has it: how many lie at or below each bound."""
    found, below = [], 0
    for bound, count in zip((*map(str, BOUNDS), "+Inf"), cells, strict=True):
        below += count
        found.append((bound, float(below)))
    return found
