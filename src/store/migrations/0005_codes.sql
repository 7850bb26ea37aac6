-- The search index. All of it is local, and follows from the rest.

-- The codes of 4,096 consecutive rows, as of entry `n` of the log.
CREATE TABLE code_chunk (
  chunk INTEGER PRIMARY KEY,
  n INTEGER NOT NULL,
  codes BLOB NOT NULL
) STRICT;

-- Rows that changed as far as the index is concerned, in commit order. Written by triggers, so
-- that nothing can be forgotten; entries that a chunk holds go. Row 0, which no memory has, stands
-- for all of them.
CREATE TABLE code_log (
  n INTEGER PRIMARY KEY AUTOINCREMENT,
  row INTEGER NOT NULL
) STRICT;

CREATE TRIGGER code_log_insert AFTER INSERT ON memory WHEN NEW.live = 1 BEGIN
  INSERT INTO code_log (row) VALUES (NEW.row);
END;
CREATE TRIGGER code_log_update AFTER UPDATE OF version ON memory
WHEN OLD.version IS NOT NEW.version AND (OLD.live = 1 OR NEW.live = 1) BEGIN
  INSERT INTO code_log (row) VALUES (NEW.row);
END;
-- A vector came later than its text.
CREATE TRIGGER code_log_vector AFTER DELETE ON pending_vector BEGIN
  INSERT INTO code_log (row) VALUES (OLD.row);
END;
-- Vectors of another model took the place of all.
CREATE TRIGGER code_log_model AFTER INSERT ON meta WHEN NEW.key = 'model' BEGIN
  DELETE FROM code_chunk;
  INSERT INTO code_log (row) VALUES (0);
END;
