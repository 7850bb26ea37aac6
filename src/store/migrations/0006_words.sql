-- The words of the word index, in their order: what resembles a word that nobody wrote is looked up
-- there. It keeps nothing of its own, so that erased words are gone from it too.
CREATE VIRTUAL TABLE memory_word USING fts5vocab (memory_fts, row);
