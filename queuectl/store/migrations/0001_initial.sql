-- The queue, the jobs that manifests declare, and what happened.
-- Instants are microseconds since 1970 in UTC; durations are seconds.

CREATE TABLE manifests (
  name TEXT PRIMARY KEY,
  path TEXT NOT NULL                  -- the file that owns the name
) STRICT, WITHOUT ROWID;

CREATE TABLE jobs (
  id INTEGER PRIMARY KEY,
  manifest TEXT NOT NULL,
  name TEXT NOT NULL,
  spec TEXT NOT NULL CHECK (json_valid(spec)),
  run_at INTEGER,
  enabled INTEGER NOT NULL CHECK (enabled IN (0, 1)),
  revision INTEGER NOT NULL,
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL,
  removed_at INTEGER,                 -- a removed job keeps its row: its runs are history
  UNIQUE (manifest, name)
) STRICT;

CREATE TABLE runs (
  number INTEGER PRIMARY KEY AUTOINCREMENT,   -- never given twice: files are named by it
  given_id TEXT,                      -- the id a person gave; else the id is 'r' and the number
  job INTEGER REFERENCES jobs (id),
  state TEXT NOT NULL CHECK (state IN ('pending', 'processing', 'failed', 'completed', 'dead', 'cancelled', 'skipped')),
  priority INTEGER NOT NULL,
  spec TEXT NOT NULL,
  attempts INTEGER NOT NULL DEFAULT 0 CHECK (attempts >= 0),
  interruptions INTEGER NOT NULL DEFAULT 0 CHECK (interruptions >= 0),
  scheduled_at INTEGER NOT NULL,
  run_at INTEGER NOT NULL,
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL,
  started_at INTEGER,
  finished_at INTEGER,
  reason TEXT,
  lease INTEGER,
  runner INTEGER REFERENCES runners (id),
  stop TEXT CHECK (stop IN ('now', 'after attempt')),   -- what the runner is asked to do with the attempt
  CHECK ((state = 'processing') = (lease IS NOT NULL)),
  CHECK ((lease IS NULL) = (runner IS NULL)),
  CHECK (stop IS NULL OR state = 'processing'),
  CHECK ((state IN ('completed', 'dead', 'cancelled', 'skipped')) = (finished_at IS NOT NULL))
) STRICT;

-- claim_due, next_due: the waiting runs in the order they are claimed.
CREATE INDEX runs_waiting ON runs (priority DESC, run_at, number) WHERE state IN ('pending', 'failed');
-- processing_runs: few, and asked for at every heartbeat.
CREATE INDEX runs_processing ON runs (runner) WHERE state = 'processing';
-- The dead letter queue, oldest first.
CREATE INDEX runs_dead ON runs (number) WHERE state = 'dead';
-- A job's latest run, and its history.
CREATE INDEX runs_of_job ON runs (job, number) WHERE job IS NOT NULL;
CREATE UNIQUE INDEX runs_given_id ON runs (given_id) WHERE given_id IS NOT NULL;

CREATE TABLE attempts (
  run INTEGER NOT NULL REFERENCES runs (number) ON DELETE CASCADE,
  lease INTEGER NOT NULL,             -- one execution, for ever
  number INTEGER NOT NULL,            -- a released attempt gives its number back
  runner INTEGER NOT NULL REFERENCES runners (id),
  started_at INTEGER NOT NULL,
  finished_at INTEGER NOT NULL,
  outcome TEXT NOT NULL CHECK (outcome IN ('exited', 'signalled', 'timed out', 'cancelled', 'lost', 'released')),
  exit_code INTEGER,
  signal INTEGER,
  timeout REAL,
  detail TEXT,
  stdout_bytes INTEGER NOT NULL,
  stderr_bytes INTEGER NOT NULL,
  cpu_seconds REAL,
  max_rss_bytes INTEGER,
  PRIMARY KEY (run, lease)
) STRICT, WITHOUT ROWID;

CREATE TABLE runners (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  host TEXT NOT NULL,
  pid INTEGER NOT NULL,
  workers INTEGER NOT NULL,
  started_at INTEGER NOT NULL,
  heartbeat_at INTEGER NOT NULL,
  stopped_at INTEGER
) STRICT;
CREATE INDEX runners_running ON runners (id) WHERE stopped_at IS NULL;

CREATE TABLE applies (
  number INTEGER PRIMARY KEY AUTOINCREMENT,
  applied_at INTEGER NOT NULL,
  user TEXT NOT NULL,
  host TEXT NOT NULL,
  git_commit TEXT,
  git_dirty INTEGER,
  changes TEXT NOT NULL CHECK (json_valid(changes))
) STRICT;

-- One row: the number of the latest claim. Every claimed run gets it as its lease.
CREATE TABLE leases (latest INTEGER NOT NULL) STRICT;
INSERT INTO leases (latest) VALUES (0);

-- Counting a million rows takes half a second, these triggers a microsecond a change.
CREATE TABLE run_counts (
  state TEXT PRIMARY KEY,
  count INTEGER NOT NULL CHECK (count >= 0)
) STRICT, WITHOUT ROWID;
INSERT INTO run_counts (state, count)
VALUES ('pending', 0), ('processing', 0), ('failed', 0), ('completed', 0), ('dead', 0), ('cancelled', 0), ('skipped', 0);

CREATE TRIGGER runs_counted_in AFTER INSERT ON runs BEGIN
  UPDATE run_counts SET count = count + 1 WHERE state = NEW.state;
END;
CREATE TRIGGER runs_counted_on AFTER UPDATE OF state ON runs WHEN OLD.state <> NEW.state BEGIN
  UPDATE run_counts SET count = count - 1 WHERE state = OLD.state;
  UPDATE run_counts SET count = count + 1 WHERE state = NEW.state;
END;
CREATE TRIGGER runs_counted_out AFTER DELETE ON runs BEGIN
  UPDATE run_counts SET count = count - 1 WHERE state = OLD.state;
END;
