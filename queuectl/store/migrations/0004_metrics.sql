-- What happened, how long it took and how long it had waited: summed when it happens, so that no question about the
-- past reads runs or attempts, which may be purged.

-- One row counts what happened to the runs of one job in one span of time. Short spans are folded into longer ones
-- when they are old (measures.WIDTHS); those of the width 0 are the totals of all time, which only grow.
CREATE TABLE metrics (
  width INTEGER NOT NULL,             -- the seconds that the row covers; 0 for all time
  start INTEGER NOT NULL,             -- when they begin, in microseconds since 1970, a multiple of the width
  job INTEGER NOT NULL,               -- 0 for ad-hoc runs
  event TEXT NOT NULL CHECK (event IN ('exited', 'signalled', 'timed out', 'cancelled', 'lost', 'released',
                                       'enqueued', 'requeued', 'ended')),
  state TEXT NOT NULL CHECK (state IN ('pending', 'failed', 'completed', 'dead', 'cancelled', 'skipped')),  -- then
  latest INTEGER NOT NULL,            -- when it last happened, in microseconds since 1970
  count INTEGER NOT NULL,
  took INTEGER NOT NULL,              -- the microseconds that its attempts took together
  waited INTEGER NOT NULL,            -- the microseconds from the time they were due to their begin
  -- How many of them took and had waited up to each of measures.BOUNDS; the last is what was longer.
  took_0 INTEGER NOT NULL, took_1 INTEGER NOT NULL, took_2 INTEGER NOT NULL, took_3 INTEGER NOT NULL,
  took_4 INTEGER NOT NULL, took_5 INTEGER NOT NULL, took_6 INTEGER NOT NULL, took_7 INTEGER NOT NULL,
  took_8 INTEGER NOT NULL, took_9 INTEGER NOT NULL, took_10 INTEGER NOT NULL, took_11 INTEGER NOT NULL,
  took_12 INTEGER NOT NULL, took_13 INTEGER NOT NULL, took_14 INTEGER NOT NULL,
  waited_0 INTEGER NOT NULL, waited_1 INTEGER NOT NULL, waited_2 INTEGER NOT NULL, waited_3 INTEGER NOT NULL,
  waited_4 INTEGER NOT NULL, waited_5 INTEGER NOT NULL, waited_6 INTEGER NOT NULL, waited_7 INTEGER NOT NULL,
  waited_8 INTEGER NOT NULL, waited_9 INTEGER NOT NULL, waited_10 INTEGER NOT NULL, waited_11 INTEGER NOT NULL,
  waited_12 INTEGER NOT NULL, waited_13 INTEGER NOT NULL, waited_14 INTEGER NOT NULL,
  PRIMARY KEY (width, start, job, event, state)
) STRICT, WITHOUT ROWID;

-- Counting begins here. When a job last succeeded is known, and asked for before it succeeds again.
INSERT INTO metrics
SELECT 0, 0, job, 'exited', 'completed', max(finished_at), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0
  FROM runs
 WHERE state = 'completed' AND job IS NOT NULL
 GROUP BY job;
