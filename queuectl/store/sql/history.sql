-- name: job_by_name
-- A job, declared or removed, with its newest run, and when it was removed; by the keys and runs_of_job.
SELECT jobs.id, jobs.manifest, jobs.name, jobs.spec, jobs.run_at, jobs.recurrence, jobs.enabled, jobs.revision,
       jobs.max_wait, jobs.expect_success_within, jobs.next_slot, jobs.owes_run, {run}, jobs.removed_at
  FROM jobs
  LEFT JOIN runs ON runs.number = (SELECT max(number) FROM runs WHERE job = jobs.id)
 WHERE jobs.manifest = :manifest AND jobs.name = :name;

-- name: declarations
-- The latest applies that changed a job, newest first, each with what it changed; by the keys.
SELECT applies.number, applies.applied_at, applies.user || '@' || applies.host AS by, applies.git_commit,
       applies.git_dirty, applies.changes -> ('$[' || job_applies.change || ']') AS change
  FROM job_applies
  JOIN applies ON applies.number = job_applies.apply
 WHERE job_applies.job = :job
 ORDER BY job_applies.apply DESC
 LIMIT :limit;

-- name: run_of_slot
-- By runs_slot.
SELECT {run}
  FROM runs
 WHERE runs.job = :job AND runs.slot = :slot;

-- name: latest_slot
-- The run of the latest slot up to an instant; backwards along runs_slot.
SELECT {run}
  FROM runs
 WHERE runs.job = :job AND runs.slot <= :until
 ORDER BY runs.slot DESC
 LIMIT 1;

-- name: run_in_stead
-- The run of a later slot that was accounted for at the same time; along runs_slot.
SELECT {run}
  FROM runs
 WHERE runs.job = :job AND runs.slot > :slot AND runs.slot <= :until AND runs.state <> 'skipped'
 ORDER BY runs.slot
 LIMIT 1;

-- name: run_before
-- The newest run before another that was not skipped, among the latest few; backwards along runs_of_job.
SELECT {run}
  FROM runs
 WHERE runs.number IN (SELECT number FROM runs WHERE job = :job AND number < :number ORDER BY number DESC LIMIT :few)
   AND runs.state <> 'skipped'
 ORDER BY runs.number DESC
 LIMIT 1;

-- name: newest_run_until
-- The newest run of a job that was queued by an instant; backwards along runs_of_job.
SELECT {run}
  FROM runs
 WHERE runs.job = :job AND runs.created_at <= :until
 ORDER BY runs.number DESC
 LIMIT 1;

-- name: folded_with
-- The counted slots among which an instant lies; by folded_slots_of_job.
SELECT first, last, count, recorded_at
  FROM folded_slots
 WHERE job = :job AND last >= :slot AND first <= :slot
 LIMIT 1;

-- name: ahead
-- How many due runs are claimed before one, as far as it is of interest; by runs_waiting, once for each priority.
WITH RECURSIVE {priorities}
SELECT (SELECT count(*)
          FROM (SELECT 1
                  FROM runs
                 WHERE state IN ('pending', 'failed')
                   AND priority IN (SELECT priority FROM priorities WHERE priority > :priority)
                   AND run_at <= :now
                 LIMIT :most)),
       (SELECT count(*)
          FROM (SELECT 1
                  FROM runs
                 WHERE state IN ('pending', 'failed') AND priority = :priority AND (run_at, number) < (:run_at, :number)
                 LIMIT :most));

-- name: interventions_of
-- Oldest first; by interventions_of_run.
SELECT at, act, user || '@' || host AS by, channel, detail
  FROM interventions
 WHERE run = :run
 ORDER BY at;

-- name: runner_lives
-- The runners that lived between two instants, the last to end before, the first to start after, and those who made an
-- attempt of a run; by runners_ended, runners_started, runners_running and the keys. What they have: by runs_processing.
SELECT id, host, pid, workers, has_schedule, started_at, heartbeat_at, stopped_at, died,
       (SELECT count(*) FROM runs WHERE state = 'processing' AND runner = runners.id) AS busy
  FROM runners
 WHERE id IN (SELECT * FROM (SELECT id FROM runners WHERE stopped_at >= :since AND started_at <= :until LIMIT :most))
    OR id IN (SELECT id FROM runners WHERE stopped_at IS NULL AND +started_at <= :until)
    OR id = (SELECT id FROM runners WHERE stopped_at < :since ORDER BY stopped_at DESC LIMIT 1)
    OR id = (SELECT id FROM runners WHERE started_at > :until ORDER BY started_at LIMIT 1)
    OR id IN (SELECT runner FROM attempts WHERE run = :run)
    OR id = (SELECT runner FROM runs WHERE number = :run);

-- name: silences_of
-- Of some runners, oldest first; by silences_of_runner.
SELECT runner, since, until
  FROM silences
 WHERE runner IN (SELECT value FROM json_each(:runners))
 ORDER BY runner, since;

-- name: history_of_run
-- The attempts of a run, oldest first, each with its runner, its spec, and the apply that this came from; by the keys.
SELECT attempts.number, attempts.lease, attempts.runner, attempts.started_at, attempts.finished_at, attempts.outcome,
       attempts.exit_code, attempts.signal, attempts.timeout, attempts.detail, attempts.stdout_bytes,
       attempts.stderr_bytes, attempts.cpu_seconds, attempts.max_rss_bytes, runners.host, runners.pid,
       coalesce(former.spec, runs.spec) AS spec, applies.number AS apply, applies.applied_at,
       applies.git_commit, applies.git_dirty
  FROM attempts
  JOIN runs ON runs.number = attempts.run
  JOIN runners ON runners.id = attempts.runner
  LEFT JOIN former_specs AS former
         ON former.run = attempts.run
        AND former.until = (SELECT min(until) FROM former_specs WHERE run = attempts.run AND until >= attempts.lease)
  LEFT JOIN applies ON applies.number = iif(former.run IS NULL, runs.apply, former.apply)
 WHERE attempts.run = :run
 ORDER BY attempts.lease;

-- name: origin_of_run
-- The apply that the present spec of a run came from; by the keys.
SELECT applies.number AS apply, applies.applied_at,
       applies.git_commit, applies.git_dirty
  FROM runs
  JOIN applies ON applies.number = runs.apply
 WHERE runs.number = :run;
