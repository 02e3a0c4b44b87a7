-- Runs that are deleted when they have been kept for long enough.

-- expired_runs: those that were over first.
CREATE INDEX runs_finished ON runs (state, finished_at, number) WHERE finished_at IS NOT NULL;

-- UNIQUE (job, slot) lets no slot fire twice, and goes on to do so for those whose runs were deleted: the slots of a job
-- are accounted for in their order, so that none up to the latest deleted one is new.
ALTER TABLE jobs ADD COLUMN purged_slot INTEGER;
CREATE TRIGGER runs_purged AFTER DELETE ON runs WHEN OLD.slot IS NOT NULL BEGIN
  UPDATE jobs SET purged_slot = max(coalesce(purged_slot, OLD.slot), OLD.slot) WHERE id = OLD.job;
END;
CREATE TRIGGER runs_of_purged_slots BEFORE INSERT ON runs
WHEN NEW.slot <= (SELECT purged_slot FROM jobs WHERE id = NEW.job) BEGIN
  SELECT RAISE(IGNORE);
END;
