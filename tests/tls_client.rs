//! Calls over TLS that memnode makes itself: commands to nodes, and nodes to issuers of tokens.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256};
use serde_json::{Value, json};

use crate::common::eventually;
use crate::common::https::Identity;
use crate::common::node::Place;

const ISSUER: &str = "https://id.example";

#[test]
fn nodes_of_https_are_compared_by_who_believes_in_their_certificate() {
    let identity = Identity::make();
    let servers = [identity.place().serve(), identity.place().serve()];
    let urls = [servers[0].url.as_str(), servers[1].url.as_str()];
    assert!(urls.iter().all(|url| url.starts_with("https://")), "{urls:?}");
    let place = Place::new();
    let authority = identity.authority();
    let compare = |ca: &[&str]| {
        let command = ["cluster", "compare", urls[0], urls[1], "--json"];
        place.run(&[&command, ca].concat())
    };
    let told: Value = eventually("both answer", || {
        let finished = compare(&["--ca", &authority]);
        (finished.code == Some(0)).then(|| finished.json())
    });
    assert_eq!(told["compared"][0]["equal"], true, "{told}");
    let stranger = Identity::make();
    for ca in [&[][..], &["--ca", &stranger.authority()]] {
        let refused = compare(ca);
        assert_ne!(refused.code, Some(0), "{refused:?}");
        assert!(refused.stderr.contains("certificate"), "{refused:?}");
    }
    let absent = compare(&["--ca", "/no/such/file"]).expect_code(64);
    assert!(absent.stderr.contains("/no/such/file"), "{absent:?}");
}

#[test]
fn keys_of_an_issuer_are_fetched_from_who_is_vouched_for() {
    let identity = Identity::make();
    let pair = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).expect("a key");
    let point = pair.public_key_raw();
    let coordinate = |at: usize| URL_SAFE_NO_PAD.encode(&point[at..at + 32]);
    let set = json!({"keys": [{"kty": "EC", "crv": "P-256", "kid": "one",
        "x": coordinate(1), "y": coordinate(33)}]});
    let url = identity.publish(set.to_string());
    let claims = json!({"iss": ISSUER, "aud": "memnode", "sub": "ada", "scope": "read",
        "exp": memnode::clock::now_ms() / 1000 + 600});
    let header = Header { kid: Some("one".to_owned()), ..Header::new(Algorithm::ES256) };
    let key = EncodingKey::from_ec_pem(pair.serialize_pem().as_bytes()).expect("a key");
    let token = encode(&header, &claims, &key).expect("a token");
    let node = |authority: Option<String>| {
        let mut issuer = json!({"issuer": ISSUER, "audience": "memnode", "algorithm": "ES256",
            "jwks_url": format!("{url}/keys")});
        if let Some(path) = authority {
            issuer["jwks_ca_file"] = json!(path);
        }
        Place::new().with("MEMNODE_JWT_ISSUERS", json!([issuer]).to_string())
    };
    let ask = |place: Place| {
        let server = place.serve();
        let client = server.client().with("authorization", &format!("Bearer {token}"));
        (client.get("/api/tags"), server.stop().1)
    };
    ask(node(Some(identity.authority()))).0.expect(200);
    for authority in [None, Some(Identity::make().authority())] {
        let (refused, log) = ask(node(authority));
        let refused = refused.expect_problem(401, "invalid_token");
        assert!(refused.text().contains("its key is not known"), "{}", refused.text());
        assert!(log.contains("the keys of an issuer of tokens were not read"), "{log}");
    }
    let refused = node(Some("/no/such/file".to_owned())).run(&["serve"]).expect_code(64);
    assert!(refused.stderr.contains("/no/such/file"), "{refused:?}");
}
