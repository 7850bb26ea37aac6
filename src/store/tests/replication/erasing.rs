//! After an erasure nothing of a text stays in any file of any node that took it in.

use proptest::prelude::*;

use super::*;
use crate::store::replication::erasure;

const TEXT: &str = "Quokkas whisper about marmalade in the observatory";
/// Words that stand in no other text of these tests.
const WORDS: [&str; 4] = ["uokka", "armalad", "bservator", "zebrafish"];

/// The names of the file and those beside it that hold any of the words.
fn found_in(file: &File) -> Vec<String> {
    let mut found = Vec::new();
    for suffix in ["", "-wal", "-shm"] {
        let path = format!("{}{suffix}", file.path().display());
        let Ok(bytes) = std::fs::read(&path) else { continue };
        let text = String::from_utf8_lossy(&bytes).to_lowercase();
        found.extend(
            WORDS.iter().filter(|word| text.contains(**word)).map(|word| format!("{word}{suffix}")),
        );
    }
    found
}

/// What the writer thread does after a commit.
fn clean_up(file: &mut File) {
    assert!(file.state.has_erased, "an erasure took effect");
    assert!(erasure::after(&file.connection).unwrap(), "nobody reads");
    file.state.has_erased = false;
}

fn long_text() -> String {
    // Longer than a page, so that it lies on pages of its own.
    format!("{TEXT} {}", "and the zebrafish listens ".repeat(2000))
}

fn purge(file: &mut File, text: &str) -> Dot {
    file.write(|writer| writer.purge(&target(text))).unwrap()
}

/// Some company, so that pages hold more than the erased text.
fn fill(file: &mut File) {
    for number in 0..40 {
        file.create(&format!("company number {number}, of no interest to anybody at all"));
    }
}

fn check_erased(file: &mut File, text: &str) {
    clean_up(file);
    assert_eq!(found_in(file), Vec::<String>::new());
    let known = file.reader().find(&Namespace::default(), &ContentHash::of(text)).unwrap();
    assert!(matches!(known, Known::Deleted));
    assert_eq!(file.reader().deleted_snapshot(&target(text)).unwrap(), None);
    file.check_sound();
}

fn check_purge(text: &str, before: impl FnOnce(&mut File)) {
    let (mut a, mut b) = (File::new("a"), File::new("b"));
    fill(&mut a);
    a.create(text);
    fill_more(&mut a);
    before(&mut a);
    follow(&mut b, &a);
    assert!(!found_in(&a).is_empty() && !found_in(&b).is_empty(), "the test can see it");
    let dot = purge(&mut a, text);
    check_erased(&mut a, text);
    let batch: Vec<Incoming> = kept(&a).into_iter().filter(|op| op.dot == dot).collect();
    let outcome = apply(&mut b, &batch);
    assert_eq!(outcome.erased.len(), 1);
    check_erased(&mut b, text);
    check_equal(&a, &b);
}

fn fill_more(file: &mut File) {
    for number in 0..40 {
        file.create(&format!("later company number {number}"));
    }
}

#[test]
fn a_live_memory_leaves_nothing_behind() {
    check_purge(TEXT, |_| {});
}

#[test]
fn a_long_one_leaves_nothing_behind() {
    check_purge(&long_text(), |_| {});
}

#[test]
fn neither_do_its_edits_tags_and_keys() {
    check_purge(TEXT, |file| {
        let values = UpdateValues {
            tags: Some(vec!["zebrafish".to_owned()]),
            metadata: BTreeMap::from([("zebrafish".to_owned(), Some("\"zebrafish\"".to_owned()))]),
            memory_type: Some(Some("zebrafish".to_owned())),
            ..UpdateValues::default()
        };
        file.write(|writer| writer.update(&target(TEXT), &values)).unwrap();
        update(file, TEXT, "plain");
    });
}

#[test]
fn a_deleted_memory_leaves_nothing_behind() {
    check_purge(TEXT, |file| delete(file, TEXT));
}

#[test]
fn a_long_deleted_memory_leaves_nothing_behind() {
    check_purge(&long_text(), |file| delete(file, &long_text()));
}

#[test]
fn conflicts_answers_and_quarantine_leave_nothing_behind() {
    let (mut a, mut b) = (File::new("a"), File::new("b"));
    a.create(TEXT);
    follow(&mut b, &a);
    update(&mut a, TEXT, "zebrafish");
    b.now_ms += 1000;
    update(&mut b, TEXT, "plain");
    follow(&mut a, &b);
    assert_eq!(a.reader().conflicts(&NamespaceSet::All, 10, None).unwrap().len(), 1);
    let once = crate::memory::Idempotency::new("key", b"request").unwrap();
    let answer = format!("{{\"content\":\"{TEXT}\",\"hash\":\"{}\"}}", ContentHash::of(TEXT));
    a.write(|writer| writer.keep_answer("me", &once, &answer)).unwrap();
    let first = kept(&b).remove(0);
    let unreadable = Incoming { dot: dot("z", 1, 1), op: Err("unreadable".into()), ..first };
    apply(&mut a, &[unreadable]);
    purge(&mut a, TEXT);
    check_erased(&mut a, TEXT);
    assert!(a.reader().conflicts(&NamespaceSet::All, 10, None).unwrap().is_empty());
    assert!(a.reader().held().unwrap().is_empty());
    let now = a.now_ms as f64 / 1000.0;
    assert_eq!(a.reader().answer_given("me", &once, now).unwrap(), None);
}

