//! Tokens that no issuer signed: none is accepted, whatever it says of itself.
//!
//! The input is a token, and also a header, claims and a signature, a line each, which are made
//! into tokens: with that signature, with none, and signed with what everyone knows, the public
//! key of an issuer.
#![no_main]

use std::path::Path;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use libfuzzer_sys::fuzz_target;
use memnode_fuzz::auth::{Authenticator, Credential, Issuers};
use memnode_fuzz::config::{Anonymous, JwtAlgorithm, JwtIssuer, JwtKeys};
use sha2::Sha256;
use tokio::runtime::Runtime;

const PUBLIC_KEY: &str = include_str!("../../src/auth/jwt/tests/rsa.pub.pem");

struct Door {
    runtime: Runtime,
    authenticator: Authenticator,
}

thread_local! {
    static DOOR: Door = door();
}

fn door() -> Door {
    let place = Path::new(env!("CARGO_MANIFEST_DIR"));
    let pem = |name: &str| place.join("../src/auth/jwt/tests").join(name);
    let issuer = |name: &str, algorithm, keys| JwtIssuer {
        issuer: format!("https://{name}"),
        audience: vec!["memnode".to_owned()],
        algorithm,
        keys,
        jwks_ca: None,
        leeway: Duration::from_secs(60),
        namespace_claim: None,
    };
    let set = || JwtKeys::JwksFile(place.join("keys.json"));
    let issuers = [
        issuer("rs", JwtAlgorithm::Rs256, JwtKeys::PublicKeyFile(pem("rsa.pub.pem"))),
        issuer("es", JwtAlgorithm::Es256, set()),
        issuer("ed", JwtAlgorithm::EdDsa, set()),
        // Any file is a secret, to who does not know it.
        issuer("hs", JwtAlgorithm::Hs256, JwtKeys::SecretFile(pem("rsa.pem"))),
    ];
    let issuers = Issuers::open(&issuers).expect("the keys are there");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    Door {
        runtime: runtime.expect("a runtime"),
        authenticator: Authenticator::new(None, issuers, Anonymous::Refused),
    }
}

/// As somebody signs who takes a public key for the secret.
fn confused(signed: &str) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(PUBLIC_KEY.as_bytes()).expect("any length");
    mac.update(signed.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

fuzz_target!(|text: &str| {
    let mut tokens = vec![text.to_owned()];
    let mut lines = text.splitn(3, '\n');
    if let (Some(header), Some(claims), Some(signature)) =
        (lines.next(), lines.next(), lines.next())
    {
        let encode = |part: &[u8]| URL_SAFE_NO_PAD.encode(part);
        let signed = format!("{}.{}", encode(header.as_bytes()), encode(claims.as_bytes()));
        for signature in [signature.as_bytes(), b"", &confused(&signed)] {
            tokens.push(format!("{signed}.{}", encode(signature)));
        }
    }
    DOOR.with(|door| {
        for token in tokens {
            let credential = Credential::Bearer(token.clone());
            let who = door.runtime.block_on(door.authenticator.authenticate(&credential));
            assert!(who.is_err(), "accepted: {token:?}");
        }
    });
});
