//! The names of everything on the server, for one cluster.

use memnode_cluster::{NodeName, Origin};

/// Subjects, stream and bucket of one cluster.
#[derive(Clone, Debug)]
pub(super) struct Subjects {
    cluster: String,
}

impl Subjects {
    pub(super) fn new(cluster: &str) -> Subjects {
        Subjects { cluster: encode(cluster) }
    }

    /// The stream of all ops.
    pub(super) fn stream(&self) -> String {
        format!("memnode-{}", self.cluster)
    }

    /// The object store of snapshots.
    pub(super) fn bucket(&self) -> String {
        // A bucket's name has no percent signs.
        format!("memnode-{}", self.cluster.replace('_', "_5F").replace('%', "_"))
    }

    /// Every op of everyone.
    pub(super) fn all_ops(&self) -> String {
        format!("mem.{}.ev.>", self.cluster)
    }

    /// The ops of one origin.
    pub(super) fn ops(&self, origin: &Origin) -> String {
        let node = encode(origin.node.as_str());
        format!("mem.{}.ev.{node}.{:016x}", self.cluster, origin.epoch)
    }

    /// Every node's heartbeats.
    pub(super) fn all_beats(&self) -> String {
        format!("mem.{}.hb.*", self.cluster)
    }

    /// One node's heartbeats.
    pub(super) fn beat(&self, node: &NodeName) -> String {
        format!("mem.{}.hb.{}", self.cluster, encode(node.as_str()))
    }

    /// Every node's acknowledgements.
    pub(super) fn all_acks(&self) -> String {
        format!("mem.{}.ack.*", self.cluster)
    }

    /// One node's acknowledgements.
    pub(super) fn ack(&self, node: &NodeName) -> String {
        format!("mem.{}.ack.{}", self.cluster, encode(node.as_str()))
    }

    /// Requests to one process of a node: two processes may share a name by mistake.
    pub(super) fn request(&self, node: &NodeName, run: u64) -> String {
        format!("mem.{}.rq.{}.{run:016x}", self.cluster, encode(node.as_str()))
    }
}

/// What begins the subjects of answers to a node: below one name of its own, so that a server can
/// keep other nodes from reading them.
pub(super) fn inbox(node: &NodeName) -> String {
    format!("_INBOX.{}", encode(node.as_str()))
}

/// A name as one token of a subject: percent-encoded but for letters, digits, `_` and `-`.
fn encode(name: &str) -> String {
    let mut token = String::with_capacity(name.len());
    for byte in name.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-' => token.push(char::from(byte)),
            other => token.push_str(&format!("%{other:02X}")),
        }
    }
    token
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_cannot_leave_their_token() {
        let subjects = Subjects::new("home. >*");
        assert_eq!(subjects.stream(), "memnode-home%2E%20%3E%2A");
        assert_eq!(subjects.bucket(), "memnode-home_2E_20_3E_2A");
        assert_eq!(Subjects::new("a_b-c").bucket(), "memnode-a_5Fb-c");
        let node = NodeName::new("Küche.1 *").expect("a name");
        let origin = Origin { node: node.clone(), epoch: 0xab };
        let token = "K%C3%BCche%2E1%20%2A";
        let cluster = "home%2E%20%3E%2A";
        assert_eq!(subjects.ops(&origin), format!("mem.{cluster}.ev.{token}.00000000000000ab"));
        assert_eq!(subjects.beat(&node), format!("mem.{cluster}.hb.{token}"));
        assert_eq!(inbox(&node), format!("_INBOX.{token}"));
        assert_eq!(subjects.ack(&node), format!("mem.{cluster}.ack.{token}"));
        let request = subjects.request(&node, 1);
        assert_eq!(request, format!("mem.{cluster}.rq.{token}.0000000000000001"));
    }
}
