//! Which paths of a tree the pair agrees on.
//!
//! Patterns are those of gitignore, matched against the path below the tree's directory:
//!
//! - without a `/` before its end a pattern matches a name at any depth; with one it is anchored to the tree's top;
//! - `*` and `?` stop at `/`, `**` does not, `[a-z]` is one of a class, `\` takes the next character as it is;
//! - a `/` at the end matches directories alone;
//! - a directory that matches takes all that is in it along.
//!
//! Three lists, in this order. `include` chooses; if it is empty, everything is chosen. `exclude` takes away from that:
//! its last matching pattern counts, and one that starts with `!` takes back what an earlier one took away (never inside
//! a directory that is itself excluded). `node_local` is each node's own: no other rule brings such a path back, on
//! neither side, and deletions spare it.
//!
//! Directories on the way to what `include` chooses come along without the rest of what is in them.

use globset::{Candidate, Glob, GlobBuilder, GlobSet, GlobSetBuilder};
use serde::{Deserialize, Serialize};

/// Most patterns in one list.
pub const PATTERNS_MAX: usize = 1024;
/// Longest pattern in bytes.
pub const PATTERN_BYTES_MAX: usize = 1024;
/// Our own directories: never replicated, wherever they are.
pub const OWN_NAMES: &str = ".fencepost-*";

/// The lists as configured.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FilterSpec {
    /// What is chosen; everything if empty.
    pub include: Vec<String>,
    /// What is taken away from that.
    pub exclude: Vec<String>,
    /// What is each node's own.
    pub node_local: Vec<String>,
}

/// The lists, ready to match.
#[derive(Debug, Clone)]
pub struct Filter {
    /// None: everything.
    include: Option<Patterns>,
    /// Directories on the way to something included.
    leading: GlobSet,
    exclude: Patterns,
    node_local: Patterns,
}

/// What to do with a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It is replicated.
    Take,
    /// A directory that is replicated only if something in it is.
    Descend,
    /// It is not replicated, nor anything in it.
    Skip,
}

/// A pattern that is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("pattern {pattern:?} in `{list}`: {fault}")]
pub struct PatternError {
    /// As configured.
    pub pattern: String,
    /// `include`, `exclude` or `node_local`.
    pub list: &'static str,
    /// What is wrong with it.
    pub fault: PatternFault,
}

/// What is wrong with a pattern.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PatternFault {
    /// Nothing in it.
    #[error("it is empty; expected a name or a path")]
    Empty,
    /// Too long.
    #[error("it has {0} bytes; at most {PATTERN_BYTES_MAX}")]
    Long(usize),
    /// Too many in the list.
    #[error("the list has more than {PATTERNS_MAX} patterns")]
    TooMany,
    /// Space around it, or a control character.
    #[error("it starts or ends with a space, or has a control character in it")]
    Blank,
    /// `.` or `..`, or two `/` in a row.
    #[error(
        "it has `.`, `..` or an empty name in it; write the path from the tree's top, as in `/a/b`"
    )]
    Dots,
    /// `!` where it means nothing.
    #[error("`!` means something in `exclude` alone; for a name that starts with it write `\\!`")]
    Negated,
    /// Braces.
    #[error("braces are not alternatives here; write two patterns, or `\\{{` for the character")]
    Braces,
    /// `**` next to other characters.
    #[error("`**` stands alone between two `/`; for any characters within a name write `*`")]
    Stars,
    /// No glob.
    #[error("{0}")]
    Glob(String),
}

/// One list: for each glob whether it takes back, and whether it is of directories alone.
#[derive(Debug, Clone)]
struct Patterns {
    set: GlobSet,
    rules: Vec<Rule>,
}

#[derive(Debug, Clone, Copy)]
struct Rule {
    takes_back: bool,
    directories_only: bool,
}

/// A pattern taken apart.
struct Pattern<'a> {
    rule: Rule,
    anchored: bool,
    /// Without `!`, and without `/` at either end.
    body: &'a str,
}

