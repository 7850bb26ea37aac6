use axum::Router;
use axum::body::Body as AxumBody;
use axum::http::header;
use axum::response::IntoResponse;
use axum::routing::{get, post};
use serde_json::json;
use tokio::net::UnixListener;

use super::*;

async fn echo(request: axum::extract::Request) -> String {
    let kind = request.headers().get(header::CONTENT_TYPE).cloned();
    let body = request.into_body().collect().await.expect("readable").to_bytes();
    format!("{:?} {}", kind, String::from_utf8_lossy(&body))
}

async fn refuse() -> impl IntoResponse {
    let fault = json!({"type": "empty_content", "loc": ["body", "content"], "msg": "is empty"});
    let body = json!({"code": "empty_content", "detail": [fault]}).to_string();
    (StatusCode::UNPROCESSABLE_ENTITY, [(header::RETRY_AFTER, "7")], body)
}

async fn lines() -> AxumBody {
    let pieces = ["{\"a\":1}\n{\"a\"", ":2}\n\n", "\n{\"a\":3}"];
    AxumBody::from_stream(futures::stream::iter(pieces.map(Ok::<_, Infallible>)))
}

fn router() -> Router {
    Router::new()
        .route("/echo", post(echo))
        .route("/json", get(|| async { "[1,2]" }))
        .route("/refuse", get(refuse))
        .route("/lines", get(lines))
        .route("/text", get(|| async { (StatusCode::BAD_GATEWAY, "<html>") }))
}

/// Asks the same over a socket and in process.
async fn check(test: impl AsyncFn(ApiClient)) {
    test(ApiClient::in_process(router())).await;
    let directory = tempfile::tempdir().expect("directory");
    let path = directory.path().join("s");
    let listener = UnixListener::bind(&path).expect("socket");
    let mut server = JoinSet::new();
    server.spawn(async move { axum::serve(listener, router()).await });
    test(ApiClient::unix(path)).await;
}

#[tokio::test]
async fn a_call_answers_the_same_over_a_socket_and_in_process() {
    check(async |client| {
        let numbers: Vec<u8> =
            client.json(Method::GET, "/json", Payload::Empty).await.expect("answered");
        assert_eq!(numbers, [1, 2]);
        for (payload, expected) in [
            (Payload::Empty, "None "),
            (Payload::Json(json!({"a": 1})), "Some(\"application/json\") {\"a\":1}"),
            (Payload::Lines(b"1\n2\n".to_vec()), "Some(\"application/x-ndjson\") 1\n2\n"),
        ] {
            let answer = client.request(Method::POST, "/echo", payload).await.expect("answered");
            let bytes = answer.bytes().await.expect("whole");
            assert_eq!(String::from_utf8_lossy(&bytes), expected);
        }
    })
    .await;
}

#[tokio::test]
async fn a_refusal_keeps_its_code_and_says_where() {
    check(async |client| {
        let refused = client.request(Method::GET, "/refuse", Payload::Empty).await;
        let Err(ClientError::Refused(refusal)) = refused else { panic!("must be refused") };
        assert_eq!(refusal.code, "empty_content");
        assert_eq!(refusal.detail, "content: is empty");
        assert_eq!(refusal.retry_after_s, Some(7));
        let refused = client.request(Method::GET, "/text", Payload::Empty).await;
        let Err(ClientError::Refused(refusal)) = refused else { panic!("must be refused") };
        assert_eq!(refusal.detail, "the node answered 502 Bad Gateway");
        let unreadable = client.json::<String>(Method::GET, "/json", Payload::Empty).await;
        assert!(matches!(unreadable, Err(ClientError::Unreadable { .. })));
    })
    .await;
}

#[tokio::test]
async fn a_body_is_read_line_by_line() {
    check(async |client| {
        let answer = client.request(Method::GET, "/lines", Payload::Empty).await;
        let mut lines = answer.expect("answered").lines();
        let mut found = Vec::new();
        while let Some(line) = lines.next().await.expect("whole") {
            found.push(String::from_utf8_lossy(line).into_owned());
        }
        assert_eq!(found, ["{\"a\":1}", "{\"a\":2}", "{\"a\":3}"]);
    })
    .await;
}

#[tokio::test]
async fn a_node_that_is_gone_is_told_from_one_that_refuses() {
    let client = ApiClient::unix("/nonexistent/socket");
    let answer = client.request(Method::GET, "/json", Payload::Empty).await;
    assert!(matches!(answer, Err(ClientError::Unreachable { .. })));

    let directory = tempfile::tempdir().expect("directory");
    let path = directory.path().join("s");
    let listener = UnixListener::bind(&path).expect("socket");
    let mut server = JoinSet::new();
    server.spawn(async move { listener.accept().await.map(drop) });
    let answer = ApiClient::unix(path).request(Method::GET, "/json", Payload::Empty).await;
    assert!(matches!(answer, Err(ClientError::Broken(_))));
}

#[test]
fn query_values_are_escaped() {
    let query = [("tag", Some("a b&c=é".to_owned())), ("no", None), ("n", Some("1".to_owned()))];
    assert_eq!(path_with_query("/x", &query), "/x?tag=a%20b%26c%3D%C3%A9&n=1");
    assert_eq!(path_with_query("/x", &[]), "/x");
}
