//! API keys: made, replaced and revoked here, known on every node of the cluster.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use super::Service;
use crate::auth::{
    Access, ApiKey, Authenticator, Issuers, KeyLimits, KeyTable, KeyText, NewKey, Principal, Scope,
    revocation,
};
use crate::clock::now_seconds;
use crate::config::Anonymous;
use crate::store::Seal;
use crate::{Code, Error, Result};

/// Most keys that a cluster may have had.
const KEY_COUNT_MAX: usize = 10_000;
/// Longest name, in characters.
const NAME_CHARS_MAX: usize = 100;
/// The longest time that a key may be good for, unless it is good for ever: 100 years.
const LIFETIME_MAX: Duration = Duration::from_secs(100 * 365 * 24 * 3600);
/// The highest limit of a key, in a minute.
const LIMIT_MAX: u32 = 1_000_000_000;
/// Most scopes of one key.
const SCOPE_COUNT_MAX: usize = 100;
/// Longest time that a replaced secret may stay good.
const GRACE_MAX: Duration = Duration::from_hours(30 * 24);
/// How long changes are gathered before keys are read again.
const SETTLE_TIME: Duration = Duration::from_millis(200);
/// How often it is written when keys were used last.
const USED_INTERVAL: Duration = Duration::from_secs(60);

/// What keys need of a node.
pub struct KeyParts {
    /// Who is told of them.
    pub authenticator: Arc<Authenticator>,
    /// What proves them; `None` where there is no secret.
    pub seal: Option<Seal>,
    /// What proved them while this node was on its own.
    pub former: Option<Seal>,
    /// Whether the other nodes know the secret, or there are none.
    pub is_shared: bool,
}

impl KeyParts {
    /// For a node that has no keys and lets everybody in.
    pub fn open_to_all() -> Self {
        let authenticator =
            Arc::new(Authenticator::new(None, Issuers::default(), Anonymous::Allowed));
        KeyParts { authenticator, seal: None, former: None, is_shared: false }
    }
}

/// A key as its administrator sees it.
#[derive(Clone, Debug, PartialEq)]
pub struct KeyView {
    /// The key; its secret is not known to anybody but its holder.
    pub key: ApiKey,
    /// When it was revoked, in Unix seconds.
    pub revoked_at: Option<f64>,
    /// When it was used last on this node, in Unix seconds.
    pub last_used_at: Option<f64>,
}

impl KeyView {
    /// `active`, `expired` or `revoked`.
    pub fn status(&self) -> &'static str {
        match self.revoked_at {
            Some(_) => "revoked",
            None if self.key.is_expired(now_seconds()) => "expired",
            None => "active",
        }
    }
}

impl Service {
    /// Makes a key, good for that long; its text is told this once.
    ///
    /// # Errors
    /// `Forbidden`, `InvalidInput`, `Conflict` where keys would not be believed; those of the file.
    pub async fn create_key(
        &self,
        who: &Principal,
        new: NewKey,
        good_for: Option<Duration>,
    ) -> Result<(KeyView, KeyText)> {
        who.require_everywhere(Access::Admin)?;
        if good_for.is_some_and(|time| time > LIFETIME_MAX) {
            let detail =
                "a key expires within 100 years; leave the time out for one that never does";
            return Err(Error::invalid(detail).reason("invalid_key"));
        }
        let expires_at = good_for.map(|time| now_seconds() + time.as_secs_f64());
        let new = checked(NewKey { expires_at: expires_at.or(new.expires_at), ..new })?;
        if self.parts.keys.authenticator.keys().list().len() >= KEY_COUNT_MAX {
            return Err(Error::invalid(format!("there are {KEY_COUNT_MAX} keys already"))
                .reason("too_many_keys"));
        }
        let (key, text) = ApiKey::new(new, now_seconds());
        self.write_key(&key.id, serde_json::to_value(&key).map_err(not_json)?).await?;
        tracing::info!(key.id, by = who.name(), "made an API key");
        Ok((self.key(&key.id)?, text))
    }

    /// Every key that there is or was, the newest first.
    ///
    /// # Errors
    /// `Forbidden`.
    pub fn keys(&self, who: &Principal) -> Result<Vec<KeyView>> {
        who.require_everywhere(Access::Admin)?;
        let authenticator = &self.parts.keys.authenticator;
        let (keys, used) = (authenticator.keys(), authenticator.used());
        Ok(keys.list().into_iter().map(|(key, at)| view(key, at, &used)).collect())
    }

    /// Revokes a key for good, on every node.
    ///
    /// # Errors
    /// `Forbidden`, `NotFound`, `Conflict` as for a new one; those of the file.
    pub async fn revoke_key(&self, who: &Principal, id: &str) -> Result<KeyView> {
        who.require_everywhere(Access::Admin)?;
        let view = self.key(id)?;
        if view.revoked_at.is_none() {
            let revoked = serde_json::json!({"revoked_at": now_seconds(), "by": who.name()});
            self.write_key(&revocation(id), revoked).await?;
            tracing::info!(key.id = id, by = who.name(), "revoked an API key");
        }
        self.key(id)
    }

