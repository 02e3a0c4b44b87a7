-- name: run_by_number
-- By the key.
SELECT {run}
  FROM runs
 WHERE runs.number = :number;

-- name: run_by_given_id
-- By runs_given_id.
SELECT {run}
  FROM runs
 WHERE runs.given_id = :id;

-- name: processing_runs
-- What a runner has claimed and not settled; by runs_processing.
SELECT {run}
  FROM runs
 WHERE runs.state = 'processing' AND runs.runner = :runner
 ORDER BY runs.number;

-- name: states_of
-- Where runs stand that somebody waits for, from a JSON list of their numbers; by the key.
SELECT value, state
  FROM json_each(:numbers)
  LEFT JOIN runs ON runs.number = value;

-- name: run_counts
-- Kept by triggers: seven rows, whatever the size of the queue.
SELECT state, count
  FROM run_counts;

-- name: attempts_of
-- Oldest first; by the key.
SELECT number, lease, runner, started_at, finished_at, outcome, exit_code, signal, timeout, detail,
       stdout_bytes, stderr_bytes, cpu_seconds, max_rss_bytes
  FROM attempts
 WHERE run = :run
 ORDER BY lease;

-- name: jobs
-- The declared jobs with their newest run; by runs_of_job.
SELECT jobs.id, jobs.manifest, jobs.name, jobs.spec, jobs.run_at, jobs.recurrence, jobs.enabled, jobs.revision,
       jobs.max_wait, jobs.expect_success_within, jobs.next_slot, jobs.owes_run, {run}
  FROM jobs
  LEFT JOIN runs ON runs.number = (SELECT max(number) FROM runs WHERE job = jobs.id)
 WHERE jobs.removed_at IS NULL
 ORDER BY jobs.manifest, jobs.name;

-- name: recent_ids
-- Ids to suggest when one was mistyped.
SELECT coalesce(given_id, 'r' || number)
  FROM runs
 ORDER BY number DESC
 LIMIT 1000;

-- name: past_attempts
-- How long the newest attempts of a job took, in microseconds, of those that nobody cut short; by runs_of_job and the
-- key of the attempts.
SELECT max(attempts.finished_at - attempts.started_at, 0)
  FROM jobs
  JOIN runs ON runs.job = jobs.id
  JOIN attempts ON attempts.run = runs.number
 WHERE jobs.manifest = :manifest AND jobs.name = :name AND attempts.outcome IN ('exited', 'signalled', 'timed out')
 ORDER BY runs.number DESC
 LIMIT :limit;

-- name: first_waiting
-- The first that wait of each priority, by their time; searches runs_waiting once for each priority.
WITH RECURSIVE {priorities}
SELECT {run}
  FROM priorities
  JOIN runs ON runs.number IN (SELECT waiting.number
                                 FROM runs AS waiting
                                WHERE waiting.state IN ('pending', 'failed') AND waiting.priority = priorities.priority
                                ORDER BY waiting.run_at, waiting.number
                                LIMIT :limit);

-- name: next_slots
-- Which jobs are due next by their schedules; by jobs_due.
SELECT manifest || '/' || name, next_slot
  FROM jobs
 WHERE next_slot IS NOT NULL
 ORDER BY next_slot, id
 LIMIT :limit;

-- name: job_names
-- The names of declared jobs, to be completed by a shell; along the index of names.
SELECT manifest || '/' || name, spec ->> '$.description'
  FROM jobs
 WHERE removed_at IS NULL
 ORDER BY manifest, name
 LIMIT 1000;
