//! Seats: how many connections there may be, in all and of one address, so that no single caller
//! takes every one.

use std::collections::HashMap;
use std::net::IpAddr;
use std::num::NonZeroUsize;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::config::Networks;
use crate::limit::Caller;

/// How many seats each caller has taken.
type Taken = Arc<Mutex<HashMap<Caller, usize>>>;

/// What bounds connections.
#[derive(Clone)]
pub(in crate::node) struct Bounds {
    /// Connections at a time, WebSockets included.
    pub(in crate::node) count_max: usize,
    /// Those of one address, or of one site of IPv6; `None` for as many as there are seats.
    pub(in crate::node) count_of_address_max: Option<NonZeroUsize>,
    /// Addresses that speak for many callers.
    pub(in crate::node) trusted_proxies: Networks,
}

/// The seats of a listener.
pub(super) struct Seats {
    bounds: Bounds,
    free: Arc<Semaphore>,
    taken: Taken,
}

/// Why there is no seat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Full {
    /// All are taken.
    All,
    /// The address has as many as it may have.
    OfAddress,
}

/// A seat, until it is dropped.
pub(super) struct Seat {
    _permit: OwnedSemaphorePermit,
    /// Where it is counted, and for whom, if it is.
    counted: Option<(Taken, Caller)>,
}

impl Seats {
    pub(super) fn new(bounds: Bounds) -> Self {
        let free = Arc::new(Semaphore::new(bounds.count_max));
        Seats { bounds, free, taken: Arc::default() }
    }

    /// Gives a seat to who connects from an address.
    pub(super) fn take(&self, peer: IpAddr) -> Result<Seat, Full> {
        let permit = Arc::clone(&self.free).try_acquire_owned().map_err(|_| Full::All)?;
        let Some(count_max) = self.bounds.count_of_address_max else {
            return Ok(Seat { _permit: permit, counted: None });
        };
        if self.bounds.trusted_proxies.contains(peer) {
            return Ok(Seat { _permit: permit, counted: None });
        }
        let caller = Caller::at(peer);
        let mut taken = self.taken.lock();
        let count = taken.entry(caller.clone()).or_default();
        if *count == count_max.get() {
            return Err(Full::OfAddress);
        }
        *count += 1;
        Ok(Seat { _permit: permit, counted: Some((Arc::clone(&self.taken), caller)) })
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let Some((taken, caller)) = &self.counted else { return };
        let mut taken = taken.lock();
        if let Some(count) = taken.get_mut(caller) {
            *count -= 1;
            if *count == 0 {
                taken.remove(caller);
            }
        }
    }
}

impl Full {
    /// What who finds no seat is told: there is no request to answer yet, so it is the same for
    /// all.
    pub(super) fn answer(self) -> String {
        let (status, title, code, detail) = match self {
            Full::All => {
                (503, "Service Unavailable", "too_many_connections", "too many connections")
            }
            Full::OfAddress => (
                429,
                "Too Many Requests",
                "too_many_connections_of_address",
                "too many connections from one address: close some, or use one for many requests",
            ),
        };
        let body = format!(
            "{{\"type\":\"about:blank\",\"title\":\"{title}\",\"status\":{status},\
             \"detail\":\"{detail}\",\"instance\":\"/\",\"code\":\"{code}\"}}\n"
        );
        format!(
            "HTTP/1.1 {status} {title}\r\ncontent-type: application/problem+json\r\n\
             retry-after: 1\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seats(count_max: usize, count_of_address_max: usize) -> Seats {
        Seats::new(Bounds {
            count_max,
            count_of_address_max: NonZeroUsize::new(count_of_address_max),
            trusted_proxies: Networks::default(),
        })
    }

    fn take(seats: &Seats, peer: &str) -> Result<Seat, Full> {
        seats.take(peer.parse().unwrap())
    }

    #[test]
    fn an_address_has_its_seats_and_no_more_until_one_is_free() {
        let seats = seats(10, 2);
        let first = take(&seats, "203.0.113.9").ok().unwrap();
        let _second = take(&seats, "::ffff:203.0.113.9").ok().unwrap();
        assert_eq!(take(&seats, "203.0.113.9").err(), Some(Full::OfAddress));
        let other = take(&seats, "203.0.113.10").ok().unwrap();
        drop(first);
        assert!(take(&seats, "203.0.113.9").is_ok());
        drop(other);
        assert_eq!(seats.taken.lock().len(), 1, "who has none is forgotten");
    }

    #[test]
    fn a_site_of_ipv6_is_one_address() {
        let seats = seats(10, 1);
        let _seat = take(&seats, "2001:db8::1").ok().unwrap();
        assert_eq!(take(&seats, "2001:db8::ffff:1").err(), Some(Full::OfAddress));
        assert!(take(&seats, "2001:db8:0:1::1").is_ok());
    }

    #[test]
    fn a_refusal_takes_no_seat() {
        let seats = seats(2, 1);
        let _first = take(&seats, "203.0.113.1").ok().unwrap();
        assert_eq!(take(&seats, "203.0.113.1").err(), Some(Full::OfAddress));
        let _second = take(&seats, "203.0.113.2").ok().unwrap();
        assert_eq!(take(&seats, "203.0.113.3").err(), Some(Full::All));
        assert_eq!(seats.taken.lock().len(), 2);
    }

    #[test]
    fn what_is_told_is_whole() {
        for (full, status) in [(Full::All, 503), (Full::OfAddress, 429)] {
            let text = full.answer();
            let (head, body) = text.split_once("\r\n\r\n").unwrap();
            assert!(head.starts_with(&format!("HTTP/1.1 {status} ")), "{head}");
            let problem: serde_json::Value = serde_json::from_str(body).unwrap();
            assert_eq!(problem["status"], status);
        }
    }
}
