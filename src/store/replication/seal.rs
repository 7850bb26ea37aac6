//! Records that only those may write who know the cluster's secret: API keys.
//!
//! Whoever may publish to NATS as a node is trusted with memories, but must not be able to make a
//! key or to take a revocation back. So such a record carries a MAC that NATS cannot make. It
//! covers the clock of the write: a value of earlier cannot be sent again as if it were new.

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use memnode_cluster::{Clock, Op, OpKind, Part, Record, value};
use rusqlite::Row;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::super::error::StoreError;
use super::super::open::{meta, set_meta};
use super::super::reader::{Reader, hex};
use super::super::record;
use super::super::writer::Writer;
use super::reserved::{IS_RESERVED, VALUE};

/// The namespace of API keys and revocations.
const KEY_NAMESPACE: &str = "_keys";
/// The row of the table `meta` that tells when keys were used.
const KEYS_USED: &str = "keys_used";
/// What makes MACs of this kind different from any other use of the secret.
const PURPOSE: &[u8] = b"memnode sealed record 1";

/// Why an op on a sealed record is not applied that its author could not seal.
pub(super) const FORGED: &str =
    "it changes an API key without proof that its author knows the cluster's secret";

/// The secret that a cluster shares and NATS does not know; it never shows itself.
#[derive(Clone)]
pub struct Seal([u8; 32]);

/// A sealed record as it lies in the file.
#[derive(Clone, Debug, PartialEq)]
pub struct Sealed {
    /// The SHA-256 of its key, which says what it is about even where the rest is not genuine.
    pub key_hash: [u8; 32],
    /// Its key and value; `None` for one that was not written by who knows the secret, or that
    /// was deleted, which nobody who knows it does.
    pub entry: Option<(String, Value)>,
}

/// A value as it is stored.
#[derive(Serialize, Deserialize)]
struct Envelope {
    /// Hexadecimal.
    mac: String,
    /// The JSON that the MAC is of, to the letter.
    text: String,
}

impl Seal {
    /// From the text of the secret.
    pub fn new(secret: &str) -> Self {
        Seal(Sha256::digest(secret).into())
    }

    /// One that proves nothing.
    pub fn random() -> Self {
        Seal(rand::random())
    }

    fn mac(&self, key_hash: &[u8; 32], clock: Clock, text: &str) -> Hmac<Sha256> {
        let mut mac =
            Hmac::<Sha256>::new_from_slice(&self.0).expect("HMAC takes keys of any length");
        // Every part but the last has a fixed length, so no two messages have the same bytes.
        mac.update(PURPOSE);
        mac.update(key_hash);
        mac.update(&clock.as_u64().to_be_bytes());
        mac.update(text.as_bytes());
        mac
    }

    fn close(&self, key_hash: &[u8; 32], clock: Clock, value: &Value) -> String {
        let text = value.to_string();
        let mac = hex(&self.mac(key_hash, clock, &text).finalize().into_bytes());
        serde_json::to_string(&Envelope { mac, text }).expect("two texts are JSON")
    }

    /// The value, if the MAC is right. Compares in constant time.
    fn open(&self, key_hash: &[u8; 32], clock: Clock, json: &str) -> Option<Value> {
        let Envelope { mac, text } = serde_json::from_str(json).ok()?;
        let presented = unhex(&mac)?;
        self.mac(key_hash, clock, &text).verify_slice(&presented).ok()?;
        serde_json::from_str(&text).ok()
    }
}

impl fmt::Debug for Seal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Seal(********)")
    }
}

fn unhex(text: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    if text.len() != 2 * bytes.len() || !text.is_ascii() {
        return None;
    }
    for (byte, at) in bytes.iter_mut().zip((0..text.len()).step_by(2)) {
        *byte = u8::from_str_radix(&text[at..at + 2], 16).ok()?;
    }
    Some(bytes)
}

/// Checks an op on a sealed record: it must set the value, sealed, and do nothing else.
pub(super) fn check_op(op: &Op, seal: Option<&Seal>) -> Result<(), String> {
    // Who has no secret cannot tell; it uses no key record either.
    let (Some(seal), KEY_NAMESPACE) = (seal, op.namespace.as_str()) else { return Ok(()) };
    let is_plain = |(part, bytes): (&Part, &Vec<u8>)| match part {
        Part::Born | Part::UpdatedAt => true,
        Part::MemoryType => value::read_text_or_null(bytes) == Some(None),
        Part::Metadata(name) => name == VALUE,
        Part::Body => value::read_text(bytes)
            .is_some_and(|key| <[u8; 32]>::from(Sha256::digest(key)) == op.content_hash),
        Part::Tag(_) | Part::Reset | Part::Erased | Part::Other(_) => false,
    };
    let is_set = matches!(op.kind, OpKind::Create | OpKind::Update);
    let json = op.parts.get(&Part::Metadata(VALUE.to_owned()));
    let json = json.and_then(|bytes| value::read_text(bytes)).unwrap_or_default();
    let is_genuine = seal.open(&op.content_hash, op.clock, json).is_some();
    if is_set && op.parts.iter().all(is_plain) && is_genuine {
        return Ok(());
    }
    Err(FORGED.to_owned())
}

