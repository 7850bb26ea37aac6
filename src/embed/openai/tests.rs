use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};

use super::*;

/// A service that gives the scripted answers in turn and returns the requests it got.
struct Stub {
    url: String,
    served: thread::JoinHandle<Vec<String>>,
}

fn stub(answers: Vec<(u16, String)>) -> Stub {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let served = thread::spawn(move || {
        answers.into_iter().map(|answer| serve(listener.accept().unwrap().0, answer)).collect()
    });
    Stub { url, served }
}

fn serve(stream: TcpStream, (status, body): (u16, String)) -> String {
    let mut reader = BufReader::new(stream);
    let mut request = String::new();
    while !request.ends_with("\r\n\r\n") {
        assert_ne!(reader.read_line(&mut request).unwrap(), 0, "the head was cut: {request}");
    }
    let length = request
        .lines()
        .find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse().ok());
    let mut sent = vec![0; length.unwrap()];
    reader.read_exact(&mut sent).unwrap();
    let length = body.len();
    let head =
        format!("HTTP/1.1 {status} x\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n");
    reader.get_mut().write_all((head + &body).as_bytes()).unwrap();
    request + &String::from_utf8(sent).unwrap()
}

fn service(url: &str, dimension: Option<usize>, api_key: Option<ApiKey>) -> Service {
    let timeout = Duration::from_secs(20);
    Service { url: url.into(), model: "tiny".into(), dimension, api_key, timeout }
}

fn embed(stub: &Stub, texts: &[&str]) -> Result<Vec<Vec<f32>>, EmbedError> {
    service(&stub.url, Some(2), None).connect_with([Duration::ZERO; 2])?.embed(texts)
}

