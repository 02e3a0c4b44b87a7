-- Recurring jobs: their next slots, what became of the slots, and pauses.

ALTER TABLE jobs ADD COLUMN recurrence TEXT CHECK (json_valid(recurrence));
ALTER TABLE jobs ADD COLUMN next_slot INTEGER;     -- the first slot that nobody has looked at; none while disabled
-- due_jobs, next_slot: the few that recur, by their time.
CREATE INDEX jobs_due ON jobs (next_slot) WHERE next_slot IS NOT NULL;

ALTER TABLE runs ADD COLUMN slot INTEGER;          -- the slot of a recurring job that this run accounts for
CREATE UNIQUE INDEX runs_slot ON runs (job, slot) WHERE slot IS NOT NULL;
-- unfinished_runs: whether a job still runs, or waits to.
CREATE INDEX runs_unfinished ON runs (job, number) WHERE job IS NOT NULL AND state IN ('pending', 'processing', 'failed');

-- A run that waits for the one before it is due at the end of time (job.HELD), until that one is over.
CREATE TRIGGER runs_let_go AFTER UPDATE OF state ON runs
WHEN NEW.job IS NOT NULL AND NEW.finished_at IS NOT NULL AND OLD.finished_at IS NULL BEGIN
  UPDATE runs SET run_at = max(scheduled_at, NEW.updated_at)
   WHERE number = (SELECT min(number)
                     FROM runs
                    WHERE job = NEW.job AND state = 'pending' AND run_at = 253402300799000000)
     AND NOT EXISTS (SELECT 1
                       FROM runs
                      WHERE job = NEW.job AND state IN ('pending', 'processing', 'failed')
                        AND run_at < 253402300799000000);
END;

-- Slots of which there were too many to keep each: none of them ran.
CREATE TABLE folded_slots (
  job INTEGER NOT NULL REFERENCES jobs (id),
  first INTEGER NOT NULL,
  last INTEGER NOT NULL,
  count INTEGER NOT NULL,
  recorded_at INTEGER NOT NULL
) STRICT;

CREATE TABLE pauses (
  id INTEGER PRIMARY KEY,
  scope TEXT NOT NULL,                -- a job's full name, a manifest's name, or '' for everything
  begins_at INTEGER NOT NULL,
  until INTEGER,                      -- it ends by itself then
  reason TEXT,
  user TEXT NOT NULL,
  host TEXT NOT NULL,
  ended_at INTEGER                    -- somebody resumed
) STRICT;
