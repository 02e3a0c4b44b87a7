-- Whether the present occurrence of a one-shot job has had no run because the job is disabled: enabled, it runs.
ALTER TABLE jobs ADD COLUMN owes_run INTEGER NOT NULL DEFAULT 0 CHECK (owes_run IN (0, 1));
