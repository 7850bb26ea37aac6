-- How consumers of the change log go on after a pause. All of it is local.

-- Which rows of the log a write made: a consumer that comes from another node is told what it
-- lacks by writes.
CREATE INDEX change_log_by_write ON change_log (origin_id, oseq);

-- Runs of the log: ids of events name one, and a place in it. A copy of this file starts a run of
-- its own, so a place in the one is never taken for a place in the other.
CREATE TABLE feed_run (
  k INTEGER PRIMARY KEY AUTOINCREMENT,
  run INTEGER NOT NULL UNIQUE,
  first_n INTEGER NOT NULL
) STRICT;

-- The last write of each origin whose row was dropped from the log, and when it had come.
CREATE TABLE feed_floor (
  origin_id INTEGER PRIMARY KEY,
  oseq INTEGER NOT NULL,
  at REAL NOT NULL
) STRICT;
