-- name: insert_purge
-- Who deleted how many runs, in the transaction that did it.
INSERT INTO purges (at, user, host, channel, runs, detail)
VALUES (:now, :user, :host, :channel, :runs, :detail);

-- name: specs_of_runs
-- The present specs of the declared jobs of runs; by the keys.
SELECT manifest || '/' || name, spec
  FROM jobs
 WHERE removed_at IS NULL AND id IN (SELECT job FROM runs WHERE number IN (SELECT value FROM json_each(:numbers)));

-- name: executions_of_runs
-- Which outputs there are; by the key.
SELECT run, lease
  FROM attempts
 WHERE run IN (SELECT value FROM json_each(:numbers));

-- name: expired_runs
-- A stretch of the runs in one state that were over before a time, by runs_finished; whether a run is one of the newest
-- of its job, by runs_of_job, or has called a hook that is not delivered, by the key of those.
SELECT finished_at, number,
       job IS NOT NULL
       AND (SELECT count(*)
              FROM (SELECT 1 FROM runs AS newer WHERE newer.job = runs.job AND newer.number > runs.number LIMIT :keep)) < :keep
       OR EXISTS (SELECT 1 FROM hooks WHERE hooks.run = runs.number AND hooks.ended_at IS NULL)
  FROM runs
 WHERE state = :state AND finished_at < :before AND (finished_at, number) > (:finished_at, :number)
 ORDER BY finished_at, number
 LIMIT :limit;

-- name: newest_ever
-- Also if that run is gone.
SELECT coalesce(max(seq), 0)
  FROM sqlite_sequence
 WHERE name = 'runs';

-- name: numbers_between
-- A thousand steps along the key.
SELECT number
  FROM runs
 WHERE number BETWEEN :first AND :last;

-- name: stopped_runners
-- By the key.
SELECT id
  FROM runners
 WHERE id IN (SELECT value FROM json_each(:runners)) AND stopped_at IS NOT NULL;
