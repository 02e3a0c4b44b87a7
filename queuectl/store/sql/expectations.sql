-- name: expectations
-- The jobs that are to succeed again and again: within how long, since when that is expected, and when they last did.
-- By the key of metrics.
SELECT manifest || '/' || name, enabled, expect_success_within, expected_since,
       (SELECT latest
          FROM metrics
         WHERE width = 0 AND start = 0 AND job = jobs.id AND event = 'exited' AND state = 'completed')
  FROM jobs
 WHERE removed_at IS NULL AND expect_success_within IS NOT NULL
 ORDER BY manifest, name;

-- name: late_jobs
-- The jobs of which a run is due for longer than they allow and has not begun, and since when; by runs_unfinished.
SELECT manifest || '/' || name, max_wait, min(runs.run_at)
  FROM jobs
  JOIN runs ON runs.job = jobs.id
 WHERE removed_at IS NULL AND max_wait IS NOT NULL
   AND runs.state IN ('pending', 'processing', 'failed') AND runs.state = 'pending' AND runs.attempts = 0
   AND runs.run_at + CAST(max_wait * 1000000 AS INTEGER) < :now
 GROUP BY jobs.id
 ORDER BY manifest, name;
