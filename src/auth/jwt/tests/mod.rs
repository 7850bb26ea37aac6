//! Tokens that are accepted, and the many that are not.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use jsonwebtoken::{EncodingKey, encode};
use parking_lot::Mutex;
use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ED25519};
use serde_json::json;
use tempfile::TempDir;

use super::*;
use crate::auth::Access;
use crate::clock::now_seconds;

const ISSUER: &str = "https://id.example";
const RSA: &str = include_str!("rsa.pem");
const RSA_PUBLIC: &str = include_str!("rsa.pub.pem");
const SECRET: &[u8] = b"a secret that is shared, of more than 32 bytes";

/// A directory for the keys of one test.
struct Keys {
    directory: TempDir,
}

impl Keys {
    fn new() -> Self {
        Keys { directory: tempfile::tempdir().unwrap() }
    }

    fn file(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.directory.path().join(name);
        std::fs::write(&path, content).unwrap();
        path
    }
}

fn config(algorithm: JwtAlgorithm, keys: JwtKeys) -> JwtIssuer {
    JwtIssuer {
        issuer: ISSUER.to_owned(),
        audience: vec!["memnode".to_owned(), "other-name".to_owned()],
        algorithm,
        keys,
        jwks_ca: None,
        leeway: Duration::from_secs(60),
        namespace_claim: None,
    }
}

fn claims() -> Value {
    json!({"iss": ISSUER, "sub": "ada", "aud": "memnode", "exp": now_seconds() + 60.0,
        "scope": "read write:notes openid"})
}

fn sign(algorithm: Algorithm, kid: Option<&str>, key: &EncodingKey, claims: &Value) -> String {
    let header = jsonwebtoken::Header {
        kid: kid.map(str::to_owned),
        ..jsonwebtoken::Header::new(algorithm)
    };
    encode(&header, claims, key).unwrap()
}

fn hs256(claims: &Value) -> String {
    sign(Algorithm::HS256, None, &EncodingKey::from_secret(SECRET), claims)
}

fn with_secret(change: impl FnOnce(&mut JwtIssuer)) -> (Keys, Issuers) {
    let keys = Keys::new();
    let path = keys.file("secret", SECRET);
    let mut config = config(JwtAlgorithm::Hs256, JwtKeys::SecretFile(path));
    change(&mut config);
    let issuers = Issuers::open(&[config]).unwrap();
    (keys, issuers)
}

async fn refusal(issuers: &Issuers, token: &str) -> String {
    let error = issuers.authenticate(token).await.expect_err("refused");
    assert_eq!((error.code, error.reason), (Code::Unauthenticated, "invalid_token"));
    error.detail
}

/// A key pair and the set that publishes it.
fn ec_key(kid: &str) -> (EncodingKey, Value) {
    let pair = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
    let point = pair.public_key_raw();
    let coordinate = |at: usize| URL_SAFE_NO_PAD.encode(&point[at..at + 32]);
    let jwk = json!({"kty": "EC", "crv": "P-256", "kid": kid, "use": "sig", "alg": "ES256",
        "x": coordinate(1), "y": coordinate(33)});
    (EncodingKey::from_ec_pem(pair.serialize_pem().as_bytes()).unwrap(), jwk)
}

#[tokio::test]
async fn each_algorithm_is_accepted_from_its_issuer() {
    let keys = Keys::new();
    let ec = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
    let ed = KeyPair::generate_for(&PKCS_ED25519).unwrap();
    let pem = |name: &str, pem: String| JwtKeys::PublicKeyFile(keys.file(name, pem));
    let secret = JwtKeys::SecretFile(keys.file("secret", [SECRET, b"\n"].concat()));
    let private = |pair: &KeyPair| pair.serialize_pem().into_bytes();
    for (pinned, algorithm, source, key) in [
        (
            JwtAlgorithm::Rs256,
            Algorithm::RS256,
            pem("rsa", RSA_PUBLIC.to_owned()),
            EncodingKey::from_rsa_pem(RSA.as_bytes()).unwrap(),
        ),
        (
            JwtAlgorithm::Es256,
            Algorithm::ES256,
            pem("ec", ec.public_key_pem()),
            EncodingKey::from_ec_pem(&private(&ec)).unwrap(),
        ),
        (
            JwtAlgorithm::EdDsa,
            Algorithm::EdDSA,
            pem("ed", ed.public_key_pem()),
            EncodingKey::from_ed_pem(&private(&ed)).unwrap(),
        ),
        (JwtAlgorithm::Hs256, Algorithm::HS256, secret, EncodingKey::from_secret(SECRET)),
    ] {
        let issuers = Issuers::open(&[config(pinned, source)]).unwrap();
        let token = sign(algorithm, None, &key, &claims());
        let who = issuers.authenticate(&token).await.unwrap();
        assert_eq!((who.name(), who.label()), ("jwt:https://id.example:ada", "ada"));
        assert!(who.require_everywhere(Access::Read).is_ok());
        assert!(who.may(Access::Write, &"notes".parse().unwrap()));
        assert!(!who.may(Access::Write, &"default".parse().unwrap()));
        // A signature of one bit less is none.
        let (head, signature) = token.rsplit_once('.').unwrap();
        let broken = format!("{head}.{}", signature.to_lowercase());
        assert!(refusal(&issuers, &broken).await.contains("signature"));
    }
}

