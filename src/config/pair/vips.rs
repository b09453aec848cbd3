//! `[[vip]]` tables: per interface its own addresses on both nodes, and the virtual ones.

use std::collections::BTreeSet;
use std::net::IpAddr;

use toml::Spanned;

use super::raw::{RawVip, interface};
use super::subnet::{self, Subnet, bits};
use super::{PairLink, PairVip, VIPS_MAX};
use crate::diagnose::{Findings, Mistake};
use crate::wire::Side;

/// All virtual addresses, sorted.
pub(super) fn understand(
    raw: &[RawVip],
    node: Side,
    links: &[PairLink],
    findings: &mut Findings,
) -> Vec<PairVip> {
    let mut taken: BTreeSet<IpAddr> = BTreeSet::new();
    for link in links {
        taken.extend([link.local.ip(), link.peer.ip()]);
    }
    let mut vips = Vec::new();
    for table in raw {
        let name = interface(&table.interface, findings);
        let own = table.own(findings);
        if let Some((primary, secondary)) = own {
            taken.extend([primary.address, secondary.address]);
        }
        if table.addresses.get_ref().is_empty() {
            findings.refuse(
                Mistake::new(table.addresses.span(), "no virtual address")
                    .help("leave the table out if nothing moves on this interface"),
            );
        }
        for written in table.addresses.get_ref() {
            if vips.len() == VIPS_MAX {
                let text = format!("more than {VIPS_MAX} virtual addresses");
                findings.refuse(Mistake::new(written.span(), text));
                return vips;
            }
            let Some((address, prefix)) = virtual_address(written, own, findings) else {
                continue;
            };
            if !taken.insert(address) {
                let text = format!("{address} is somebody's already");
                findings.refuse(Mistake::new(written.span(), text).label(
                    "a virtual address is written once, and is no node's own address on a link or interface",
                ));
            }
            let both = own.map(|(primary, secondary)| (primary.address, secondary.address));
            let both = both.map(|(primary, secondary)| match node {
                Side::Preferred => (primary, secondary),
                Side::Other => (secondary, primary),
            });
            vips.push(PairVip {
                interface: name.clone(),
                address,
                prefix,
                own: both.map(|(own, _)| own),
                peers: both.map(|(_, peers)| peers),
            });
        }
    }
    vips.sort();
    vips
}

impl RawVip {
    /// The interface's own addresses on both nodes: both or none, in one subnet.
    fn own(&self, findings: &mut Findings) -> Option<(Subnet, Subnet)> {
        let (primary, secondary) = match (&self.primary, &self.secondary) {
            (None, None) => return None,
            (Some(primary), Some(secondary)) => (primary, secondary),
            (Some(one), None) | (None, Some(one)) => {
                findings.refuse(
                    Mistake::new(one.span(), "the other node's own address is missing")
                        .label("write both `primary` and `secondary`, or neither"),
                );
                return None;
            }
        };
        let (first, second) = (
            with_prefix(primary, findings),
            with_prefix(secondary, findings),
        );
        let (first, second) = (first?, second?);
        if first.address == second.address {
            findings.refuse(
                Mistake::new(secondary.span(), format!("{} on both nodes", first.address))
                    .label("each node has its own address; what moves is `virtual`"),
            );
            return None;
        }
        if first.prefix != second.prefix || !first.contains(second.address) {
            findings.refuse(
                Mistake::new(
                    secondary.span(),
                    format!("{second} is not in the subnet of {first}"),
                )
                .label("primary and secondary are on the same subnet"),
            );
            return None;
        }
        for (raw, own) in [(primary, first), (secondary, second)] {
            refuse_nobodys(raw, own.address, own, findings);
        }
        Some((first, second))
    }
}

fn with_prefix(raw: &Spanned<String>, findings: &mut Findings) -> Option<Subnet> {
    let (address, prefix) = subnet::parse(raw, findings)?;
    let Some(prefix) = prefix else {
        let example = if address.is_ipv4() { 24 } else { 64 };
        findings.refuse(
            Mistake::new(raw.span(), format!("{address} without its subnet")).label(format!(
                "with the length of its prefix, such as \"{address}/{example}\""
            )),
        );
        return None;
    };
    Some(Subnet { address, prefix })
}

/// Address and the prefix to install it with.
fn virtual_address(
    raw: &Spanned<String>,
    own: Option<(Subnet, Subnet)>,
    findings: &mut Findings,
) -> Option<(IpAddr, u8)> {
    let (address, prefix) = subnet::parse(raw, findings)?;
    let Some((primary, _)) = own else {
        // Nothing to compare with: the prefix is what the owner says, or none.
        return Some((address, prefix.unwrap_or(bits(address))));
    };
    if !primary.contains(address) || prefix.is_some_and(|prefix| prefix != primary.prefix) {
        findings.refuse(
            Mistake::new(
                raw.span(),
                format!("{} is not in the subnet of {primary}", raw.get_ref()),
            )
            .label("primary, secondary and virtual addresses are on the same subnet")
            .help("another subnet or family on the same interface: a [[vip]] table of its own"),
        );
        return None;
    }
    refuse_nobodys(raw, address, primary, findings);
    // The interface has its own address in that subnet, so the vip brings no route and no prefix.
    Some((address, bits(address)))
}

fn refuse_nobodys(raw: &Spanned<String>, address: IpAddr, subnet: Subnet, findings: &mut Findings) {
    if subnet.is_no_hosts(address) {
        findings.refuse(
            Mistake::new(
                raw.span(),
                format!("{address} cannot be an address of a host"),
            )
            .label(format!("first or last of /{}", subnet.prefix)),
        );
    }
}
