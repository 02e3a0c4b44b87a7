"""What a queue would do in a time to come: slots, claims and settlements on a clock that jumps from event to event.

Pure, and with the same decisions as a runner, in the same order: a round settles, then accounts for slots, then claims.
"""

from collections.abc import Mapping
from datetime import datetime
from heapq import heappop, heappush, heapreplace
from typing import Final

from queuectl.changes import Change, Plan
from queuectl.course import Course, Moment, Occurrence, course_of, foretold_run, job_forecast, to_instant, to_moment
from queuectl.forecast import Crowd, Duration, Forecast
from queuectl.frozen import changed
from queuectl.job import Run, State
from queuectl.lifecycle import cancel, settle
from queuectl.outcome import Cancelled

_NEVER: Final[Moment] = 1 << 62
_MOST_JOBS: Final = 1 << 32


def simulate(
    plan: Plan,
    durations: Mapping[str, Duration],
    *,
    begin: datetime,
    until: datetime,
    workers: int,
    jitter: float = 0.0,
    lines: int | None = None,
) -> Forecast:
    """Return what would happen after ``begin`` up to ``until`` if ``plan`` were carried out on an empty queue.

    ``durations`` has every job that runs, by its full name: attempts take that long and succeed, unless their time-out
    is shorter. ``jitter``, from [0, 1), is what chance takes off the wait for a retry. ``lines`` bounds the timeline.
    """
    simulation = _Simulation(to_moment(begin), to_moment(until), workers, lines)
    for change in plan.changes:
        if change.next_slot is not None or change.new_run is not None:
            simulation.add(course_of(change, durations[change.job.full_name], begin, until, jitter), change)
    simulation.run()
    return Forecast(
        begin=begin,
        until=until,
        workers=workers,
        jobs=tuple(job_forecast(course, begin, until) for course in simulation.courses),
        timeline=tuple(map(foretold_run, simulation.timeline)),
        busy=simulation.busy / (workers * max(to_moment(until) - to_moment(begin), 1)),
        worst=simulation.worst,
    )