#[tokio::test]
async fn the_algorithm_of_the_issuer_counts_and_not_that_of_the_token() {
    let keys = Keys::new();
    let public = JwtKeys::PublicKeyFile(keys.file("rsa", RSA_PUBLIC));
    let issuers = Issuers::open(&[config(JwtAlgorithm::Rs256, public)]).unwrap();
    // Signed with the public key as if it were a shared secret.
    let confused = EncodingKey::from_secret(RSA_PUBLIC.as_bytes());
    let token = sign(Algorithm::HS256, None, &confused, &claims());
    assert!(refusal(&issuers, &token).await.contains("algorithm"));
    let rs512 = sign(
        Algorithm::RS512,
        None,
        &EncodingKey::from_rsa_pem(RSA.as_bytes()).unwrap(),
        &claims(),
    );
    assert!(refusal(&issuers, &rs512).await.contains("algorithm"));
    let part = |value: Value| URL_SAFE_NO_PAD.encode(value.to_string());
    for alg in ["none", "None", "NONE", "", "RS256 "] {
        let token = format!("{}.{}.", part(json!({"alg": alg})), part(claims()));
        assert!(refusal(&issuers, &token).await.contains("algorithm"), "{alg}");
    }
    let unsigned = format!("{}.{}.", part(json!({"alg": "RS256"})), part(claims()));
    assert!(refusal(&issuers, &unsigned).await.contains("signature"));
    let demanding =
        format!("{}.{}.x", part(json!({"alg": "RS256", "crit": ["b64"]})), part(claims()));
    assert!(refusal(&issuers, &demanding).await.contains("crit"));
}

#[tokio::test]
async fn every_claim_is_held_against_the_issuer_and_the_clock() {
    let (_keys, issuers) = with_secret(|_| {});
    let check = async |change: &dyn Fn(&mut Value), expected: Option<&str>| {
        let mut claims = claims();
        change(&mut claims);
        let token = hs256(&claims);
        match expected {
            None => assert!(issuers.authenticate(&token).await.is_ok(), "{claims}"),
            Some(part) => {
                let detail = refusal(&issuers, &token).await;
                assert!(detail.contains(part), "{claims}: {detail}");
            }
        }
    };
    let now = now_seconds();
    check(&|_| {}, None).await;
    check(&|c| c["exp"] = json!(now as u64 - 30), None).await;
    check(&|c| c["exp"] = json!(now as u64 - 90), Some("expired")).await;
    check(&|c| c["exp"] = json!("tomorrow"), Some("claim")).await;
    check(&|c| c["exp"] = json!(-1), Some("claim")).await;
    check(&|c| drop(c.as_object_mut().unwrap().remove("exp")), Some("claim")).await;
    check(&|c| c["nbf"] = json!(now as u64 + 30), None).await;
    check(&|c| c["nbf"] = json!(now as u64 + 90), Some("not good yet")).await;
    check(&|c| c["nbf"] = json!("later"), Some("claim")).await;
    check(&|c| c["aud"] = json!(["x", "other-name"]), None).await;
    check(&|c| c["aud"] = json!("memnode2"), Some("audience")).await;
    check(&|c| c["aud"] = json!([]), Some("audience")).await;
    check(&|c| drop(c.as_object_mut().unwrap().remove("aud")), Some("claim")).await;
    check(&|c| c["iss"] = json!("https://id.example/"), Some("issuer")).await;
    check(&|c| c["iss"] = json!(["https://id.example", "x"]), Some("claims are no JSON")).await;
    check(&|c| drop(c.as_object_mut().unwrap().remove("iss")), Some("issuer")).await;
    check(&|c| drop(c.as_object_mut().unwrap().remove("sub")), Some("claim")).await;
}

