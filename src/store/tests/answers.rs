//! Idempotency keys.

use super::*;
use crate::memory::{IDEMPOTENCY_SECONDS, Idempotency};

const PRINCIPAL: &str = "someone";

fn given(
    file: &File,
    principal: &str,
    once: &Idempotency,
    now: f64,
) -> Result<Option<String>, String> {
    file.reader().answer_given(principal, once, now).map_err(|error| match error {
        StoreError::Refused(error) => error.reason.to_owned(),
        other => panic!("{other}"),
    })
}

#[test]
fn an_answer_is_given_again_to_the_same_request_only() {
    let mut file = File::new("a");
    let once = Idempotency::new("key", b"request").unwrap();
    let other_request = Idempotency::new("key", b"another").unwrap();
    let other_key = Idempotency::new("key-2", b"request").unwrap();
    file.write(|writer| writer.keep_answer(PRINCIPAL, &once, "answer")).unwrap();
    let at = file.now_ms as f64 / 1000.0;
    let check =
        |principal: &str, once: &Idempotency, now: f64, expected: Result<Option<&str>, &str>| {
            let expected = expected.map(|text| text.map(str::to_owned)).map_err(str::to_owned);
            assert_eq!(given(&file, principal, once, now), expected);
        };
    check(PRINCIPAL, &once, at, Ok(Some("answer")));
    check(PRINCIPAL, &once, at + IDEMPOTENCY_SECONDS, Ok(Some("answer")));
    check(PRINCIPAL, &once, at + IDEMPOTENCY_SECONDS + 1.0, Ok(None));
    check(PRINCIPAL, &other_request, at, Err("idempotency_key_reused"));
    check(PRINCIPAL, &other_request, at + IDEMPOTENCY_SECONDS + 1.0, Ok(None));
    check(PRINCIPAL, &other_key, at, Ok(None));
    check("someone else", &once, at, Ok(None));
    check("someone else", &other_request, at, Ok(None));
}

#[test]
fn old_answers_are_swept_out_by_new_ones() {
    let mut file = File::new("a");
    let keep = |file: &mut File, key: &str| {
        let once = Idempotency::new(key, b"request").unwrap();
        file.write(|writer| writer.keep_answer(PRINCIPAL, &once, key)).unwrap();
    };
    keep(&mut file, "old");
    file.now_ms += (IDEMPOTENCY_SECONDS * 1000.0) as u64 + 2;
    keep(&mut file, "new");
    keep(&mut file, "newer");
    assert_eq!(file.number("SELECT count(*) FROM idempotency"), 2);
    file.check_sound();
}

#[tokio::test]
async fn an_answer_goes_with_the_write_that_fails() {
    let opened = Opened::new();
    let once = Idempotency::new("key", b"request").unwrap();
    let kept = once.clone();
    let failed = opened
        .store
        .write(move |writer| {
            writer.keep_answer(PRINCIPAL, &kept, "answer")?;
            Err::<(), _>(crate::Error::invalid("no").into())
        })
        .await;
    assert!(failed.is_err());
    let answer = opened
        .store
        .read(PATIENCE, move |reader| reader.answer_given(PRINCIPAL, &once, 0.0))
        .await
        .unwrap();
    assert_eq!(answer, None);
}
