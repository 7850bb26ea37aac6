//! The word index, and that stems are those of FTS5.

use crate::memory::relevance::stem::stem;
use crate::memory::relevance::words::{folded, split};

use super::*;

const TEXT: &str = "\
    Caresses ponies ties cats agreed plastered bled motoring sing conflated troubled sized \
    hopping tanned falling hissing fizzed failing filing happy sky relational conditional \
    rational valency digitizer conformably radically differently vilely analogously \
    vietnamization predication operator feudalism decisiveness hopefulness callousness \
    formality sensitivity sensibility triplicate formative formalize electricity electrical \
    hopeful goodness revival allowance inference airliner gyroscopic adjustable defensible \
    irritant replacement adjustment dependent adoption homologous communism activate \
    angularity effective bowdlerize probate rate cease controlling rolling days buying \
    sayings yearly university generously oscillators Caroline's paintings were painted \
    yesterday; the dying, lying and tying of knots is iffy. internationalization skis gas \
    news bus this was has does goes studies studying student Gödel naïve façades São \
    coöperation Ünder ÅNGSTRÖM 12 3rd b2b x86_64 HTTPServer v1";

#[test]
fn stems_and_folds_are_those_of_the_word_index() {
    let mut file = File::new("a");
    file.create(TEXT);
    let mut statement = file.connection.prepare("SELECT term FROM memory_word").unwrap();
    let terms = statement.query_map([], |row| row.get(0)).unwrap();
    let terms: BTreeSet<String> = terms.collect::<Result<_, _>>().unwrap();
    let own: BTreeSet<String> = split(TEXT).map(|word| stem(&folded(word))).collect();
    // The tag of the memory is a word of the index too.
    let missing: Vec<&String> = own.difference(&terms).collect();
    assert!(missing.is_empty(), "{missing:?} of {terms:?}");
    assert!(terms.len() - own.len() <= 1, "{:?}", terms.difference(&own).collect::<Vec<_>>());
}

#[test]
fn words_are_counted_and_the_rows_are_the_newest_allowed_ones() {
    let mut file = File::new("a");
    for number in 0..50 {
        file.create(&format!("a printer, number {number}"));
    }
    let reader = file.reader();
    let look = |allows: fn(i64) -> bool, limit, looked_at_max| {
        let wanted = Wanted::Word("printers");
        let bounds = Bounds { limit, looked_at_max, first_row: 0 };
        reader.occurrences(wanted, |row| Ok(allows(row)), bounds).unwrap()
    };
    let all = look(|_| true, 100, 100);
    assert_eq!((all.rows.len(), all.count, all.is_complete), (50, 50, true));
    assert!(all.rows.is_sorted_by(|a, b| a > b));
    let few = look(|_| true, 10, 100);
    assert_eq!(few.rows, all.rows[..10]);
    assert_eq!((few.count, few.is_complete), (50, false), "as many as there would be");
    let even = look(|row| row % 2 == 0, 100, 20);
    assert_eq!((even.rows.len(), even.is_complete), (10, false));

    let bounds = Bounds { limit: 100, looked_at_max: 100, first_row: all.rows[4] };
    let late = reader.occurrences(Wanted::Word("printer"), |_| Ok(true), bounds).unwrap();
    assert_eq!(late.rows, all.rows[..5]);

    let corpus = reader.corpus().unwrap();
    assert_eq!((corpus.count, corpus.average_words), (50, 4.0));
}

#[test]
fn a_misspelt_word_finds_words_that_are_there_and_none_that_is_gone() {
    let mut file = File::new("a");
    file.create("Melanie met Caroline");
    file.create("a secret about Melina");
    let near =
        |file: &File, word: &str| file.reader().similar_words(&stem(word), |_| Ok(true)).unwrap();
    assert_eq!(near(&file, "melaine"), ["melani"]);
    assert_eq!(near(&file, "carol"), ["carolin"]);
    assert_eq!(near(&file, "melin"), ["melina"]);
    for slipped in ["emlanie", "elanie", "nelanie", "mlanie", "mmelanie"] {
        assert_eq!(near(&file, slipped), ["melani"], "{slipped}");
    }
    assert!(near(&file, "zebra").is_empty());
    file.write(|writer| writer.delete(&target("a secret about Melina"))).unwrap();
    assert!(near(&file, "melin").is_empty(), "what is erased is nowhere");
}

#[test]
fn parts_of_compounds_come_and_go_with_the_text() {
    let mut file = File::new("a");
    file.create("call getUserName");
    file.create("the userNames of sendMail");
    let look = |file: &File, stem: &str| {
        let bounds = Bounds { limit: 10, looked_at_max: 10, first_row: 0 };
        file.reader().occurrences(Wanted::Part(stem), |_| Ok(true), bounds).unwrap().rows.len()
    };
    assert_eq!((look(&file, "user"), look(&file, "mail"), look(&file, "the")), (2, 1, 0));
    file.write(|writer| writer.delete(&target("the userNames of sendMail"))).unwrap();
    assert_eq!((look(&file, "user"), look(&file, "mail")), (1, 0));
    file.check_sound();
}

#[test]
fn the_memories_beside_one_are_the_nearest_in_time() {
    let mut file = File::new("a");
    for name in ["one", "two", "three"] {
        file.create(name);
    }
    let reader = file.reader();
    let all = reader.list(&everything(), None, 0, 10).unwrap();
    let [three, two, one] = &all[..] else { panic!("three memories") };
    let contents = |located: &Located| {
        reader.beside(located).unwrap().map(|side| side.map(|side| side.memory.content))
    };
    assert_eq!(contents(two), [Some("one".to_owned()), Some("three".to_owned())]);
    assert_eq!(contents(one), [None, Some("two".to_owned())]);
    assert_eq!(contents(three), [Some("two".to_owned()), None]);
}
