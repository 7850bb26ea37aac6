//! Signed tokens over REST, events and MCP, and where clients learn who makes them.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256};
use serde_json::{Value, json};

use crate::common::client::Client;
use crate::common::events::EventStream;
use crate::common::node::Place;
use crate::common::rest::store;

const SECRET: &str = "a-secret-of-an-issuer-of-tokens-in-a-test";
const ISSUER: &str = "https://id.example";

/// A node that accepts the tokens of one issuer, and an API key.
fn place() -> Place {
    let place = Place::new().with("MCP_API_KEY", "s3cret");
    let path = place.path().join("issuer.secret");
    std::fs::write(&path, SECRET).expect("a file");
    let issuer = json!([{"issuer": ISSUER, "audience": "memnode", "algorithm": "HS256",
        "secret_file": path, "namespace_claim": "namespaces", "leeway": "0s"}]);
    place.with("MEMNODE_JWT_ISSUERS", issuer.to_string())
}

fn token(change: impl FnOnce(&mut Value)) -> String {
    let mut claims = json!({"iss": ISSUER, "aud": "memnode", "sub": "ada", "namespaces": "a",
        "exp": memnode::clock::now_ms() / 1000 + 600, "scope": "read write"});
    change(&mut claims);
    let key = EncodingKey::from_secret(SECRET.as_bytes());
    encode(&Header::new(Algorithm::HS256), &claims, &key).expect("a token")
}

fn bearer(client: &Client, token: &str) -> Client {
    client.with("authorization", &format!("Bearer {token}"))
}

#[test]
fn a_token_may_what_it_says_where_it_says() {
    let server = place().serve().ready();
    let client = bearer(&server.client(), &token(|_| {}));
    store(&client, json!({"content": "of a", "namespace": "a"}));
    assert_eq!(client.get("/api/memories?namespace=*").expect(200).value()["total"], 1);
    let refused = client.get("/api/memories").expect_problem(403, "scope_missing");
    assert!(refused.text().contains("read:default"), "{}", refused.text());
    client.get("/api/admin/keys").expect_problem(403, "scope_missing");
    let body = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params":
        {"name": "memory_search", "arguments": {"query": "of a", "namespace": "a"}}});
    let headers =
        [("accept", "application/json, text/event-stream"), ("content-type", "application/json")];
    let called = client.send("POST", "/mcp", &headers, body.to_string().into_bytes()).expect(200);
    assert!(called.text().contains("Found 1 memories"), "{}", called.text());
}

#[test]
fn a_token_that_is_wrong_is_refused_everywhere_and_never_falls_through() {
    let server = place().serve().ready();
    let client = server.client();
    let good = token(|_| {});
    let (head, signature) = good.rsplit_once('.').expect("three parts");
    let forged = format!("{head}.{}", signature.to_uppercase());
    let expired = token(|claims| claims["exp"] = json!(memnode::clock::now_ms() / 1000 - 5));
    let elsewhere = token(|claims| claims["aud"] = json!("another"));
    let nowhere =
        token(|claims| drop(claims.as_object_mut().expect("claims").remove("namespaces")));
    for wrong in [&forged, &expired, &elsewhere, &nowhere] {
        let caller = bearer(&client, wrong).with("x-api-key", "s3cret");
        for path in ["/api/memories", "/events", "/api/ws", "/mcp", "/api/admin/keys"] {
            let refused = caller.get(path).expect_problem(401, "invalid_token");
            assert!(refused.header("www-authenticate").is_some(), "{path}");
            assert!(!refused.text().contains(signature), "{path}");
        }
    }
    // In another carrier it is a key, and a wrong one; beside it a key is still a key.
    client.with("x-api-key", &good).get("/api/tags").expect_problem(401, "invalid_credential");
    client.get(&format!("/api/tags?api_key={good}")).expect_problem(401, "invalid_credential");
    bearer(&client, "s3cret").get("/api/tags").expect(200);
}

/// A key of an issuer, and the set that publishes it under a name that others use, too.
fn pair() -> (EncodingKey, Value) {
    let pair = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).expect("a key");
    let point = pair.public_key_raw();
    let coordinate = |at: usize| URL_SAFE_NO_PAD.encode(&point[at..at + 32]);
    let set = json!({"keys": [{"kty": "EC", "crv": "P-256", "kid": "one",
        "x": coordinate(1), "y": coordinate(33)}]});
    (EncodingKey::from_ec_pem(pair.serialize_pem().as_bytes()).expect("a key"), set)
}

