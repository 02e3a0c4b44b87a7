-- name: stored_jobs
-- The jobs of one manifest that are declared now, each with its latest run; by the key of jobs and runs_of_job.
SELECT jobs.id, jobs.manifest, jobs.name, jobs.spec, jobs.run_at, jobs.recurrence, jobs.enabled, jobs.revision,
       jobs.max_wait, jobs.expect_success_within, jobs.next_slot, jobs.owes_run, {run}
  FROM jobs
  LEFT JOIN runs ON runs.number = (SELECT max(number) FROM runs WHERE job = jobs.id)
 WHERE jobs.manifest = :manifest AND jobs.removed_at IS NULL
 ORDER BY jobs.name;

-- name: manifest_names
-- The manifests that own jobs now.
SELECT name, path
  FROM manifests
 ORDER BY name;

-- name: own_manifest
-- The file at this path owns the name from now on.
INSERT INTO manifests (name, path)
VALUES (:name, :path)
ON CONFLICT (name) DO UPDATE SET path = excluded.path;

-- name: disown_manifest
-- Nothing is declared under this name any more.
DELETE FROM manifests
 WHERE name = :name;

-- name: put_job
-- Declared, or declared again after it was removed: then its history continues. A success is expected from now on
-- where it was not before. The apply is the one that the spec came from.
INSERT INTO jobs (manifest, name, spec, run_at, recurrence, enabled, revision, max_wait, expect_success_within,
                  expected_since, owes_run, apply, created_at, updated_at)
VALUES (:manifest, :name, :spec, :run_at, :recurrence, :enabled, :revision, :max_wait, :expect_success_within,
        :now, :owes_run, :apply, :now, :now)
ON CONFLICT (manifest, name) DO UPDATE
   SET apply = CASE WHEN jobs.spec = excluded.spec AND jobs.removed_at IS NULL THEN jobs.apply ELSE excluded.apply END,
       spec = excluded.spec, run_at = excluded.run_at, recurrence = excluded.recurrence, enabled = excluded.enabled,
       revision = excluded.revision, max_wait = excluded.max_wait, owes_run = excluded.owes_run,
       expect_success_within = excluded.expect_success_within,
       expected_since = CASE WHEN jobs.removed_at IS NULL AND jobs.enabled = excluded.enabled
                                  AND jobs.expect_success_within IS NOT NULL
                             THEN jobs.expected_since
                             ELSE excluded.expected_since
                        END,
       updated_at = excluded.updated_at, removed_at = NULL
RETURNING id;

-- name: rename_job
-- The row keeps its id and so its runs; a tombstone of the new name makes way first (see bury_job).
UPDATE jobs
   SET name = :name, updated_at = :now
 WHERE id = :id;

-- name: bury_job
-- A removed job of this name steps aside for the one that is renamed to it.
UPDATE jobs
   SET name = name || '~' || id
 WHERE manifest = :manifest AND name = :name AND removed_at IS NOT NULL;

-- name: remove_job
-- Not declared any more; the row stays for its history.
UPDATE jobs
   SET removed_at = :now, updated_at = :now, next_slot = NULL
 WHERE id = :id;

-- name: move_slot
-- The slots of a job begin anew, or end.
UPDATE jobs
   SET next_slot = :next_slot
 WHERE id = :id;

-- name: insert_apply
-- Who changed what, when, from which commit.
INSERT INTO applies (applied_at, user, host, git_commit, git_dirty, changes)
VALUES (:now, :user, :host, :git_commit, :git_dirty, :changes)
RETURNING number;

-- name: insert_job_apply
-- Where in an apply the change of a job stands.
INSERT INTO job_applies (job, apply, change)
VALUES (:job, :apply, :change);

-- name: list_applies
-- Newest first.
SELECT number, applied_at, user, host, git_commit, git_dirty, changes
  FROM applies
 ORDER BY number DESC
 LIMIT :limit;