impl Filter {
    /// The filter of these lists.
    pub fn new(spec: &FilterSpec) -> Result<Self, PatternError> {
        let own = OWN_NAMES.to_owned();
        let node_local: Vec<String> = spec.node_local.iter().cloned().chain([own]).collect();
        let include = Patterns::new("include", &spec.include)?;
        Ok(Self {
            include: (!spec.include.is_empty()).then_some(include),
            leading: leading(&spec.include)?,
            exclude: Patterns::new("exclude", &spec.exclude)?,
            node_local: Patterns::new("node_local", &node_local)?,
        })
    }

    /// What to do with the tree's own directory.
    pub fn top(&self) -> Verdict {
        match self.include {
            Some(_) => Verdict::Descend,
            None => Verdict::Take,
        }
    }

    /// What to do with a path, from what is done with the directory it is in.
    ///
    /// `below` is the path below the tree's directory, not empty; links are no directories.
    pub fn verdict(&self, below: &[u8], directory: bool, parent: Verdict) -> Verdict {
        let candidate = Candidate::from_bytes(below);
        let matches = |patterns: &Patterns| patterns.matches(&candidate, directory);
        if parent == Verdict::Skip || matches(&self.node_local) || matches(&self.exclude) {
            return Verdict::Skip;
        }
        match &self.include {
            _ if parent == Verdict::Take => Verdict::Take,
            None => Verdict::Take,
            Some(include) if include.matches(&candidate, directory) => Verdict::Take,
            Some(_) if directory && self.leading.is_match_candidate(&candidate) => Verdict::Descend,
            Some(_) => Verdict::Skip,
        }
    }

    /// What to do with a path, from the tree's top. Whatever is on the way is taken to be directories.
    pub fn judge(&self, below: &[u8], directory: bool) -> Verdict {
        let mut verdict = self.top();
        if below.is_empty() {
            return verdict;
        }
        for (at, _) in below.iter().enumerate().filter(|(_, byte)| **byte == b'/') {
            verdict = self.verdict(&below[..at], true, verdict);
        }
        self.verdict(below, directory, verdict)
    }
}

impl Patterns {
    fn new(list: &'static str, patterns: &[String]) -> Result<Self, PatternError> {
        let mut set = GlobSetBuilder::new();
        let mut rules = Vec::new();
        for text in patterns {
            let refused = |fault| refuse(text, list, fault);
            if rules.len() == PATTERNS_MAX {
                return Err(refused(PatternFault::TooMany));
            }
            let pattern = Pattern::parse(text).map_err(refused)?;
            if pattern.rule.takes_back && list != "exclude" {
                return Err(refused(PatternFault::Negated));
            }
            set.add(pattern.glob().map_err(refused)?);
            rules.push(pattern.rule);
        }
        let set = set.build();
        let set = set.map_err(|error| refuse("", list, PatternFault::Glob(error.to_string())))?;
        Ok(Self { set, rules })
    }

    /// Whether the last rule that matches takes the path.
    fn matches(&self, candidate: &Candidate<'_>, directory: bool) -> bool {
        let hits = self.set.matches_candidate(candidate);
        let rules = hits.iter().rev().map(|at| self.rules[*at]);
        let mut counting = rules.filter(|rule| directory || !rule.directories_only);
        counting.next().is_some_and(|rule| !rule.takes_back)
    }
}

impl<'a> Pattern<'a> {
    fn parse(text: &'a str) -> Result<Self, PatternFault> {
        let takes_back = text.starts_with('!');
        let path = text.strip_prefix('!').unwrap_or(text);
        let directories_only = path.ends_with('/');
        let open = path.strip_suffix('/').unwrap_or(path);
        let body = open.strip_prefix('/').unwrap_or(open);
        if body.is_empty() {
            return Err(PatternFault::Empty);
        } else if text.len() > PATTERN_BYTES_MAX {
            return Err(PatternFault::Long(text.len()));
        } else if text.trim() != text || text.contains(char::is_control) {
            return Err(PatternFault::Blank);
        }
        for name in body.split('/') {
            match name {
                "" | "." | ".." => return Err(PatternFault::Dots),
                "**" => {}
                _ if name.contains("**") => return Err(PatternFault::Stars),
                _ => {}
            }
        }
        if has_braces(body) {
            return Err(PatternFault::Braces);
        }
        Ok(Self {
            rule: Rule {
                takes_back,
                directories_only,
            },
            anchored: open.contains('/'),
            body,
        })
    }

