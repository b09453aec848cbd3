//! The small words of a profile: names, lines, adapters, addresses, states.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Visitor};
use toml::Spanned;

use crate::board::controller::RelayState;
use crate::board::profile::{Active, AdapterRef, LineRef, PortRef};
use crate::diagnose::{Findings, Mistake};

/// 7-bit addresses that are not reserved by the I2C specification.
const ADDRESSES: std::ops::RangeInclusive<u8> = 0x08..=0x77;

/// Longest name of anything, in characters.
const NAME_CHARS_MAX: usize = 32;

/// A GPIO line, by name.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawLine {
    name: Spanned<NameOrNumber>,
    active: RawActive,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum RawActive {
    High,
    Low,
}

/// Numbers are read too, so that their refusal can say why.
enum NameOrNumber {
    Name(String),
    Number(i64),
}

impl<'de> Deserialize<'de> for NameOrNumber {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl Visitor<'_> for Either {
            type Value = NameOrNumber;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a line's name")
            }
            fn visit_str<E>(self, name: &str) -> Result<NameOrNumber, E> {
                Ok(NameOrNumber::Name(name.to_owned()))
            }
            fn visit_i64<E>(self, number: i64) -> Result<NameOrNumber, E> {
                Ok(NameOrNumber::Number(number))
            }
        }
        deserializer.deserialize_any(Either)
    }
}

impl RawLine {
    pub(super) fn understand(&self, findings: &mut Findings) -> LineRef {
        let name = match self.name.get_ref() {
            NameOrNumber::Name(name) if !is_numbered(name) => name.clone(),
            NameOrNumber::Name(name) => self.refuse_number(name, findings),
            NameOrNumber::Number(number) => self.refuse_number(&number.to_string(), findings),
        };
        if name.is_empty() {
            findings.refuse(Mistake::new(self.name.span(), "a line needs a name"));
        }
        LineRef {
            name,
            active: match self.active {
                RawActive::High => Active::High,
                RawActive::Low => Active::Low,
            },
        }
    }

    fn refuse_number(&self, said: &str, findings: &mut Findings) -> String {
        findings.refuse(
            Mistake::new(self.name.span(), format!("`{said}` is a number, not a name"))
                .label("a line is referred to by its name")
                .help(
                    "chip and line numbers follow probe order and change with the kernel, so a number can move \
                     another board's relay; `gpioinfo` prints names, and a line without one gets it from the \
                     device tree or ACPI (gpio-line-names)",
                ),
        );
        said.to_owned()
    }
}

/// `7`, `gpiochip3`, `gpiochip0:8`, `/dev/gpiochip1`: all of them probe order.
fn is_numbered(name: &str) -> bool {
    let bare = name.trim_start_matches("/dev/");
    bare.starts_with("gpiochip") || (!bare.is_empty() && bare.chars().all(|c| c.is_ascii_digit()))
}

/// An adapter: a link below `/dev/fencepost/`, or the adapter's own name.
pub(crate) fn adapter(raw: &Spanned<String>, findings: &mut Findings) -> AdapterRef {
    let said = raw.get_ref().as_str();
    let link = said.strip_prefix("/dev/fencepost/");
    if link.is_some_and(is_word) {
        return AdapterRef::Link(said.to_owned());
    }
    let numbered = said.trim_start_matches("/dev/").strip_prefix("i2c-");
    if numbered.is_some_and(|rest| rest.chars().all(|c| c.is_ascii_digit())) {
        findings.refuse(
            Mistake::new(raw.span(), format!("`{said}` is an accident of probe order"))
                .label("another adapter next boot")
                .help(
                    "use a link our udev rules make, such as \"/dev/fencepost/smbus\", or the adapter's own name \
                     from /sys/class/i2c-dev/*/name, such as \"SMBus I801 adapter at *\"",
                ),
        );
    } else if said.starts_with('/') || said.is_empty() {
        findings.refuse(
            Mistake::new(raw.span(), format!("`{said}` is not a stable adapter name")).help(
                "allowed: a link below /dev/fencepost/ (see udev/README.md), or the adapter's own name; `*` at \
                 its end matches any tail",
            ),
        );
    } else if said.trim_end_matches('*').contains('*') || said.ends_with("**") || said == "*" {
        findings.refuse(
            Mistake::new(raw.span(), format!("`{said}` has `*` where it must not be"))
                .label("only once, and only at the end"),
        );
    }
    AdapterRef::Name(said.to_owned())
}

