//! Documentation claims only what exists: links lead somewhere, examples are accepted, commands are there.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

use std::path::{Path, PathBuf};
use std::process::Command;

use fencepost::config::Config;
use fencepost::control::{Entry, RequestLine};
use fencepost::diagnose::Source;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(name: &str) -> String {
    std::fs::read_to_string(root().join(name)).unwrap()
}

fn documents() -> Vec<PathBuf> {
    let mut all: Vec<PathBuf> = std::fs::read_dir(root().join("docs"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|it| it == "md"))
        .collect();
    all.extend(["README.md", "ARCHITECTURE.md", "boards/README.md"].map(|name| root().join(name)));
    all
}

/// Code blocks in this language.
fn blocks(text: &str, language: &str) -> Vec<String> {
    text.split("```")
        .skip(1)
        .step_by(2)
        .filter_map(|block| block.strip_prefix(language)?.strip_prefix('\n'))
        .map(str::to_owned)
        .collect()
}

#[test]
fn every_link_leads_somewhere() {
    for document in documents() {
        let text = std::fs::read_to_string(&document).unwrap();
        for link in text
            .split("](")
            .skip(1)
            .filter_map(|rest| rest.split(')').next())
        {
            let file = link.split('#').next().unwrap();
            // The picture of the demo is made by the demo.
            if link.contains("://") || file.is_empty() || file.ends_with("demo-timeline.svg") {
                continue;
            }
            let target = document.parent().unwrap().join(file);
            assert!(target.exists(), "{}: {link}", document.display());
        }
    }
}

#[test]
fn every_command_exists() {
    let mut seen = 0;
    for document in documents() {
        let text = std::fs::read_to_string(&document).unwrap();
        for rest in text.split("fencepost ").skip(1) {
            let words: Vec<&str> = rest.split_whitespace().take(2).collect();
            let plain = |word: &&str| word.chars().all(|it| it.is_ascii_lowercase());
            let bare = |word: &str| {
                word.trim_end_matches(['`', ',', '.', ')', ':', ';'])
                    .to_owned()
            };
            let Some(command) = words
                .first()
                .map(|word| bare(word))
                .filter(|it| plain(&it.as_str()))
            else {
                continue;
            };
            // Prose and other programs' arguments: "systemctl restart fencepost", "fencepost is".
            if !rest.starts_with(&command) || !text.contains(&format!("`fencepost {command}")) {
                continue;
            }
            let mut arguments = vec![command.clone()];
            if command == "board" {
                arguments.extend(words.get(1).map(|word| bare(word)));
            }
            seen += 1;
            let output = Command::new(env!("CARGO_BIN_EXE_fencepost"))
                .args(&arguments)
                .arg("--help")
                .output()
                .unwrap();
            assert!(
                output.status.success(),
                "{}: fencepost {arguments:?}",
                document.display()
            );
        }
    }
    assert!(
        seen > 30,
        "only {seen} commands were found: the search is broken"
    );
}

#[test]
fn the_examples_of_a_policy_are_a_configuration() {
    let blocks = blocks(&read("docs/policies.md"), "toml");
    assert_eq!(blocks.len(), 2);
    let text = format!("board = \"reference\"\n{}", blocks.join("\n"));
    let config = Config::parse(&Source::new("docs/policies.md", text)).unwrap();
    // One of each kind, both ways to find a process.
    assert_eq!(config.checks.len(), 9);
}

#[test]
fn the_example_of_means_is_a_configuration() {
    let pair = blocks(&read("docs/pair.md"), "toml");
    let means = blocks(&read("docs/fencing.md"), "toml");
    assert_eq!(means.len(), 1);
    let text = format!("{}\n{}", pair[0], means[0]);
    let config = Config::parse(&Source::new("docs/fencing.md", text)).unwrap();
    assert_eq!(config.pair.unwrap().means.unwrap().len(), 3);
}

#[test]
fn the_examples_of_sync_are_a_configuration() {
    let pair = blocks(&read("docs/pair.md"), "toml");
    let blocks = blocks(&read("docs/sync.md"), "toml");
    assert_eq!(blocks.len(), 6);
    let text = format!("{}\n{}", pair[0], blocks.join("\n"));
    let config =
        Config::parse(&Source::new("docs/sync.md", text)).unwrap_or_else(|it| panic!("{it}"));
    let categories = config.sync.unwrap().categories;
    let names: Vec<&str> = categories.iter().map(|it| it.id.as_str()).collect();
    for name in [
        "firewall",
        "proxy",
        "quarantine",
        "policy-db",
        "bans",
        "leases",
    ] {
        assert!(names.contains(&name), "{names:?}");
    }
}

#[test]
fn the_examples_of_the_sync_language_are_requests() {
    let text = read("docs/sync.md");
    let lines = text
        .lines()
        .filter(|line| line.starts_with("{\"request\":"));
    let parsed = lines.map(|line| {
        serde_json::from_str::<fencepost_sync::control::RequestLine>(line)
            .unwrap_or_else(|error| panic!("{line}: {error}"))
    });
    assert_eq!(parsed.count(), 2);
    assert!(text.contains(fencepost_sync::control::SOCKET_PATH));
}

#[test]
fn every_preset_is_documented_and_all_that_none_of_them_carries() {
    let text = read("docs/sync.md");
    let shipped = fencepost::config::sync::shipped().unwrap();
    for name in shipped.names() {
        assert!(text.contains(&format!("| `{name}` | ")), "{name}");
    }
    for never in shipped.nevers {
        let line = format!("| {} | ", never.about);
        let line = text.lines().find(|it| it.starts_with(&line));
        let line = line.unwrap_or_else(|| panic!("{}", never.about));
        for pattern in never.patterns {
            assert!(line.contains(&format!("`{pattern}`")), "{pattern}");
        }
    }
}

#[test]
fn the_examples_of_the_control_language_are_requests() {
    let text = read("docs/interfaces.md");
    let (_, section) = text.split_once("## The control socket").unwrap();
    let mut parsed = 0;
    for line in section.lines().filter_map(|line| line.strip_prefix("| `")) {
        let request = line.split('`').next().unwrap();
        let line = format!("{{\"request\":{request}}}");
        serde_json::from_str::<RequestLine>(&line)
            .unwrap_or_else(|error| panic!("{line}: {error}"));
        parsed += 1;
    }
    assert!(parsed >= 7, "only {parsed} requests");
}

#[test]
fn the_example_of_an_event_is_one() {
    let blocks = blocks(&read("docs/interfaces.md"), "json");
    assert_eq!(blocks.len(), 1);
    let entry: Entry = serde_json::from_str(&blocks[0]).unwrap();
    assert_eq!(serde_json::to_string(&entry).unwrap(), blocks[0].trim());
}

#[test]
fn every_metric_is_documented() {
    let text = read("docs/interfaces.md");
    let source = read("src/cli/status/metrics.rs");
    let (source, _tests) = source.split_once("mod tests").unwrap();
    let more = read("src/cli/status/metrics/sync.rs");
    let (more, _tests) = more.split_once("mod tests").unwrap();
    let source = format!("{source}{more}");
    for rest in source.split("\"fencepost_").skip(1) {
        let name = rest.split('"').next().unwrap();
        assert!(
            text.contains(&format!("`{name}")),
            "{name} is not in docs/interfaces.md"
        );
    }
}
