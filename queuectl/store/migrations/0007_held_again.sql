-- A run that is given back to the queue waits, as a new one does, if another run of its job is not over (job.HELD).
CREATE TRIGGER runs_held_again AFTER UPDATE OF state ON runs
WHEN NEW.state = 'pending' AND OLD.finished_at IS NOT NULL AND NEW.job IS NOT NULL BEGIN
  UPDATE runs SET run_at = 253402300799000000
   WHERE number = NEW.number
     AND EXISTS (SELECT 1
                   FROM runs AS other
                  WHERE other.job = NEW.job AND other.state IN ('pending', 'processing', 'failed')
                    AND other.number <> NEW.number)
     AND NOT EXISTS (SELECT 1 FROM jobs WHERE id = NEW.job AND recurrence ->> 'overlap' = 'allow');
END;