fn good() -> (u16, String) {
    (200, r#"{"data":[{"index":0,"embedding":[3,4]}],"usage":{}}"#.into())
}

#[test]
fn vectors_are_ordered_by_index_and_of_length_one() {
    let body = r#"{"data":[{"index":1,"embedding":[0,2]},{"index":0,"embedding":[3,4]}]}"#;
    let stub = stub(vec![(200, body.into())]);
    assert_eq!(embed(&stub, &["a", "b"]).unwrap(), [[0.6, 0.8], [0.0, 1.0]]);
    let requests = stub.served.join().unwrap();
    assert!(requests[0].starts_with("POST /v1/embeddings HTTP/1.1\r\n"), "{}", requests[0]);
    assert!(requests[0].ends_with(r#"{"model":"tiny","input":["a","b"]}"#), "{}", requests[0]);
    assert!(!requests[0].to_lowercase().contains("authorization"));
}

#[test]
fn the_dimension_is_found_out_and_the_key_is_sent() {
    let stub = stub(vec![good()]);
    let key = ApiKey::new("s3cret");
    let embedder = service(&stub.url, None, Some(key)).connect().unwrap();
    assert_eq!(embedder.model(), &ModelId { name: "tiny".into(), dimension: 2 });
    assert!(stub.served.join().unwrap()[0].contains("authorization: Bearer s3cret\r\n"));
}

#[test]
fn a_busy_service_is_asked_three_times() {
    let patient = stub(vec![(429, String::new()), (503, String::new()), good()]);
    assert_eq!(embed(&patient, &["a"]).unwrap(), [[0.6, 0.8]]);
    let busy = stub(vec![(500, String::new()), (502, String::new()), (503, String::new())]);
    let refused = embed(&busy, &["a"]).unwrap_err();
    assert!(matches!(refused, EmbedError::Refused { status: 503, .. }), "{refused}");
    assert_eq!(busy.served.join().unwrap().len(), 3);
}

#[test]
fn wrong_answers_are_refused_at_once() {
    let check = |status, body: &str, expected: &str| {
        let stub = stub(vec![(status, body.into())]);
        let refused = embed(&stub, &["a"]).unwrap_err().to_string();
        assert!(refused.contains(expected), "{refused}");
        stub.served.join().unwrap();
    };
    check(401, "{}", "status 401");
    check(302, "{}", "status 302");
    check(400, "{}", "status 400");
    check(200, "", "cannot be read");
    check(200, r#"{"data":[]}"#, "left out");
    check(200, r#"{"data":[{"index":7,"embedding":[1,2]}]}"#, "left out");
    check(200, r#"{"data":[{"index":0,"embedding":[0,0]}]}"#, "left out");
    check(200, r#"{"data":[{"index":0,"embedding":[1e39,0]}]}"#, "cannot be read");
    check(200, r#"{"data":[{"index":0,"embedding":["x"]}]}"#, "cannot be read");
    check(200, r#"{"data":[{"index":0,"embedding":[1,2,3]}]}"#, "3 numbers instead of 2");
}

#[test]
fn many_texts_are_asked_for_in_parts() {
    let item = |index| format!(r#"{{"index":{index},"embedding":[1,0]}}"#);
    let items = |count| (0..count).map(item).collect::<Vec<_>>().join(",");
    let answer = |count| (200, format!(r#"{{"data":[{}]}}"#, items(count)));
    let stub = stub(vec![answer(REQUEST_TEXTS_MAX), answer(3)]);
    let vectors = embed(&stub, &["a"; REQUEST_TEXTS_MAX + 3]).unwrap();
    assert_eq!(vectors.len(), REQUEST_TEXTS_MAX + 3);
}

#[test]
fn a_service_that_is_down_or_too_talkative_is_unreachable() {
    let down = stub(vec![]);
    let url = down.url;
    down.served.join().unwrap();
    let service = service(&url, Some(2), None);
    let refused = service.connect_with([Duration::ZERO; 2]).unwrap().embed(&["a"]).unwrap_err();
    assert!(matches!(refused, EmbedError::Unreachable { .. }), "{refused}");

    let long = " ".repeat(usize::try_from(RESPONSE_BYTES_MAX).unwrap() + 1);
    let refused = embed(&stub(vec![(200, long)]), &["a"]).unwrap_err();
    assert!(matches!(refused, EmbedError::Unreachable { .. }), "{refused}");
}

#[test]
fn settings_are_checked_before_anything_is_sent() {
    let check = |url: &str, model: &str, dimension, key: &str, good: bool| {
        let model = model.into();
        let service = Service { model, ..service(url, dimension, Some(ApiKey::new(key))) };
        assert_eq!(service.check().is_ok(), good, "{service:?}");
    };
    check("http://localhost:11434", "m", None, "k", true);
    check("https://example.org/v1/", "m", Some(1536), "k", true);
    check("example.org", "m", None, "k", false);
    check("ftp://example.org", "m", None, "k", false);
    check("http://", "m", None, "k", false);
    check("https://user:word@example.org", "m", None, "k", false);
    check("https://example.org?key=1", "m", None, "k", false);
    check("https://example.org", "", None, "k", false);
    check("https://example.org", "m", Some(0), "k", false);
    check("https://example.org", "m", Some(DIMENSION_MAX + 1), "k", false);
    check("https://example.org", "m", None, "two\r\nlines", false);
}

#[test]
fn the_address_may_be_a_base_or_the_whole_path() {
    let check = |url, expected| assert_eq!(endpoint(url), expected);
    check("http://h", "http://h/v1/embeddings");
    check("http://h/", "http://h/v1/embeddings");
    check("http://h/v1", "http://h/v1/embeddings");
    check("http://h/api/v1/", "http://h/api/v1/embeddings");
    check("http://h/v1/embeddings", "http://h/v1/embeddings");
}

#[test]
fn only_so_much_of_a_text_is_sent_and_never_nothing() {
    assert_eq!(sendable(""), " ");
    assert_eq!(sendable("a b"), "a b");
    assert!(sendable(&"word ".repeat(100_000)).len() <= TEXT_BYTES_MAX);
}

#[test]
fn a_key_is_never_printed() {
    let key = ApiKey::new("s3cret");
    assert!(!format!("{key:?}").contains("s3cret"));
    assert_eq!(serde_json::to_string(&key).unwrap(), "\"s3cret\"");
}
