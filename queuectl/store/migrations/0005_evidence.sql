-- What is needed to say afterwards why something ran, or why it did not.

ALTER TABLE runners ADD COLUMN has_schedule INTEGER NOT NULL DEFAULT 1 CHECK (has_schedule IN (0, 1));
-- Found dead at stopped_at: the last that is known of its life is its heartbeat.
ALTER TABLE runners ADD COLUMN died INTEGER NOT NULL DEFAULT 0 CHECK (died IN (0, 1));
-- runner_lives: who lived between two instants, who was the last to end before, and the first to start after.
CREATE INDEX runners_started ON runners (started_at);
CREATE INDEX runners_ended ON runners (stopped_at) WHERE stopped_at IS NOT NULL;

-- Beats that were too far apart: the machine slept, or its clock was set. Where until is not later, it was set back.
CREATE TABLE silences (
  runner INTEGER NOT NULL REFERENCES runners (id),
  since INTEGER NOT NULL,
  until INTEGER NOT NULL
) STRICT;
CREATE INDEX silences_of_runner ON silences (runner, since);

-- Which applies changed a job.
CREATE TABLE job_applies (
  job INTEGER NOT NULL REFERENCES jobs (id),
  apply INTEGER NOT NULL REFERENCES applies (number),
  change INTEGER NOT NULL,            -- the place in the apply's list of changes, from 0
  PRIMARY KEY (job, apply)
) STRICT, WITHOUT ROWID;
INSERT OR IGNORE INTO job_applies (job, apply, change)
SELECT jobs.id, applies.number, changes.key
  FROM applies, json_each(applies.changes) AS changes
  JOIN jobs ON jobs.manifest = substr(changes.value ->> 'job', 1, instr(changes.value ->> 'job', '/') - 1)
           AND jobs.name = substr(changes.value ->> 'job', instr(changes.value ->> 'job', '/') + 1);

-- What people did to runs by hand.
CREATE TABLE interventions (
  run INTEGER NOT NULL REFERENCES runs (number) ON DELETE CASCADE,
  at INTEGER NOT NULL,
  act TEXT NOT NULL CHECK (act IN ('cancel', 'retry', 'trigger')),
  user TEXT NOT NULL,
  host TEXT NOT NULL
) STRICT;
CREATE INDEX interventions_of_run ON interventions (run, at);

ALTER TABLE pauses ADD COLUMN ended_by TEXT;       -- who resumed
-- folded_slots: which of them an instant lies among.
CREATE INDEX folded_slots_of_job ON folded_slots (job, last);