#[tokio::test]
async fn scopes_come_as_text_or_list_and_may_be_limited_to_namespaces() {
    let (_keys, issuers) = with_secret(|_| {});
    let who = async |issuers: &Issuers, scope: Value, namespaces: Value| {
        let mut claims = claims();
        (claims["scope"], claims["ns"]) = (scope, namespaces);
        issuers.authenticate(&hs256(&claims)).await
    };
    let notes: Namespace = "notes".parse().unwrap();
    let listed = who(&issuers, json!(["read:notes", "profile"]), json!(null)).await.unwrap();
    assert!(listed.may(Access::Read, &notes) && !listed.may(Access::Write, &notes));
    let none = who(&issuers, json!(null), json!(null)).await.unwrap();
    assert!(none.require_somewhere(Access::Read).is_err());

    let (_keys, limited) = with_secret(|config| config.namespace_claim = Some("ns".to_owned()));
    for namespaces in [json!("notes work"), json!(["notes", "work"])] {
        let who = who(&limited, json!("read admin write:other"), namespaces).await.unwrap();
        assert!(who.may(Access::Admin, &notes) && who.may(Access::Read, &"work".parse().unwrap()));
        assert!(who.require_everywhere(Access::Read).is_err());
        assert!(!who.may(Access::Write, &"other".parse().unwrap()));
    }
    for namespaces in [json!(null), json!([]), json!(""), json!("*"), json!("_keys"), json!(7)] {
        let refused = who(&limited, json!("read"), namespaces.clone()).await;
        let refused = refused.expect_err("refused").detail;
        assert!(refused.contains("namespaces"), "{namespaces}: {refused}");
    }
}

#[tokio::test]
async fn what_is_no_token_is_refused_and_never_repeated() {
    let (_keys, issuers) = with_secret(|_| {});
    let whole = hs256(&claims());
    let long = format!("{whole}{}", "a".repeat(TOKEN_BYTES_MAX));
    for text in ["a.b.c", "..", "", &whole[1..], &long, "eyJhbGciOiJIUzI1NiJ9.bm8.x"] {
        let detail = refusal(&issuers, text).await;
        assert!(detail.len() < 100 && !detail.contains("eyJ"), "{detail}");
    }
    assert!(looks_like_token(&whole) && looks_like_token("eyJhbGciOiJub25lIn0.x."));
    for text in ["s3cret", "a.b.c", "mnk_0f_00", "www.example.org", "eyJhbGciOiJub25lIn0"] {
        assert!(!looks_like_token(text), "{text}");
    }
}

#[tokio::test]
async fn keys_that_cannot_be_used_are_told_at_the_start() {
    let keys = Keys::new();
    let secret = |name: &str, content: &[u8]| JwtKeys::SecretFile(keys.file(name, content));
    let public = |name: &str, content: &str| JwtKeys::PublicKeyFile(keys.file(name, content));
    let missing = JwtKeys::PublicKeyFile(Path::new("/no/such/key").to_owned());
    let set = |name: &str, content: &str| JwtKeys::JwksFile(keys.file(name, content));
    for (algorithm, source, expected) in [
        (JwtAlgorithm::Hs256, secret("s1", b"short"), "at least 32 bytes"),
        (JwtAlgorithm::Rs256, missing, "No such file"),
        (JwtAlgorithm::Rs256, public("p1", "no key"), "no public key for RS256"),
        (JwtAlgorithm::EdDsa, public("p2", RSA_PUBLIC), "no public key for EdDSA"),
        (JwtAlgorithm::Es256, set("j1", "{}"), "no set of keys"),
        (JwtAlgorithm::Es256, set("j2", r#"{"keys": []}"#), "no key for ES256"),
        (
            JwtAlgorithm::Es256,
            set("j3", r#"{"keys": [{"kty": "oct", "k": "c2VjcmV0", "alg": "HS256"}]}"#),
            "no key for ES256",
        ),
    ] {
        let error = Issuers::open(&[config(algorithm, source)]).err();
        let error = error.unwrap_or_else(|| panic!("no {expected:?}")).to_string();
        assert!(error.contains(expected) && error.contains(ISSUER), "{error}");
    }
}

/// Serves a set of keys over HTTP and counts how often it is asked for.
struct Server {
    url: String,
    body: Arc<Mutex<Option<Vec<u8>>>>,
    count: Arc<AtomicUsize>,
}

impl Server {
    fn start(body: Vec<u8>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/keys", listener.local_addr().unwrap());
        let (body, count) = (Arc::new(Mutex::new(Some(body))), Arc::new(AtomicUsize::new(0)));
        let server = Server { url, body: Arc::clone(&body), count: Arc::clone(&count) };
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    let mut byte = [0];
                    if stream.read_exact(&mut byte).is_err() {
                        break;
                    }
                    head.push(byte[0]);
                }
                count.fetch_add(1, Ordering::Relaxed);
                let Some(body) = body.lock().clone() else { continue };
                let head = format!(
                    "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
                    body.len()
                );
                // A client that has enough hangs up.
                let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&body));
            }
        });
        server
    }

    fn publish(&self, keys: &[&Value]) {
        *self.body.lock() = Some(json!({"keys": keys}).to_string().into_bytes());
    }

    fn count(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }
}

