//! `[[check]]` tables: common keys, and those of each kind.
//!
//! All kinds' keys are read as one flat shape, because that keeps line and column of each; keys of another
//! kind are refused afterwards.

use std::net::{IpAddr, SocketAddr};

use serde::Deserialize;
use toml::Spanned;

use super::raw::{millis, path};
use super::{Check, CheckKind};
use crate::board::raw::words;
use crate::diagnose::{Findings, Mistake, nearest};
use crate::node::policy::CheckSeverity;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawCheck {
    pub(super) name: Spanned<String>,
    kind: Spanned<RawKind>,
    severity: Option<CheckSeverity>,
    segments: Option<Vec<Spanned<String>>>,
    interval_ms: Option<Spanned<i64>>,
    timeout_ms: Option<Spanned<i64>>,
    rise: Option<Spanned<i64>>,
    fall: Option<Spanned<i64>>,
    port: Option<Spanned<String>>,
    pidfile: Option<Spanned<String>>,
    process: Option<Spanned<String>>,
    unit: Option<Spanned<String>>,
    address: Option<Spanned<String>>,
    url: Option<Spanned<String>>,
    status: Option<Spanned<i64>>,
    path: Option<Spanned<String>>,
    min_free_percent: Option<Spanned<i64>>,
    min_free_bytes: Option<Spanned<i64>>,
    min_available_percent: Option<Spanned<i64>>,
    argv: Option<Spanned<Vec<String>>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum RawKind {
    Carrier,
    Process,
    Unit,
    Tcp,
    Http,
    Disk,
    Memory,
    Plugin,
}

impl RawKind {
    const fn word(self) -> &'static str {
        match self {
            Self::Carrier => "carrier",
            Self::Process => "process",
            Self::Unit => "unit",
            Self::Tcp => "tcp",
            Self::Http => "http",
            Self::Disk => "disk",
            Self::Memory => "memory",
            Self::Plugin => "plugin",
        }
    }

    /// Keys of this kind.
    const fn keys(self) -> &'static [&'static str] {
        match self {
            Self::Carrier => &["port"],
            Self::Process => &["pidfile", "process"],
            Self::Unit => &["unit"],
            Self::Tcp => &["address"],
            Self::Http => &["url", "status"],
            Self::Disk => &["path", "min_free_percent", "min_free_bytes"],
            Self::Memory => &["min_available_percent"],
            Self::Plugin => &["argv"],
        }
    }
}

impl RawCheck {
    pub(super) fn understand(&self, segments: &[&str], findings: &mut Findings) -> Check {
        self.refuse_foreign_keys(findings);
        let count = |key: &str, raw: &Option<Spanned<i64>>, findings: &mut Findings| {
            raw.as_ref()
                .map_or(2, |raw| findings.number(key, raw, 1..=100_u32))
        };
        Check {
            name: words::name(&self.name, findings),
            severity: self.severity.unwrap_or(CheckSeverity::Failover),
            segments: self.segments(segments, findings),
            interval: millis(
                "interval_ms",
                &self.interval_ms,
                1_000,
                50,
                3_600_000,
                findings,
            ),
            timeout: millis("timeout_ms", &self.timeout_ms, 1_000, 10, 600_000, findings),
            rise: count("rise", &self.rise, findings),
            fall: count("fall", &self.fall, findings),
            kind: self.kind(findings).unwrap_or(CheckKind::Memory {
                min_available_percent: 0,
            }),
        }
    }

    fn segments(&self, known: &[&str], findings: &mut Findings) -> Vec<String> {
        let Some(named) = &self.segments else {
            return Vec::new();
        };
        for name in named {
            if !known.contains(&name.get_ref().as_str()) {
                let near = nearest(name.get_ref(), known.iter().copied());
                let near = near.map_or_else(String::new, |word| format!("did you mean `{word}`? "));
                findings.refuse(
                    Mistake::new(
                        name.span(),
                        format!("no segment `{}` in this file", name.get_ref()),
                    )
                    .help(format!("{near}configured: {}", known.join(", "))),
                );
            }
        }
        if named.is_empty() {
            findings.refuse(
                Mistake::new(self.name.span(), "a check that speaks for no segment")
                    .help("leave `segments` out to speak for all, or use severity = \"notify\""),
            );
        }
        named.iter().map(|name| name.get_ref().clone()).collect()
    }