class _Simulation:
    """The queue and its workers, while events are worked off in the order of their time."""

    def __init__(self, begin: Moment, until: Moment, workers: int, lines: int | None) -> None:
        self.courses: list[Course] = []
        self.timeline: list[Occurrence] = []
        self.busy: Moment = 0
        self.worst: Crowd | None = None
        self._begin, self._until = begin, until
        self._lines = lines
        self._numbers = 0
        self._free = workers
        self._wanting = 0
        self._most = 0
        self._slots: list[tuple[Moment, int, Course]] = []
        self._delayed: list[tuple[Moment, int, Occurrence]] = []
        self._ends: list[tuple[Moment, int, int, Occurrence]] = []
        self._ready: list[tuple[int, Moment, int, Occurrence]] = []  # in the order in which the store claims

    def add(self, course: Course, change: Change) -> None:
        """Take a job up: its first slot, or its one run."""
        self.courses.append(course)
        order = len(self.courses)
        if change.next_slot is not None:
            heappush(self._slots, (to_moment(next(course.slots, change.next_slot)), order, course))
        elif (new := change.new_run) and new.state.is_final:
            self._skip(self._new(course, None, to_moment(new.run_at)), new.reason or "")
        elif new:  # it is in the queue from the beginning, before the runs of all slots
            self._numbers += 1
            course.number = self._numbers
            heappush(self._slots, (max(to_moment(new.run_at), self._begin), order - _MOST_JOBS, course))

    def run(self) -> None:
        """Work off what happens up to the end; at one instant in the order of a runner's round."""
        ends, slots, delayed = self._ends, self._slots, self._delayed
        while True:
            now = min(ends[0][0] if ends else _NEVER, slots[0][0] if slots else _NEVER)
            if delayed and delayed[0][0] < now:
                now = delayed[0][0]
            if now > self._until:
                break
            while ends and ends[0][0] == now:
                _, _, ticket, run = heappop(ends)
                if run.ticket == ticket:
                    self._end(run, now)
            while slots and slots[0][0] == now:
                self._fire(slots[0][2], now)
            while delayed and delayed[0][0] == now:
                self._make_ready(heappop(delayed)[2], now)
            self._claim(now)
            if self._wanting > self._most:
                self._most = self._wanting
                wanting = {each.job.full_name: each.wanting for each in self.courses if each.wanting}
                self.worst = Crowd(at=to_instant(now), runs=self._most, jobs=wanting)
        for course in self.courses:
            for run in course.live.values():
                self._leave(run)

    def _new(self, course: Course, slot: Moment | None, due: Moment) -> Occurrence:
        self._numbers += 1
        new = Occurrence(course, course.number or self._numbers, slot, due)
        if self._lines is None or len(self.timeline) < self._lines:
            new.attempts = []
            self.timeline.append(new)
        return new

    def _skip(self, skipped: Occurrence, reason: str) -> None:
        skipped.state, skipped.reason = State.SKIPPED, reason
        skipped.course.states[State.SKIPPED] += 1
        skipped.course.skips[reason] += 1

    def _fire(self, course: Course, now: Moment) -> None:
        """Account for the slot or the one-shot that has come first, and put the next slot of its job in its place."""
        following = next(course.slots, None)
        if following is None:
            heappop(self._slots)
        else:
            heapreplace(self._slots, (to_moment(following), self._slots[0][1], course))
        if course.fates is None:
            self._begin_wait(self._new(course, None, now), now, now)
            return
        is_unfinished = bool(course.live)
        fate = course.fates[is_unfinished]
        course.slot_count += 1
        course.overlaps += is_unfinished
        earlier = list(course.live.values()) if fate.replaces else ()
        if fate.reason:
            self._skip(self._new(course, now, now), fate.reason)
        elif fate.is_held:
            new = self._new(course, now, now)
            new.is_held = True
            course.held.append(new)
            course.live[new.number] = new
        else:
            self._begin_wait(self._new(course, now, now + fate.delay), now + fate.delay, now)
        for run in earlier:
            self._replace(run, now)

    def _begin_wait(self, run: Occurrence, run_at: Moment, now: Moment) -> None:
        """Let a new run be due at a time."""
        run.course.live[run.number] = run
        run.course.loose += 1
        if run_at <= now:
            self._make_ready(run, run_at)
        else:
            heappush(self._delayed, (run_at, run.number, run))

    def _make_ready(self, run: Occurrence, run_at: Moment) -> None:
        if run.state is None:  # else it was replaced meanwhile
            run.is_ready = True
            run.course.wanting += 1
            self._wanting += 1
            heappush(self._ready, (run.course.rank, run_at, run.number, run))

    def _claim(self, now: Moment) -> None:
        """Begin the attempts for which there are workers: the larger priority first, then the earlier time."""
        ready = self._ready
        while self._free and ready:
            run = heappop(ready)[3]
            if not run.is_ready:
                continue
            run.is_ready = False
            run.reason = None
            run.running_since = now
            self._free -= 1
            if not run.step:
                run.course.waits.append(now - run.due)
            heappush(self._ends, (now + run.course.steps[run.step].takes, run.number, run.ticket, run))

    def _end(self, run: Occurrence, now: Moment) -> None:
        """Settle an attempt that has ended by itself or by its time-out."""
        self._stop(run, now)
        step = run.course.steps[run.step]
        run.course.timed_out += step.is_timed_out
        if step.wait is None:
            self._finish(run, step.after, now)
        else:
            run.step += 1
            run.reason = step.after.reason
            heappush(self._delayed, (now + step.wait, run.number, run))

    def _replace(self, run: Occurrence, now: Moment) -> None:
        """Cancel a run that a later slot replaces; a command that runs heeds the signal at once."""
        run.course.replaced += 1
        if run.running_since is not None:
            self._stop(run, now)
            self._finish(run, settle(run.course.template, Cancelled(), now=to_instant(now), jitter=0.0), now)
            return
        if run.is_ready:
            run.is_ready = False
            self._want_no_more(run)
        waiting = changed(run.course.template, state=State.PENDING, attempts=run.step)
        self._finish(run, cancel(waiting, now=to_instant(now)), now)

    def _stop(self, run: Occurrence, now: Moment) -> None:
        """Free the worker of an attempt that is over."""
        assert run.running_since is not None
        self._free += 1
        self.busy += now - run.running_since
        if run.attempts is not None:
            run.attempts.append((run.running_since, now))
        run.running_since = None
        run.ticket += 1
        self._want_no_more(run)

    def _want_no_more(self, run: Occurrence) -> None:
        run.course.wanting -= 1
        self._wanting -= 1

    def _finish(self, run: Occurrence, after: Run, now: Moment) -> None:
        """Leave a run in its final state, and let the one go that waits until it is over."""
        course = run.course
        run.state, run.reason = after.state, after.reason
        course.states[after.state] += 1
        del course.live[run.number]
        course.loose -= not run.is_held
        while course.held and course.held[0].state is not None:
            course.held.popleft()
        if course.held and not course.loose:
            let_go = course.held.popleft()
            let_go.is_held = False
            course.loose += 1
            self._make_ready(let_go, now)

    def _leave(self, run: Occurrence) -> None:
        """Count a run that is not over at the end of the time."""
        course = run.course
        run.state = State.FAILED if run.step else State.PENDING
        if run.running_since is not None:
            run.state = State.PROCESSING
            self.busy += self._until - run.running_since
            if run.attempts is not None:
                run.attempts.append((run.running_since, None))
        elif not run.step and run.due <= self._until:
            course.waits.append(self._until - run.due)
        course.states[run.state] += 1
