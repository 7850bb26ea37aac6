//! Signed tokens (RFC 7519) of issuers that somebody else runs.
//!
//! A token says who signed it, how, and with which key; none of that is believed. The issuer is
//! looked up among those in the settings, which fix the algorithm and where its keys come from.

mod jwks;

use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde::Deserialize;
use serde_json::Value;

use super::Principal;
use super::scope::Scope;
use crate::clock::now_seconds;
use crate::config::{JwtAlgorithm, JwtIssuer, JwtKeys};
use crate::memory::Namespace;
use crate::{Code, Error, Result};
use jwks::Jwks;

/// Longest token.
const TOKEN_BYTES_MAX: usize = 16 * 1024;
/// Shortest secret of HS256: as long as what it makes (RFC 7518, section 3.2).
const SECRET_BYTES_MIN: usize = 32;
/// Largest file with a key.
const KEY_FILE_BYTES_MAX: u64 = 64 * 1024;

/// Those whose tokens are accepted.
#[derive(Default)]
pub struct Issuers(Vec<Issuer>);

struct Issuer {
    config: JwtIssuer,
    validation: Validation,
    keys: Keys,
}

enum Keys {
    Fixed(DecodingKey),
    Set(Jwks),
}

/// Why an issuer cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("the key of the issuer {issuer} cannot be used: {reason}")]
pub struct IssuerError {
    /// Which.
    pub issuer: String,
    /// Why; never a part of a key.
    pub reason: String,
}

/// The first part of a token.
#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
    /// What must be understood; nothing is (RFC 7515, section 4.1.11).
    crit: Option<Value>,
}

/// What is asked of a token before it is known to be genuine.
#[derive(Deserialize)]
struct Claimed {
    iss: Option<String>,
}

/// What a genuine token says.
#[derive(Deserialize)]
struct Claims {
    iss: String,
    sub: String,
    exp: f64,
    #[serde(default)]
    scope: OneOrMany,
    #[serde(flatten)]
    others: serde_json::Map<String, Value>,
}

/// One text with spaces between, or a list.
#[derive(Default, Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    One(String),
    Many(Vec<String>),
    #[default]
    None,
}

impl OneOrMany {
    fn words(&self) -> Vec<&str> {
        match self {
            OneOrMany::One(text) => text.split_whitespace().collect(),
            OneOrMany::Many(list) => list.iter().map(String::as_str).collect(),
            OneOrMany::None => Vec::new(),
        }
    }
}

impl Issuers {
    /// Reads the keys that lie in files. Sets that have an address are fetched when they are
    /// needed: an issuer that is down must not keep the node down.
    ///
    /// # Errors
    /// The first file that cannot be read or holds no such key.
    pub fn open(configs: &[JwtIssuer]) -> std::result::Result<Self, IssuerError> {
        configs.iter().map(Issuer::open).collect::<std::result::Result<_, _>>().map(Issuers)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Their names.
    pub fn names(&self) -> Vec<&str> {
        self.0.iter().map(|issuer| issuer.config.issuer.as_str()).collect()
    }

    /// Who presents a token.
    ///
    /// # Errors
    /// `Unauthenticated`, without a word of the token.
    pub async fn authenticate(&self, token: &str) -> Result<Principal> {
        if token.len() > TOKEN_BYTES_MAX {
            return Err(refused("it is too long"));
        }
        let header: Header = part(token, 0).ok_or_else(|| refused("its header is not readable"))?;
        let claimed: Claimed = part(token, 1).ok_or_else(|| refused("its claims are no JSON"))?;
        let issuer =
            self.0.iter().find(|issuer| Some(&issuer.config.issuer) == claimed.iss.as_ref());
        let issuer = issuer.ok_or_else(|| refused("its issuer is not one of this node's"))?;
        if header.alg != issuer.config.algorithm.name() {
            return Err(refused("its algorithm is not the one of its issuer"));
        }
        if header.crit.is_some() {
            return Err(refused("it demands what this node does not know (`crit`)"));
        }
        issuer.principal(&issuer.verify(token, header.kid.as_deref()).await?)
    }
}

impl Issuer {
    fn open(config: &JwtIssuer) -> std::result::Result<Self, IssuerError> {
        let fail = |reason: String| IssuerError { issuer: config.issuer.clone(), reason };
        let keys = match &config.keys {
            JwtKeys::SecretFile(path) => {
                let secret = read(path).map_err(fail)?;
                let secret = secret.trim_ascii();
                if secret.len() < SECRET_BYTES_MIN {
                    return Err(fail(format!("a secret has at least {SECRET_BYTES_MIN} bytes")));
                }
                Keys::Fixed(DecodingKey::from_secret(secret))
            }
            JwtKeys::PublicKeyFile(path) => {
                let pem = read(path).map_err(fail)?;
                let key = match config.algorithm {
                    JwtAlgorithm::Rs256 => DecodingKey::from_rsa_pem(&pem),
                    JwtAlgorithm::Es256 => DecodingKey::from_ec_pem(&pem),
                    JwtAlgorithm::EdDsa => DecodingKey::from_ed_pem(&pem),
                    JwtAlgorithm::Hs256 => return Err(fail("HS256 takes a secret".to_owned())),
                };
                let name = config.algorithm.name();
                Keys::Fixed(key.map_err(|_| fail(format!("it is no public key for {name}")))?)
            }
            JwtKeys::JwksFile(path) => {
                Keys::Set(Jwks::of_file(path, config.algorithm).map_err(fail)?)
            }
            JwtKeys::JwksUrl(url) => {
                let set = Jwks::of_url(url, config.jwks_ca.as_deref(), config.algorithm);
                Keys::Set(set.map_err(fail)?)
            }
        };
        let mut validation = Validation::new(algorithm(config.algorithm));
        validation.set_issuer(&[&config.issuer]);
        validation.set_audience(&config.audience);
        validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
        validation.validate_nbf = true;
        validation.leeway = config.leeway.as_secs();
        Ok(Issuer { config: config.clone(), validation, keys })
    }

