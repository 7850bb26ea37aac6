//! Memories of nodes that use another embedding model.

use super::*;

fn without_embedding(ops: Vec<Incoming>, model: Option<&str>, dimension: usize) -> Vec<Incoming> {
    let change = |incoming: Incoming| {
        let mut op = *incoming.op.unwrap();
        op.embedding = model.map(|model| Embedding {
            model: model.to_owned(),
            vector: direction("other", dimension),
        });
        super::incoming(&op.encode().unwrap())
    };
    ops.into_iter().map(change).collect()
}

#[test]
fn a_text_without_a_fitting_vector_waits_for_one() {
    for (model, dimension) in [(None, 8), (Some("other"), 8), (Some(MODEL), 3)] {
        let (mut a, mut b) = (File::new("a"), File::new("b"));
        a.create("text");
        apply(&mut b, &without_embedding(kept(&a), model, dimension));
        assert_eq!(visible(&b).len(), 1);
        b.check_sound();
        let pending = b.reader().unembedded_live(10).unwrap();
        assert_eq!((pending.len(), pending[0].content.as_str()), (1, "text"));
        let row = pending[0].row;
        let vector = direction("text", DIMENSION);
        let mut put = |text: &str| b.write(|writer| writer.put_vector(row, text, &vector)).unwrap();
        assert!(!put("another text"), "it changed meanwhile");
        assert!(put("text"));
        assert!(!put("text"), "it has one now");
        assert_eq!(b.reader().embedding(row).unwrap(), Some(vector));
        assert!(b.reader().unembedded_live(10).unwrap().is_empty());
        b.check_sound();
        check_equal(&a, &b);
    }
}

#[test]
fn a_text_that_dies_waits_no_longer() {
    let (mut a, mut b) = (File::new("a"), File::new("b"));
    a.create("text");
    apply(&mut b, &without_embedding(kept(&a), None, 0));
    delete(&mut b, "text");
    assert!(b.reader().unembedded_live(10).unwrap().is_empty());
    b.check_sound();
    b.create("text");
    assert!(b.reader().unembedded_live(10).unwrap().is_empty(), "its author embedded it");
    b.check_sound();
}

#[test]
fn a_vector_of_another_dimension_is_refused() {
    let mut file = File::new("a");
    file.create("text");
    let refused =
        file.write(|writer| writer.atomically(|writer| writer.put_vector(1, "text", &[1.0])));
    assert!(matches!(refused, Err(StoreError::ModelChanged)));
}

#[test]
fn a_transfer_brings_vectors_of_the_same_model_only() {
    let (mut a, mut b) = (File::new("a"), File::new("b"));
    a.create("text");
    a.create("more");
    let mut records = all_records(&a);
    records[0].embedding.as_mut().unwrap().model = "other".to_owned();
    join(&mut b, &records, &a.reader().vector().unwrap());
    assert_eq!(b.reader().unembedded_live(10).unwrap().len(), 1);
    assert_eq!(b.number("SELECT count(*) FROM memory_embeddings"), 1);
    check_equal(&a, &b);
}

/// Two texts that share an identity: the vector goes with the body that stands.
#[test]
fn a_vector_of_the_body_that_lost_is_not_taken() {
    let (mut a, mut b) = (File::new("a"), File::new("b"));
    a.create("Text");
    b.now_ms += 1000;
    b.create("text");
    let early = kept(&a);
    follow(&mut a, &b);
    assert_eq!(a.reader().embedding(1).unwrap(), Some(direction("text", DIMENSION)));
    apply(&mut b, &early);
    assert_eq!(b.reader().embedding(1).unwrap(), Some(direction("text", DIMENSION)));
    let mut c = File::new("c");
    c.create("TEXT");
    let records = all_records(&c);
    join(&mut b, &records, &c.reader().vector().unwrap());
    assert_eq!(b.reader().embedding(1).unwrap(), Some(direction("text", DIMENSION)));
    follow(&mut b, &c);
    b.check_sound();
}
