//! Addresses with prefixes, and what in a subnet a host may have. Pure.

use std::fmt;
use std::net::IpAddr;

use toml::Spanned;

use crate::diagnose::{Findings, Mistake};

/// An address and the length of its prefix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Subnet {
    pub(super) address: IpAddr,
    pub(super) prefix: u8,
}

impl fmt::Display for Subnet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

impl Subnet {
    pub(super) fn contains(&self, address: IpAddr) -> bool {
        self.address.is_ipv4() == address.is_ipv4()
            && self.network(self.address) == self.network(address)
    }

    /// Address of the subnet itself or its broadcast address: no host's. IPv6 keeps the first for routers.
    pub(super) fn is_no_hosts(&self, address: IpAddr) -> bool {
        if self.prefix >= bits(address) - 1 {
            return false;
        }
        let host = number(address) & !self.mask();
        host == 0 || address.is_ipv4() && host == u128::from(u32::MAX) & !self.mask()
    }

    fn network(&self, address: IpAddr) -> u128 {
        number(address) & self.mask()
    }

    fn mask(&self) -> u128 {
        let width = bits(self.address);
        let host_bits = u32::from(width - self.prefix.min(width));
        u128::MAX.checked_shl(host_bits).unwrap_or(0)
    }
}

pub(super) const fn bits(address: IpAddr) -> u8 {
    match address {
        IpAddr::V4(_) => 32,
        IpAddr::V6(_) => 128,
    }
}

fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => u128::from(u32::from(address)),
        IpAddr::V6(address) => u128::from(address),
    }
}

/// `192.0.2.1/24`, or without a prefix.
pub(super) fn parse(
    raw: &Spanned<String>,
    findings: &mut Findings,
) -> Option<(IpAddr, Option<u8>)> {
    let said = raw.get_ref();
    let (address, prefix) = match said.split_once('/') {
        None => (said.as_str(), None),
        Some((address, prefix)) => (address, Some(prefix)),
    };
    let Ok(address) = address.parse::<IpAddr>() else {
        findings.refuse(
            Mistake::new(raw.span(), format!("`{said}` is no address"))
                .label("an IPv4 or IPv6 address, such as \"192.0.2.10\"; no name: nothing may wait for DNS"),
        );
        return None;
    };
    if !is_hosts(address) {
        findings.refuse(
            Mistake::new(
                raw.span(),
                format!("{address} cannot be an address of a host"),
            )
            .label("allowed: unicast addresses"),
        );
        return None;
    }
    let Some(prefix) = prefix else {
        return Some((address, None));
    };
    let most = bits(address);
    match prefix.parse::<u8>() {
        Ok(length) if (1..=most).contains(&length) => Some((address, Some(length))),
        _ => {
            findings.refuse(
                Mistake::new(raw.span(), format!("`/{prefix}` is no prefix of {address}"))
                    .label(format!("allowed: /1 to /{most}")),
            );
            None
        }
    }
}

fn is_hosts(address: IpAddr) -> bool {
    if address.is_unspecified() || address.is_multicast() || address.is_loopback() {
        return false;
    }
    match address {
        IpAddr::V4(address) => !address.is_broadcast(),
        // A mapped address is an IPv4 address in disguise: the kernel would not answer for it.
        IpAddr::V6(address) => address.to_ipv4_mapped().is_none(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subnet(address: &str, prefix: u8) -> Subnet {
        let address = address.parse().unwrap();
        Subnet { address, prefix }
    }

    fn at(address: &str) -> IpAddr {
        address.parse().unwrap()
    }

    #[test]
    fn subnets_contain_what_they_contain() {
        let lan = subnet("192.0.2.130", 25);
        assert!(lan.contains(at("192.0.2.254")) && !lan.contains(at("192.0.2.127")));
        assert!(!lan.contains(at("2001:db8::1")));
        let six = subnet("2001:db8::1", 64);
        assert!(six.contains(at("2001:db8::ffff")) && !six.contains(at("2001:db8:0:1::1")));
        assert!(subnet("192.0.2.1", 32).contains(at("192.0.2.1")));
        assert!(subnet("192.0.2.1", 1).contains(at("255.0.0.1")));
    }

    #[test]
    fn first_and_last_belong_to_nobody() {
        let lan = subnet("192.0.2.130", 25);
        assert!(lan.is_no_hosts(at("192.0.2.128")) && lan.is_no_hosts(at("192.0.2.255")));
        assert!(!lan.is_no_hosts(at("192.0.2.129")));
        // A line between two has neither.
        assert!(!subnet("192.0.2.0", 31).is_no_hosts(at("192.0.2.0")));
        let six = subnet("2001:db8::1", 64);
        assert!(six.is_no_hosts(at("2001:db8::")));
        assert!(!six.is_no_hosts(at("2001:db8::ffff:ffff:ffff:ffff")));
    }
}
