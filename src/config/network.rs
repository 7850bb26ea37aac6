//! Ranges of addresses, as `10.0.0.0/8` names one.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use serde_json::{Value, json};

use super::show::Show;

/// Most ranges in one list.
const COUNT_MAX: usize = 100;

/// A range of addresses: those that share the first `length` bits of `address`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    length: u32,
}

/// A list of ranges.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Networks(Vec<Network>);

impl Network {
    /// Whether an address is in the range. An IPv4 address that is written as IPv6 is that
    /// address.
    pub fn contains(&self, address: IpAddr) -> bool {
        let (ours, theirs) = (self.address, address.to_canonical());
        let width = width_of(ours);
        let shift = width - self.length;
        let head = |address| bits_of(address).checked_shr(shift).unwrap_or_default();
        width == width_of(theirs) && head(ours) == head(theirs)
    }
}

impl Networks {
    /// Whether an address is in one of the ranges.
    pub fn contains(&self, address: IpAddr) -> bool {
        self.0.iter().any(|network| network.contains(address))
    }

    /// Reads a list; `None` when an item is no range.
    pub(super) fn parse(items: &[String]) -> Option<Self> {
        let read = || items.iter().map(|item| item.parse().ok()).collect::<Option<_>>();
        (items.len() <= COUNT_MAX).then(read)?.map(Networks)
    }
}

fn width_of(address: IpAddr) -> u32 {
    if address.is_ipv4() { 32 } else { 128 }
}

fn bits_of(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => address.to_bits().into(),
        IpAddr::V6(address) => address.to_bits(),
    }
}

impl FromStr for Network {
    type Err = ();

    /// `address` or `address/length`.
    fn from_str(text: &str) -> Result<Self, ()> {
        let (address, length) = match text.split_once('/') {
            Some((address, length)) => (address, Some(length)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| ())?;
        let width = width_of(address);
        let length = match length {
            Some(length) => length.parse().ok().filter(|length| *length <= width).ok_or(())?,
            None => width,
        };
        Ok(Network { address, length })
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.length)
    }
}

impl Show for Networks {
    fn show(&self) -> Value {
        json!(self.0.iter().map(Network::to_string).collect::<Vec<_>>())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_in_the_range_that_shares_its_head() {
        let check = |network: &str, address: &str, expected: bool| {
            let network: Network = network.parse().unwrap();
            assert_eq!(network.contains(address.parse().unwrap()), expected, "{network} {address}");
        };
        check("10.0.0.0/8", "10.255.1.2", true);
        check("10.0.0.0/8", "11.0.0.0", false);
        check("10.0.0.0/8", "::ffff:10.1.1.1", true);
        check("10.1.2.3", "10.1.2.3", true);
        check("10.1.2.3", "10.1.2.4", false);
        check("0.0.0.0/0", "203.0.113.9", true);
        check("0.0.0.0/0", "2001:db8::1", false);
        check("::/0", "2001:db8::1", true);
        check("::/0", "10.1.1.1", false);
        check("2001:db8::/32", "2001:db8:ffff::", true);
        check("2001:db8::/32", "2001:db9::", false);
        check("192.168.1.77/24", "192.168.1.1", true);
    }

    #[test]
    fn what_is_no_range_is_refused() {
        for text in ["", "10", "10.0.0.0/33", "::/129", "10.0.0.0/", "/8", "10.0.0.0/-1", "host"] {
            assert_eq!(text.parse::<Network>(), Err(()), "{text}");
        }
        assert_eq!(Networks::parse(&vec!["::1".to_owned(); COUNT_MAX + 1]), None);
    }
}