    /// Gives a key a new secret, told this once; the old one stays good for `grace`.
    ///
    /// # Errors
    /// `Forbidden`, `NotFound`, `InvalidInput`, `Conflict` for one that is revoked, and as for a
    /// new one; those of the file.
    pub async fn rotate_key(
        &self,
        who: &Principal,
        id: &str,
        grace: Duration,
    ) -> Result<(KeyView, KeyText)> {
        who.require_everywhere(Access::Admin)?;
        if grace > GRACE_MAX {
            return Err(Error::invalid("an old secret stays good for at most 30 days"));
        }
        let view = self.key(id)?;
        if view.revoked_at.is_some() {
            return Err(Error::new(Code::Conflict, format!("the key `{id}` is revoked"))
                .reason("key_revoked"));
        }
        let (key, text) = view.key.rotated(now_seconds(), grace.as_secs_f64());
        self.write_key(id, serde_json::to_value(&key).map_err(not_json)?).await?;
        tracing::info!(key.id = id, by = who.name(), "gave an API key a new secret");
        Ok((self.key(id)?, text))
    }

    fn key(&self, id: &str) -> Result<KeyView> {
        let authenticator = &self.parts.keys.authenticator;
        let keys = authenticator.keys();
        let found = keys.get(id).map(|(key, at)| view(key, at, &authenticator.used()));
        found.ok_or_else(|| {
            let shown: String = id.chars().take(80).collect();
            Error::new(Code::NotFound, format!("there is no key `{shown}`")).reason("key_not_found")
        })
    }

    async fn write_key(&self, name: &str, value: serde_json::Value) -> Result<()> {
        let keys = &self.parts.keys;
        let Some(seal) = keys.seal.clone().filter(|_| keys.is_shared) else {
            return Err(Error::new(
                Code::Conflict,
                "the other nodes would not believe this: set MEMNODE_CLUSTER_SECRET, the same on \
                 all nodes, and start them anew",
            )
            .reason("cluster_secret_missing"));
        };
        let name = name.to_owned();
        self.parts.store.write(move |writer| writer.write_sealed(&name, &value, &seal)).await?;
        self.load_keys().await
    }

    /// Reads the keys from the file.
    ///
    /// # Errors
    /// Those of the file.
    pub async fn load_keys(&self) -> Result<()> {
        let keys = &self.parts.keys;
        // Without a secret no record is proven, and that there are some closes the door even so.
        let seal = keys.seal.clone().unwrap_or_else(Seal::random);
        let records = self.read(move |reader| reader.sealed(&seal)).await?;
        let forged = records.iter().filter(|record| record.entry.is_none()).count();
        if forged > 0 {
            tracing::warn!(
                key.count = forged,
                "records of API keys are not proven by this node's secret and are good for nothing"
            );
        }
        let records = records.into_iter().map(|record| (record.key_hash, record.entry));
        keys.authenticator.set_keys(KeyTable::of(records));
        Ok(())
    }

    /// Loads what is known of keys, and takes over those that were made while this node was on its
    /// own; before requests are taken.
    ///
    /// # Errors
    /// Those of the file.
    pub async fn open_keys(&self) -> Result<()> {
        let keys = &self.parts.keys;
        if let (Some(seal), Some(former), true) = (&keys.seal, &keys.former, keys.is_shared) {
            let (seal, former) = (seal.clone(), former.clone());
            let count = self
                .parts
                .store
                .write(move |writer| {
                    let mut count = 0;
                    let present = writer.sealed(&seal)?;
                    for (old, now) in writer.sealed(&former)?.into_iter().zip(present) {
                        if let (Some((name, value)), None) = (old.entry, now.entry) {
                            writer.write_sealed(&name, &value, &seal)?;
                            count += 1;
                        }
                    }
                    Ok(count)
                })
                .await?;
            if count > 0 {
                tracing::info!(
                    key.count = count,
                    "API keys made by this node alone are shared now"
                );
            }
        }
        self.load_keys().await?;
        let used = self.read(|reader| reader.keys_used()).await?;
        keys.authenticator.set_used(serde_json::from_str(&used).unwrap_or_default());
        Ok(())
    }

