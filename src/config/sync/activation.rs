//! `[[sync.activation]]` as written.

use std::collections::BTreeSet;

use fencepost_sync::activation::{ACTIVATIONS_MAX, Activation, On, check_name};
use fencepost_sync::hooks::Hook;
use serde::Deserialize;
use toml::Spanned;

use super::programs::program;
use crate::diagnose::{Findings, Mistake};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawActivation {
    name: Spanned<String>,
    command: Spanned<Vec<String>>,
    timeout_ms: Option<Spanned<i64>>,
    #[serde(default)]
    on: On,
}

/// Each name once.
pub(super) fn understand(raw: &[RawActivation], findings: &mut Findings) -> Vec<Activation> {
    if let Some(extra) = raw.get(ACTIVATIONS_MAX) {
        let text = format!("more than {ACTIVATIONS_MAX} activations");
        findings.refuse(Mistake::new(extra.name.span(), text));
    }
    let mut seen = BTreeSet::new();
    for one in raw {
        let name = one.name.get_ref();
        if let Err(error) = check_name(name) {
            findings.refuse(Mistake::new(one.name.span(), error.to_string()));
        } else if !seen.insert(name) {
            let text = format!("activation `{name}` is there twice");
            findings.refuse(Mistake::new(one.name.span(), text).label("each name once"));
        }
    }
    let all = raw.iter().take(ACTIVATIONS_MAX);
    all.map(|one| Activation {
        name: one.name.get_ref().clone(),
        hook: one.hook(findings),
        on: one.on,
    })
    .collect()
}

impl RawActivation {
    fn hook(&self, findings: &mut Findings) -> Hook {
        program(&self.command, "timeout_ms", &self.timeout_ms, findings)
    }
}
