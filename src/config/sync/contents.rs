//! What a category keeps alike: a preset, files, a database, or programs.

use core::time::Duration;
use std::collections::BTreeSet;
use std::ops::Range;
use std::path::{Component, Path, PathBuf};

use fencepost_sync::category::{Contents, Exporter, Files, ROOTS_MAX, Source, tree_name};
use fencepost_sync::filter::{Filter, FilterSpec};
use fencepost_sync::path::RelPath;
use toml::Spanned;

use super::category::RawCategory;
use super::preset::{Preset, Shipped};
use super::programs::program;
use crate::config::raw::{millis, path};
use crate::diagnose::{Findings, Mistake, nearest};

/// An export is made no oftener than this unless configured otherwise, in ms.
const EXPORT_EVERY_MS: u32 = 5_000;
/// File systems of the kernel: nothing in them is a file.
const KERNELS_OWN: [&str; 3] = ["/proc", "/sys", "/dev"];

impl RawCategory {
    pub(super) fn contents(
        &self,
        place: &Range<usize>,
        shipped: &Shipped,
        findings: &mut Findings,
    ) -> Option<Contents> {
        let programs = self.export.as_ref().or(self.import.as_ref());
        let kinds = [
            self.preset.is_some(),
            self.roots.is_some(),
            self.sqlite.is_some(),
            programs.is_some(),
        ];
        if kinds.iter().filter(|kind| **kind).count() != 1 {
            findings.refuse(
                Mistake::new(place.clone(), "a category is of one kind").help(
                    "give one of: preset = \"…\"; roots = [\"/…\"]; sqlite = \"/…\"; export = […] and import = […]",
                ),
            );
            return None;
        }
        if let Some(raw) = &self.preset {
            let preset = find(raw, shipped, findings)?;
            let roots = preset.roots.iter().map(PathBuf::from).collect();
            return Some(self.files(roots, Some(preset), shipped, findings));
        }
        if let Some(raw) = &self.roots {
            let roots = self.roots(raw, shipped, findings);
            return Some(self.files(roots, None, shipped, findings));
        }
        self.refuse_keys_of_files(findings);
        let every = millis(
            "export_every_ms",
            &self.export_every_ms,
            EXPORT_EVERY_MS,
            100,
            86_400_000,
            findings,
        );
        self.exporter(place, every, findings).map(Contents::Export)
    }

    fn exporter(
        &self,
        place: &Range<usize>,
        every: Duration,
        findings: &mut Findings,
    ) -> Option<Exporter> {
        if let Some(raw) = &self.sqlite {
            let database = normal(raw, findings);
            let source = Source::Sqlite { database };
            return Some(Exporter { source, every });
        }
        let (Some(export), Some(import)) = (&self.export, &self.import) else {
            findings.refuse(
                Mistake::new(place.clone(), "export and import go together")
                    .help("a state that is written and never read, or read and never written, is no state"),
            );
            return None;
        };
        let source = Source::Command {
            export: program(
                export,
                "export_timeout_ms",
                &self.export_timeout_ms,
                findings,
            ),
            import: program(
                import,
                "import_timeout_ms",
                &self.import_timeout_ms,
                findings,
            ),
        };
        Some(Exporter { source, every })
    }

    fn refuse_keys_of_files(&self, findings: &mut Findings) {
        let lists = [
            ("include", &self.include),
            ("exclude", &self.exclude),
            ("node_local", &self.node_local),
            ("node_own", &self.node_own),
        ];
        let lists = lists
            .iter()
            .filter_map(|(key, list)| Some((*key, list.first()?.span())));
        for (key, place) in lists {
            findings.refuse(
                Mistake::new(place, format!("`{key}` is no key of an exported category"))
                    .label("for categories with roots or a preset"),
            );
        }
    }

    fn files(
        &self,
        roots: Vec<PathBuf>,
        preset: Option<&Preset>,
        shipped: &Shipped,
        findings: &mut Findings,
    ) -> Contents {
        let written = |list: &[Spanned<String>]| -> Vec<String> {
            list.iter().map(|raw| raw.get_ref().clone()).collect()
        };
        let of_preset = |list: fn(&Preset) -> &Vec<String>| -> Vec<String> {
            preset
                .map(|preset| list(preset).clone())
                .unwrap_or_default()
        };
        let taken_in = self.taken_in(shipped, findings);
        // In order, each once: both nodes must come to the same list.
        let left_out: BTreeSet<String> = roots
            .iter()
            .flat_map(|root| shipped.left_out(root, &taken_in))
            .collect();
        self.judge_patterns(findings);
        let filter = FilterSpec {
            include: [of_preset(|it| &it.include), written(&self.include)].concat(),
            exclude: [of_preset(|it| &it.exclude), written(&self.exclude)].concat(),
            node_local: [left_out.into_iter().collect(), written(&self.node_local)].concat(),
        };
        Contents::Files(Files { roots, filter })
    }

