-- name: insert_runs
-- New runs, from a JSON list of rows: [given_id, state, priority, spec, run_at, slot, finished_at, reason,
-- scheduled_at]. Their numbers,
-- and with them their ids, are the database's to give, and rise in the order of the list. Many rows in one statement
-- take half the time of a statement for each.
INSERT INTO runs (given_id, job, state, priority, spec, scheduled_at, run_at, created_at, updated_at,
                  slot, finished_at, reason, apply)
SELECT value ->> 0, :job, value ->> 1, value ->> 2, value -> 3, value ->> 8, value ->> 4, :now, :now,
       value ->> 5, value ->> 6, value ->> 7,
       (SELECT apply FROM jobs WHERE id = :job)
  FROM json_each(:runs)
 ORDER BY key
RETURNING number;

-- name: next_lease
-- A lease is the number of the claim; this one is taken.
UPDATE leases
   SET latest = latest + 1;

-- name: due_runs
-- The due runs with the largest priority, then the earliest time, then the smallest number. Naming the
-- priorities that occur lets runs_waiting be searched once for each, past all the runs that are not due yet.
WITH RECURSIVE {priorities}
SELECT number
  FROM runs
 WHERE state IN ('pending', 'failed')
   AND priority IN (SELECT priority FROM priorities)
   AND run_at <= :now
 ORDER BY priority DESC, run_at, number
 LIMIT :limit;

-- name: due_first
-- What due_runs gives, if it is full: nothing precedes these of the largest priority. By runs_waiting, in a third of
-- the time.
SELECT number
  FROM runs
 WHERE state IN ('pending', 'failed')
   AND priority = (SELECT max(priority) FROM runs WHERE state IN ('pending', 'failed'))
   AND run_at <= :now
 ORDER BY run_at, number
 LIMIT :limit;

-- name: claim_runs
-- The runs that were found due, in the same transaction.
UPDATE runs
   SET state = 'processing', attempts = attempts + 1, runner = :runner,
       lease = (SELECT latest + 1 FROM leases), started_at = :now, updated_at = :now, reason = NULL
 WHERE number IN (SELECT value FROM json_each(:numbers))
RETURNING {run};

-- name: next_due
-- When the earliest waiting run may be claimed; searches runs_waiting once for each priority.
WITH RECURSIVE {priorities}
SELECT min((SELECT min(run_at)
              FROM runs
             WHERE state IN ('pending', 'failed') AND priority = priorities.priority))
  FROM priorities;

-- name: settle_run
-- Fenced by the lease: a runner that lost its lease cannot settle the run any more.
UPDATE runs
   SET state = :state, attempts = :attempts, interruptions = :interruptions, run_at = :run_at, reason = :reason,
       updated_at = :updated_at, finished_at = :finished_at, lease = NULL, runner = NULL, stop = NULL
 WHERE number = :number AND state = 'processing' AND lease = :lease
RETURNING number, :lease, coalesce(job, 0);

-- name: insert_attempt
-- What an attempt was, written in the transaction that settles it: the run, then the values of its record in their order.
INSERT INTO attempts (run, lease, number, runner, started_at, finished_at, outcome, exit_code, signal, timeout,
                      detail, stdout_bytes, stderr_bytes, cpu_seconds, max_rss_bytes)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?);

-- name: change_run
-- A person's change (cancel, requeue); applies only while the run is still in the state it was decided on.
UPDATE runs
   SET state = :state, attempts = :attempts, interruptions = :interruptions, priority = :priority, spec = :spec, scheduled_at = :scheduled_at,
       run_at = :run_at, reason = :reason, updated_at = :updated_at, started_at = :started_at,
       finished_at = :finished_at, stop = :stop
 WHERE number = :number AND state = :state_before AND lease IS :lease_before
RETURNING number, coalesce(job, 0);

-- name: stops
-- What a runner is asked to do with its attempts; by runs_processing.
SELECT number, stop
  FROM runs
 WHERE state = 'processing' AND runner = :runner AND stop IS NOT NULL;

-- name: delete_run
-- Purged; its attempts go with it. Not one that has changed meanwhile.
DELETE FROM runs
 WHERE number = :number AND state = :state AND updated_at = :updated_at
RETURNING number;

-- name: insert_intervention
-- What a person did to a run.
INSERT INTO interventions (run, at, act, user, host, channel, detail)
VALUES (:run, :now, :act, :user, :host, :channel, :detail);

-- name: insert_runner
-- A runner has started.
INSERT INTO runners (host, pid, workers, has_schedule, started_at, heartbeat_at)
VALUES (:host, :pid, :workers, :has_schedule, :now, :now)
RETURNING id;

-- name: note_silence
-- The runner lives, but its last beat is too long ago, or later than now; by the key.
INSERT INTO silences (runner, since, until)
SELECT id, heartbeat_at, :now
  FROM runners
 WHERE id = :id AND (heartbeat_at < :now - :longest OR heartbeat_at > :now);

-- name: beat
-- The runner lives.
UPDATE runners
   SET heartbeat_at = :now
 WHERE id = :id;

-- name: stop_runner
-- The runner has ended, or was found dead.
UPDATE runners
   SET stopped_at = :now, died = :died
 WHERE id = :id AND stopped_at IS NULL;

-- name: running_runners
-- The runners that have not said that they stopped; by runners_running.
SELECT id, host, pid, workers, started_at, heartbeat_at
  FROM runners
 WHERE stopped_at IS NULL
 ORDER BY id;

-- name: has_runner
-- Whether a runner ever had this number, running or not; by the key.
SELECT 1
  FROM runners
 WHERE id = :id;