impl Reader<'_> {
    /// The sealed records, dead and forged ones included.
    ///
    /// # Errors
    /// Those of the file.
    pub fn sealed(&self, seal: &Seal) -> Result<Vec<Sealed>, StoreError> {
        let sql = format!(
            "SELECT content_hash, record FROM memory WHERE namespace = ?1 AND {IS_RESERVED}"
        );
        let mut statement = self.connection().prepare_cached(&sql)?;
        let mut rows = statement.query([KEY_NAMESPACE])?;
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            found.push(sealed(row, seal)?);
        }
        Ok(found)
    }

    /// Whether there are any sealed records.
    ///
    /// # Errors
    /// Those of the file.
    pub fn has_sealed(&self) -> Result<bool, StoreError> {
        let sql = format!("SELECT 1 FROM memory WHERE namespace = ?1 AND {IS_RESERVED}");
        Ok(self.connection().prepare_cached(&sql)?.exists([KEY_NAMESPACE])?)
    }

    /// Differs whenever a sealed record does.
    ///
    /// # Errors
    /// Those of the file.
    pub fn sealed_mark(&self) -> Result<[u8; 32], StoreError> {
        let sql = format!(
            "SELECT version FROM memory WHERE namespace = ?1 AND {IS_RESERVED} ORDER BY id"
        );
        let mut statement = self.connection().prepare_cached(&sql)?;
        let mut rows = statement.query([KEY_NAMESPACE])?;
        let mut hash = Sha256::new();
        while let Some(row) = rows.next()? {
            hash.update(row.get::<_, [u8; 16]>(0)?);
        }
        Ok(hash.finalize().into())
    }
}

impl Reader<'_> {
    /// When keys were used last on this node, as [`Writer::note_keys_used`] was told.
    ///
    /// # Errors
    /// Those of the file.
    pub fn keys_used(&self) -> Result<String, StoreError> {
        Ok(meta(self.connection(), KEYS_USED)?.unwrap_or_default())
    }
}

fn sealed(row: &Row<'_>, seal: &Seal) -> Result<Sealed, StoreError> {
    let key_hash: [u8; 32] = row.get(0)?;
    let blob: Vec<u8> = row.get(1)?;
    let entry = entry(&record::decode(&blob, None)?, &key_hash, seal);
    Ok(Sealed { key_hash, entry })
}

fn entry(record: &Record, key_hash: &[u8; 32], seal: &Seal) -> Option<(String, Value)> {
    let key = record.is_live().then(|| record.content()).flatten()?;
    let register = record.get(&Part::Metadata(VALUE.to_owned()))?;
    let json = value::read_text(&register.value)?;
    let value = seal.open(key_hash, register.stamp.clock, json)?;
    (<[u8; 32]>::from(Sha256::digest(key)) == *key_hash).then(|| (key.to_owned(), value))
}

impl Writer<'_> {
    /// From now on sealed records of peers are held against this secret.
    pub fn set_seal(&mut self, seal: Seal) {
        self.state.seal = Some(seal);
    }

    /// Notes when keys were used last; only this node knows.
    ///
    /// # Errors
    /// Those of the file.
    pub fn note_keys_used(&mut self, text: &str) -> Result<(), StoreError> {
        set_meta(self.connection(), KEYS_USED, text)
    }

    /// Writes a sealed record.
    ///
    /// # Errors
    /// As [`Writer::write_reserved`].
    pub fn write_sealed(
        &mut self,
        key: &str,
        value: &Value,
        seal: &Seal,
    ) -> Result<(), StoreError> {
        let key_hash: [u8; 32] = Sha256::digest(key).into();
        let close = |clock| seal.close(&key_hash, clock, value);
        self.write_reserved_with(KEY_NAMESPACE, key, close).map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clock(millis: u64) -> Clock {
        Clock::from_u64(millis << 16)
    }

    #[test]
    fn a_value_opens_only_where_it_was_closed() {
        let (seal, hash) = (Seal::new("a secret"), [7; 32]);
        let value = serde_json::json!({"name": "x"});
        let closed = seal.close(&hash, clock(5), &value);
        assert_eq!(seal.open(&hash, clock(5), &closed), Some(value));
        assert_eq!(seal.open(&hash, clock(6), &closed), None, "sent again later");
        assert_eq!(seal.open(&[8; 32], clock(5), &closed), None, "under another key");
        assert_eq!(Seal::new("another").open(&hash, clock(5), &closed), None);
        assert_eq!(seal.open(&hash, clock(5), &closed.replace('x', "y")), None);
        for junk in
            ["", "null", "{}", "{\"mac\":\"\",\"text\":\"{}\"}", "{\"mac\":\"é\",\"text\":\"\"}"]
        {
            assert_eq!(seal.open(&hash, clock(5), junk), None, "{junk}");
        }
    }

    #[test]
    fn the_secret_does_not_show_itself() {
        assert_eq!(format!("{:?}", Seal::new("a secret")), "Seal(********)");
    }
}
