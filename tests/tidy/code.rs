//! Rules about Rust code, seen without its comments and strings.

const LINES_MAX: usize = 500;

/// Words that say nothing of what a module does.
const POOR_NAMES: [&str; 6] = ["utils", "util", "common", "helpers", "manager", "misc"];

/// What a pure module may not name, as full paths.
const IMPURE: [&str; 13] = [
    "crate::io",
    "tokio::",
    "std::fs",
    "std::net",
    "std::thread",
    "std::process",
    "std::env",
    "std::time::Instant",
    "std::time::SystemTime",
    "HashMap",
    "HashSet",
    "nix::",
    "libc::",
];

/// The only file that may hold what the compiler cannot check.
const UNSAFE_IN: &str = "src/io/sys.rs";

pub(crate) fn impure(text: &str) -> Vec<String> {
    let code = code_of(text);
    let compact: String = code.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut paths = vec![compact.clone()];
    for (start, _) in compact.match_indices("use ") {
        let tree = compact[start + 4..].split(';').next().unwrap_or_default();
        expand("", &tree.replace(' ', ""), &mut paths);
    }
    let named = |forbidden: &&str| paths.iter().any(|path| path.contains(*forbidden));
    IMPURE
        .iter()
        .filter(|forbidden| named(forbidden))
        .map(|forbidden| format!("names `{forbidden}`"))
        .collect()
}

/// The paths of a `use` tree, each in full.
fn expand(prefix: &str, tree: &str, paths: &mut Vec<String>) {
    let Some((head, rest)) = tree.split_once('{') else {
        return paths.push(format!("{prefix}{tree}"));
    };
    let inner = rest.rsplit_once('}').map_or(rest, |(inner, _)| inner);
    let (mut depth, mut begin) = (0, 0);
    for (at, letter) in inner.char_indices().chain([(inner.len(), ',')]) {
        match letter {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                expand(&format!("{prefix}{head}"), &inner[begin..at], paths);
                begin = at + 1;
            }
            _ => {}
        }
    }
}

pub(crate) fn too_long(text: &str) -> Vec<String> {
    let lines = text.lines().count();
    let over = lines > LINES_MAX;
    over.then(|| format!("{lines} lines; at most {LINES_MAX}"))
        .into_iter()
        .collect()
}

pub(crate) fn poor_module_name(path: &str) -> Vec<String> {
    path.split(['/', '.'])
        .filter(|part| POOR_NAMES.contains(part))
        .map(|part| format!("`{part}` does not say what the module does"))
        .collect()
}

pub(crate) fn mute_ignores(text: &str) -> Vec<String> {
    let mute = text.lines().filter(|line| line.trim() == "#[ignore]");
    mute.map(|_| "an ignored test without a reason".to_owned())
        .collect()
}

pub(crate) fn misplaced_unsafe(path: &str, text: &str) -> Vec<String> {
    let code = code_of(text);
    let words = code.split(|letter: char| !letter.is_alphanumeric() && letter != '_');
    if path == UNSAFE_IN || !words.into_iter().any(|word| word == "unsafe") {
        return Vec::new();
    }
    vec![format!("`unsafe` outside {UNSAFE_IN}")]
}

/// The text with comments gone and strings emptied. Raw strings end at their own mark; a quote as a character is not
/// the start of a string; lifetimes stay.
pub(crate) fn code_of(text: &str) -> String {
    let mut code = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(letter) = rest.chars().next() {
        let skipped = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            rest.find("*/").map_or(rest.len(), |end| end + 2)
        } else if let Some(hashes) = raw_string(rest) {
            let (open, end) = (hashes + 2, format!("\"{}", "#".repeat(hashes)));
            let close = rest[open..].find(&end);
            close.map_or(rest.len(), |at| open + at + end.len())
        } else if letter == '"' {
            1 + string_length(&rest[1..])
        } else if rest.starts_with("'\"'") {
            3
        } else if rest.starts_with("'\\\"'") || rest.starts_with("'\\''") {
            4
        } else {
            code.push(letter);
            letter.len_utf8()
        };
        rest = &rest[skipped..];
    }
    code
}

/// How many hashes a raw string starts with, if one starts here.
fn raw_string(text: &str) -> Option<usize> {
    let marks = text.strip_prefix('r')?;
    let hashes = marks.len() - marks.trim_start_matches('#').len();
    marks[hashes..].starts_with('"').then_some(hashes)
}

/// Bytes up to and with the closing quote.
fn string_length(text: &str) -> usize {
    let mut escaped = false;
    for (at, letter) in text.char_indices() {
        match letter {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}
