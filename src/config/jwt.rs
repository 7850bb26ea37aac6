//! Issuers of tokens: who they are, what their tokens must say, and where their keys come from.

use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};

use super::directories::Directories;
use super::parse;
use super::show::Show;

/// Most issuers.
const ISSUER_COUNT_MAX: usize = 16;
/// Most audiences of one.
const AUDIENCE_COUNT_MAX: usize = 16;
/// How far clocks may be apart, unless an issuer says otherwise.
const LEEWAY: Duration = Duration::from_secs(60);
/// And at the most.
const LEEWAY_MAX: Duration = Duration::from_secs(600);

/// An issuer whose tokens are accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JwtIssuer {
    /// What the claim `iss` must say.
    pub issuer: String,
    /// One of what the claim `aud` must name.
    pub audience: Vec<String>,
    /// The only algorithm that is accepted: what a token says of itself proves nothing.
    pub algorithm: JwtAlgorithm,
    /// Where the keys come from.
    pub keys: JwtKeys,
    /// A file with the certificates of who vouches for the address of a set, in PEM form, in place
    /// of the public authorities.
    pub jwks_ca: Option<PathBuf>,
    /// How far `exp` and `nbf` may be off; at most 10 minutes.
    pub leeway: Duration,
    /// The claim that names the namespaces that a token is limited to, if tokens are.
    pub namespace_claim: Option<String>,
}

/// How tokens are signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JwtAlgorithm {
    /// RSA with SHA-256.
    Rs256,
    /// ECDSA on P-256 with SHA-256.
    Es256,
    /// Ed25519.
    EdDsa,
    /// HMAC with SHA-256.
    Hs256,
}

/// Where keys come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JwtKeys {
    /// A file with one public key in PEM form.
    PublicKeyFile(PathBuf),
    /// A file with the shared secret of HS256.
    SecretFile(PathBuf),
    /// A file with a set of keys (RFC 7517), read again when it changes.
    JwksFile(PathBuf),
    /// An address of such a set; `https`, or this machine.
    JwksUrl(String),
}

impl JwtAlgorithm {
    const ALL: [(JwtAlgorithm, &str); 4] = [
        (JwtAlgorithm::Rs256, "RS256"),
        (JwtAlgorithm::Es256, "ES256"),
        (JwtAlgorithm::EdDsa, "EdDSA"),
        (JwtAlgorithm::Hs256, "HS256"),
    ];

    /// As tokens name it.
    pub fn name(self) -> &'static str {
        JwtAlgorithm::ALL.iter().find(|(one, _)| *one == self).map_or("", |(_, name)| name)
    }
}

/// An issuer as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    issuer: String,
    audience: OneOrMany,
    algorithm: String,
    public_key_file: Option<String>,
    secret_file: Option<String>,
    jwks_file: Option<String>,
    jwks_url: Option<String>,
    jwks_ca_file: Option<String>,
    leeway: Option<String>,
    namespace_claim: Option<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

/// A JSON list of issuers, each named once.
pub(super) fn issuers(text: &str, directories: &Directories) -> Option<JwtIssuers> {
    let written: Vec<Written> = serde_json::from_str(text).ok()?;
    let issuers: Vec<JwtIssuer> =
        written.into_iter().map(|one| issuer(one, directories)).collect::<Option<_>>()?;
    let is_new = |(at, one): (usize, &JwtIssuer)| {
        !issuers[..at].iter().any(|before| before.issuer == one.issuer)
    };
    let good = issuers.len() <= ISSUER_COUNT_MAX && issuers.iter().enumerate().all(is_new);
    good.then_some(JwtIssuers(issuers))
}

fn issuer(written: Written, directories: &Directories) -> Option<JwtIssuer> {
    let audience = match written.audience {
        OneOrMany::One(one) => vec![one],
        OneOrMany::Many(many) => many,
    };
    let (algorithm, _) = *JwtAlgorithm::ALL.iter().find(|(_, name)| *name == written.algorithm)?;
    let path = |text: Option<String>| text.map(|text| directories.expand(&text));
    let url = |text: String| parse::url(&text).filter(|url| is_private(url));
    let sources = [
        path(written.public_key_file).map(|path| path.map(JwtKeys::PublicKeyFile)),
        path(written.secret_file).map(|path| path.map(JwtKeys::SecretFile)),
        path(written.jwks_file).map(|path| path.map(JwtKeys::JwksFile)),
        written.jwks_url.map(|text| url(text).map(JwtKeys::JwksUrl)),
    ];
    let mut given = sources.into_iter().flatten();
    let (keys, None) = (given.next()??, given.next()) else { return None };
    // A secret that everybody can read is none, and a public key is no secret.
    if (algorithm == JwtAlgorithm::Hs256) != matches!(keys, JwtKeys::SecretFile(_)) {
        return None;
    }
    let jwks_ca = match written.jwks_ca_file {
        Some(_) if !matches!(keys, JwtKeys::JwksUrl(_)) => return None,
        Some(text) => Some(directories.expand(&text)?),
        None => None,
    };
    let leeway = match written.leeway {
        Some(text) => parse::duration(&text, Duration::ZERO..=LEEWAY_MAX)?,
        None => LEEWAY,
    };
    let is_named = |text: &String| !text.is_empty();
    let good = is_named(&written.issuer)
        && (1..=AUDIENCE_COUNT_MAX).contains(&audience.len())
        && audience.iter().all(is_named)
        && written.namespace_claim.iter().all(is_named);
    good.then_some(JwtIssuer {
        issuer: written.issuer,
        audience,
        algorithm,
        keys,
        jwks_ca,
        leeway,
        namespace_claim: written.namespace_claim,
    })
}

