//! Who is recognised, and for how long.

use serde_json::json;

use super::*;

async fn check(
    key: Option<&str>,
    anonymous: Anonymous,
    credential: Credential,
    expected: Option<&str>,
) {
    let authenticator = Authenticator::new(key, Issuers::default(), anonymous);
    let found = authenticator.authenticate(&credential).await.ok();
    assert_eq!(found.as_ref().map(Principal::name), expected);
}

fn presented(text: &str) -> Credential {
    Credential::ApiKey(text.to_owned())
}

fn record(name: &str, value: serde_json::Value) -> ([u8; 32], Option<(String, serde_json::Value)>) {
    (Sha256::digest(name).into(), Some((name.to_owned(), value)))
}

/// An authenticator that knows one key, that key, and its text.
fn with_key(expires_at: Option<f64>) -> (Authenticator, ApiKey, KeyText) {
    let scopes = vec!["read:notes".parse().unwrap()];
    let limits = KeyLimits { reads: Some(5), ..KeyLimits::default() };
    let new = NewKey { name: "laptop".into(), scopes, expires_at, limits };
    let (key, text) = ApiKey::new(new, now_seconds());
    let authenticator =
        Authenticator::new(Some("s3cret"), Issuers::default(), Anonymous::UntilThereAreKeys);
    authenticator.set_keys(KeyTable::of([record(&key.id, json!(key))]));
    (authenticator, key, text)
}

fn revoke(authenticator: &Authenticator, key: &ApiKey) {
    let revoked = record(&revocation(&key.id), json!({"revoked_at": 1.0}));
    authenticator.set_keys(KeyTable::of([record(&key.id, json!(key)), revoked]));
}

fn reason(result: Result<Principal>) -> &'static str {
    result.expect_err("refused").reason
}

#[tokio::test]
async fn a_present_and_wrong_credential_never_falls_through() {
    use Anonymous::{Allowed, Refused};
    check(Some("s3cret"), Refused, presented("s3cret"), Some("api-key")).await;
    check(Some("s3cret"), Allowed, presented("wrong"), None).await;
    check(Some("s3cret"), Refused, Credential::None, None).await;
    check(Some("s3cret"), Allowed, Credential::None, Some("anonymous")).await;
    check(None, Allowed, presented(""), None).await;
    check(None, Allowed, presented("any"), None).await;
    check(Some(""), Refused, presented(""), None).await;
}

#[tokio::test]
async fn a_key_is_recognised_by_its_whole_text_and_may_what_its_scopes_say() {
    let (authenticator, key, text) = with_key(None);
    let who = authenticator.authenticate(&presented(text.expose())).await.unwrap();
    assert_eq!(who.name(), format!("key:{}", key.id));
    assert_eq!((who.label(), who.key_id()), ("laptop", Some(key.id.as_str())));
    assert_eq!(who.limits().reads, Some(5));
    assert!(who.may(Access::Read, &"notes".parse().unwrap()));
    assert!(!who.may(Access::Read, &"default".parse().unwrap()));
    assert!(authenticator.used().contains_key(&key.id));
    let (head, secret) = text.expose().rsplit_once('_').unwrap();
    for wrong in [
        head.to_owned(),
        format!("{head}_"),
        format!("{head}_{}", &secret[1..]),
        format!("{head}_{}", secret.to_uppercase()),
        format!("{}_{secret}", &head[..head.len() - 1]),
        text.expose().replace("mnk_", "MNK_"),
        format!("mnk_{}_{secret}", revocation(&key.id)),
        secret.to_owned(),
    ] {
        assert_eq!(
            reason(authenticator.authenticate(&presented(&wrong)).await),
            "invalid_credential"
        );
    }
    assert!(authenticator.authenticate(&presented("s3cret")).await.is_ok(), "the fixed key stays");
}

#[tokio::test]
async fn only_who_knows_the_secret_learns_why_a_key_is_refused() {
    let (authenticator, key, text) = with_key(Some(now_seconds() - 1.0));
    assert_eq!(
        reason(authenticator.authenticate(&presented(text.expose())).await),
        "credential_expired"
    );
    revoke(&authenticator, &key);
    assert_eq!(
        reason(authenticator.authenticate(&presented(text.expose())).await),
        "credential_revoked"
    );
    let guess = format!("mnk_{}_{}", key.id, "0".repeat(64));
    assert_eq!(reason(authenticator.authenticate(&presented(&guess)).await), "invalid_credential");
}

#[tokio::test]
async fn the_first_key_closes_the_door_and_revoking_it_does_not_open_it() {
    let open = Authenticator::new(None, Issuers::default(), Anonymous::UntilThereAreKeys);
    assert!(open.is_open());
    let (authenticator, key, _) = with_key(None);
    assert!(!authenticator.is_open());
    revoke(&authenticator, &key);
    assert!(!authenticator.is_open());
    assert!(authenticator.authenticate(&Credential::None).await.is_err());
}

#[tokio::test]
async fn what_a_key_opened_ends_with_it() {
    let (authenticator, key, text) = with_key(None);
    let who = authenticator.authenticate(&presented(text.expose())).await.unwrap();
    let ticket = authenticator.ticket(&who).unwrap();
    let mut ended = std::pin::pin!(authenticator.ended(&who));
    assert!(tokio::time::timeout(Duration::from_millis(20), &mut ended).await.is_err());
    revoke(&authenticator, &key);
    ended.await;
    assert_eq!(reason(authenticator.redeem(&ticket)), "invalid_ticket");
}

#[tokio::test]
async fn what_a_key_opened_ends_when_its_time_is_over() {
    let (authenticator, _, text) = with_key(Some(now_seconds() + 0.05));
    let who = authenticator.authenticate(&presented(text.expose())).await.unwrap();
    authenticator.ended(&who).await;
    assert!(authenticator.authenticate(&presented(text.expose())).await.is_err());
}

#[tokio::test]
async fn a_replaced_secret_ends_what_it_opened_and_the_new_one_does_not() {
    let (authenticator, key, old) = with_key(None);
    let (rotated, new) = key.rotated(now_seconds(), 0.0);
    let before = authenticator.authenticate(&presented(old.expose())).await.unwrap();
    authenticator.set_keys(KeyTable::of([record(&key.id, json!(rotated))]));
    authenticator.ended(&before).await;
    let after = authenticator.authenticate(&presented(new.expose())).await.unwrap();
    let ending = tokio::time::timeout(Duration::from_millis(20), authenticator.ended(&after));
    assert!(ending.await.is_err());
}
