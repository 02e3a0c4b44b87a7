-- name: insert_hook
-- The end of an attempt calls it.
INSERT INTO hooks (run, lease, hook, what, facts, called_at, due_at)
VALUES (:run, :lease, :hook, :what, :facts, :now, :now);

-- name: claim_hooks
-- The hooks that are due longest; if nothing is heard of one until its time-out is long over, it is due again.
-- By hooks_waiting.
UPDATE hooks
   SET tries = tries + 1, runner = :runner,
       due_at = :now + CAST(((what ->> 'timeout') + :margin) * 1000000 AS INTEGER)
 WHERE id IN (SELECT id
                FROM hooks
               WHERE ended_at IS NULL AND due_at <= :now
               ORDER BY due_at
               LIMIT :limit)
RETURNING id, run, hook, what, facts, tries, failures;

-- name: settle_hook
-- How a try ended; fenced by its number: a courier of which nothing was heard for too long may say nothing any more.
-- A try that was cut short gives its number back.
UPDATE hooks
   SET tries = tries - :given_back, failures = :failures, due_at = :due_at, ended_at = :ended_at, fate = :fate, detail = :detail, output = :output
 WHERE id = :id AND tries = :tries AND ended_at IS NULL
RETURNING id;

-- name: hurry_hooks
-- The runner is dead, and its courier with it within seconds.
UPDATE hooks
   SET due_at = min(due_at, :due_at)
 WHERE ended_at IS NULL AND runner = :runner;

-- name: next_hook
-- When the first hook that is not delivered is due; by hooks_waiting.
SELECT min(due_at)
  FROM hooks
 WHERE ended_at IS NULL;

-- name: count_hooks
-- How many are not delivered; by hooks_waiting.
SELECT count(*)
  FROM hooks
 WHERE ended_at IS NULL;

-- name: hooks_of
-- Oldest first; by the key of run and lease.
SELECT hook, lease, what, called_at, due_at, tries, failures, ended_at, fate, detail, output
  FROM hooks
 WHERE run = :run
 ORDER BY lease;
