//! Reads a derived print: words, and numbers with the place where they stand.

/// A piece of a print.
#[derive(Debug)]
pub(super) enum Token<'t> {
    /// A word or a sign, as a number.
    Word(i128),
    /// An instant, in nanoseconds.
    Instant(u64),
    /// A reading of a clock that runs only while its node does; `total`: the clock itself.
    Awake { total: bool, nanos: u64 },
    /// Any other number.
    Number(u64, Place<'t>),
}

/// Where a number stands.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place<'t> {
    /// For every bracket around it, the nearest last: the field, and the name before it.
    open: &'t [(&'t str, &'t str)],
    field: &'t str,
    /// It is the first thing in its brackets.
    pub(super) first: bool,
}

impl Place<'_> {
    /// The nearest field or name.
    pub(super) fn nearest(&self) -> &str {
        let tells = |name: &&str| !matches!(*name, "" | "Some" | "Ok" | "Err");
        let around = self
            .open
            .iter()
            .rev()
            .flat_map(|(field, name)| [*name, *field]);
        core::iter::once(self.field)
            .chain(around)
            .find(tells)
            .unwrap_or("")
    }

    pub(super) fn within(&self, name: &str) -> bool {
        self.open
            .iter()
            .any(|(field, around)| *field == name || *around == name)
    }
}

/// Fields that decide nothing, or are the same in every state.
const LEFT_OUT: &[&str] = &[
    "policy",
    "timing",
    "strapping",
    "settings",
    "log",
    "tally",
    "out",
    "handovers",
    "closes",
    "rejected",
    "worst_late",
    "lateness_us",
    "interval_us",
    "since",
    "moves",
    "refused",
    "board",
    "agreement",
    "versions",
    "takeovers",
    "entropy",
    "turn_stamp",
    "tried",
    "why",
    "settings_dirty",
    "inputs_at",
    "moved_at",
    "kicked_at",
    "reported_at",
    "passing_since",
    "identity",
    "stamp",
    "life",
    "clock_",
    "session_log",
    "powered_at",
    "ppm",
    "travel",
    "retired",
    "read_every",
    "gap_max",
];

/// So many sending times are kept: more than are sent while a lease lasts.
const SENT_KEPT: usize = 12;

/// The tokens of a print.
#[derive(Debug)]
pub(super) struct Tokens<'a> {
    text: &'a str,
    at: usize,
    /// For every open bracket: the field, and the name before it.
    open: Vec<(&'a str, &'a str)>,
    field: &'a str,
    name: &'a str,
    first: bool,
}

impl<'a> Tokens<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self {
            text,
            at: 0,
            open: Vec::new(),
            field: "",
            name: "",
            first: true,
        }
    }

    fn byte(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn take_while(&mut self, wanted: impl Fn(u8) -> bool) -> &'a str {
        let from = self.at;
        while self.byte().is_some_and(&wanted) {
            self.at += 1;
        }
        self.text.get(from..self.at).unwrap_or("")
    }

    fn word(&mut self) -> Option<Token<'static>> {
        let word = self.take_while(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        if self.byte() == Some(b':') {
            self.at += 1;
            if LEFT_OUT.contains(&word) {
                self.skip_value();
                return None;
            }
            self.field = word;
            self.name = "";
            if word == "sent" {
                self.skip_long_sent();
            }
            return None;
        }
        self.name = word;
        Some(Token::Word(hash(word)))
    }

    /// Of the sending times that are remembered only the last can still bear on a lease.
    fn skip_long_sent(&mut self) {
        let from = self.at;
        self.skip_value();
        let value = self.text.get(from..self.at).unwrap_or("");
        let mut starts = value.rmatch_indices("(").skip(SENT_KEPT * 2);
        self.at = from;
        if let Some((skipped, _)) = starts.next() {
            self.open.push(("sent", ""));
            self.field = "";
            self.at = from + skipped;
        }
    }

    /// To the end of a field's value.
    fn skip_value(&mut self) {
        let mut depth = 0_u32;
        while let Some(byte) = self.byte() {
            match byte {
                b'"' => {
                    self.skip_text();
                    continue;
                }
                b'{' | b'(' | b'[' => depth += 1,
                b'}' | b')' | b']' if depth == 0 => return,
                b'}' | b')' | b']' => depth -= 1,
                b',' if depth == 0 => return,
                _ => {}
            }
            self.at += 1;
        }
    }

    /// What is written for people decides nothing.
    fn skip_text(&mut self) {
        self.at += 1;
        while let Some(byte) = self.byte() {
            self.at += if byte == b'\\' { 2 } else { 1 };
            if byte == b'"' {
                return;
            }
        }
    }

    fn number(&mut self) -> Token<'_> {
        let digits = self.take_while(|byte| byte.is_ascii_digit());
        let whole: u64 = digits.parse().unwrap_or(u64::MAX);
        let first = core::mem::replace(&mut self.first, false);
        let fraction = if self.byte() == Some(b'.') {
            self.at += 1;
            self.take_while(|byte| byte.is_ascii_digit())
        } else {
            ""
        };
        let unit = self.take_while(|byte| !byte.is_ascii() || byte.is_ascii_alphabetic());
        if unit.is_empty() {
            if self.innermost() == "Instant" {
                return Token::Instant(whole);
            }
            let (open, field) = (&self.open, self.field);
            return Token::Number(whole, Place { open, field, first });
        }
        let nanos = span(whole, fraction, unit);
        if self.innermost() == "Since" {
            return Token::Awake {
                total: false,
                nanos,
            };
        }
        if self.field == "awake" {
            return Token::Awake { total: true, nanos };
        }
        Token::Word(i128::from(nanos))
    }

    fn innermost(&self) -> &'a str {
        self.open.last().map_or("", |(_, name)| name)
    }
}

impl Tokens<'_> {
    /// The next one.
    pub(super) fn token(&mut self) -> Option<Token<'_>> {
        loop {
            let byte = self.byte()?;
            match byte {
                b'0'..=b'9' => return Some(self.number()),
                b'A'..=b'Z' | b'a'..=b'z' | b'_' => {
                    if let Some(token) = self.word() {
                        return Some(token);
                    }
                }
                b'"' => self.skip_text(),
                b'{' | b'(' | b'[' => {
                    self.open.push((self.field, self.name));
                    (self.field, self.name, self.first) = ("", "", true);
                    self.at += 1;
                    return Some(Token::Word(i128::from(byte)));
                }
                b'}' | b')' | b']' => {
                    let (field, _) = self.open.pop().unwrap_or_default();
                    (self.field, self.name) = (field, "");
                    self.at += 1;
                    return Some(Token::Word(i128::from(byte)));
                }
                _ => self.at += 1,
            }
        }
    }
}

fn span(whole: u64, fraction: &str, unit: &str) -> u64 {
    let scale: u64 = match unit {
        "s" => 1_000_000_000,
        "ms" => 1_000_000,
        "µs" => 1_000,
        _ => 1,
    };
    let mut nanos = whole.saturating_mul(scale);
    let mut part = scale;
    for digit in fraction.bytes() {
        part /= 10;
        nanos += u64::from(digit - b'0') * part;
    }
    nanos
}

fn hash(word: &str) -> i128 {
    let mut hash = 0_u64;
    for byte in word.bytes() {
        hash = hash.wrapping_mul(0x0100_0000_01b3) ^ u64::from(byte);
    }
    i128::from(hash) + 1_000
}
