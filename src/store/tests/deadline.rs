//! Reads that take too long.

use super::*;

const ENDLESS: &str =
    "WITH RECURSIVE c (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c) SELECT count(*) FROM c";

#[tokio::test]
async fn a_long_read_is_interrupted_and_the_reader_goes_on() {
    let opened = Opened::new();
    opened.store.write(|writer| create(writer, "text").map(drop)).await.unwrap();
    // Twice as often as there are readers: none of them is lost.
    for _ in 0..4 {
        let endless = opened
            .store
            .read(Duration::from_millis(50), |reader| {
                Ok(reader.connection().query_row(ENDLESS, [], |row| row.get::<_, i64>(0))?)
            })
            .await;
        assert!(matches!(endless, Err(StoreError::Deadline)), "{endless:?}");
    }
    for _ in 0..4 {
        let count = opened.store.read(PATIENCE, |reader| reader.count(&everything())).await;
        assert_eq!(count.unwrap(), 1);
    }
}

#[tokio::test]
async fn a_read_that_nobody_waits_for_is_interrupted() {
    let opened = Opened::new();
    for _ in 0..4 {
        let (running, runs) = tokio::sync::oneshot::channel();
        let endless = opened.store.read(10 * PATIENCE, move |reader| {
            running.send(()).expect("the test waits");
            Ok(reader.connection().query_row(ENDLESS, [], |row| row.get::<_, i64>(0))?)
        });
        tokio::select! {
            ended = endless => panic!("it ended: {ended:?}"),
            ran = runs => ran.expect("it runs"),
        }
    }
    let count = opened.store.read(PATIENCE, |reader| reader.count(&everything())).await;
    assert_eq!(count.unwrap(), 0, "the readers are free");
}

#[tokio::test]
async fn a_read_that_panics_is_answered_and_the_reader_goes_on() {
    let opened = Opened::new();
    for _ in 0..4 {
        let panicked = opened
            .store
            .read(PATIENCE, |_| -> Result<(), StoreError> { panic!("on purpose") })
            .await;
        assert!(matches!(panicked, Err(StoreError::Closed)), "{panicked:?}");
    }
    let count = opened.store.read(PATIENCE, |reader| reader.count(&everything())).await;
    assert_eq!(count.unwrap(), 0);
}

#[tokio::test]
async fn one_read_sees_one_state() {
    let opened = std::sync::Arc::new(Opened::new());
    opened.store.write(|writer| create(writer, "one").map(drop)).await.unwrap();
    let (writing, written) = std::sync::mpsc::channel();
    let (reading, read) = tokio::sync::oneshot::channel();
    let reader = opened.store.read(PATIENCE, move |reader| {
        let before = reader.count(&everything())?;
        reading.send(()).expect("the test waits");
        written.recv().expect("the test writes");
        Ok((before, reader.count(&everything())?, reader.live_count()?))
    });
    let writer = async {
        read.await.expect("the read runs");
        opened.store.write(|writer| create(writer, "two").map(drop)).await.unwrap();
        writing.send(()).expect("the read waits");
    };
    let (seen, ()) = futures::future::join(reader, writer).await;
    assert_eq!(seen.unwrap(), (1, 1, 1));
    let after = opened.store.read(PATIENCE, |reader| reader.live_count()).await;
    assert_eq!(after.unwrap(), 2);
}
