//! `[[category]]` as written.

use std::collections::BTreeSet;
use std::ops::Range;

use fencepost_sync::category::{Category, Hooks};
use fencepost_sync::category_id::CategoryId;
use fencepost_sync::hooks::Hook;
use fencepost_sync::policy::{DeletionGuard, Limits, Owners, Policy};
use serde::Deserialize;
use toml::Spanned;

use super::preset::Shipped;
use super::programs::program;
use crate::diagnose::{Findings, Mistake};

/// Priority unless configured otherwise.
const PRIORITY: u8 = 100;
/// Most users, groups or attribute names in one list.
const LIST_MAX: usize = 256;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct RawCategory {
    pub(super) name: Option<Spanned<String>>,
    pub(super) preset: Option<Spanned<String>>,
    pub(super) roots: Option<Spanned<Vec<Spanned<String>>>>,
    #[serde(default)]
    pub(super) include: Vec<Spanned<String>>,
    #[serde(default)]
    pub(super) exclude: Vec<Spanned<String>>,
    #[serde(default)]
    pub(super) node_local: Vec<Spanned<String>>,
    #[serde(default)]
    pub(super) node_own: Vec<Spanned<String>>,
    pub(super) sqlite: Option<Spanned<String>>,
    pub(super) export: Option<Spanned<Vec<String>>>,
    pub(super) import: Option<Spanned<Vec<String>>>,
    pub(super) export_every_ms: Option<Spanned<i64>>,
    pub(super) export_timeout_ms: Option<Spanned<i64>>,
    pub(super) import_timeout_ms: Option<Spanned<i64>>,
    validate: Option<Spanned<Vec<String>>>,
    validate_timeout_ms: Option<Spanned<i64>>,
    reload: Option<Spanned<Vec<String>>>,
    reload_timeout_ms: Option<Spanned<i64>>,
    uids: Option<Spanned<Vec<Spanned<i64>>>>,
    gids: Option<Spanned<Vec<Spanned<i64>>>>,
    owner: Option<Spanned<Vec<Spanned<i64>>>>,
    setuid: Option<bool>,
    xattrs: Option<Spanned<Vec<Spanned<String>>>>,
    deletions_percent_max: Option<Spanned<i64>>,
    deletions_max: Option<Spanned<i64>>,
    deletions_always: Option<Spanned<i64>>,
    entries_max: Option<Spanned<i64>>,
    file_bytes_max: Option<Spanned<i64>>,
    total_bytes_max: Option<Spanned<i64>>,
    priority: Option<Spanned<i64>>,
    pub(super) required: Option<bool>,
}

impl RawCategory {
    /// Where to point for the category as a whole.
    pub(super) fn place(&self, table: Range<usize>) -> Range<usize> {
        let name = self.name.as_ref().or(self.preset.as_ref());
        name.map_or(table, Spanned::span)
    }

    pub(super) fn name(&self) -> Option<&str> {
        let name = self.name.as_ref().or(self.preset.as_ref())?;
        Some(name.get_ref())
    }

    pub(super) fn understand(
        &self,
        table: Range<usize>,
        shipped: &Shipped,
        findings: &mut Findings,
    ) -> Option<Category> {
        let place = self.place(table);
        let id = self.id(&place, findings);
        let contents = self.contents(&place, shipped, findings);
        let policy = self.policy(findings);
        let hooks = Hooks {
            validate: hook(
                &self.validate,
                "validate_timeout_ms",
                &self.validate_timeout_ms,
                findings,
            ),
            reload: hook(
                &self.reload,
                "reload_timeout_ms",
                &self.reload_timeout_ms,
                findings,
            ),
        };
        let priority = self.priority.as_ref().map_or(PRIORITY, |raw| {
            findings.number("priority", raw, 0..=u8::MAX)
        });
        Some(Category {
            id: id?,
            contents: contents?,
            policy,
            priority,
            hooks,
        })
    }

    fn id(&self, place: &Range<usize>, findings: &mut Findings) -> Option<CategoryId> {
        let Some(raw) = self.name.as_ref().or(self.preset.as_ref()) else {
            findings.refuse(
                Mistake::new(place.clone(), "a category without a name")
                    .help("give it a name, or a preset, whose name it then has"),
            );
            return None;
        };
        CategoryId::new(raw.get_ref())
            .map_err(|error| findings.refuse(Mistake::new(raw.span(), error.to_string())))
            .ok()
    }

