//! Sets of keys (RFC 7517) that change: fetched when a key is not known, and now and then.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, JwkSet, PublicKeyUse};
use jsonwebtoken::{AlgorithmFamily, DecodingKey};
use parking_lot::RwLock;
use tokio::sync::Mutex;
use ureq::tls::{PemItem, RootCerts, TlsConfig, parse_pem};

use crate::config::JwtAlgorithm;

/// How often a set is fetched at the most, whatever callers present.
const FETCH_INTERVAL: Duration = Duration::from_secs(60);
/// The same while there is no key at all.
const FIRST_INTERVAL: Duration = Duration::from_secs(5);
/// How old a set may become: a key that its issuer took back is good for no longer.
const AGE_MAX: Duration = Duration::from_secs(600);
/// How long a fetch may take.
const FETCH_TIMEOUT: Duration = Duration::from_secs(5);
/// The largest set.
const SET_BYTES_MAX: u64 = 256 * 1024;
/// Keys of one set that are looked at.
const KEY_COUNT_MAX: usize = 100;

/// The keys of an issuer.
pub(super) struct Jwks {
    place: Place,
    algorithm: JwtAlgorithm,
    keys: RwLock<Arc<Vec<NamedKey>>>,
    /// When the set was tried last, and when it was got; held while it is fetched.
    fetched: Mutex<Fetched>,
}

#[derive(Clone)]
enum Place {
    File(PathBuf),
    Url { url: String, agent: ureq::Agent },
}

#[derive(Default)]
struct Fetched {
    tried: Option<Instant>,
    got: Option<Instant>,
}

struct NamedKey {
    kid: Option<String>,
    key: DecodingKey,
}

impl Jwks {
    /// From a file, which must hold keys now.
    pub(super) fn of_file(path: &Path, algorithm: JwtAlgorithm) -> Result<Self, String> {
        let set = Jwks::at(Place::File(path.to_owned()), algorithm);
        let keys = read(&set.place, algorithm)?;
        if keys.is_empty() {
            return Err(no_key_for(algorithm));
        }
        *set.keys.write() = Arc::new(keys);
        Ok(set)
    }

    /// From an address, once a key is needed. Whoever answers is vouched for by one of the
    /// certificates in the file `ca`, or by a public authority where there is none.
    pub(super) fn of_url(
        url: &str,
        ca: Option<&Path>,
        algorithm: JwtAlgorithm,
    ) -> Result<Self, String> {
        let roots = ca.map_or(Ok(RootCerts::WebPki), roots)?;
        let agent = ureq::Agent::config_builder()
            .tls_config(TlsConfig::builder().root_certs(roots).build())
            .timeout_global(Some(FETCH_TIMEOUT))
            // Keys come from where the settings say, and from nowhere else.
            .max_redirects(0)
            .user_agent(concat!("memnode/", env!("CARGO_PKG_VERSION")))
            .build()
            .new_agent();
        Ok(Jwks::at(Place::Url { url: url.to_owned(), agent }, algorithm))
    }

    fn at(place: Place, algorithm: JwtAlgorithm) -> Self {
        Jwks { place, algorithm, keys: RwLock::default(), fetched: Mutex::default() }
    }

    /// The keys that may have signed a token with this key id.
    pub(super) async fn find(&self, kid: Option<&str>) -> Vec<DecodingKey> {
        let found = self.known(kid);
        // While one caller fetches, others go on with what there is, or wait if there is nothing.
        let fetched = match found.is_empty() {
            true => Some(self.fetched.lock().await),
            false => self.fetched.try_lock().ok(),
        };
        let Some(mut fetched) = fetched else { return found };
        let found = self.known(kid);
        let age = |at: Option<Instant>| at.map_or(Duration::MAX, |at| at.elapsed());
        let pause = if self.keys.read().is_empty() { FIRST_INTERVAL } else { FETCH_INTERVAL };
        let is_due = found.is_empty() || age(fetched.got) > AGE_MAX;
        if !is_due || age(fetched.tried) < pause {
            return found;
        }
        fetched.tried = Some(Instant::now());
        match self.read().await {
            Ok(keys) => {
                if keys.is_empty() {
                    // It took them all back: then none is good, and its tokens are refused.
                    tracing::warn!("a set of keys of an issuer: {}", no_key_for(self.algorithm));
                }
                *self.keys.write() = Arc::new(keys);
                fetched.got = Some(Instant::now());
            }
            // What was good stays good while its issuer cannot be reached.
            Err(error) => tracing::warn!(error, "the keys of an issuer of tokens were not read"),
        }
        self.known(kid)
    }

