-- Selections of runs, and by which way and why people acted on them.


-- The newest or the oldest runs in one state, whatever lies between them; runs_dead is there already.
CREATE INDEX runs_pending ON runs (number) WHERE state = 'pending';
CREATE INDEX runs_running ON runs (number) WHERE state = 'processing';
CREATE INDEX runs_failed ON runs (number) WHERE state = 'failed';
CREATE INDEX runs_completed ON runs (number) WHERE state = 'completed';
CREATE INDEX runs_cancelled ON runs (number) WHERE state = 'cancelled';
CREATE INDEX runs_skipped ON runs (number) WHERE state = 'skipped';

ALTER TABLE interventions ADD COLUMN channel TEXT NOT NULL DEFAULT 'cli';   -- or dashboard
ALTER TABLE interventions ADD COLUMN detail TEXT;  -- how the run was selected, if it was not named

-- Who deleted how many runs; a runner does by itself what the settings say.
CREATE TABLE purges (
  id INTEGER PRIMARY KEY,
  at INTEGER NOT NULL,
  user TEXT NOT NULL,
  host TEXT NOT NULL,
  channel TEXT NOT NULL,
  runs INTEGER NOT NULL,
  detail TEXT
) STRICT;
