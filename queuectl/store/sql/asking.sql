-- name: names_of_tables
-- What a question may name.
SELECT name
  FROM sqlite_schema
 WHERE type IN ('table', 'view');
