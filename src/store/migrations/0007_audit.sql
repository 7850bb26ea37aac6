-- The audit log: who did what, where and when. It holds no text of memories and no query. Local:
-- snapshots for peers leave it out.

CREATE TABLE audit (
  n INTEGER PRIMARY KEY AUTOINCREMENT,
  at REAL NOT NULL,
  principal TEXT,
  key_id TEXT,
  operation TEXT NOT NULL,
  -- Names between spaces, so that one is found between two.
  namespaces TEXT NOT NULL,
  address TEXT,
  status INTEGER,
  outcome TEXT NOT NULL,
  refused INTEGER NOT NULL,
  trace_id TEXT
) STRICT;