    /// Follows what peers say of keys, and notes when keys were used, until the node stops.
    pub fn follow_keys(&self) {
        let service = self.clone();
        self.parts.tasks.spawn(async move {
            let mut changes = service.parts.store.changes();
            let (mut mark, mut noted) = (None, service.parts.keys.authenticator.used());
            let mut ticks = tokio::time::interval(USED_INTERVAL);
            loop {
                tokio::select! {
                    () = service.parts.shutdown.cancelled() => break,
                    _ = ticks.tick() => {
                        service.note_used(&mut noted).await;
                        // A look that failed is made good here.
                        service.look_for_keys(&mut mark).await;
                    }
                    changed = changes.changed() => {
                        if changed.is_err() {
                            break;
                        }
                        tokio::time::sleep(SETTLE_TIME).await;
                        changes.borrow_and_update();
                        service.look_for_keys(&mut mark).await;
                    }
                }
            }
            service.note_used(&mut noted).await;
        });
    }

    /// Reads the keys again if one has changed.
    async fn look_for_keys(&self, mark: &mut Option<[u8; 32]>) {
        let looked = self.read(|reader| reader.sealed_mark()).await;
        let result = match looked {
            Ok(found) if Some(found) == *mark => return,
            Ok(found) => self.load_keys().await.map(|()| found),
            Err(error) => Err(error.into()),
        };
        match result {
            Ok(found) => *mark = Some(found),
            Err(error) => tracing::error!(%error, "the API keys could not be read again"),
        }
    }

    /// Writes when keys were used last, if that has changed: beside the requests, and seldom.
    async fn note_used(&self, noted: &mut HashMap<String, f64>) {
        let used = self.parts.keys.authenticator.used();
        if used == *noted {
            return;
        }
        let text = serde_json::to_string(&used).expect("names and numbers are JSON");
        match self.parts.store.write(move |writer| writer.note_keys_used(&text)).await {
            Ok(()) => *noted = used,
            Err(error) => tracing::debug!(%error, "the last use of API keys was not written"),
        }
    }
}

fn view(key: &ApiKey, revoked_at: Option<f64>, used: &HashMap<String, f64>) -> KeyView {
    KeyView { key: key.clone(), revoked_at, last_used_at: used.get(&key.id).copied() }
}

fn not_json(error: serde_json::Error) -> Error {
    Error::internal("a key could not be written", error)
}

fn checked(mut new: NewKey) -> Result<NewKey> {
    let invalid = |detail: String| Err(Error::invalid(detail).reason("invalid_key"));
    new.name = new.name.trim().to_owned();
    let length = new.name.chars().count();
    if !(1..=NAME_CHARS_MAX).contains(&length) || new.name.chars().any(char::is_control) {
        return invalid(format!("a key has a name of 1 to {NAME_CHARS_MAX} characters"));
    }
    if new.scopes.is_empty() {
        new.scopes = vec![Scope::everywhere(Access::Read), Scope::everywhere(Access::Write)];
    }
    if new.scopes.len() > SCOPE_COUNT_MAX {
        return invalid(format!("a key has at most {SCOPE_COUNT_MAX} scopes"));
    }
    new.scopes.sort();
    new.scopes.dedup();
    if new.expires_at.is_some_and(|at| !at.is_finite() || at <= now_seconds()) {
        return invalid("a key must expire in the future".to_owned());
    }
    let KeyLimits { reads, writes, searches, events } = new.limits;
    let limits = [reads, writes, searches, events];
    if limits.contains(&Some(0)) {
        return invalid("a limit is at least 1; leave the scope out instead".to_owned());
    }
    if limits.into_iter().flatten().any(|limit| limit > LIMIT_MAX) {
        return invalid(format!("a limit is at most {LIMIT_MAX}"));
    }
    Ok(new)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(change: impl FnOnce(&mut NewKey), expected: Option<&str>) {
        let mut new = NewKey {
            name: " laptop ".into(),
            scopes: Vec::new(),
            expires_at: None,
            limits: KeyLimits::default(),
        };
        change(&mut new);
        let found = checked(new).map(|new| new.name).map_err(|error| error.detail);
        match expected {
            None => assert_eq!(found.as_deref(), Ok("laptop")),
            Some(part) => {
                assert!(found.clone().is_err_and(|text| text.contains(part)), "{found:?}")
            }
        }
    }

    #[test]
    fn what_a_key_may_be_is_checked() {
        check(|_| {}, None);
        check(|new| new.expires_at = Some(now_seconds() + 60.0), None);
        check(|new| new.name = "  ".into(), Some("a name of 1 to"));
        check(|new| new.name = "x".repeat(101), Some("a name of 1 to"));
        check(|new| new.name = "a\nb".into(), Some("a name of 1 to"));
        check(|new| new.expires_at = Some(now_seconds() - 1.0), Some("in the future"));
        check(|new| new.expires_at = Some(f64::INFINITY), Some("in the future"));
        check(|new| new.limits.reads = Some(0), Some("at least 1"));
        let many = || (0..101).map(|n| format!("read:n{n}").parse().unwrap()).collect();
        check(|new| new.scopes = many(), Some("at most 100"));
    }
}
