-- A new memory is written by statements that need no journal of their own. SQLite keeps one for
-- every statement that fires triggers and could fail half way: it copied each page that an insert
-- touched, and made the word index write a segment for each memory instead of one for a whole
-- transaction. Checks that call a function, virtual tables and upserts all count as such; failing
-- half way is what the transaction around is for.

-- The word index is filled beside the vector by whoever inserts the row.
DROP TRIGGER memory_fts_insert;

DROP TRIGGER memory_tag_insert;
CREATE TRIGGER memory_tag_insert AFTER INSERT ON memory WHEN NEW.live = 1 AND NEW.tags <> '[]'
BEGIN
  INSERT INTO tag (namespace, name, count)
    SELECT NEW.namespace, value, 0 FROM json_each(NEW.tags)
    WHERE NOT EXISTS (SELECT 1 FROM tag WHERE namespace = NEW.namespace AND name = value);
  UPDATE tag SET count = count + 1
    WHERE namespace = NEW.namespace AND name IN (SELECT value FROM json_each(NEW.tags));
  INSERT INTO memory_tag (tag_id, created_at, row)
    SELECT tag_id, NEW.created_at, NEW.row FROM json_each(NEW.tags)
    JOIN tag ON tag.namespace = NEW.namespace AND tag.name = json_each.value;
END;

DROP TRIGGER tally_insert;
CREATE TRIGGER tally_insert AFTER INSERT ON memory WHEN NEW.live = 1 BEGIN
  INSERT INTO tally (namespace, memory_type, count)
    SELECT NEW.namespace, ifnull(NEW.memory_type, ''), 0
    WHERE NOT EXISTS (SELECT 1 FROM tally WHERE namespace = NEW.namespace
                        AND memory_type = ifnull(NEW.memory_type, ''));
  UPDATE tally SET count = count + 1
    WHERE namespace = NEW.namespace AND memory_type = ifnull(NEW.memory_type, '');
END;

-- The way that SQLite's documentation gives for dropping checks (lang_altertable.html); the lengths
-- are those of types where the row is made.
PRAGMA writable_schema = ON;
UPDATE sqlite_schema
  SET sql = replace(replace(replace(sql, ' CHECK (length(id) = 16)', ''),
                            ' CHECK (length(content_hash) = 32)', ''),
                    ' CHECK (length(version) = 16)', '')
  WHERE type = 'table' AND name = 'memory';
PRAGMA writable_schema = RESET;
