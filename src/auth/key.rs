//! API keys: what each may do, and how the presented one is recognised.
//!
//! A key is `mnk_<id>_<secret>`. The secret has 256 random bits, so its SHA-256 is kept and nothing
//! slower: a slow hash protects what people choose and reuse, and nobody can guess this.

use std::collections::HashMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::scope::Scope;

/// What every key starts with, so that people and scanners know one when they see it.
const PREFIX: &str = "mnk_";
/// What the name of the record of a revocation ends with.
const REVOKED: &str = "/revoked";

/// The whole text of a key, which is shown once and kept nowhere.
#[derive(Clone, PartialEq, Eq)]
pub struct KeyText(String);

/// What a key may use up in a minute; absent is the node's own limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct KeyLimits {
    /// Reads.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reads: Option<u32>,
    /// Writes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub writes: Option<u32>,
    /// Searches.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub searches: Option<u32>,
    /// Event streams that are opened.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub events: Option<u32>,
}

/// A key as it is kept and replicated.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ApiKey {
    /// Sixteen hexadecimal digits.
    pub id: String,
    /// What people call it.
    pub name: String,
    /// What it may do.
    pub scopes: Vec<Scope>,
    /// When it was made, in Unix seconds.
    pub created_at: f64,
    /// When it ends, in Unix seconds.
    pub expires_at: Option<f64>,
    /// What it may use up.
    #[serde(default)]
    pub limits: KeyLimits,
    /// The SHA-256 of its secret, in hexadecimal.
    hash: String,
    /// The secret before that, and when it ends.
    previous: Option<Previous>,
}

/// A secret that was replaced.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Previous {
    hash: String,
    until: f64,
}

/// What a new key is to be.
#[derive(Clone, Debug, PartialEq)]
pub struct NewKey {
    /// What people call it.
    pub name: String,
    /// What it may do.
    pub scopes: Vec<Scope>,
    /// When it ends, in Unix seconds.
    pub expires_at: Option<f64>,
    /// What it may use up.
    pub limits: KeyLimits,
}

impl KeyText {
    /// The text.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for KeyText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("********")
    }
}

impl ApiKey {
    /// Makes a key and its text.
    pub fn new(new: NewKey, now: f64) -> (Self, KeyText) {
        let id = format!("{:016x}", rand::random::<u64>());
        let (text, hash) = draw(&id);
        let key = ApiKey {
            id,
            name: new.name,
            scopes: new.scopes,
            created_at: now,
            expires_at: new.expires_at,
            limits: new.limits,
            hash,
            previous: None,
        };
        (key, text)
    }

    /// The same key with a new secret; the old one is good for `grace` seconds more.
    pub fn rotated(&self, now: f64, grace: f64) -> (Self, KeyText) {
        let (text, hash) = draw(&self.id);
        let previous =
            (grace > 0.0).then(|| Previous { hash: self.hash.clone(), until: now + grace });
        (ApiKey { hash, previous, ..self.clone() }, text)
    }

    /// Until when the old secret is good, in Unix seconds, if there is one.
    pub fn previous_until(&self) -> Option<f64> {
        self.previous.as_ref().map(|previous| previous.until)
    }

    /// Whether the key itself has ended.
    pub fn is_expired(&self, now: f64) -> bool {
        self.expires_at.is_some_and(|at| at <= now)
    }

    /// Whether a hash is of a secret of the key that is good at this time.
    pub(super) fn has_hash(&self, hash: &str, now: f64) -> bool {
        let is_previous = self.previous.as_ref().is_some_and(|previous| {
            bool::from(previous.hash.as_bytes().ct_eq(hash.as_bytes())) && now < previous.until
        });
        bool::from(self.hash.as_bytes().ct_eq(hash.as_bytes())) || is_previous
    }

    /// When what is known of a hash may change by itself, in Unix seconds.
    pub(super) fn good_until(&self, hash: &str) -> Option<f64> {
        let previous = self.previous.as_ref().filter(|previous| previous.hash == hash);
        let ends = [self.expires_at, previous.map(|previous| previous.until)];
        ends.into_iter().flatten().reduce(f64::min)
    }
}

/// A new text for a key, and the hash of its secret.
fn draw(id: &str) -> (KeyText, String) {
    let secret = format!("{:032x}{:032x}", rand::random::<u128>(), rand::random::<u128>());
    let hash = hash_of(&secret);
    (KeyText(format!("{PREFIX}{id}_{secret}")), hash)
}

