//! Where a caller is, as far as that can be known.

use std::net::IpAddr;

use crate::config::Networks;

/// Addresses that are looked at on the way from the node to the caller.
const HOP_COUNT_MAX: usize = 32;

/// Where a request came from. Callers over the node's local socket have none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ClientAddress(pub IpAddr);

impl ClientAddress {
    /// The caller behind trusted proxies: `peer` is who connected, `hops` the addresses that were
    /// forwarded, the last one first, `None` where one cannot be read.
    ///
    /// Each proxy adds the address that it saw, so the nearest one that is no proxy of ours is the
    /// caller; what stands before it may be invented.
    pub fn behind(
        peer: IpAddr,
        hops: impl Iterator<Item = Option<IpAddr>>,
        trusted: &Networks,
    ) -> Self {
        let mut found = peer.to_canonical();
        for hop in hops.take(HOP_COUNT_MAX) {
            let Some(hop) = hop.filter(|_| trusted.contains(found)) else { break };
            found = hop.to_canonical();
        }
        ClientAddress(found)
    }
}