    /// Each by itself, so that its mistake has a place.
    fn judge_patterns(&self, findings: &mut Findings) {
        let include = |list| FilterSpec {
            include: list,
            ..FilterSpec::default()
        };
        let exclude = |list| FilterSpec {
            exclude: list,
            ..FilterSpec::default()
        };
        let node_local = |list| FilterSpec {
            node_local: list,
            ..FilterSpec::default()
        };
        let included = self.include.iter().map(|raw| (raw, include(alone(raw))));
        let excluded = self.exclude.iter().map(|raw| (raw, exclude(alone(raw))));
        let local = self
            .node_local
            .iter()
            .map(|raw| (raw, node_local(alone(raw))));
        for (raw, spec) in included.chain(excluded).chain(local) {
            if let Err(error) = Filter::new(&spec) {
                findings.refuse(Mistake::new(raw.span(), error.to_string()));
            }
        }
    }

    /// Of what a node keeps to itself, what this category takes in.
    fn taken_in(&self, shipped: &Shipped, findings: &mut Findings) -> Vec<String> {
        for raw in &self.node_own {
            if !shipped.may_take_in(raw.get_ref()) {
                let known = shipped.nevers.iter().flat_map(|never| &never.patterns);
                let near = nearest(raw.get_ref(), known.map(String::as_str));
                let near = near.map_or_else(String::new, |word| format!("did you mean `{word}`? "));
                let text = format!("`{}` is nothing that may be taken in", raw.get_ref());
                findings.refuse(Mistake::new(raw.span(), text).help(format!(
                    "{near}docs/sync.md lists what a node keeps to itself; write it as it stands there"
                )));
            }
        }
        self.node_own
            .iter()
            .map(|raw| raw.get_ref().clone())
            .collect()
    }

    fn roots(
        &self,
        raw: &Spanned<Vec<Spanned<String>>>,
        shipped: &Shipped,
        findings: &mut Findings,
    ) -> Vec<PathBuf> {
        let list = raw.get_ref();
        if list.is_empty() || list.len() > ROOTS_MAX {
            let text = format!("a category has 1 to {ROOTS_MAX} roots");
            findings.refuse(Mistake::new(raw.span(), text));
        }
        let mut roots: Vec<PathBuf> = Vec::new();
        for one in list.iter().take(ROOTS_MAX) {
            let root = normal(one, findings);
            if self.refuse_root(one, &root, shipped, findings) {
                continue;
            }
            for other in &roots {
                if root.starts_with(other) || other.starts_with(&root) {
                    let text = format!("{} is within another root", one.get_ref());
                    let label = format!("{} is there too", other.display());
                    findings.refuse(Mistake::new(one.span(), text).label(label));
                } else if tree_name(other) == tree_name(&root) {
                    let text = format!("{} is called like {}", one.get_ref(), other.display());
                    findings.refuse(
                        Mistake::new(one.span(), text)
                            .help("paths are shown with the root's `/` as `-`: put one of the two into another category"),
                    );
                }
            }
            roots.push(root);
        }
        roots.sort();
        roots
    }

    /// Whether it is none, and was refused.
    fn refuse_root(
        &self,
        raw: &Spanned<String>,
        root: &Path,
        shipped: &Shipped,
        findings: &mut Findings,
    ) -> bool {
        let taken_in: Vec<String> = self
            .node_own
            .iter()
            .map(|it| it.get_ref().clone())
            .collect();
        let (text, help) = if root == Path::new("/") {
            ("is everything", "name the directories that are meant")
        } else if KERNELS_OWN.iter().any(|own| root.starts_with(own)) {
            ("is the kernel's own", "export it with a program instead")
        } else if RelPath::try_from(tree_name(root).as_str()).is_err() {
            ("is too long a path", "at most 255 bytes")
        } else if shipped.is_left_out(root, &taken_in).unwrap_or(true) {
            (
                "is what a node keeps to itself",
                "docs/sync.md says what that is; `node_own` takes in what may be",
            )
        } else {
            return false;
        };
        let text = format!("{} {text}", raw.get_ref());
        findings.refuse(Mistake::new(raw.span(), text).help(help));
        true
    }
}

fn alone(raw: &Spanned<String>) -> Vec<String> {
    vec![raw.get_ref().clone()]
}

fn find<'a>(
    raw: &Spanned<String>,
    shipped: &'a Shipped,
    findings: &mut Findings,
) -> Option<&'a Preset> {
    let preset = shipped.preset(raw.get_ref());
    if preset.is_none() {
        let names = shipped.names();
        let near = nearest(raw.get_ref(), names.iter().copied());
        let near = near.map_or_else(String::new, |word| format!("did you mean `{word}`? "));
        let text = format!("no preset `{}`", raw.get_ref());
        let help = format!("{near}shipped: {}", names.join(", "));
        findings.refuse(Mistake::new(raw.span(), text).help(help));
    }
    preset
}

/// An absolute path in its shortest form: two spellings of one directory must not pass for two.
fn normal(raw: &Spanned<String>, findings: &mut Findings) -> PathBuf {
    let written = path(raw, findings);
    let shortest: PathBuf = written
        .components()
        .filter(|part| !matches!(part, Component::ParentDir))
        .collect();
    if written.is_absolute() && shortest.as_os_str() != written.as_os_str() {
        findings.refuse(
            Mistake::new(
                raw.span(),
                format!("`{}` can be written shorter", raw.get_ref()),
            )
            .label(format!("\"{}\", if that is meant", shortest.display())),
        );
    }
    shortest
}