fn hash_of(secret: &str) -> String {
    Sha256::digest(secret).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The id in a presented key, and the hash of its secret; `None` for what is no key of this kind.
pub(super) fn parse(presented: &str) -> Option<(&str, String)> {
    let (id, secret) = presented.strip_prefix(PREFIX)?.split_once('_')?;
    Some((id, hash_of(secret)))
}

/// All keys that there are, as of one moment.
#[derive(Clone, Debug, Default)]
pub struct KeyTable {
    keys: HashMap<String, (ApiKey, Option<f64>)>,
    /// Whether there is any record of a key at all, usable or not.
    has_records: bool,
}

impl KeyTable {
    /// From the records: for each the SHA-256 of its name, and its name and value if it is
    /// genuine. Whatever lies where a revocation would is one: there is no way to take one back.
    pub fn of(records: impl IntoIterator<Item = ([u8; 32], Option<(String, Value)>)>) -> Self {
        let (mut table, mut seen) = (KeyTable::default(), HashMap::new());
        for (name_hash, entry) in records {
            table.has_records = true;
            let revoked_at = entry.as_ref().and_then(|(_, value)| value["revoked_at"].as_f64());
            seen.insert(name_hash, revoked_at);
            let Some((name, value)) = entry else { continue };
            if let Ok(key) = serde_json::from_value::<ApiKey>(value)
                && key.id == name
            {
                table.keys.insert(name, (key, None));
            }
        }
        for (id, (_, revoked_at)) in &mut table.keys {
            let hash: [u8; 32] = Sha256::digest(revocation(id)).into();
            *revoked_at = seen.get(&hash).map(|at| at.unwrap_or_default());
        }
        table
    }

    /// A key, and when it was revoked, in Unix seconds.
    pub fn get(&self, id: &str) -> Option<(&ApiKey, Option<f64>)> {
        self.keys.get(id).map(|(key, revoked_at)| (key, *revoked_at))
    }

    /// All keys, the newest first, and when each was revoked.
    pub fn list(&self) -> Vec<(&ApiKey, Option<f64>)> {
        let mut all: Vec<_> = self.keys.values().map(|(key, at)| (key, *at)).collect();
        all.sort_by(|(a, _), (b, _)| {
            b.created_at.total_cmp(&a.created_at).then_with(|| a.id.cmp(&b.id))
        });
        all
    }

    /// Whether there was ever a key.
    pub fn has_records(&self) -> bool {
        self.has_records
    }
}

/// The name of the record that revokes a key.
pub fn revocation(id: &str) -> String {
    format!("{id}{REVOKED}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn new_key() -> (ApiKey, KeyText) {
        let scopes = vec!["read:notes".parse().unwrap()];
        let new = NewKey {
            name: "x".into(),
            scopes,
            expires_at: Some(100.0),
            limits: KeyLimits::default(),
        };
        ApiKey::new(new, 1.0)
    }

    fn record(name: &str, value: Option<Value>) -> ([u8; 32], Option<(String, Value)>) {
        (Sha256::digest(name).into(), value.map(|value| (name.to_owned(), value)))
    }

    #[test]
    fn the_text_of_a_key_is_long_random_and_not_kept() {
        let (key, text) = new_key();
        let (_, other) = new_key();
        assert_ne!(text, other);
        assert_eq!(text.expose().len(), "mnk_".len() + 16 + 1 + 64);
        let (id, hash) = parse(text.expose()).unwrap();
        assert_eq!(id, key.id);
        assert!(key.has_hash(&hash, 2.0));
        let secret = text.expose().rsplit('_').next().unwrap();
        assert!(!format!("{key:?} {text:?} {}", serde_json::json!(key)).contains(secret));
    }

    #[test]
    fn a_replaced_secret_is_good_for_its_grace_and_no_longer() {
        let (key, old) = new_key();
        let old = parse(old.expose()).unwrap().1;
        let (at_once, _) = key.rotated(10.0, 0.0);
        assert!(!at_once.has_hash(&old, 10.0));
        let (later, new) = key.rotated(10.0, 5.0);
        assert!(later.has_hash(&old, 14.9) && !later.has_hash(&old, 15.0));
        assert!(later.has_hash(&parse(new.expose()).unwrap().1, 50.0));
        assert_eq!((later.good_until(&old), later.previous_until()), (Some(15.0), Some(15.0)));
        let (again, _) = later.rotated(11.0, 5.0);
        assert!(!again.has_hash(&old, 11.0), "only the last one before");
    }

    #[test]
    fn whatever_lies_where_a_revocation_would_is_one() {
        let (key, _) = new_key();
        let definition = || record(&key.id, Some(serde_json::json!(key)));
        let name = revocation(&key.id);
        for (revoking, at) in [
            (Some(serde_json::json!({"revoked_at": 7.0})), 7.0),
            (Some(serde_json::json!("something else")), 0.0),
            (None, 0.0),
        ] {
            let table = KeyTable::of([definition(), record(&name, revoking)]);
            assert_eq!(table.get(&key.id).unwrap().1, Some(at));
        }
        let table = KeyTable::of([definition()]);
        assert_eq!((table.get(&key.id).unwrap().1, table.list().len()), (None, 1));
    }

    #[test]
    fn forged_records_are_no_keys_but_close_the_door() {
        let (key, _) = new_key();
        let table = KeyTable::of([record(&key.id, None)]);
        assert!(table.get(&key.id).is_none() && table.has_records());
        let table = KeyTable::of([record("other", Some(serde_json::json!(key)))]);
        assert!(table.list().is_empty());
        assert!(!KeyTable::of([]).has_records());
    }
}
