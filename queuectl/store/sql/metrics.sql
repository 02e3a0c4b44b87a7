-- name: add_to_metrics
-- What happened is added to the row of its time and to the totals; by the key.
INSERT INTO metrics (width, start, job, event, state, latest, {sums})
SELECT column1, column2, :job, :event, :state, :latest, {given_sums}
  FROM (VALUES (300, :start), (0, 0))
 WHERE TRUE                             -- else ON CONFLICT would be read as the condition of a join
ON CONFLICT (width, start, job, event, state) DO UPDATE
   SET latest = max(latest, excluded.latest), {added_sums};

-- name: oldest_span
-- The oldest rows of a width; one step along the key.
SELECT start
  FROM metrics
 WHERE width = :width
 ORDER BY start
 LIMIT 1;

-- name: fold_metrics
-- Rows that are old become part of a longer one; by the key.
INSERT INTO metrics (width, start, job, event, state, latest, {sums})
SELECT :into, :begin, job, event, state, max(latest), {summed_sums}
  FROM metrics
 WHERE width = :width AND start >= :begin AND start < :end
 GROUP BY job, event, state
ON CONFLICT (width, start, job, event, state) DO UPDATE
   SET latest = max(latest, excluded.latest), {added_sums};

-- name: drop_metrics
-- They were folded, or are too old to be of use; the totals stay. By the key.
DELETE FROM metrics
 WHERE width = :width AND start >= :begin AND start < :end;

-- name: metric_totals
-- Of all time, by job, event and state; along the key, some ten rows for each job.
SELECT metrics.job, manifest || '/' || name, removed_at IS NULL, event, state, latest, {sums}
  FROM metrics
  LEFT JOIN jobs ON jobs.id = metrics.job
 WHERE width = 0
 ORDER BY metrics.job, event, state;

-- name: metric_series
-- By span, event and state, of all jobs or of one; a range of the key for each width.
SELECT start - start % :step, event, state, max(latest), {summed_sums}
  FROM metrics
 WHERE width IN (300, 3600, 86400) AND start >= :since 
   AND (:job IS NULL OR job = (SELECT id FROM jobs WHERE manifest = :manifest AND name = :name))
 GROUP BY 1, 2, 3
 ORDER BY 1, 2, 3;

-- name: metrics_since
-- By job, event and state; a range of the key for each width.
SELECT metrics.job, manifest || '/' || name, removed_at IS NULL, event, state, max(latest), {summed_sums}
  FROM metrics
  LEFT JOIN jobs ON jobs.id = metrics.job
 WHERE width IN (300, 3600, 86400) AND start >= :since
 GROUP BY metrics.job, event, state
 ORDER BY metrics.job, event, state;

-- name: completed_of_running
-- How long the attempts took that completed runs of the jobs that run now; by runs_running and the key.
SELECT manifest || '/' || name, {sums}
  FROM metrics
  JOIN jobs ON jobs.id = metrics.job
 WHERE width = 0 AND start = 0 AND metrics.job IN (SELECT job FROM runs WHERE state = 'processing')
   AND event = 'exited' AND state = 'completed';
