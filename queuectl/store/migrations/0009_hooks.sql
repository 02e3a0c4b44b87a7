-- Hooks: what is to be done outside about the end of an attempt, written in the transaction that settles it.

CREATE TABLE hooks (
  id INTEGER PRIMARY KEY,
  run INTEGER NOT NULL REFERENCES runs (number) ON DELETE CASCADE,
  lease INTEGER NOT NULL,             -- with the run: the execution that called it
  hook TEXT NOT NULL CHECK (hook IN ('on_success', 'on_failure', 'on_dead')),
  what TEXT NOT NULL CHECK (json_valid(what)),
  facts TEXT NOT NULL CHECK (json_valid(facts)),
  called_at INTEGER NOT NULL,
  due_at INTEGER NOT NULL,            -- when a courier may take it; taken, when another may if nothing was heard of it
  runner INTEGER REFERENCES runners (id),     -- whose courier took it last
  tries INTEGER NOT NULL DEFAULT 0,   -- how often it was taken: the right to say how that went
  failures INTEGER NOT NULL DEFAULT 0,
  ended_at INTEGER,
  fate TEXT CHECK (fate IN ('delivered', 'failed')),
  detail TEXT,                        -- how the latest try ended
  output TEXT,                        -- the end of what it wrote
  UNIQUE (run, lease),
  CHECK ((fate IS NULL) = (ended_at IS NULL))
) STRICT;
-- claim_hooks, next_hook: those that are not delivered, by their time.
CREATE INDEX hooks_waiting ON hooks (due_at) WHERE ended_at IS NULL;