#[test]
fn an_older_write_that_comes_after_the_erasure_leaves_nothing_behind() {
    let (mut a, mut b) = (File::new("a"), File::new("b"));
    a.create(TEXT);
    let late = kept(&a);
    let dot = purge(&mut a, TEXT);
    let erasure: Vec<Incoming> = kept(&a).into_iter().filter(|op| op.dot == dot).collect();
    apply(&mut b, &erasure);
    clean_up(&mut b);
    assert_eq!(apply(&mut b, &late).applied, vector(&[("a", 1, 1)]));
    b.connection.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)").unwrap();
    assert_eq!(found_in(&b), Vec::<String>::new());
    check_equal(&a, &b);
    assert_eq!(b.number("SELECT count(*) FROM op"), 1, "the erasure alone is kept");
}

#[test]
fn a_state_transfer_erases_too() {
    let (mut a, mut b) = (File::new("a"), File::new("b"));
    a.create(TEXT);
    follow(&mut b, &a);
    purge(&mut a, TEXT);
    let outcome = join(&mut b, &all_records(&a), &a.reader().vector().unwrap());
    assert_eq!(outcome.erased.len(), 1);
    check_erased(&mut b, TEXT);
    check_equal(&a, &b);
}

#[test]
fn what_is_erased_may_be_written_again() {
    let (mut a, mut b) = (File::new("a"), File::new("b"));
    a.create(TEXT);
    follow(&mut b, &a);
    let first = kept(&a);
    purge(&mut a, TEXT);
    a.create(TEXT);
    follow(&mut b, &a);
    assert_eq!(visible(&b).len(), 1);
    let mut c = File::new("c");
    for batch in [kept(&a), first] {
        apply(&mut c, &batch);
    }
    check_equal(&a, &b);
    check_equal(&a, &c);
}

#[test]
fn an_erased_payload_is_told_as_pruned() {
    let mut a = File::new("a");
    a.create(TEXT);
    purge(&mut a, TEXT);
    let mut wanted = memnode_cluster::IntervalSet::default();
    wanted.insert_range(1, 2);
    let reply = a.reader().ops(&origin("a", 1), &wanted).unwrap();
    let memnode_cluster::wire::Reply::Range { ops, pruned, not_held } = reply else { panic!() };
    assert_eq!(ops.iter().map(|op| op.oseq).collect::<Vec<_>>(), [2]);
    assert_eq!((pruned, not_held), (vec![(1, 1)], Vec::new()));
    let start = a.reader().replica_start(9.0).unwrap();
    assert_eq!(start.unpublished, Vector::from_iter([dot("a", 1, 2)]));
}

#[tokio::test]
async fn the_writer_thread_empties_the_log_before_it_answers() {
    let opened = Opened::new();
    opened.store.write(|writer| create(writer, TEXT).map(drop)).await.unwrap();
    opened.store.write(|writer| writer.purge(&target(TEXT)).map(drop)).await.unwrap();
    let path = opened.directory.path().join("memory.db");
    for suffix in ["", "-wal"] {
        let bytes = std::fs::read(format!("{}{suffix}", path.display())).unwrap();
        let text = String::from_utf8_lossy(&bytes).to_lowercase();
        assert!(!text.contains("marmalade"), "{suffix}");
    }
    opened.check_sound().await;
}

#[tokio::test]
async fn a_read_that_goes_on_delays_the_emptying_and_no_more() {
    let opened = Opened::new();
    opened.store.write(|writer| create(writer, TEXT).map(drop)).await.unwrap();
    let (started, has_started) = std::sync::mpsc::channel();
    let (finish, may_finish) = std::sync::mpsc::channel::<()>();
    let reading = opened.store.read(PATIENCE, move |reader| {
        let count = reader.live_count()?;
        started.send(()).unwrap();
        may_finish.recv().unwrap();
        Ok(count)
    });
    let log = opened.directory.path().join("memory.db-wal");
    let erasing = async {
        has_started.recv().unwrap();
        opened.store.write(|writer| writer.purge(&target(TEXT)).map(drop)).await.unwrap();
        assert!(std::fs::metadata(&log).unwrap().len() > 0, "the read still needs it");
        finish.send(()).unwrap();
    };
    // The read is on its way before the erasure waits for it.
    let (count, ()) = tokio::join!(reading, erasing);
    assert_eq!(count.unwrap(), 1);
    eventually("the log is empty", || std::fs::metadata(&log).unwrap().len() == 0).await;
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8))]

    /// Pages split, merge and become free in many ways before and after the text is written.
    #[test]
    fn nothing_stays_whatever_happened_to_the_pages_before(
        company in proptest::collection::vec((0..60_usize, 0..4_u8, 1..900_usize), 30..160),
        place in any::<prop::sample::Index>(),
        size in 0..1500_usize,
    ) {
        let (mut a, mut b) = (File::new("a"), File::new("b"));
        let text = format!("{TEXT} {}", "the zebrafish listens ".repeat(size));
        let place = place.index(company.len());
        for (number, (name, step, words)) in company.into_iter().enumerate() {
            if number == place {
                a.create(&text);
            }
            let other = format!("company {name} {}", "of no interest ".repeat(words));
            let known = a.reader().find(&Namespace::default(), &ContentHash::of(&other)).unwrap();
            match (step, is_live(&known)) {
                (0, true) => delete(&mut a, &other),
                (_, true) => update(&mut a, &other, &number.to_string()),
                (_, false) => drop(a.create(&other)),
            }
            if step == 1 {
                follow(&mut b, &a);
            }
        }
        follow(&mut b, &a);
        purge(&mut a, &text);
        check_erased(&mut a, &text);
        follow(&mut b, &a);
        check_erased(&mut b, &text);
        check_equal(&a, &b);
    }
}
