//! Moving a file to another model.

use memnode_cluster::UpdateValues;

use super::super::{ReembedProgress, Unembedded};
use super::*;

const OTHER: &str = "other-model";
const OTHER_DIMENSION: usize = 12;

fn other_meaning(text: &str) -> Embedding {
    Embedding { model: OTHER.to_owned(), vector: direction(text, OTHER_DIMENSION) }
}

/// Embeds up to `limit` texts after a row, as the service does, and says which.
fn step(file: &mut File, after: i64, limit: usize) -> Vec<i64> {
    let texts = file.reader().unembedded(after, limit).unwrap();
    keep(file, texts)
}

fn keep(file: &mut File, texts: Vec<Unembedded>) -> Vec<i64> {
    let rows = texts.iter().map(|text| text.row).collect();
    let done: Vec<(Unembedded, Vec<f32>)> = texts
        .into_iter()
        .map(|text| {
            let vector = direction(&text.content, OTHER_DIMENSION);
            (text, vector)
        })
        .collect();
    file.write(|writer| writer.reembed_keep(&done)).unwrap();
    rows
}

fn check_progress(file: &File, expected: Option<(u64, u64)>) {
    let expected = expected.map(|(done, total)| ReembedProgress {
        from: MODEL.to_owned(),
        to: OTHER.to_owned(),
        done,
        total,
    });
    assert_eq!(file.reader().reembed_progress().unwrap(), expected);
}

#[test]
fn a_move_is_resumed_and_swaps_all_at_once() {
    let mut file = File::new("a");
    let rows: Vec<i64> = (0..10).map(|n| file.create(&format!("text {n}")).row).collect();
    file.write(|writer| writer.delete(&target("text 9"))).unwrap();
    let live = &rows[..9];
    check_progress(&file, None);
    file.write(|writer| writer.reembed_begin(OTHER, OTHER_DIMENSION)).unwrap();
    check_progress(&file, Some((0, 9)));
    assert_eq!(step(&mut file, 0, 4), live[..4]);
    assert!(!file.write(|writer| writer.reembed_finish()).unwrap(), "some are missing");
    check_progress(&file, Some((4, 9)));

    // Meanwhile the old vectors serve, and the node starts again.
    file.reopen("a", 2);
    let nearest = file.reader().nearest(&direction("text 5", DIMENSION), 1).unwrap();
    assert_eq!(nearest[0].0, rows[5]);
    file.write(|writer| writer.reembed_begin(OTHER, OTHER_DIMENSION)).unwrap();
    check_progress(&file, Some((4, 9)));
    assert_eq!(step(&mut file, 0, 100), live[4..]);
    check_progress(&file, Some((9, 9)));
    let late = file.create("came in late");
    assert!(!file.write(|writer| writer.reembed_finish()).unwrap(), "one came in");
    assert_eq!(step(&mut file, 0, 100), [late.row]);
    file.write(|writer| writer.delete(&target("text 0"))).unwrap();
    assert!(file.write(|writer| writer.reembed_finish()).unwrap());

    check_progress(&file, None);
    file.check_sound();
    assert_eq!(file.reader().model().unwrap(), OTHER);
    assert_eq!(file.number("SELECT value FROM meta WHERE key = 'dimension'"), 12);
    assert_eq!(file.number("SELECT count(*) FROM reembed_vector"), 0);
    assert_eq!(file.reader().embedding(rows[0]).unwrap(), None, "it was deleted meanwhile");
    for (number, row) in live.iter().enumerate().skip(1) {
        let query = direction(&format!("text {number}"), OTHER_DIMENSION);
        assert_eq!(file.reader().embedding(*row).unwrap().as_ref(), Some(&query));
        assert_eq!(file.reader().nearest(&query, 1).unwrap()[0].0, *row);
    }
    let old = file.write(|writer| create(writer, "new text"));
    assert!(matches!(old, Err(StoreError::ModelChanged)), "{old:?}");
    let new = file.write(|writer| {
        let space = Namespace::default();
        writer.create(&space, &values("new text"), OpKind::Create, other_meaning("new text"))
    });
    new.unwrap();
    file.check_sound();
}

