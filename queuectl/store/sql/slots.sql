-- name: due_jobs
-- The recurring jobs of which a slot has come, each with whether a run of it is not over; by jobs_due, runs_unfinished.
SELECT id, manifest, name, spec, run_at, recurrence, enabled, revision, max_wait,
       expect_success_within, next_slot,
       EXISTS (SELECT 1 FROM runs WHERE runs.job = jobs.id AND runs.state IN ('pending', 'processing', 'failed'))
  FROM jobs
 WHERE next_slot <= :now
 ORDER BY next_slot, id;

-- name: next_slot
-- When the next slot of any job is due; by jobs_due.
SELECT min(next_slot)
  FROM jobs
 WHERE next_slot IS NOT NULL;

-- name: advance_slot
-- Fenced by the slot that was read: however many runners tick, one of them accounts for it.
UPDATE jobs
   SET next_slot = :after
 WHERE id = :id AND next_slot = :before
RETURNING id;

-- name: unfinished_runs
-- The runs of a job that are not over, oldest first; by runs_unfinished.
SELECT {run}
  FROM runs
 WHERE runs.job = :job AND runs.state IN ('pending', 'processing', 'failed')
 ORDER BY runs.number;

-- name: recorded_slots
-- The slots of a job, from one on, that have a run already; by runs_slot.
SELECT slot
  FROM runs
 WHERE job = :job AND slot >= :first;

-- name: insert_folded
-- Slots of which there were too many to keep each.
INSERT INTO folded_slots (job, first, last, count, recorded_at)
VALUES (:job, :first, :last, :count, :now);

-- name: insert_pause
-- Slots in this time do not run.
INSERT INTO pauses (scope, begins_at, until, reason, user, host)
VALUES (:scope, :now, :until, :reason, :user, :host);

-- name: end_pauses
-- Resumed: what is due from now on runs.
UPDATE pauses
   SET ended_at = :now, ended_by = :by
 WHERE scope = :scope AND ended_at IS NULL AND coalesce(until > :now, TRUE)
RETURNING id;

-- name: pauses_since
-- The pauses that are not over at an instant, or began later.
SELECT scope, begins_at, until, ended_at, reason, user || '@' || host, ended_by
  FROM pauses
 WHERE coalesce(ended_at > :since, TRUE) AND coalesce(until > :since, TRUE)
 ORDER BY id;
