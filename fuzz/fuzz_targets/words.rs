//! Questions, and texts that never were one: whatever is asked of the word index, it understands.
#![no_main]

use jiff::Timestamp;
use jiff::tz::TimeZone;
use libfuzzer_sys::fuzz_target;
use memnode_fuzz::memory::relevance::question::Question;
use memnode_fuzz::store::{Wanted, expression};
use rusqlite::Connection;

/// 2026-11-22T15:26:24Z.
const NOW: i64 = 1_795_361_184;
/// Words of a question that count, as the program has it.
const WORD_COUNT_MAX: usize = 32;

thread_local! {
    static INDEX: Connection = index();
}

/// The word index, as the first migration makes it but for where its texts are.
fn index() -> Connection {
    let connection = Connection::open_in_memory().expect("a database");
    let sql = "CREATE VIRTUAL TABLE memory_fts USING fts5 (content, tags, \
                 tokenize = \"porter unicode61 remove_diacritics 2\"); \
               INSERT INTO memory_fts VALUES ('which paper does the printer want', 'office');";
    connection.execute_batch(sql).expect("FTS5 is built in");
    connection
}

fn check(index: &Connection, wanted: Wanted<'_>) {
    let expression = expression(wanted);
    let sql = "SELECT count(*) FROM memory_fts WHERE memory_fts MATCH ?1";
    let mut statement = index.prepare_cached(sql).expect("a statement");
    let count: rusqlite::Result<i64> = statement.query_row([&expression], |row| row.get(0));
    if let Err(error) = count {
        panic!("{expression:?}: {error}");
    }
}

fuzz_target!(|text: &str| {
    let now = Timestamp::from_second(NOW).expect("a time").to_zoned(TimeZone::UTC);
    let question = Question::read(text, &now);
    let words: Vec<&str> = question.terms.iter().map(|term| term.word.as_str()).collect();
    assert!(words.len() <= WORD_COUNT_MAX);
    let raw: Vec<&str> = text.split_whitespace().take(WORD_COUNT_MAX).collect();
    let owned: Vec<String> = raw.iter().map(|word| (*word).to_owned()).collect();
    INDEX.with(|index| {
        for words in [&words, &raw].into_iter().filter(|words| !words.is_empty()) {
            words.iter().for_each(|word| check(index, Wanted::Word(word)));
            check(index, Wanted::Every(words));
        }
        question.phrases.iter().for_each(|phrase| check(index, Wanted::Phrase(phrase)));
        check(index, Wanted::Phrase(&owned));
        check(index, Wanted::Word(text));
    });
});