    fn policy(&self, findings: &mut Findings) -> Policy {
        let standard = Policy::default();
        let (guard, limits) = (standard.deletions, standard.limits);
        let mut number = |key: &str, raw: &Option<Spanned<i64>>, default: u32, most: u32| {
            raw.as_ref()
                .map_or(default, |raw| findings.number(key, raw, 0..=most))
        };
        let percent = u32::from(guard.percent_max);
        let percent = number(
            "deletions_percent_max",
            &self.deletions_percent_max,
            percent,
            100,
        );
        let deletions = DeletionGuard {
            percent_max: u8::try_from(percent).unwrap_or(guard.percent_max),
            entries_max: number(
                "deletions_max",
                &self.deletions_max,
                guard.entries_max,
                limits.entries_max,
            ),
            always_allowed: number(
                "deletions_always",
                &self.deletions_always,
                guard.always_allowed,
                limits.entries_max,
            ),
        };
        let entries_max = number(
            "entries_max",
            &self.entries_max,
            limits.entries_max,
            limits.entries_max,
        );
        let mut bytes = |key: &str, raw: &Option<Spanned<i64>>, most: u64| {
            raw.as_ref()
                .map_or(most, |raw| findings.number(key, raw, 1..=most))
        };
        let limits = Limits {
            entries_max,
            file_bytes_max: bytes(
                "file_bytes_max",
                &self.file_bytes_max,
                limits.file_bytes_max,
            ),
            total_bytes_max: bytes(
                "total_bytes_max",
                &self.total_bytes_max,
                limits.total_bytes_max,
            ),
        };
        Policy {
            owners: self.owners(findings),
            setuid: self.setuid.unwrap_or(standard.setuid),
            xattrs: self.xattrs(findings).unwrap_or(standard.xattrs),
            deletions,
            limits,
        }
    }

    fn owners(&self, findings: &mut Findings) -> Owners {
        match (&self.owner, &self.uids, &self.gids) {
            (None, None, None) => Owners::AsFound,
            (Some(owner), None, None) => match numbers("owner", owner, findings)[..] {
                [uid, gid] => Owners::Fixed { uid, gid },
                _ => {
                    findings.refuse(
                        Mistake::new(owner.span(), "an owner is a user and a group, by number")
                            .label("such as [0, 0]"),
                    );
                    Owners::AsFound
                }
            },
            (None, Some(uids), Some(gids)) => Owners::Listed {
                uids: numbers("uids", uids, findings).into_iter().collect(),
                gids: numbers("gids", gids, findings).into_iter().collect(),
            },
            (_, uids, gids) => {
                let place = uids.as_ref().or(gids.as_ref()).or(self.owner.as_ref());
                let place = place.map_or(0..0, Spanned::span);
                findings.refuse(
                    Mistake::new(place, "whose files are meant is not clear").help(
                        "give `owner` alone (all files are this user's and group's), or `uids` and `gids` together \
                         (no others are let through), or none of the three (owners as found)",
                    ),
                );
                Owners::AsFound
            }
        }
    }

    fn xattrs(&self, findings: &mut Findings) -> Option<BTreeSet<String>> {
        let raw = self.xattrs.as_ref()?;
        if raw.get_ref().len() > LIST_MAX {
            let text = format!("more than {LIST_MAX} attributes");
            findings.refuse(Mistake::new(raw.span(), text));
        }
        let known = ["user.", "system.", "security.", "trusted."];
        for name in raw.get_ref() {
            if !known.iter().any(|space| name.get_ref().starts_with(space)) {
                let text = format!("`{}` is no extended attribute", name.get_ref());
                findings.refuse(
                    Mistake::new(name.span(), text)
                        .help("names begin with user., system., security. or trusted.; one that ends in `.` allows all below it"),
                );
            }
        }
        Some(
            raw.get_ref()
                .iter()
                .map(|name| name.get_ref().clone())
                .collect(),
        )
    }
}

fn hook(
    argv: &Option<Spanned<Vec<String>>>,
    key: &str,
    limit: &Option<Spanned<i64>>,
    findings: &mut Findings,
) -> Option<Hook> {
    if let (None, Some(limit)) = (argv, limit) {
        findings.refuse(Mistake::new(
            limit.span(),
            format!("{key} without a program to limit"),
        ));
    }
    argv.as_ref()
        .map(|argv| program(argv, key, limit, findings))
}

/// User or group numbers; the last two mean "none" to the kernel.
fn numbers(key: &str, raw: &Spanned<Vec<Spanned<i64>>>, findings: &mut Findings) -> Vec<u32> {
    if raw.get_ref().len() > LIST_MAX {
        let text = format!("{key} has more than {LIST_MAX} numbers");
        findings.refuse(Mistake::new(raw.span(), text));
    }
    raw.get_ref()
        .iter()
        .map(|one| findings.number(key, one, 0..=u32::MAX - 2))
        .collect()
}