#[test]
fn a_text_that_changes_meanwhile_is_embedded_again() {
    let mut file = File::new("a");
    let row = file.create("text").row;
    let untouched = file.create("untouched").row;
    file.write(|writer| writer.reembed_begin(OTHER, OTHER_DIMENSION)).unwrap();
    // Read, then changed, then kept: the vector is of a text that is gone.
    let read = file.reader().unembedded(0, 1).unwrap();
    file.write(|writer| create(writer, "TEXT ")).unwrap();
    keep(&mut file, read);
    assert_eq!(step(&mut file, 0, 100), [row, untouched]);
    // Kept, then changed.
    file.write(|writer| create(writer, " Text")).unwrap();
    assert_eq!(step(&mut file, 0, 100), [row]);
    // Deleted and created anew.
    file.write(|writer| writer.delete(&target("text"))).unwrap();
    assert_eq!(step(&mut file, 0, 100), [0_i64; 0]);
    file.write(|writer| create(writer, "text")).unwrap();
    assert_eq!(step(&mut file, 0, 100), [row]);
    // A change beside the text needs no new vector.
    let tags = UpdateValues { tags: Some(Vec::new()), ..UpdateValues::default() };
    file.write(|writer| writer.update(&target("text"), &tags)).unwrap();
    assert_eq!(step(&mut file, 0, 100), [0_i64; 0]);
    assert!(file.write(|writer| writer.reembed_finish()).unwrap());
    let found = file.reader().embedding(row).unwrap();
    assert_eq!(found, Some(direction("text", OTHER_DIMENSION)));
    file.check_sound();
}

#[test]
fn a_move_to_a_third_model_starts_anew() {
    let mut file = File::new("a");
    file.create("text");
    file.write(|writer| writer.reembed_begin(OTHER, OTHER_DIMENSION)).unwrap();
    step(&mut file, 0, 100);
    file.write(|writer| writer.reembed_begin("third", 5)).unwrap();
    assert_eq!(file.number("SELECT count(*) FROM reembed_vector"), 0);
    // A model that is served under one name may change its dimension.
    file.write(|writer| writer.reembed_begin(OTHER, 5)).unwrap();
    step(&mut file, 0, 100);
    file.write(|writer| writer.reembed_begin(OTHER, OTHER_DIMENSION)).unwrap();
    assert_eq!(file.number("SELECT count(*) FROM reembed_vector"), 0);
    step(&mut file, 0, 100);
    assert!(file.write(|writer| writer.reembed_finish()).unwrap());
    assert!(file.write(|writer| writer.reembed_finish()).unwrap(), "twice does no harm");
    file.check_sound();
}

#[tokio::test]
async fn a_swap_that_is_undone_changes_neither_vectors_nor_model() {
    let opened = Opened::new();
    let store = &opened.store;
    store.write(|writer| create(writer, "text").map(drop)).await.unwrap();
    store
        .write(|writer| {
            writer.reembed_begin(OTHER, OTHER_DIMENSION)?;
            let texts = writer.unembedded(0, 10)?;
            let vector = direction("text", OTHER_DIMENSION);
            let done: Vec<_> = texts.into_iter().map(|text| (text, vector.clone())).collect();
            writer.reembed_keep(&done)
        })
        .await
        .unwrap();
    let undone = store
        .write(|writer| {
            assert!(writer.reembed_finish()?);
            assert_eq!(writer.embedding(1)?, Some(direction("text", OTHER_DIMENSION)));
            Err::<(), _>(crate::Error::invalid("on purpose").into())
        })
        .await;
    assert!(undone.is_err());
    let vector = store.read(PATIENCE, |reader| reader.embedding(1)).await.unwrap();
    assert_eq!(vector, Some(direction("text", DIMENSION)));
    store.write(|writer| create(writer, "of the old model").map(drop)).await.unwrap();
    opened.check_sound().await;

    // Readers that have used the old table go on with the new one.
    assert!(!store.write(|writer| writer.reembed_finish()).await.unwrap());
    store
        .write(|writer| {
            let texts = writer.unembedded(0, 10)?;
            let done: Vec<_> = texts
                .into_iter()
                .map(|text| {
                    let vector = direction(&text.content, OTHER_DIMENSION);
                    (text, vector)
                })
                .collect();
            writer.reembed_keep(&done)?;
            writer.reembed_finish()
        })
        .await
        .unwrap();
    for _ in 0..4 {
        let (nearest, vector) = store
            .read(PATIENCE, |reader| {
                let query = direction("text", OTHER_DIMENSION);
                Ok((reader.nearest(&query, 10)?, reader.embedding(1)?))
            })
            .await
            .unwrap();
        assert_eq!((nearest.len(), nearest[0].0), (2, 1));
        assert_eq!(vector, Some(direction("text", OTHER_DIMENSION)));
    }
    opened.check_sound().await;
}