/// A 7-bit address. I2C reserves the rest.
pub(super) fn address(key: &str, raw: &Spanned<i64>, findings: &mut Findings) -> u8 {
    if let Ok(address) = u8::try_from(*raw.get_ref())
        && ADDRESSES.contains(&address)
    {
        return address;
    }
    let mut mistake = Mistake::new(
        raw.span(),
        format!("{key} = 0x{:02x} is no device's address", raw.get_ref()),
    )
    .label("allowed: 0x08 to 0x77, 7-bit");
    if (0x78..=0xff).contains(raw.get_ref()) {
        mistake = mistake.help(format!(
            "if this is an 8-bit address with the read/write bit, its 7-bit form is 0x{:02x}",
            raw.get_ref() >> 1
        ));
    }
    findings.refuse(mistake);
    *ADDRESSES.start()
}

/// A name of a segment, model or LED, safe in file names, metrics and commands.
pub(crate) fn name(raw: &Spanned<String>, findings: &mut Findings) -> String {
    let said = raw.get_ref();
    if !is_word(said) || said.chars().count() > NAME_CHARS_MAX {
        findings.refuse(
            Mistake::new(raw.span(), format!("`{said}` cannot be a name")).label(format!(
                "allowed: a-z, 0-9, `-`, `_`, `.`, beginning with a letter or digit, at most {NAME_CHARS_MAX}"
            )),
        );
    }
    said.clone()
}

/// Whether a text is one plain word.
pub(crate) fn is_word(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    text.starts_with(plain)
        && text
            .chars()
            .all(|c| plain(c) || matches!(c, '-' | '_' | '.'))
}

/// A segment's two ports, each a PCI path or an interface name.
pub(crate) fn ports(
    raw: &Spanned<Vec<Spanned<String>>>,
    findings: &mut Findings,
) -> Option<[PortRef; 2]> {
    let [one, other] = raw.get_ref().as_slice() else {
        findings.refuse(
            Mistake::new(raw.span(), "a segment has exactly two ports")
                .label(format!("{} given", raw.get_ref().len())),
        );
        return None;
    };
    if one.get_ref() == other.get_ref() {
        findings.refuse(
            Mistake::new(other.span(), format!("`{}` is both ports", other.get_ref()))
                .label("a relay joins two different ports"),
        );
    }
    Some([port(one, findings), port(other, findings)])
}

pub(crate) fn port(raw: &Spanned<String>, findings: &mut Findings) -> PortRef {
    let said = raw.get_ref().as_str();
    if is_pci_path(said) {
        return PortRef::Pci(said.to_owned());
    }
    // The kernel's own rule for interface names (IFNAMSIZ, dev_valid_name).
    let valid = !said.is_empty()
        && said.len() < 16
        && said != "."
        && said != ".."
        && !said.contains(|c: char| c == '/' || c == ':' || c.is_whitespace());
    if !valid {
        findings.refuse(
            Mistake::new(raw.span(), format!("`{said}` is no port")).label(
                "an interface name such as \"enp1s0f0\", or a PCI path such as \"0000:03:00.0\"",
            ),
        );
    }
    PortRef::Interface(said.to_owned())
}

/// `0000:03:00.0`
fn is_pci_path(text: &str) -> bool {
    let shape = "hhhh:hh:hh.d";
    text.len() == shape.len()
        && text.chars().zip(shape.chars()).all(|(c, kind)| match kind {
            'h' => c.is_ascii_hexdigit() && !c.is_ascii_uppercase(),
            'd' => ('0'..='7').contains(&c),
            literal => c == literal,
        })
}

/// A relay state as profiles write it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum RawState {
    Normal,
    Bypass,
    Disconnect,
}

impl From<RawState> for RelayState {
    fn from(raw: RawState) -> Self {
        match raw {
            RawState::Normal => Self::Normal,
            RawState::Bypass => Self::Bypass,
            RawState::Disconnect => Self::Disconnect,
        }
    }
}
