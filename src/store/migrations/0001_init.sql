-- Everything one node knows. Local tables say so; the rest is replicated state or follows from it.

CREATE TABLE meta (
  key TEXT PRIMARY KEY,
  value ANY NOT NULL
) STRICT, WITHOUT ROWID;

-- One row for every identity ever seen. A deleted memory keeps its row: its record is a tombstone.
CREATE TABLE memory (
  row INTEGER PRIMARY KEY,
  id BLOB NOT NULL UNIQUE CHECK (length(id) = 16),
  namespace TEXT NOT NULL,
  content_hash BLOB NOT NULL CHECK (length(content_hash) = 32),
  live INTEGER NOT NULL CHECK (live IN (0, 1)),
  created_at REAL,
  updated_at REAL,
  memory_type TEXT,
  tags TEXT NOT NULL DEFAULT '[]',
  metadata TEXT NOT NULL DEFAULT '{}',
  origin TEXT,
  content TEXT,
  -- Hash of the replicated state, as the digest sees it.
  version BLOB NOT NULL CHECK (length(version) = 16),
  -- The registers of the record (memnode-cluster), the body left out where `content` gives it.
  record BLOB NOT NULL,
  -- The write that made the row what it is; the triggers copy it into the change log.
  write_origin INTEGER NOT NULL REFERENCES origin (origin_id),
  write_oseq INTEGER NOT NULL,
  write_at REAL NOT NULL,
  write_changed TEXT NOT NULL
) STRICT;

CREATE INDEX memory_by_time ON memory (created_at DESC, row DESC) WHERE live = 1;
CREATE INDEX memory_by_namespace ON memory (namespace, created_at DESC, row DESC) WHERE live = 1;
CREATE INDEX memory_by_type ON memory (namespace, memory_type, created_at DESC, row DESC)
  WHERE live = 1;

-- Tags of live memories, in the order that lists want.
CREATE TABLE tag (
  tag_id INTEGER PRIMARY KEY,
  namespace TEXT NOT NULL,
  name TEXT NOT NULL,
  count INTEGER NOT NULL DEFAULT 0,
  UNIQUE (namespace, name)
) STRICT;

CREATE INDEX tag_by_name ON tag (name);

CREATE TABLE memory_tag (
  tag_id INTEGER NOT NULL REFERENCES tag (tag_id),
  created_at REAL NOT NULL,
  row INTEGER NOT NULL,
  PRIMARY KEY (tag_id, created_at DESC, row DESC)
) STRICT, WITHOUT ROWID;

-- Live memories by namespace and type ('' for none), so that totals need no scan.
CREATE TABLE tally (
  namespace TEXT NOT NULL,
  memory_type TEXT NOT NULL,
  count INTEGER NOT NULL,
  PRIMARY KEY (namespace, memory_type)
) STRICT, WITHOUT ROWID;

CREATE VIRTUAL TABLE memory_fts USING fts5 (
  content, tags,
  content = 'memory', content_rowid = 'row',
  tokenize = "porter unicode61 remove_diacritics 2"
);
-- Deleted text leaves the word index at once, not at its next merge.
INSERT INTO memory_fts (memory_fts, rank) VALUES ('secure-delete', 1);

-- One run of one file: a node and the epoch it drew at its first write after a start.
CREATE TABLE origin (
  origin_id INTEGER PRIMARY KEY,
  node TEXT NOT NULL,
  epoch INTEGER NOT NULL,
  -- The last number drawn, for own origins.
  head INTEGER NOT NULL DEFAULT 0,
  UNIQUE (node, epoch)
) STRICT;

-- The vector: which writes this state is the join of.
CREATE TABLE applied (
  origin_id INTEGER NOT NULL REFERENCES origin (origin_id),
  lo INTEGER NOT NULL,
  hi INTEGER NOT NULL CHECK (hi >= lo),
  PRIMARY KEY (origin_id, lo)
) STRICT, WITHOUT ROWID;

-- Encoded writes, kept until every peer has them. A node without peers keeps none.
CREATE TABLE op (
  origin_id INTEGER NOT NULL REFERENCES origin (origin_id),
  oseq INTEGER NOT NULL,
  id BLOB NOT NULL,
  payload BLOB NOT NULL,
  stream_seq INTEGER,
  PRIMARY KEY (origin_id, oseq)
) STRICT, WITHOUT ROWID;

