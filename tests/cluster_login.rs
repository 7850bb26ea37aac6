//! Every way a node shows a NATS server who it is, and what a wrong one does to it: nothing but
//! that it stays alone.

use std::path::Path;
use std::process::Command;

use serde_json::json;
use tempfile::TempDir;

use crate::common::eventually;
use crate::common::nats::{NatsServer, Version};
use crate::common::node::{Place, Server};
use crate::common::python::python;

/// Keys, certificates and configurations, made for one test.
struct Logins {
    directory: TempDir,
}

impl Logins {
    /// `None`, after `skip`, where there is no Python to make them.
    fn make() -> Option<Self> {
        let python = python()?;
        let directory = tempfile::tempdir().expect("a directory");
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/nats/login.py");
        let made = Command::new(python).arg("-B").arg(script).arg(directory.path()).status();
        assert!(made.expect("Python runs").success());
        Some(Logins { directory })
    }

    fn path(&self, name: &str) -> String {
        self.directory.path().join(name).display().to_string()
    }

    fn server(&self, name: &str) -> Option<NatsServer> {
        let options = std::fs::read_to_string(self.path(&format!("{name}.conf")));
        NatsServer::start_with(Version::Newer, &options.expect("a configuration"))
    }

    /// A node that knows the server by these settings; `@` stands for the directory.
    fn node(&self, nats: &NatsServer, name: &str, settings: &[(&str, &str)]) -> Server {
        let mut place = Place::new().with("MEMNODE_NODE_ID", name);
        place = place.with("MEMNODE_NATS_URL", nats.url());
        for (variable, value) in settings {
            let value = match value.strip_prefix('@') {
                Some(file) => self.path(file),
                None => (*value).to_owned(),
            };
            place = place.with(variable, value);
        }
        place.serve().ready()
    }
}

const CREDENTIALS: &[(&str, &str)] = &[("MEMNODE_NATS_CREDS", "@node.creds")];
const NKEY: &[(&str, &str)] = &[("MEMNODE_NATS_NKEY", "@node.nkey")];
const PASSWORD: &[(&str, &str)] =
    &[("MEMNODE_NATS_USER", "node"), ("MEMNODE_NATS_PASSWORD", "p:w@d/1#%")];
const TLS: &[(&str, &str)] = &[("MEMNODE_NATS_CA", "@authority.pem")];
const MUTUAL: &[(&str, &str)] = &[
    ("MEMNODE_NATS_CA", "@authority.pem"),
    ("MEMNODE_NATS_CERT", "@node.pem"),
    ("MEMNODE_NATS_KEY", "@node.key"),
];

#[test]
fn nodes_meet_however_the_server_knows_them() {
    let Some(logins) = Logins::make() else { return };
    for (way, settings) in [
        ("credentials", CREDENTIALS),
        ("nkey", NKEY),
        ("password", PASSWORD),
        ("tls", TLS),
        ("mutual", MUTUAL),
    ] {
        let Some(nats) = logins.server(way) else { return };
        let nodes = ["node-1", "node-2"].map(|name| logins.node(&nats, name, settings));
        let hash = remember(&nodes[0], way);
        eventually(&format!("the write arrives with {way}"), || knows(&nodes[1], &hash));
    }
}

#[test]
fn a_node_that_is_refused_serves_alone() {
    let Some(logins) = Logins::make() else { return };
    let stranger: &[(&str, &str)] = &[("MEMNODE_NATS_CA", "@stranger.pem")];
    let wrong: &[(&str, &str)] =
        &[("MEMNODE_NATS_USER", "node"), ("MEMNODE_NATS_PASSWORD", "wrong")];
    for (way, settings, right, says) in [
        ("password", wrong, PASSWORD, "authorization"),
        ("password", &[][..], PASSWORD, "authorization"),
        ("tls", stranger, TLS, "nats connection:"),
        ("mutual", TLS, MUTUAL, "nats connection:"),
    ] {
        let Some(nats) = logins.server(way) else { return };
        let refused = logins.node(&nats, "refused", settings);
        let accepted = logins.node(&nats, "accepted", right);
        eventually(&format!("{way}: the server says no"), || {
            let log = nats.log().to_lowercase();
            ["authentication error", "tls handshake error"]
                .iter()
                .any(|error| log.contains(error))
                .then_some(())
        });
        let hash = remember(&refused, "alone");
        assert!(knows(&refused, &hash).is_some());
        assert!(knows(&accepted, &hash).is_none(), "{way}: what was refused got through");
        let (_, log) = refused.stop();
        assert!(log.to_lowercase().contains(says), "{way}: no `{says}` in\n{log}");
    }
}

fn remember(node: &Server, text: &str) -> String {
    let stored = node.client().post("/api/memories", json!({ "content": text })).expect(200);
    stored.value()["content_hash"].as_str().expect("it is new").to_owned()
}

fn knows(node: &Server, hash: &str) -> Option<()> {
    (node.client().get(&format!("/api/memories/{hash}")).status == 200).then_some(())
}