    fn glob(&self) -> Result<Glob, PatternFault> {
        match self.anchored {
            true => glob(self.body),
            false => glob(&format!("**/{}", self.body)),
        }
    }
}

/// Globs of the directories above what an anchored pattern can match; of every directory for one that is not.
fn leading(include: &[String]) -> Result<GlobSet, PatternError> {
    let mut set = GlobSetBuilder::new();
    for text in include {
        let refused = |fault| refuse(text, "include", fault);
        let pattern = Pattern::parse(text).map_err(refused)?;
        let names: Vec<&str> = pattern.body.split('/').collect();
        if !pattern.anchored {
            set.add(glob("**").map_err(refused)?);
        }
        for end in 1..names.len() {
            let above = names[..end].join("/");
            set.add(glob(&above).map_err(refused)?);
            if names[end - 1] == "**" {
                break;
            }
        }
    }
    let set = set.build();
    set.map_err(|error| refuse("", "include", PatternFault::Glob(error.to_string())))
}

fn glob(text: &str) -> Result<Glob, PatternFault> {
    let mut builder = GlobBuilder::new(text);
    builder.literal_separator(true).backslash_escape(true);
    let built = builder.build();
    built.map_err(|error| PatternFault::Glob(error.kind().to_string()))
}

fn has_braces(body: &str) -> bool {
    let mut escaped = false;
    body.chars().any(|letter| {
        let brace = !escaped && matches!(letter, '{' | '}');
        escaped = !escaped && letter == '\\';
        brace
    })
}