fn signed(key: &EncodingKey, issuer: &str, change: impl FnOnce(&mut Value)) -> String {
    let mut claims = json!({"iss": issuer, "aud": "memnode", "sub": "ada", "scope": "read",
        "exp": memnode::clock::now_ms() / 1000 + 600});
    change(&mut claims);
    let header = Header { kid: Some("one".to_owned()), ..Header::new(Algorithm::ES256) };
    encode(&header, &claims, key).expect("a token")
}

#[test]
fn a_token_is_held_against_its_own_issuer_whatever_its_key_is_called() {
    let other = "https://id.other";
    let ((first, first_set), (second, second_set)) = (pair(), pair());
    let place = Place::new();
    let publish = |name: &str, set: &Value| {
        let path = place.path().join(name);
        std::fs::write(&path, set.to_string()).expect("a file");
        path
    };
    let issuer = |name: &str, leeway: &str, set: &Value| {
        json!({"issuer": name, "audience": "memnode", "algorithm": "ES256", "leeway": leeway,
            "jwks_file": publish(name.rsplit('.').next().expect("a part"), set)})
    };
    let issuers = json!([issuer(ISSUER, "0s", &first_set), issuer(other, "60s", &second_set)]);
    let server = place.clone().with("MEMNODE_JWT_ISSUERS", issuers.to_string()).serve();
    let ask = |token: &str| bearer(&server.client(), token).get("/api/tags");
    ask(&signed(&first, ISSUER, |_| {})).expect(200);
    ask(&signed(&second, other, |_| {})).expect(200);
    for (key, issuer) in [(&first, other), (&second, ISSUER)] {
        ask(&signed(key, issuer, |_| {})).expect_problem(401, "invalid_token");
    }
    // How far clocks may be apart is the issuer's own, too.
    let soon = |claims: &mut Value| claims["nbf"] = json!(memnode::clock::now_ms() / 1000 + 30);
    ask(&signed(&first, ISSUER, soon)).expect_problem(401, "invalid_token");
    ask(&signed(&second, other, soon)).expect(200);
}

#[test]
fn a_stream_ends_with_its_token() {
    let server = place().serve().ready();
    let soon = token(|claims| claims["exp"] = json!(memnode::clock::now_ms() / 1000 + 3));
    let authorization = format!("Bearer {soon}");
    let headers = [("authorization", authorization.as_str())];
    let mut stream = EventStream::open(&server.url, "/events", &headers);
    assert_eq!(stream.next().name, "connection_established");
    while stream.try_next().is_some() {}
    bearer(&server.client(), &soon).get("/api/tags").expect_problem(401, "invalid_token");
}

#[test]
fn clients_learn_who_makes_tokens() {
    let server = place().serve();
    let client = server.client();
    let refused = client.post("/mcp", json!({})).expect_problem(401, "credential_missing");
    let challenge = refused.header("www-authenticate").expect("a challenge").to_owned();
    let address = challenge.split('"').nth(1).expect("an address");
    let path = address.strip_prefix(&server.url).expect("an address of the node");
    let told = client.get(path).expect(200).value();
    assert_eq!(told["resource"], server.url);
    assert_eq!(told["authorization_servers"], json!([ISSUER]));
    assert_eq!(told["scopes_supported"], json!(["read", "write", "admin"]));
    let told = client.get(&format!("{path}/mcp")).expect(200).value();
    assert_eq!(told["resource"], format!("{}/mcp", server.url));
}

#[test]
fn issuers_that_cannot_be_used_keep_the_node_down_and_name_themselves() {
    let issuer = |keys: &str| {
        format!(r#"[{{"issuer":"{ISSUER}","audience":"a","algorithm":"RS256",{keys}}}]"#)
    };
    for (value, expected) in [
        (issuer(r#""public_key_file":"/no/such/key""#), "/no/such/key"),
        (issuer(r#""jwks_url":"http://id.example/keys""#), "jwks_url (https)"),
        (issuer(r#""secret_file":"/s""#), "secret_file for HS256"),
        ("[]x".to_owned(), "auth.jwt_issuers"),
    ] {
        let refused = Place::new().with("MEMNODE_JWT_ISSUERS", value).run(&["serve"]);
        let refused = refused.expect_code(64);
        assert!(refused.stderr.contains(expected), "{}", refused.stderr);
    }
    // In the settings file they are tables.
    let place = Place::new();
    let file = place.path().join("memnode.toml");
    let table = "[[auth.jwt_issuers]]\nissuer = \"https://id.example\"\naudience = \"a\"\n\
                 algorithm = \"RS256\"\njwks_url = \"https://id.example/keys\"\n";
    std::fs::write(&file, table).expect("a file");
    let file = file.to_str().expect("a path");
    let shown = place.run(&["config", "show", "--config", file]).ok().stdout;
    assert!(shown.contains("https://id.example/keys"), "{shown}");
}
