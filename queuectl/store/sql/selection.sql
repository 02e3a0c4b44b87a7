-- name: selected_runs
-- One arm of a selection: the runs of at most one state and one job, by their partial index, or along the key.
SELECT {run}
  FROM runs
 WHERE {conditions};

-- name: selected_choices
-- The same, when it is about which runs, and as of when, and not about what they are.
SELECT runs.number, runs.updated_at
  FROM runs
 WHERE {conditions};

-- name: numbered_runs
-- By the key, oldest first.
SELECT {run}
  FROM runs
 WHERE runs.number IN (SELECT value FROM json_each(:numbers))
 ORDER BY runs.number;

-- name: known_numbers
-- Of ids as people write them; by the key and runs_given_id.
SELECT ids.value, coalesce(given.number, ours.number)
  FROM json_each(:ids) AS ids
  LEFT JOIN runs AS given ON given.given_id = ids.value
  LEFT JOIN runs AS ours ON ours.number = CAST(substr(ids.value, 2) AS INTEGER) AND 'r' || ours.number = ids.value
 ORDER BY ids.key;

-- name: jobs_named
-- Removed jobs too: their runs are still selected by name.
SELECT id
  FROM jobs
 WHERE manifest = :manifest AND name = :name;

-- name: jobs_like
-- By a pattern of full names.
SELECT id
  FROM jobs
 WHERE manifest || '/' || name GLOB :pattern;

-- name: jobs_of_manifest
-- Removed jobs too.
SELECT id
  FROM jobs
 WHERE manifest = :manifest;

-- name: known_jobs
-- The full names that runs can be of.
SELECT manifest || '/' || name
  FROM jobs;

-- name: known_manifests
-- The names that runs can be of.
SELECT DISTINCT manifest
  FROM jobs;

-- name: where_number
-- The runs that were named.
runs.number IN (SELECT value FROM json_each(:numbers))

-- name: where_before
-- The next page: what comes before the last run of this one.
runs.number < :before

-- name: where_floor
-- No further back than this: one stretch of a search.
runs.number >= :floor

-- name: where_not_kept
-- Ad-hoc, or not one of the newest runs of its job; by runs_of_job.
(runs.job IS NULL
 OR (SELECT count(*)
       FROM (SELECT 1 FROM runs AS newer WHERE newer.job = runs.job AND newer.number > runs.number LIMIT :keep)) >= :keep)

-- name: where_job
-- Of one of many jobs; for a few of them there is an arm for each.
runs.job IN (SELECT value FROM json_each(:jobs))

-- name: where_tag
-- Has one of the tags.
EXISTS (SELECT 1
          FROM json_each(runs.spec, '$.tags') AS tags
         WHERE tags.value IN (SELECT value FROM json_each(:tags)))

-- name: where_since
-- Changed at that time or later.
runs.updated_at >= :since

-- name: where_until
-- Last changed before that time.
runs.updated_at < :until

-- name: where_exit_code
-- Its last attempt ended with one of the exit codes; by the key of the attempts.
(SELECT exit_code
   FROM attempts
  WHERE attempts.run = runs.number
  ORDER BY lease DESC
  LIMIT 1) IN (SELECT value FROM json_each(:exit_codes))

-- name: where_text
-- Has the text in what a person knows it by; a command of several words is searched as one line.
(instr(lower(coalesce(runs.given_id, 'r' || runs.number)), lower(:text))
 OR instr(lower(runs.reason), lower(:text))
 OR runs.job IN (SELECT id FROM jobs WHERE instr(manifest || '/' || name, lower(:text)))
 OR instr(lower(runs.spec ->> '$.description'), lower(:text))
 OR instr(lower((SELECT group_concat(value, ' ') FROM json_each(runs.spec, '$.command'))), lower(:text)))
