//! Credentials to a [`Principal`] and what it may do; knows no transport.

mod client;
mod principal;
mod ticket;

pub use client::ClientAddress;
pub use principal::{Access, Principal};
pub use ticket::TICKET_LIFETIME;

use std::time::Instant;

use parking_lot::Mutex;
use subtle::ConstantTimeEq;

use crate::{Code, Error, Result};

/// What a caller presents, already taken out of its carrier.
#[derive(Clone, PartialEq, Eq)]
pub enum Credential {
    /// Nothing at all.
    None,
    /// An API key, whichever of its carriers it came in.
    ApiKey(String),
}

/// Decides who a caller is.
pub struct Authenticator {
    api_key: Option<String>,
    anonymous_allowed: bool,
    tickets: Mutex<ticket::Tickets>,
}

impl Authenticator {
    /// With the one configured key, if any, and whether callers without one are let in.
    pub fn new(api_key: Option<String>, anonymous_allowed: bool) -> Self {
        Authenticator { api_key, anonymous_allowed, tickets: Mutex::default() }
    }

    /// The principal behind a credential. A credential that is present and wrong never falls
    /// through to anonymous.
    ///
    /// # Errors
    /// `Unauthenticated`.
    pub fn authenticate(&self, credential: &Credential) -> Result<Principal> {
        match credential {
            Credential::ApiKey(presented) if self.is_key(presented) => {
                Ok(Principal::full("api-key"))
            }
            Credential::ApiKey(_) => Err(Error::new(
                Code::Unauthenticated,
                "the credential is not valid: send the API key as `Authorization: Bearer`, \
                 `X-API-Key` or `?api_key=`",
            )
            .reason("invalid_credential")),
            Credential::None if self.anonymous_allowed => Ok(Principal::full("anonymous")),
            Credential::None => Err(Error::new(
                Code::Unauthenticated,
                "a credential is needed: send the API key as `Authorization: Bearer`, \
                 `X-API-Key` or `?api_key=`",
            )
            .reason("credential_missing")),
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
    /// `Unauthenticated`.
    pub fn redeem(&self, ticket: &str) -> Result<Principal> {
        self.tickets.lock().redeem(ticket, Instant::now())
    }

    /// Compares in constant time. With no key configured every presented key is wrong.
    fn is_key(&self, presented: &str) -> bool {
        let expected = self.api_key.as_deref().unwrap_or_default();
        !expected.is_empty() && bool::from(expected.as_bytes().ct_eq(presented.as_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(key: Option<&str>, anonymous: bool, credential: Credential, expected: Option<&str>) {
        let authenticator = Authenticator::new(key.map(str::to_owned), anonymous);
        let found = authenticator.authenticate(&credential).ok();
        assert_eq!(found.as_ref().map(Principal::name), expected);
    }

    #[test]
    fn a_present_and_wrong_credential_never_falls_through() {
        let key = |text: &str| Credential::ApiKey(text.to_owned());
        check(Some("s3cret"), false, key("s3cret"), Some("api-key"));
        check(Some("s3cret"), true, key("wrong"), None);
        check(Some("s3cret"), false, Credential::None, None);
        check(Some("s3cret"), true, Credential::None, Some("anonymous"));
        check(None, true, key(""), None);
        check(None, true, key("any"), None);
        check(Some(""), false, key(""), None);
    }
}
