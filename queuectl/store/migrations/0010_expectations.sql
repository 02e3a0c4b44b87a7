-- Within how many seconds a job has to succeed again, and since when that is expected of it; for those who watch.

ALTER TABLE jobs ADD COLUMN expect_success_within REAL;
ALTER TABLE jobs ADD COLUMN expected_since INTEGER;