-- Committed changes in commit order, for events and history. Written by triggers only. Local.
CREATE TABLE change_log (
  n INTEGER PRIMARY KEY AUTOINCREMENT,
  row INTEGER NOT NULL,
  kind TEXT NOT NULL CHECK (kind IN ('stored', 'updated', 'deleted')),
  origin_id INTEGER NOT NULL,
  oseq INTEGER NOT NULL,
  at REAL NOT NULL,
  changed TEXT NOT NULL
) STRICT;
CREATE INDEX change_log_by_row ON change_log (row, n);

CREATE TABLE bucket (
  b INTEGER PRIMARY KEY CHECK (b BETWEEN 0 AND 4095),
  hash BLOB NOT NULL CHECK (length(hash) = 16),
  count INTEGER NOT NULL
) STRICT;

CREATE TABLE cursor (
  stream_created TEXT PRIMARY KEY,
  seq INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE quarantine (
  origin_id INTEGER NOT NULL,
  oseq INTEGER NOT NULL,
  payload BLOB NOT NULL,
  reason TEXT NOT NULL,
  at REAL NOT NULL,
  PRIMARY KEY (origin_id, oseq)
) STRICT, WITHOUT ROWID;

-- Values that lost against a concurrent write, for people. Local.
CREATE TABLE conflict (
  n INTEGER PRIMARY KEY,
  row INTEGER NOT NULL,
  part TEXT NOT NULL,
  value BLOB NOT NULL,
  clock INTEGER NOT NULL,
  origin_id INTEGER NOT NULL,
  oseq INTEGER NOT NULL,
  winner_origin_id INTEGER NOT NULL,
  winner_oseq INTEGER NOT NULL,
  at REAL NOT NULL
) STRICT;
CREATE INDEX conflict_by_row ON conflict (row);

CREATE TABLE roster (
  node TEXT PRIMARY KEY,
  seen_at REAL NOT NULL,
  state TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- What a deleted memory was, so that it can be restored here. Local.
CREATE TABLE deleted (
  row INTEGER PRIMARY KEY REFERENCES memory (row),
  at REAL NOT NULL,
  snapshot TEXT NOT NULL
) STRICT;

-- Answers of writes that carried an idempotency key. Local.
CREATE TABLE idempotency (
  principal TEXT NOT NULL,
  key TEXT NOT NULL,
  request_hash BLOB NOT NULL,
  answer TEXT NOT NULL,
  at REAL NOT NULL,
  PRIMARY KEY (principal, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX idempotency_by_time ON idempotency (at);

-- Vectors of the model that a re-embedding moves to, until all are there. Local.
CREATE TABLE reembed_vector (
  row INTEGER PRIMARY KEY,
  vector BLOB NOT NULL
) STRICT;

-- Words.
CREATE TRIGGER memory_fts_insert AFTER INSERT ON memory WHEN NEW.live = 1 BEGIN
  INSERT INTO memory_fts (rowid, content, tags) VALUES (NEW.row, NEW.content, NEW.tags);
END;
CREATE TRIGGER memory_fts_update AFTER UPDATE OF live, content, tags ON memory
WHEN OLD.live = 1 AND NEW.live = 1
  AND (OLD.content IS NOT NEW.content OR OLD.tags IS NOT NEW.tags) BEGIN
  INSERT INTO memory_fts (memory_fts, rowid, content, tags)
    VALUES ('delete', OLD.row, OLD.content, OLD.tags);
  INSERT INTO memory_fts (rowid, content, tags) VALUES (NEW.row, NEW.content, NEW.tags);
END;
CREATE TRIGGER memory_fts_die AFTER UPDATE OF live ON memory WHEN OLD.live = 1 AND NEW.live = 0
BEGIN
  INSERT INTO memory_fts (memory_fts, rowid, content, tags)
    VALUES ('delete', OLD.row, OLD.content, OLD.tags);
END;
CREATE TRIGGER memory_fts_revive AFTER UPDATE OF live ON memory WHEN OLD.live = 0 AND NEW.live = 1
BEGIN
  INSERT INTO memory_fts (rowid, content, tags) VALUES (NEW.row, NEW.content, NEW.tags);
END;

-- Tags.
CREATE TRIGGER memory_tag_insert AFTER INSERT ON memory WHEN NEW.live = 1 AND NEW.tags <> '[]'
BEGIN
  INSERT INTO tag (namespace, name, count)
    SELECT NEW.namespace, value, 1 FROM json_each(NEW.tags) WHERE true
    ON CONFLICT (namespace, name) DO UPDATE SET count = count + 1;
  INSERT INTO memory_tag (tag_id, created_at, row)
    SELECT tag_id, NEW.created_at, NEW.row FROM json_each(NEW.tags)
    JOIN tag ON tag.namespace = NEW.namespace AND tag.name = json_each.value;
END;
CREATE TRIGGER memory_tag_update AFTER UPDATE OF live, tags, created_at ON memory
WHEN OLD.live IS NOT NEW.live OR OLD.tags IS NOT NEW.tags OR OLD.created_at IS NOT NEW.created_at
BEGIN
  UPDATE tag SET count = count - 1
    WHERE OLD.live = 1 AND namespace = OLD.namespace
      AND name IN (SELECT value FROM json_each(OLD.tags));
  DELETE FROM memory_tag
    WHERE OLD.live = 1 AND row = OLD.row AND created_at = OLD.created_at
      AND tag_id IN (SELECT tag_id FROM tag WHERE namespace = OLD.namespace
                       AND name IN (SELECT value FROM json_each(OLD.tags)));
  INSERT INTO tag (namespace, name, count)
    SELECT NEW.namespace, value, 1 FROM json_each(NEW.tags) WHERE NEW.live = 1
    ON CONFLICT (namespace, name) DO UPDATE SET count = count + 1;
  INSERT INTO memory_tag (tag_id, created_at, row)
    SELECT tag_id, NEW.created_at, NEW.row FROM json_each(NEW.tags)
    JOIN tag ON tag.namespace = NEW.namespace AND tag.name = json_each.value
    WHERE NEW.live = 1;
  DELETE FROM tag WHERE OLD.live = 1 AND count = 0 AND namespace = OLD.namespace
    AND name IN (SELECT value FROM json_each(OLD.tags));
END;

-- Totals.
CREATE TRIGGER tally_insert AFTER INSERT ON memory WHEN NEW.live = 1 BEGIN
  INSERT INTO tally (namespace, memory_type, count)
    VALUES (NEW.namespace, ifnull(NEW.memory_type, ''), 1)
    ON CONFLICT (namespace, memory_type) DO UPDATE SET count = count + 1;
END;
CREATE TRIGGER tally_update AFTER UPDATE OF live, memory_type ON memory
WHEN OLD.live IS NOT NEW.live OR OLD.memory_type IS NOT NEW.memory_type BEGIN
  UPDATE tally SET count = count - 1
    WHERE OLD.live = 1 AND namespace = OLD.namespace
      AND memory_type = ifnull(OLD.memory_type, '');
  DELETE FROM tally WHERE count = 0;
  INSERT INTO tally (namespace, memory_type, count)
    SELECT NEW.namespace, ifnull(NEW.memory_type, ''), 1 WHERE NEW.live = 1
    ON CONFLICT (namespace, memory_type) DO UPDATE SET count = count + 1;
END;

-- The change log. A row that stays dead is nobody's news.
CREATE TRIGGER change_log_insert AFTER INSERT ON memory WHEN NEW.live = 1 BEGIN
  INSERT INTO change_log (row, kind, origin_id, oseq, at, changed)
    VALUES (NEW.row, 'stored', NEW.write_origin, NEW.write_oseq, NEW.write_at, NEW.write_changed);
END;
CREATE TRIGGER change_log_update AFTER UPDATE OF version ON memory
WHEN OLD.version IS NOT NEW.version AND (OLD.live = 1 OR NEW.live = 1) BEGIN
  INSERT INTO change_log (row, kind, origin_id, oseq, at, changed)
    VALUES (NEW.row,
            CASE WHEN NEW.live = 0 THEN 'deleted' WHEN OLD.live = 0 THEN 'stored'
                 ELSE 'updated' END,
            NEW.write_origin, NEW.write_oseq, NEW.write_at, NEW.write_changed);
END;

-- A text that changes while vectors move to another model is embedded again.
CREATE TRIGGER reembed_stale AFTER UPDATE OF content ON memory
WHEN OLD.content IS NOT NEW.content BEGIN
  DELETE FROM reembed_vector WHERE row = NEW.row;
END;