    fn refuse_foreign_keys(&self, findings: &mut Findings) {
        let kind = *self.kind.get_ref();
        let given = [
            ("port", self.port.as_ref().map(Spanned::span)),
            ("pidfile", self.pidfile.as_ref().map(Spanned::span)),
            ("process", self.process.as_ref().map(Spanned::span)),
            ("unit", self.unit.as_ref().map(Spanned::span)),
            ("address", self.address.as_ref().map(Spanned::span)),
            ("url", self.url.as_ref().map(Spanned::span)),
            ("status", self.status.as_ref().map(Spanned::span)),
            ("path", self.path.as_ref().map(Spanned::span)),
            (
                "min_free_percent",
                self.min_free_percent.as_ref().map(Spanned::span),
            ),
            (
                "min_free_bytes",
                self.min_free_bytes.as_ref().map(Spanned::span),
            ),
            (
                "min_available_percent",
                self.min_available_percent.as_ref().map(Spanned::span),
            ),
            ("argv", self.argv.as_ref().map(Spanned::span)),
        ];
        for (key, place) in given {
            if let Some(place) = place.filter(|_| !kind.keys().contains(&key)) {
                findings.refuse(
                    Mistake::new(
                        place,
                        format!("`{key}` is no key of a check of kind \"{}\"", kind.word()),
                    )
                    .help(format!("this kind takes: {}", kind.keys().join(", "))),
                );
            }
        }
    }

    fn kind(&self, findings: &mut Findings) -> Option<CheckKind> {
        match self.kind.get_ref() {
            RawKind::Carrier => {
                let port = words::port(self.need("port", &self.port, findings)?, findings);
                Some(CheckKind::Carrier { port })
            }
            RawKind::Process => self.process(findings),
            RawKind::Unit => self.unit(findings),
            RawKind::Tcp => {
                let raw = self.need("address", &self.address, findings)?;
                let address = socket_address(raw.get_ref(), raw, findings)?;
                Some(CheckKind::Tcp { address })
            }
            RawKind::Http => self.http(findings),
            RawKind::Disk => self.disk(findings),
            RawKind::Memory => {
                let raw = self.need(
                    "min_available_percent",
                    &self.min_available_percent,
                    findings,
                )?;
                let percent = findings.number("min_available_percent", raw, 1..=99);
                Some(CheckKind::Memory {
                    min_available_percent: percent,
                })
            }
            RawKind::Plugin => self.plugin(findings),
        }
    }