    async fn verify(&self, token: &str, kid: Option<&str>) -> Result<Claims> {
        let keys = match &self.keys {
            Keys::Fixed(key) => vec![key.clone()],
            Keys::Set(set) => set.find(kid).await,
        };
        if keys.is_empty() {
            return Err(refused("its key is not known"));
        }
        let mut reason = "its signature is not right";
        for key in keys {
            match jsonwebtoken::decode::<Claims>(token, &key, &self.validation) {
                Ok(found) => return Ok(found.claims),
                Err(error) => reason = reason_of(error.kind()).unwrap_or(reason),
            }
        }
        Err(refused(reason))
    }

    fn principal(&self, claims: &Claims) -> Result<Principal> {
        // Scopes of other services may stand among ours.
        let scopes = claims.scope.words().into_iter().filter_map(|word| word.parse().ok());
        let scopes: Vec<Scope> = match &self.config.namespace_claim {
            None => scopes.collect(),
            Some(name) => {
                let namespaces = namespaces(claims.others.get(name))
                    .ok_or_else(|| refused("it does not say which namespaces it is for"))?;
                let limited = |scope: Scope| {
                    namespaces.iter().filter_map(move |name| scope.clone().within(name))
                };
                scopes.flat_map(limited).collect()
            }
        };
        let name = format!("jwt:{}:{}", claims.iss, claims.sub);
        let until = claims.exp + self.config.leeway.as_secs_f64();
        // To the fraction of a second, as open streams end.
        if until <= now_seconds() {
            return Err(refused("it has expired"));
        }
        Ok(Principal::of_token(name, claims.sub.clone(), scopes, until))
    }
}

/// The namespaces that a claim names; `None` where it names none, or what is none.
fn namespaces(claim: Option<&Value>) -> Option<Vec<Namespace>> {
    let named: OneOrMany = serde_json::from_value(claim?.clone()).ok()?;
    let found: Option<Vec<Namespace>> =
        named.words().into_iter().map(|word| word.parse().ok()).collect();
    found.filter(|found| !found.is_empty())
}

/// Whether a text is written as a token is, whatever it is worth.
pub(super) fn looks_like_token(text: &str) -> bool {
    text.split('.').count() == 3 && part::<Header>(text, 0).is_some()
}

fn part<T: for<'de> Deserialize<'de>>(token: &str, number: usize) -> Option<T> {
    let bytes = URL_SAFE_NO_PAD.decode(token.split('.').nth(number)?).ok()?;
    serde_json::from_slice(&bytes).ok()
}

fn algorithm(algorithm: JwtAlgorithm) -> Algorithm {
    match algorithm {
        JwtAlgorithm::Rs256 => Algorithm::RS256,
        JwtAlgorithm::Es256 => Algorithm::ES256,
        JwtAlgorithm::EdDsa => Algorithm::EdDSA,
        JwtAlgorithm::Hs256 => Algorithm::HS256,
    }
}

fn read(path: &Path) -> std::result::Result<Vec<u8>, String> {
    use std::io::Read;
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let read = file.take(KEY_FILE_BYTES_MAX).read_to_end(&mut bytes);
    read.map_err(|error| format!("{}: {error}", path.display()))?;
    Ok(bytes)
}

/// What a caller may be told of a token whose signature is right.
fn reason_of(kind: &jsonwebtoken::errors::ErrorKind) -> Option<&'static str> {
    use jsonwebtoken::errors::ErrorKind;
    match kind {
        ErrorKind::ExpiredSignature => Some("it has expired"),
        ErrorKind::ImmatureSignature => Some("it is not good yet"),
        ErrorKind::InvalidAudience => Some("it is for another audience"),
        ErrorKind::InvalidIssuer => Some("its issuer is not right"),
        ErrorKind::MissingRequiredClaim(_)
        | ErrorKind::InvalidClaimFormat(_)
        | ErrorKind::Json(_) => Some("it lacks a claim: exp, iss, aud and sub are needed"),
        _ => None,
    }
}

fn refused(why: &str) -> Error {
    Error::new(Code::Unauthenticated, format!("the token is not valid: {why}"))
        .reason("invalid_token")
}

#[cfg(test)]
mod tests;