    /// As if the last fetch were long ago.
    #[cfg(test)]
    pub(super) fn forget_tries(&mut self) {
        *self.fetched.get_mut() = Fetched::default();
    }

    /// All keys where the token names none.
    fn known(&self, kid: Option<&str>) -> Vec<DecodingKey> {
        let keys = Arc::clone(&self.keys.read());
        let is_it = |named: &&NamedKey| kid.is_none() || named.kid.as_deref() == kid;
        keys.iter().filter(is_it).map(|named| named.key.clone()).collect()
    }

    async fn read(&self) -> Result<Vec<NamedKey>, String> {
        let (place, algorithm) = (self.place.clone(), self.algorithm);
        let reading = tokio::task::spawn_blocking(move || read(&place, algorithm));
        reading.await.unwrap_or_else(|error| Err(error.to_string()))
    }
}

fn roots(path: &Path) -> Result<RootCerts, String> {
    let unusable = |reason: &str| format!("{}: {reason}", path.display());
    let bytes = super::read(path)?;
    let mut certificates = Vec::new();
    for item in parse_pem(&bytes) {
        match item {
            Ok(PemItem::Certificate(certificate)) => certificates.push(certificate),
            Ok(_) => {}
            Err(error) => return Err(unusable(&error.to_string())),
        }
    }
    match certificates.is_empty() {
        true => Err(unusable("it holds no certificate in PEM form")),
        false => Ok(RootCerts::new_with_certs(&certificates)),
    }
}

fn read(place: &Place, algorithm: JwtAlgorithm) -> Result<Vec<NamedKey>, String> {
    let bytes = match place {
        Place::File(path) => super::read(path)?,
        Place::Url { url, agent } => {
            let failed = |error: ureq::Error| format!("{url}: {error}");
            let mut answer = agent.get(url).call().map_err(failed)?;
            answer.body_mut().with_config().limit(SET_BYTES_MAX).read_to_vec().map_err(failed)?
        }
    };
    let set: JwkSet =
        serde_json::from_slice(&bytes).map_err(|_| "it is no set of keys".to_owned())?;
    let fits = |jwk: &Jwk| is_for(jwk, algorithm).then(|| named(jwk))?;
    Ok(set.keys.iter().take(KEY_COUNT_MAX).filter_map(fits).collect())
}

fn no_key_for(algorithm: JwtAlgorithm) -> String {
    format!("it has no key for {}", algorithm.name())
}

/// Whether a key is for signatures of the algorithm; what it says of itself must agree.
fn is_for(jwk: &Jwk, algorithm: JwtAlgorithm) -> bool {
    let kind = match &jwk.algorithm {
        AlgorithmParameters::RSA(_) => JwtAlgorithm::Rs256,
        AlgorithmParameters::EllipticCurve(key) if key.curve == EllipticCurve::P256 => {
            JwtAlgorithm::Es256
        }
        AlgorithmParameters::OctetKeyPair(key) if key.curve == EllipticCurve::Ed25519 => {
            JwtAlgorithm::EdDsa
        }
        _ => return false,
    };
    let named = jwk.common.key_algorithm.map(|named| named.to_string());
    let is_named = named.is_none_or(|named| named == algorithm.name());
    let is_for_signing =
        jwk.common.public_key_use.as_ref().is_none_or(|used| *used == PublicKeyUse::Signature);
    kind == algorithm && is_named && is_for_signing
}

fn named(jwk: &Jwk) -> Option<NamedKey> {
    let key = DecodingKey::from_jwk(jwk).ok()?;
    let is_secret = key.family() == AlgorithmFamily::Hmac;
    (!is_secret).then(|| NamedKey { kid: jwk.common.key_id.clone(), key })
}
