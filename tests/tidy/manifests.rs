//! Rules about manifests and lock files: one truth for each version.

use std::collections::{BTreeMap, BTreeSet};

use toml::{Table, Value};

fn parse(text: &str) -> Table {
    text.parse().expect("a manifest that cargo reads")
}

/// Dependencies of a member that state themselves what the workspace states for all.
pub(crate) fn second_truths(root: &str, member: &str) -> Vec<String> {
    let shared = &parse(root)["workspace"]["dependencies"];
    let member = parse(member);
    ["dependencies", "dev-dependencies", "build-dependencies"]
        .iter()
        .filter_map(|section| member.get(*section)?.as_table())
        .flatten()
        .filter(|(name, stated)| {
            let inherits = stated.get("workspace").and_then(Value::as_bool);
            shared.get(name).is_some() && inherits != Some(true)
        })
        .map(|(name, _)| {
            format!("`{name}` has its version in the root manifest: say `{name}.workspace = true`")
        })
        .collect()
}

/// Packages of `other` whose version `ours`, which has the package too, does not have.
pub(crate) fn disagreeing_locks(ours: &str, other: &str) -> Vec<String> {
    let ours = versions(ours);
    versions(other)
        .into_iter()
        .filter_map(|(name, theirs)| {
            let shipped = ours.get(&name)?;
            let strange: Vec<&String> = theirs.difference(shipped).collect();
            (!strange.is_empty()).then(|| format!("{name}: {strange:?}, but we ship {shipped:?}"))
        })
        .collect()
}

fn versions(lock: &str) -> BTreeMap<String, BTreeSet<String>> {
    let mut found: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let lock = parse(lock);
    let packages = lock.get("package").and_then(Value::as_array);
    for package in packages.into_iter().flatten() {
        let field = |key: &str| package.get(key)?.as_str().map(str::to_owned);
        if let Some((name, version)) = field("name").zip(field("version")) {
            found.entry(name).or_default().insert(version);
        }
    }
    found
}
