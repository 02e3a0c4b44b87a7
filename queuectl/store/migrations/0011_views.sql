-- A stable interface for other tools: columns are added to these views, never renamed or removed; documented in
-- docs/reference/sql.md. Instants are ISO 8601 text in UTC with milliseconds, durations are seconds.

CREATE VIEW v_runs AS
SELECT coalesce(runs.given_id, 'r' || runs.number) AS id,
       runs.number,
       jobs.manifest || '/' || jobs.name AS job,
       jobs.manifest,
       runs.state,
       runs.spec ->> '$.command' AS command,
       coalesce(runs.spec ->> '$.description', '') AS description,
       coalesce(runs.spec -> '$.tags', '[]') AS tags,
       runs.priority,
       runs.attempts,
       coalesce(runs.spec ->> '$.retries', 3) + 1 AS max_attempts,
       runs.interruptions,
       strftime('%Y-%m-%dT%H:%M:%fZ', runs.slot / 1e6, 'unixepoch') AS slot,
       strftime('%Y-%m-%dT%H:%M:%fZ', runs.scheduled_at / 1e6, 'unixepoch') AS scheduled_at,
       CASE WHEN runs.run_at < 253402300799000000      -- job.HELD
            THEN strftime('%Y-%m-%dT%H:%M:%fZ', runs.run_at / 1e6, 'unixepoch') END AS run_at,
       strftime('%Y-%m-%dT%H:%M:%fZ', runs.created_at / 1e6, 'unixepoch') AS created_at,
       strftime('%Y-%m-%dT%H:%M:%fZ', runs.started_at / 1e6, 'unixepoch') AS started_at,
       strftime('%Y-%m-%dT%H:%M:%fZ', runs.finished_at / 1e6, 'unixepoch') AS finished_at,
       strftime('%Y-%m-%dT%H:%M:%fZ', runs.updated_at / 1e6, 'unixepoch') AS updated_at,
       (SELECT exit_code FROM attempts WHERE attempts.run = runs.number ORDER BY lease DESC LIMIT 1) AS exit_code,
       (SELECT sum(finished_at - started_at) / 1000000.0 FROM attempts WHERE attempts.run = runs.number) AS seconds,
       runs.reason,
       runs.runner
  FROM runs
  LEFT JOIN jobs ON jobs.id = runs.job;

CREATE VIEW v_attempts AS
SELECT coalesce(runs.given_id, 'r' || runs.number) AS run,
       attempts.run AS run_number,
       (SELECT manifest || '/' || name FROM jobs WHERE jobs.id = runs.job) AS job,
       attempts.number AS attempt,
       attempts.run || '.' || attempts.lease AS execution,
       attempts.runner,
       strftime('%Y-%m-%dT%H:%M:%fZ', attempts.started_at / 1e6, 'unixepoch') AS started_at,
       strftime('%Y-%m-%dT%H:%M:%fZ', attempts.finished_at / 1e6, 'unixepoch') AS finished_at,
       (attempts.finished_at - attempts.started_at) / 1000000.0 AS seconds,
       attempts.outcome,
       attempts.exit_code,
       attempts.signal,
       attempts.timeout,
       attempts.detail,
       attempts.stdout_bytes,
       attempts.stderr_bytes,
       attempts.cpu_seconds,
       attempts.max_rss_bytes
  FROM attempts
  JOIN runs ON runs.number = attempts.run;

CREATE VIEW v_jobs AS
SELECT jobs.manifest || '/' || jobs.name AS job,
       jobs.manifest,
       jobs.name,
       jobs.enabled,
       jobs.removed_at IS NULL AS declared,
       jobs.spec ->> '$.command' AS command,
       coalesce(jobs.spec ->> '$.description', '') AS description,
       coalesce(jobs.spec -> '$.tags', '[]') AS tags,
       jobs.recurrence ->> '$.schedule' AS schedule,
       jobs.recurrence ->> '$.timezone' AS timezone,
       strftime('%Y-%m-%dT%H:%M:%fZ', jobs.next_slot / 1e6, 'unixepoch') AS next_slot,
       strftime('%Y-%m-%dT%H:%M:%fZ', jobs.run_at / 1e6, 'unixepoch') AS run_at,
       jobs.revision,
       strftime('%Y-%m-%dT%H:%M:%fZ', jobs.created_at / 1e6, 'unixepoch') AS created_at,
       strftime('%Y-%m-%dT%H:%M:%fZ', jobs.updated_at / 1e6, 'unixepoch') AS updated_at,
       strftime('%Y-%m-%dT%H:%M:%fZ', jobs.removed_at / 1e6, 'unixepoch') AS removed_at,
       coalesce(latest.given_id, 'r' || latest.number) AS latest_run,
       latest.state AS latest_state,
       strftime('%Y-%m-%dT%H:%M:%fZ', latest.updated_at / 1e6, 'unixepoch') AS latest_updated_at,
       latest.reason AS latest_reason
  FROM jobs
  LEFT JOIN runs AS latest ON latest.number = (SELECT max(number) FROM runs WHERE runs.job = jobs.id);

CREATE VIEW v_dlq AS
SELECT coalesce(runs.given_id, 'r' || runs.number) AS id,
       runs.number,
       (SELECT manifest || '/' || name FROM jobs WHERE jobs.id = runs.job) AS job,
       runs.spec ->> '$.command' AS command,
       coalesce(runs.spec -> '$.tags', '[]') AS tags,
       runs.attempts,
       runs.interruptions,
       strftime('%Y-%m-%dT%H:%M:%fZ', runs.created_at / 1e6, 'unixepoch') AS created_at,
       strftime('%Y-%m-%dT%H:%M:%fZ', runs.finished_at / 1e6, 'unixepoch') AS died_at,
       (SELECT exit_code FROM attempts WHERE attempts.run = runs.number ORDER BY lease DESC LIMIT 1) AS exit_code,
       runs.reason
  FROM runs
 WHERE runs.state = 'dead';
