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