#[tokio::test]
async fn a_set_at_an_address_is_fetched_once_and_kept_while_it_cannot_be() {
    let (first, first_jwk) = ec_key("one");
    let (second, second_jwk) = ec_key("two");
    let server = Server::start(json!({"keys": [first_jwk]}).to_string().into_bytes());
    let keys = JwtKeys::JwksUrl(server.url.clone());
    let mut issuers = Issuers::open(&[config(JwtAlgorithm::Es256, keys)]).unwrap();
    assert_eq!(server.count(), 0, "not before it is needed");
    let token = |key: &EncodingKey, kid: &str| sign(Algorithm::ES256, Some(kid), key, &claims());
    for _ in 0..3 {
        issuers.authenticate(&token(&first, "one")).await.unwrap();
    }
    assert_eq!(server.count(), 1);
    // A key that is new: it is asked for, but not whenever somebody presents one that is not.
    server.publish(&[&first_jwk, &second_jwk]);
    for _ in 0..5 {
        assert!(refusal(&issuers, &token(&second, "two")).await.contains("key is not known"));
    }
    assert_eq!(server.count(), 1, "at most once a minute");
    set_of(&mut issuers).forget_tries();
    issuers.authenticate(&token(&second, "two")).await.unwrap();
    assert_eq!(server.count(), 2);
    // The issuer is down: what was good stays good.
    *server.body.lock() = None;
    set_of(&mut issuers).forget_tries();
    issuers.authenticate(&token(&first, "one")).await.unwrap();
    refusal(&issuers, &token(&second, "three")).await;
    assert!(server.count() > 2);
    issuers.authenticate(&token(&second, "two")).await.unwrap();
    // Its name does not make a key right.
    assert!(refusal(&issuers, &token(&second, "one")).await.contains("signature"));
    // A key that was taken back is good no more.
    server.publish(&[&second_jwk]);
    set_of(&mut issuers).forget_tries();
    issuers.authenticate(&token(&second, "two")).await.unwrap();
    refusal(&issuers, &token(&first, "one")).await;
    // So is the last one.
    server.publish(&[]);
    set_of(&mut issuers).forget_tries();
    assert!(refusal(&issuers, &token(&second, "two")).await.contains("key is not known"));
    server.publish(&[&second_jwk]);
    set_of(&mut issuers).forget_tries();
    issuers.authenticate(&token(&second, "two")).await.unwrap();
}

#[tokio::test]
async fn a_set_that_is_too_large_is_not_read() {
    let (key, jwk) = ec_key("one");
    let padding = "x".repeat(300 * 1024);
    let server = Server::start(json!({"keys": [jwk], "padding": padding}).to_string().into_bytes());
    let keys = JwtKeys::JwksUrl(server.url.clone());
    let issuers = Issuers::open(&[config(JwtAlgorithm::Es256, keys)]).unwrap();
    let token = sign(Algorithm::ES256, Some("one"), &key, &claims());
    assert!(refusal(&issuers, &token).await.contains("key is not known"));
}

fn set_of(issuers: &mut Issuers) -> &mut Jwks {
    match &mut issuers.0[0].keys {
        super::Keys::Set(set) => set,
        super::Keys::Fixed(_) => panic!("it has a set"),
    }
}