    fn need<'a, T>(
        &self,
        key: &str,
        value: &'a Option<Spanned<T>>,
        findings: &mut Findings,
    ) -> Option<&'a Spanned<T>> {
        if value.is_none() {
            let word = self.kind.get_ref().word();
            findings.refuse(
                Mistake::new(self.kind.span(), format!("missing key `{key}`"))
                    .label(format!("a check of kind \"{word}\" needs it")),
            );
        }
        value.as_ref()
    }

    fn process(&self, findings: &mut Findings) -> Option<CheckKind> {
        match (&self.pidfile, &self.process) {
            (Some(file), None) => Some(CheckKind::Pidfile {
                path: path(file, findings),
            }),
            (None, Some(name)) => {
                // The kernel keeps 15 bytes; a longer name would never match.
                if name.get_ref().is_empty() || name.get_ref().len() > 15 {
                    findings.refuse(
                        Mistake::new(
                            name.span(),
                            format!("`{}` can be no process name", name.get_ref()),
                        )
                        .label("1 to 15 bytes, as in /proc/PID/comm"),
                    );
                }
                Some(CheckKind::ProcessName {
                    name: name.get_ref().clone(),
                })
            }
            _ => {
                findings.refuse(
                    Mistake::new(self.kind.span(), "a process is found by one of two ways")
                        .help("give either `pidfile` or `process`"),
                );
                None
            }
        }
    }

    fn unit(&self, findings: &mut Findings) -> Option<CheckKind> {
        let raw = self.need("unit", &self.unit, findings)?;
        let unit = raw.get_ref();
        let plain = |c: char| c.is_ascii_alphanumeric() || "@:_.-\\".contains(c);
        if !unit.contains('.') || unit.starts_with('-') || !unit.chars().all(plain) {
            findings.refuse(
                Mistake::new(raw.span(), format!("`{unit}` is no unit name"))
                    .label("with its suffix, such as \"suricata.service\""),
            );
        }
        Some(CheckKind::Unit { unit: unit.clone() })
    }

    fn http(&self, findings: &mut Findings) -> Option<CheckKind> {
        let raw = self.need("url", &self.url, findings)?;
        let Some(rest) = raw.get_ref().strip_prefix("http://") else {
            findings.refuse(
                Mistake::new(raw.span(), format!("`{}` is no http:// address", raw.get_ref())).help(
                    "only http:// to an address of this host; for https:// use kind = \"plugin\", whose certificates \
                     are its own business",
                ),
            );
            return None;
        };
        let (authority, path) = rest.find('/').map_or((rest, "/"), |at| rest.split_at(at));
        let status = self.status.as_ref();
        let status = status.map_or(200, |raw| findings.number("status", raw, 100..=599));
        let address = match authority.trim_matches(['[', ']']).parse::<IpAddr>() {
            Ok(ip) => SocketAddr::new(ip, 80),
            Err(_) => socket_address(authority, raw, findings)?,
        };
        if path.contains(|c: char| c.is_control() || c == ' ') {
            findings.refuse(Mistake::new(
                raw.span(),
                "a blank or control character in the path",
            ));
        }
        Some(CheckKind::Http {
            address,
            path: path.to_owned(),
            status,
        })
    }

    fn disk(&self, findings: &mut Findings) -> Option<CheckKind> {
        let place = self.need("path", &self.path, findings)?;
        if self.min_free_percent.is_none() && self.min_free_bytes.is_none() {
            findings.refuse(
                Mistake::new(self.kind.span(), "a disk check that is always content")
                    .help("give `min_free_percent`, `min_free_bytes`, or both"),
            );
        }
        let percent = self.min_free_percent.as_ref();
        let bytes = self.min_free_bytes.as_ref();
        Some(CheckKind::Disk {
            path: path(place, findings),
            min_free_percent: percent.map(|raw| findings.number("min_free_percent", raw, 1..=99)),
            min_free_bytes: bytes
                .map(|raw| findings.number("min_free_bytes", raw, 1..=u64::MAX >> 1)),
        })
    }

    fn plugin(&self, findings: &mut Findings) -> Option<CheckKind> {
        let raw = self.need("argv", &self.argv, findings)?;
        let argv = raw.get_ref();
        if !argv.first().is_some_and(|program| program.starts_with('/')) {
            findings.refuse(
                Mistake::new(raw.span(), "argv must begin with a program's absolute path").help(
                    "there is no shell: write each argument on its own, such as \
                     [\"/usr/lib/nagios/plugins/check_procs\", \"-c\", \"1:\"]",
                ),
            );
        }
        if argv.len() > 64 || argv.iter().any(|word| word.contains('\0')) {
            findings.refuse(Mistake::new(
                raw.span(),
                "argv has a NUL byte or more than 64 words",
            ));
        }
        Some(CheckKind::Plugin { argv: argv.clone() })
    }
}

/// An address without a name in it: a check must not wait for DNS.
fn socket_address(
    said: &str,
    raw: &Spanned<String>,
    findings: &mut Findings,
) -> Option<SocketAddr> {
    match said.parse() {
        Ok(address) => Some(address),
        Err(_) => {
            findings.refuse(
                Mistake::new(raw.span(), format!("`{said}` is no address with port"))
                    .label("such as \"127.0.0.1:8080\" or \"[::1]:8080\"")
                    .help("names are not looked up: a check would hang with the name server"),
            );
            None
        }
    }
}
