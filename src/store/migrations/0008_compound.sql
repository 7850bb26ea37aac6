-- The stems of the parts of compound words, which the word index knows whole alone: `user` leads to
-- `getUserName`. They come and go with the text, as its vector does.
CREATE TABLE compound_part (
  stem TEXT NOT NULL,
  row INTEGER NOT NULL,
  PRIMARY KEY (stem, row)
) STRICT, WITHOUT ROWID;
CREATE INDEX compound_part_by_row ON compound_part (row);
