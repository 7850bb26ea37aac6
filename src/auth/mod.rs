//! Credentials to a [`Principal`] and what it may do; knows no transport.

mod client;
mod jwt;
mod key;
mod noted;
mod principal;
mod scope;
mod ticket;

pub use client::ClientAddress;
pub use jwt::{IssuerError, Issuers};
pub use key::{ApiKey, KeyLimits, KeyTable, KeyText, NewKey, revocation};
pub use noted::Noted;
pub use principal::Principal;
pub use scope::{Access, Scope};
pub use ticket::TICKET_LIFETIME;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use tokio::sync::watch;

use crate::clock::now_seconds;
use crate::config::Anonymous;
use crate::{Code, Error, Result};
use principal::Proof;

/// How often the end of a credential is looked for, at the least: clocks are set now and then.
const LOOK_INTERVAL: Duration = Duration::from_secs(5);

/// What a caller presents, already taken out of its carrier.
#[derive(Clone, PartialEq, Eq)]
pub enum Credential {
    /// Nothing at all.
    None,
    /// What came as `Authorization: Bearer`: a token, or an API key.
    Bearer(String),
    /// An API key in another carrier.
    ApiKey(String),
}

/// Decides who a caller is.
pub struct Authenticator {
    /// The SHA-256 of the one key in the settings: comparing hashes tells nothing of lengths.
    fixed_key: Option<[u8; 32]>,
    anonymous: Anonymous,
    issuers: Issuers,
    keys: watch::Sender<Arc<KeyTable>>,
    /// When each key was used last, in Unix seconds.
    used: Mutex<HashMap<String, f64>>,
    tickets: Mutex<ticket::Tickets>,
}

impl Authenticator {
    /// With the one configured key, if any, whose tokens are accepted, and whether callers without
    /// a credential are let in.
    pub fn new(api_key: Option<&str>, issuers: Issuers, anonymous: Anonymous) -> Self {
        Authenticator {
            fixed_key: api_key.filter(|key| !key.is_empty()).map(|key| Sha256::digest(key).into()),
            anonymous,
            issuers,
            keys: watch::channel(Arc::default()).0,
            used: Mutex::default(),
            tickets: Mutex::default(),
        }
    }

    /// The principal behind a credential. A credential that is present and wrong never falls
    /// through to anonymous.
    ///
    /// # Errors
    /// `Unauthenticated`.
    pub async fn authenticate(&self, credential: &Credential) -> Result<Principal> {
        match credential {
            Credential::Bearer(token)
                if !self.issuers.is_empty() && jwt::looks_like_token(token) =>
            {
                self.issuers.authenticate(token).await
            }
            Credential::Bearer(presented) | Credential::ApiKey(presented) => {
                self.authenticate_key(presented, now_seconds())
            }
            Credential::None if self.is_open() => Ok(Principal::full(principal::ANONYMOUS)),
            Credential::None => Err(Error::new(
                Code::Unauthenticated,
                "a credential is needed: send the API key as `Authorization: Bearer`, \
                 `X-API-Key` or `?api_key=`",
            )
            .reason("credential_missing")),
        }
    }

    /// Whose tokens are accepted.
    pub fn issuers(&self) -> Vec<&str> {
        self.issuers.names()
    }

    /// Whether callers without a credential are let in.
    pub fn is_open(&self) -> bool {
        match self.anonymous {
            Anonymous::Allowed => true,
            Anonymous::Refused => false,
            // Revoking the last key must not open the door.
            Anonymous::UntilThereAreKeys => !self.keys.borrow().has_records(),
        }
    }

    fn authenticate_key(&self, presented: &str, now: f64) -> Result<Principal> {
        if let Some((id, hash)) = key::parse(presented)
            && let Some((key, revoked_at)) = self.keys.borrow().get(id)
            && key.has_hash(&hash, now)
        {
            // Only who knows the secret learns that much.
            if revoked_at.is_some() {
                return Err(refused("the API key was revoked", "credential_revoked"));
            }
            if key.is_expired(now) {
                return Err(refused("the API key has expired", "credential_expired"));
            }
            self.used.lock().insert(id.to_owned(), now);
            return Ok(Principal::of_key(key, hash));
        }
        let presented: [u8; 32] = Sha256::digest(presented).into();
        match self.fixed_key {
            Some(fixed) if bool::from(fixed.ct_eq(&presented)) => Ok(Principal::full("api-key")),
            _ => Err(refused(
                "the credential is not valid: send the API key as `Authorization: Bearer`, \
                 `X-API-Key` or `?api_key=`",
                "invalid_credential",
            )),
        }
    }

    /// From now on these are the keys.
    pub fn set_keys(&self, keys: KeyTable) {
        self.keys.send_replace(Arc::new(keys));
    }

    /// The keys.
    pub fn keys(&self) -> Arc<KeyTable> {
        Arc::clone(&self.keys.borrow())
    }

    /// When each key was used last on this node, in Unix seconds, as far as this run knows.
    pub fn used(&self) -> HashMap<String, f64> {
        self.used.lock().clone()
    }

    /// Takes over what earlier runs knew of that.
    pub fn set_used(&self, earlier: HashMap<String, f64>) {
        let mut used = self.used.lock();
        for (id, at) in earlier {
            used.entry(id).or_insert(at);
        }
    }

    /// Whether a caller that was recognised before still would be.
    fn is_current(&self, who: &Principal, now: f64) -> bool {
        match who.proof() {
            Proof::Lasting => true,
            Proof::Token { until } => now < *until,
            Proof::Key { id, hash } => self.keys.borrow().get(id).is_some_and(|(key, revoked)| {
                revoked.is_none() && !key.is_expired(now) && key.has_hash(hash, now)
            }),
        }
    }

    /// Comes back once a caller would not be recognised any more: its key was revoked or replaced,
    /// or its time is over. Streams that are open end then.
    pub async fn ended(&self, who: &Principal) {
        let mut changed = self.keys.subscribe();
        loop {
            changed.borrow_and_update();
            let now = now_seconds();
            if !self.is_current(who, now) {
                return;
            }
            let until = match who.proof() {
                Proof::Lasting => return std::future::pending().await,
                Proof::Token { until } => Some(*until),
                Proof::Key { id, hash } => {
                    changed.borrow().get(id).and_then(|(key, _)| key.good_until(hash))
                }
            };
            let rest = until.map_or(LOOK_INTERVAL.as_secs_f64(), |until| until - now);
            let pause = Duration::from_secs_f64(rest.clamp(0.01, LOOK_INTERVAL.as_secs_f64()));
            // The sender is a part of this and goes when it does.
            let _ = tokio::time::timeout(pause, changed.changed()).await;
        }
    }

    /// Makes a credential that stands for a caller once, and not for long.
    ///
    /// # Errors
    /// `RateLimited` when too many are out.
    pub fn ticket(&self, who: &Principal) -> Result<String> {
        self.tickets.lock().issue(who, Instant::now())
    }

    /// The principal that a ticket stands for; it is good no more after that.
    ///
    /// # Errors
    /// `Unauthenticated`, also when the caller itself would not be recognised any more.
    pub fn redeem(&self, ticket: &str) -> Result<Principal> {
        let who = self.tickets.lock().redeem(ticket, Instant::now())?;
        if self.is_current(&who, now_seconds()) {
            return Ok(who);
        }
        Err(refused("the credential behind the ticket has ended", "invalid_ticket"))
    }
}

fn refused(detail: &str, reason: &'static str) -> Error {
    Error::new(Code::Unauthenticated, detail).reason(reason)
}

#[cfg(test)]
mod tests;