/// Whether nobody on the way can put keys of their own into the answer of an address.
fn is_private(url: &str) -> bool {
    let Some((scheme, rest)) = url.split_once("://") else { return false };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = match authority.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => authority.split(':').next().unwrap_or_default(),
    };
    let is_loopback = host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback());
    scheme.eq_ignore_ascii_case("https") || is_loopback || host.eq_ignore_ascii_case("localhost")
}

/// All issuers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct JwtIssuers(pub Vec<JwtIssuer>);

impl Show for JwtIssuers {
    fn show(&self) -> Value {
        let shown = |one: &JwtIssuer| {
            let (key, place) = match &one.keys {
                JwtKeys::PublicKeyFile(path) => ("public_key_file", path.to_string_lossy()),
                JwtKeys::SecretFile(path) => ("secret_file", path.to_string_lossy()),
                JwtKeys::JwksFile(path) => ("jwks_file", path.to_string_lossy()),
                JwtKeys::JwksUrl(url) => ("jwks_url", url.into()),
            };
            let mut shown = json!({
                "issuer": one.issuer, "audience": one.audience,
                "algorithm": one.algorithm.name(), key: place, "leeway": one.leeway.show(),
            });
            if let Some(path) = &one.jwks_ca {
                shown["jwks_ca_file"] = json!(path.to_string_lossy());
            }
            if let Some(claim) = &one.namespace_claim {
                shown["namespace_claim"] = json!(claim);
            }
            shown
        };
        self.0.iter().map(shown).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Option<JwtIssuers> {
        let home = [("HOME".to_owned(), "/home/ada".to_owned())];
        issuers(text, &Directories::new(&home))
    }

    fn with(change: impl FnOnce(&mut Value)) -> Option<JwtIssuers> {
        let mut one = json!({"issuer": "https://id.example", "audience": "memnode",
            "algorithm": "RS256", "jwks_url": "https://id.example/keys"});
        change(&mut one);
        read(&json!([one]).to_string())
    }

    #[test]
    fn an_issuer_is_read_with_its_defaults() {
        let JwtIssuers(found) = with(|_| {}).unwrap();
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].leeway, found[0].algorithm), (LEEWAY, JwtAlgorithm::Rs256));
        assert_eq!(found[0].keys, JwtKeys::JwksUrl("https://id.example/keys".into()));
        let listed = with(|one| one["audience"] = json!(["a", "b"])).unwrap();
        assert_eq!(listed.0[0].audience, ["a", "b"]);
        assert!(with(|one| one["jwks_url"] = json!("http://127.0.0.1:1/k")).is_some());
        assert!(with(|one| one["leeway"] = json!("0s")).is_some());
        let vouched = with(|one| one["jwks_ca_file"] = json!("~/ca.pem")).unwrap();
        assert_eq!(vouched.0[0].jwks_ca.as_deref(), Some(std::path::Path::new("/home/ada/ca.pem")));
        assert_eq!(read("[]"), Some(JwtIssuers::default()));
    }

    #[test]
    fn what_is_no_issuer_or_no_safe_one_is_refused() {
        for (key, value) in [
            ("issuer", json!("")),
            ("audience", json!([])),
            ("audience", json!("")),
            ("algorithm", json!("none")),
            ("algorithm", json!("rs256")),
            ("algorithm", json!("HS256")),
            ("jwks_url", json!("http://id.example/keys")),
            ("jwks_url", json!("http://127.0.0.1.evil.example/")),
            ("jwks_url", json!("file:///etc/keys")),
            ("jwks_file", json!("/both")),
            ("leeway", json!("1h")),
            ("namespace_claim", json!("")),
            ("secret", json!("in plain sight")),
        ] {
            assert_eq!(with(|one| one[key] = value.clone()), None, "{key} {value}");
        }
        let no_keys = |one: &mut Value| {
            one.as_object_mut().unwrap().remove("jwks_url");
        };
        assert_eq!(with(no_keys), None);
        let secret = |algorithm: &'static str| {
            move |one: &mut Value| {
                one.as_object_mut().unwrap().remove("jwks_url");
                one["secret_file"] = json!("~/s");
                one["algorithm"] = json!(algorithm);
            }
        };
        let aimless = |one: &mut Value| {
            secret("HS256")(one);
            one["jwks_ca_file"] = json!("/ca.pem");
        };
        assert_eq!(with(aimless), None, "nothing is fetched");
        assert!(with(secret("HS256")).is_some() && with(secret("RS256")).is_none());
        for text in ["", "{}", "[1]", "null", "[{}]"] {
            assert_eq!(read(text), None, "{text}");
        }
        let one = json!({"issuer": "i", "audience": "a", "algorithm": "ES256", "jwks_file": "/f"});
        assert_eq!(read(&json!([one, one]).to_string()), None, "named twice");
    }
}
