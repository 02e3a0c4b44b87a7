-- How many seconds a run of a job may be due before its first attempt begins; for those who watch.

ALTER TABLE jobs ADD COLUMN max_wait REAL;