fn refuse(pattern: &str, list: &'static str, fault: PatternFault) -> PatternError {
    PatternError {
        pattern: pattern.to_owned(),
        list,
        fault,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filter(include: &[&str], exclude: &[&str], node_local: &[&str]) -> Filter {
        let list = |patterns: &[&str]| patterns.iter().map(|text| (*text).to_owned()).collect();
        Filter::new(&FilterSpec {
            include: list(include),
            exclude: list(exclude),
            node_local: list(node_local),
        })
        .unwrap()
    }

    /// Asserts what is taken and what is not; a name that ends in `/` is a directory.
    fn check(filter: &Filter, taken: &[&str], skipped: &[&str]) {
        let judge = |name: &str| {
            let directory = name.ends_with('/');
            filter.judge(name.trim_end_matches('/').as_bytes(), directory)
        };
        for name in taken {
            assert_eq!(judge(name), Verdict::Take, "{name}");
        }
        for name in skipped {
            assert_ne!(judge(name), Verdict::Take, "{name}");
        }
    }

    #[test]
    fn a_pattern_with_a_slash_is_anchored() {
        let names = filter(&[], &["*.bak", "/top", "a/b"], &[]);
        check(
            &names,
            &["x/top", "x/a/b", "a/c", "bak"],
            &["x.bak", "p/q/r/x.bak", "top", "top/in/it", "a/b", "a/b/c/d"],
        );
    }

    #[test]
    fn stars_and_classes() {
        let names = filter(&[], &["/a/*/z", "/b/**/z", "log-[0-9]", "/c/**", "q?"], &[]);
        check(
            &names,
            &["a/b/c/z", "b/y", "log-x", "c/", "x/c/d", "q"],
            &[
                "a/b/z",
                "b/z",
                "b/1/2/3/z",
                "deep/log-7",
                "c/d",
                "c/d/e/f",
                "qq",
            ],
        );
    }

    #[test]
    fn directories_only() {
        let names = filter(&[], &["cache/"], &[]);
        check(
            &names,
            &["cache", "x/cache"],
            &["cache/", "x/cache/", "x/cache/deep/f"],
        );
    }

    #[test]
    fn the_last_match_counts_but_not_inside_what_is_excluded() {
        let names = filter(&[], &["*.log", "!keep.log", "/gone/", "!/gone/keep"], &[]);
        check(
            &names,
            &["keep.log", "a/b/keep.log"],
            &["x.log", "gone/keep", "gone/deep/keep.log"],
        );
    }

    #[test]
    fn include_chooses_and_brings_its_parents() {
        let names = filter(&["/a/b*/c.conf", "/d/**/e", "/whole/"], &["*.tmp"], &[]);
        check(
            &names,
            &["a/b1/c.conf", "d/e", "d/1/2/3/e", "whole/", "whole/x/y/z"],
            &[
                "a/b1/other",
                "a/c.conf",
                "x/a/b1/c.conf",
                "whole/x.tmp",
                "whole",
            ],
        );
        let parent = |name: &str| names.judge(name.as_bytes(), true);
        for on_the_way in ["a", "a/b1", "d", "d/1/2"] {
            assert_eq!(parent(on_the_way), Verdict::Descend, "{on_the_way}");
        }
        for elsewhere in ["x", "a/c", "a/b1/x", "e"] {
            assert_eq!(parent(elsewhere), Verdict::Skip, "{elsewhere}");
        }
        assert_eq!(names.judge(b"", true), Verdict::Descend);
        let anywhere = filter(&["*.conf"], &[], &[]);
        assert_eq!(anywhere.judge(b"p/q/r", true), Verdict::Descend);
        check(&anywhere, &["p/q/r/x.conf"], &["p/q/r/x"]);
    }

    #[test]
    fn what_is_a_nodes_own_never_comes_back() {
        let names = filter(&["/host/id"], &["!/host/id"], &["/host/id"]);
        check(&names, &[], &["host/id"]);
        let names = filter(&[], &[], &[]);
        check(&names, &["x.fencepost-a"], &["a/b/.fencepost-stage/x"]);
    }

    #[test]
    fn bytes_that_are_no_text_are_matched() {
        let names = filter(&[], &["*.bak"], &[]);
        assert_eq!(names.judge(b"a/\xff\n.bak", false), Verdict::Skip);
        assert_eq!(names.judge(b"a/\xff\n.bac", false), Verdict::Take);
        let names = filter(&[], &["a\\{b\\}"], &[]);
        assert_eq!(names.judge(b"a{b}", false), Verdict::Skip);
    }

    #[test]
    fn refused_patterns_say_why() {
        let refused = |list: &str, pattern: &str| {
            let mut spec = FilterSpec::default();
            let patterns = match list {
                "include" => &mut spec.include,
                "exclude" => &mut spec.exclude,
                _ => &mut spec.node_local,
            };
            patterns.push(pattern.to_owned());
            Filter::new(&spec).unwrap_err()
        };
        for (pattern, fault) in [
            ("", PatternFault::Empty),
            ("/", PatternFault::Empty),
            ("!", PatternFault::Empty),
            (" a", PatternFault::Blank),
            ("a\nb", PatternFault::Blank),
            ("/a/../b", PatternFault::Dots),
            ("./a", PatternFault::Dots),
            ("a//b", PatternFault::Dots),
            ("a**", PatternFault::Stars),
            ("{a,b}", PatternFault::Braces),
        ] {
            assert_eq!(refused("exclude", pattern).fault, fault, "{pattern}");
        }
        assert_eq!(refused("include", "!a").fault, PatternFault::Negated);
        assert!(matches!(
            refused("exclude", "[a").fault,
            PatternFault::Glob(_)
        ));
        let said = refused("node_local", "../x").to_string();
        assert!(
            said.starts_with("pattern \"../x\" in `node_local`: it has `.`, `..`"),
            "{said}"
        );
        let many = vec!["a".to_owned(); PATTERNS_MAX + 1];
        let spec = FilterSpec {
            exclude: many,
            ..FilterSpec::default()
        };
        assert_eq!(Filter::new(&spec).unwrap_err().fault, PatternFault::TooMany);
    }
}
