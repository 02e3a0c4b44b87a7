-- name: due_count
-- How many runs could be claimed now, counted up to a limit; by runs_waiting, once for each priority.
WITH RECURSIVE {priorities}
SELECT count(*)
  FROM (SELECT 1
          FROM runs
         WHERE state IN ('pending', 'failed')
           AND priority IN (SELECT priority FROM priorities)
           AND run_at <= :now
         LIMIT :limit);

-- name: under_way
-- What is being executed, the longest first; by runs_processing.
SELECT {run}
  FROM runs
 WHERE runs.state = 'processing'
 ORDER BY runs.started_at
 LIMIT :limit;

-- name: newest_number
-- The last step along the key.
SELECT coalesce(max(number), 0)
  FROM runs;

-- name: latest_results
-- How the latest runs of each declared job, or of one, ended, newest first; by runs_of_job.
SELECT jobs.manifest || '/' || jobs.name,
       (SELECT json_group_array(json_array(id, state, started_at, finished_at, reason))
          FROM (SELECT coalesce(given_id, 'r' || number) AS id, state, started_at, finished_at, reason
                  FROM runs
                 WHERE job = jobs.id AND finished_at IS NOT NULL
                 ORDER BY number DESC
                 LIMIT :each))
  FROM jobs
 WHERE jobs.removed_at IS NULL
   AND (:job IS NULL OR (jobs.manifest = :manifest AND jobs.name = :name))
 ORDER BY jobs.manifest, jobs.name;

-- name: dead_groups
-- The newest dead runs by job and reason, the group that grew last first; by runs_dead.
SELECT (SELECT manifest || '/' || name FROM jobs WHERE id = job), reason, count, first_at, last_at,
       (SELECT coalesce(given_id, 'r' || number) FROM runs WHERE number = newest)
  FROM (SELECT job, reason, count(*) AS count, min(updated_at) AS first_at, max(updated_at) AS last_at,
               max(number) AS newest
          FROM (SELECT job, reason, updated_at, number
                  FROM runs
                 WHERE state = 'dead'
                 ORDER BY number DESC
                 LIMIT :limit)
         GROUP BY job, reason)
 ORDER BY last_at DESC;

-- name: job_tags
-- The tags that declared jobs have.
SELECT DISTINCT tag.value
  FROM jobs, json_each(jobs.spec, '$.tags') AS tag
 WHERE jobs.removed_at IS NULL
 ORDER BY tag.value
 LIMIT 1000;

-- name: apply_lines
-- The newest applies, each with how often it took each action; their changes are read here and not sent.
SELECT number, applied_at, user, host, git_commit, git_dirty,
       (SELECT json_group_object(action, count)
          FROM (SELECT value ->> 'action' AS action, count(*) AS count FROM json_each(applies.changes) GROUP BY 1))
  FROM applies
 ORDER BY number DESC
 LIMIT :limit;

-- name: apply_by_number
-- By the key.
SELECT number, applied_at, user, host, git_commit, git_dirty, changes
  FROM applies
 WHERE number = :number;

-- name: apply_times
-- When the newest applies were; their changes are not touched.
SELECT number, applied_at
  FROM applies
 ORDER BY number DESC
 LIMIT :limit;
