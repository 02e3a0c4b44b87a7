"""What becomes of a run: when an attempt ends, when a person or a manifest changes it.

Nothing here reads a clock, draws a random number or touches the queue: the caller
passes in what is known and stores what comes back.
"""

from datetime import datetime

from queuectl.frozen import changed
from queuectl.job import Run, State, Stop
from queuectl.outcome import Cancelled, Exited, Lost, Outcome, Released, Signalled, TimedOut
from queuectl.retry import delay_after
from queuectl.spec import JobSpec, OnInterrupt

MOST_INTERRUPTIONS = 5
"""So many lost attempts leave a run dead: it may be what kills its workers, its runner or the machine."""

MISSED = "missed"
WITHDRAWN = "withdrawn by its manifest"


def settle(run: Run, outcome: Outcome, *, now: datetime, jitter: float) -> Run:
    """Return ``run`` as it stands after its present attempt ended with ``outcome``.

    This is the only place that knows what follows an attempt. ``jitter`` is a random number
    from [0, 1); ``run`` must be processing.
    """
    match outcome:
        case Exited(code=code, error=None) if code in run.spec.success_exit_codes:
            return _ended(run, State.COMPLETED, None, now)
        case Cancelled():
            return _ended(run, State.CANCELLED, "cancelled while it was running", now)
        case _ if run.stop is Stop.NOW:
            return _ended(run, State.CANCELLED, f"cancelled; last attempt: {outcome}", now)
        case _ if run.stop is Stop.AFTER_ATTEMPT:
            return _ended(run, State.CANCELLED, f"{WITHDRAWN}; last attempt: {outcome}", now)
        case Released(began=True) | Lost() if _runs_at_most_once(run):
            # The command may have done half of its work.
            return _ended(run, State.DEAD, f"{outcome}: it must not run twice", now)
        case Lost() if run.interruptions + 1 >= MOST_INTERRUPTIONS:
            after = _ended(
                run, State.DEAD, f"poison: {MOST_INTERRUPTIONS} attempts lost; the last: {outcome.cause}", now
            )
            return changed(after, attempts=run.attempts - 1, interruptions=run.interruptions + 1)
        case Lost():
            # Not the command's failure, so not charged; but what kills its workers must not do so at full speed.
            interruptions = run.interruptions + 1
            wait = delay_after(interruptions, run.spec.retry, jitter)
            after = changed(_waiting(run, State.FAILED, str(outcome), now), run_at=now + wait)
            return changed(after, attempts=run.attempts - 1, interruptions=interruptions)
        case Released():
            return changed(_waiting(run, State.PENDING, str(outcome), now), attempts=run.attempts - 1)
        case Exited(code=code, error=None) if code in run.spec.fail_on_exit_codes:
            return _ended(run, State.DEAD, f"{outcome}: a retry cannot help", now)
        case Exited() | Signalled() | TimedOut() if run.attempts >= run.max_attempts:
            return _ended(run, State.DEAD, str(outcome), now)
        case Exited() | Signalled() | TimedOut():
            wait = delay_after(run.attempts, run.spec.retry, jitter)
            return changed(_waiting(run, State.FAILED, str(outcome), now), run_at=now + wait)


def cancel(run: Run, *, now: datetime) -> Run:
    """Return ``run`` cancelled; if an attempt is under way, marked for its runner to end it.

    A run in a final state comes back as it is.
    """
    if run.state is State.PROCESSING:
        return changed(run, stop=Stop.NOW, updated_at=now)
    when = "while it waited for a retry" if run.attempts else "before it ran"
    return _ended(run, State.CANCELLED, f"cancelled {when}", now) if run.state.is_waiting else run


def withdraw(run: Run, *, now: datetime) -> Run:
    """Return ``run`` as it stands once its manifest does not want it any more: an attempt may finish."""
    if run.state is State.PROCESSING:
        return changed(run, stop=run.stop or Stop.AFTER_ATTEMPT, updated_at=now)
    return _ended(run, State.CANCELLED, WITHDRAWN, now) if run.state.is_waiting else run


def refresh(run: Run, spec: JobSpec, *, now: datetime) -> Run:
    """Return an unfinished run with the new ``spec``, wanted again if its manifest had withdrawn it."""
    return changed(run, spec=spec, updated_at=now, stop=None if run.stop is Stop.AFTER_ATTEMPT else run.stop)


def reschedule(run: Run, spec: JobSpec, *, run_at: datetime, now: datetime) -> Run:
    """Return a waiting run as another occurrence of its job: due at ``run_at``, with all its attempts before it.

    One that waits for the run before it still does.
    """
    due = run.run_at if run.is_held else run_at
    return changed(requeue(run, spec, now=now), scheduled_at=run_at, run_at=due)


def requeue(run: Run, spec: JobSpec, *, now: datetime) -> Run:
    """Return a run in a final state as pending with ``spec``, due now, with all its attempts before it."""
    return changed(
        _waiting(run, State.PENDING, None, now), spec=spec, attempts=0, interruptions=0, run_at=now, started_at=None
    )


def miss(run: Run, *, now: datetime) -> Run:
    """Return a waiting run as skipped: its time is so long past that it must not run."""
    return _ended(run, State.SKIPPED, MISSED, now)


def _runs_at_most_once(run: Run) -> bool:
    return run.spec.retry.retries == 0 or run.spec.on_interrupt is OnInterrupt.FAIL


def _waiting(run: Run, state: State, reason: str | None, now: datetime) -> Run:
    return changed(
        run, state=state, reason=reason, updated_at=now, finished_at=None, lease=None, runner=None, stop=None
    )


def _ended(run: Run, state: State, reason: str | None, now: datetime) -> Run:
    return changed(run, state=state, reason=reason, updated_at=now, finished_at=now, lease=None, runner=None, stop=None)
