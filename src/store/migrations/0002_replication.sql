-- What a node in a cluster keeps. All of it is local; replicated state is in `memory`.

-- When the file last took a write of this origin in, to about a minute; what op contexts and
-- heartbeats list goes by it. And the payloads kept of it, so that nothing needs to count them.
ALTER TABLE origin ADD COLUMN changed_at REAL NOT NULL DEFAULT 0;
ALTER TABLE origin ADD COLUMN kept_count INTEGER NOT NULL DEFAULT 0;
ALTER TABLE origin ADD COLUMN kept_bytes INTEGER NOT NULL DEFAULT 0;

-- No node kept payloads before it could have peers.
DROP TABLE op;
CREATE TABLE op (
  origin_id INTEGER NOT NULL REFERENCES origin (origin_id),
  oseq INTEGER NOT NULL,
  id BLOB NOT NULL CHECK (length(id) = 16),
  at REAL NOT NULL,
  payload BLOB NOT NULL,
  PRIMARY KEY (origin_id, oseq)
) STRICT, WITHOUT ROWID;
-- Erasing a memory must find what was written to it.
CREATE INDEX op_by_id ON op (id);

-- Own writes that are in the stream, as intervals.
CREATE TABLE published (
  origin_id INTEGER NOT NULL REFERENCES origin (origin_id),
  lo INTEGER NOT NULL,
  hi INTEGER NOT NULL CHECK (hi >= lo),
  PRIMARY KEY (origin_id, lo)
) STRICT, WITHOUT ROWID;

-- Which message of the stream holds them, so that an erasure can delete it there.
CREATE TABLE message (
  origin_id INTEGER NOT NULL REFERENCES origin (origin_id),
  lo INTEGER NOT NULL,
  hi INTEGER NOT NULL CHECK (hi >= lo),
  stream_seq INTEGER NOT NULL,
  at REAL NOT NULL,
  PRIMARY KEY (origin_id, lo)
) STRICT, WITHOUT ROWID;

-- Live memories that have no vector of the file's model yet: their author used another one.
CREATE TABLE pending_vector (
  row INTEGER PRIMARY KEY
) STRICT;

-- What each member was last known to have applied (memnode-cluster, an empty vector at first).
ALTER TABLE roster ADD COLUMN applied BLOB NOT NULL DEFAULT x'80';
-- Who is forgotten is a replicated record.
ALTER TABLE roster DROP COLUMN state;

-- Records that replicate and are no memories: namespaces that start with `_`.
CREATE INDEX memory_reserved ON memory (namespace, id)
  WHERE namespace >= '_' AND namespace < '`';

-- Erased memories of which the stream may still hold messages of this node.
CREATE TABLE erasure (
  id BLOB PRIMARY KEY CHECK (length(id) = 16)
) STRICT, WITHOUT ROWID;
