//! One-time credentials for callers that cannot send headers.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use super::Principal;
use crate::{Code, Error, Result};

/// How long a ticket is good.
pub const TICKET_LIFETIME: Duration = Duration::from_secs(30);
/// Tickets that may be out at a time.
const TICKET_COUNT_MAX: usize = 10_000;

/// The tickets that are out.
#[derive(Default)]
pub(super) struct Tickets(HashMap<String, (Principal, Instant)>);

impl Tickets {
    /// Makes one for a caller.
    ///
    /// # Errors
    /// `RateLimited` when too many are out.
    pub(super) fn issue(&mut self, who: &Principal, now: Instant) -> Result<String> {
        if self.0.len() >= TICKET_COUNT_MAX {
            self.0.retain(|_, (_, until)| *until > now);
        }
        if self.0.len() >= TICKET_COUNT_MAX {
            return Err(Error::new(Code::RateLimited, "too many tickets are out: use some first")
                .reason("too_many_tickets"));
        }
        let ticket = format!("{:032x}{:032x}", rand::random::<u128>(), rand::random::<u128>());
        self.0.insert(ticket.clone(), (who.clone(), now + TICKET_LIFETIME));
        Ok(ticket)
    }

    /// Takes one back.
    ///
    /// # Errors
    /// `Unauthenticated` for one that was used, expired, or never was.
    pub(super) fn redeem(&mut self, ticket: &str, now: Instant) -> Result<Principal> {
        match self.0.remove(ticket) {
            Some((who, until)) if until > now => Ok(who),
            _ => Err(Error::new(
                Code::Unauthenticated,
                format!(
                    "the ticket is not valid: each is good once and for {} s; ask for another at \
                     `POST /api/events/ticket`",
                    TICKET_LIFETIME.as_secs()
                ),
            )
            .reason("invalid_ticket")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ticket_is_good_once_and_not_for_long() {
        let (mut tickets, now) = (Tickets::default(), Instant::now());
        let who = Principal::full("someone");
        let ticket = tickets.issue(&who, now).expect("a ticket");
        assert_eq!(tickets.redeem(&ticket, now).ok(), Some(who.clone()));
        let used = tickets.redeem(&ticket, now).expect_err("used");
        assert_eq!((used.code, used.reason), (Code::Unauthenticated, "invalid_ticket"));
        let ticket = tickets.issue(&who, now).expect("a ticket");
        assert!(tickets.redeem(&ticket, now + TICKET_LIFETIME).is_err(), "expired");
        assert!(tickets.redeem("", now).is_err());
    }

    #[test]
    fn tickets_are_bounded_and_old_ones_make_room() {
        let (mut tickets, now) = (Tickets::default(), Instant::now());
        let who = Principal::full("someone");
        for _ in 0..TICKET_COUNT_MAX {
            tickets.issue(&who, now).expect("a ticket");
        }
        let refused = tickets.issue(&who, now).expect_err("full");
        assert_eq!(refused.code, Code::RateLimited);
        assert!(tickets.issue(&who, now + TICKET_LIFETIME).is_ok());
    }
}
