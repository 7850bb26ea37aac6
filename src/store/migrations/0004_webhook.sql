-- How far each webhook was told, and what could not be told. Both name rows of the change log and
-- hold no text, so erasing a memory has nothing to clear here. All of it is local.

CREATE TABLE webhook (
  hook TEXT PRIMARY KEY,
  n INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE webhook_dead (
  k INTEGER PRIMARY KEY AUTOINCREMENT,
  hook TEXT NOT NULL,
  n INTEGER NOT NULL,
  at REAL NOT NULL,
  reason TEXT NOT NULL
) STRICT;
