-- What attempts ran with, and which apply that came from. Nothing is written for it when a run is claimed or settled: a
-- spec is kept only when another takes its place after a claim.

-- The apply that the spec came from; of what was there before this migration, the latest that changed the job.
ALTER TABLE jobs ADD COLUMN apply INTEGER REFERENCES applies (number);
UPDATE jobs SET apply = (SELECT max(apply) FROM job_applies WHERE job = jobs.id);

ALTER TABLE runs ADD COLUMN apply INTEGER;         -- the one that the spec came from, if any

CREATE TABLE former_specs (
  run INTEGER NOT NULL REFERENCES runs (number) ON DELETE CASCADE,
  until INTEGER NOT NULL,             -- the latest lease then: the run's attempts up to it ran with this spec
  spec TEXT NOT NULL,
  apply INTEGER,
  PRIMARY KEY (run, until)
) STRICT, WITHOUT ROWID;

CREATE TRIGGER runs_spec_replaced AFTER UPDATE OF spec ON runs WHEN NEW.spec <> OLD.spec BEGIN
  -- Replaced twice between two claims, the first is the one that ran.
  INSERT OR IGNORE INTO former_specs (run, until, spec, apply)
  SELECT OLD.number, latest, OLD.spec, OLD.apply
    FROM leases
   WHERE OLD.lease IS NOT NULL OR EXISTS (SELECT 1 FROM attempts WHERE run = OLD.number);
  UPDATE runs SET apply = (SELECT apply FROM jobs WHERE id = NEW.job) WHERE number = NEW.number;
END;
