//! Mistakes in files people wrote: where, what, and what would have been right.
//!
//! Profiles and configuration are read through [`Source`]; everything wrong with one file is collected in
//! [`Findings`] and reported together as [`Mistakes`], each with file, line and column. Nothing is guessed: a
//! file with one mistake yields nothing at all, so a half-understood file can never drive a relay.

use std::fmt;
use std::io::Read;
use std::ops::{Range, RangeInclusive};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};
use serde::de::DeserializeOwned;
use toml::Spanned;

mod nearest;

pub use nearest::nearest;

/// Largest file we read, in bytes; the largest shipped profile is a tenth of it.
pub const SOURCE_BYTES_MAX: u64 = 256 * 1024;

/// A file's name and text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    name: String,
    text: String,
}

/// A file that could not be read, or must not be trusted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// The kernel said no.
    #[error("{file}: {error}")]
    Io {
        /// Path.
        file: String,
        /// The kernel's words.
        error: String,
    },
    /// Longer than [`SOURCE_BYTES_MAX`].
    #[error("{file}: longer than {SOURCE_BYTES_MAX} bytes; this is not one of our files")]
    TooLong {
        /// Path.
        file: String,
    },
    /// Anybody could have put anything in it, and it decides where relays go.
    #[error("{file}: everybody may write it (mode {mode:04o}); run: chmod o-w {file}")]
    WorldWritable {
        /// Path.
        file: String,
        /// Permission bits.
        mode: u32,
    },
}

impl Source {
    /// A text that is already at hand; `name` is what errors call it.
    pub fn new(name: impl Into<String>, text: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            text: text.into(),
        }
    }

    /// Read a file, once and with a limit.
    ///
    /// # Errors
    /// It cannot be read, is too long, is not UTF-8, or everybody may write it.
    pub fn read(path: &Path) -> Result<Self, Unreadable> {
        let file = path.display().to_string();
        let io = |error: std::io::Error| Unreadable::Io {
            file: path.display().to_string(),
            error: error.to_string(),
        };
        let open = std::fs::File::open(path).map_err(io)?;
        let mode = open.metadata().map_err(io)?.permissions().mode() & 0o7777;
        if mode & 0o002 != 0 {
            return Err(Unreadable::WorldWritable { file, mode });
        }
        let mut text = String::new();
        open.take(SOURCE_BYTES_MAX + 1)
            .read_to_string(&mut text)
            .map_err(io)?;
        if text.len() as u64 > SOURCE_BYTES_MAX {
            return Err(Unreadable::TooLong { file });
        }
        Ok(Self { name: file, text })
    }

    /// What errors call it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Line and column of a byte offset, both from 1.
    pub fn place(&self, offset: usize) -> (usize, usize) {
        let before = self.text.get(..offset).unwrap_or(&self.text);
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        let column = before[line_start..].chars().count() + 1;
        (before.matches('\n').count() + 1, column)
    }

    /// Read the text as TOML of shape `T`. Unknown keys, wrong types and unknown words are refused.
    ///
    /// # Errors
    /// The first mistake of shape; what comes after it cannot be judged.
    pub fn parse<T: DeserializeOwned>(&self) -> Result<T, Mistakes> {
        if self.text.len() as u64 > SOURCE_BYTES_MAX {
            let what = format!("longer than {SOURCE_BYTES_MAX} bytes");
            return Err(self.mistakes(vec![Mistake::new(0..0, what)]));
        }
        toml::from_str(&self.text)
            .map_err(|error| self.mistakes(vec![Mistake::from_toml(&error, &self.text)]))
    }

    fn mistakes(&self, list: Vec<Mistake>) -> Mistakes {
        Mistakes {
            source: self.clone(),
            list,
        }
    }
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    span: Range<usize>,
    what: String,
    label: String,
    help: Option<String>,
}

impl Mistake {
    /// `what` is wrong, and this is where.
    pub fn new(span: Range<usize>, what: impl Into<String>) -> Self {
        Self {
            span,
            what: what.into(),
            label: String::new(),
            help: None,
        }
    }

    /// A few words right at the place.
    #[must_use]
    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.label = label.into();
        self
    }

    /// What is allowed, or what to do.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    fn from_toml(error: &toml::de::Error, text: &str) -> Self {
        let span = error.span().unwrap_or(0..0);
        let (what, allowed) = nearest::split_expectation(error.message());
        let wrong = text.get(span.clone()).unwrap_or_default();
        let mut mistake = Self::new(span.clone(), what);
        if let Some(help) = nearest::help(wrong, error.message(), allowed) {
            mistake = mistake.help(help);
        }
        mistake
    }
}

/// Everything found wrong so far, while a file is being understood.
#[derive(Debug, Default)]
pub struct Findings(Vec<Mistake>);

impl Findings {
    /// One more.
    pub fn refuse(&mut self, mistake: Mistake) {
        self.0.push(mistake);
    }

    /// A whole number within a range; out of range it is refused and the lowest stands in.
    pub fn number<T>(&mut self, key: &str, value: &Spanned<i64>, allowed: RangeInclusive<T>) -> T
    where
        T: Copy + PartialOrd + fmt::Display + TryFrom<i64>,
    {
        match T::try_from(*value.get_ref()) {
            Ok(number) if allowed.contains(&number) => number,
            _ => {
                let (least, most) = (*allowed.start(), *allowed.end());
                self.refuse(
                    Mistake::new(
                        value.span(),
                        format!("{key} = {} is out of range", value.get_ref()),
                    )
                    .label(format!("allowed: {least} to {most}")),
                );
                least
            }
        }
    }

    /// The understood value, unless anything was refused on the way.
    ///
    /// # Errors
    /// All that was refused.
    pub fn finish<T>(mut self, source: &Source, value: T) -> Result<T, Mistakes> {
        if self.0.is_empty() {
            Ok(value)
        } else {
            self.0.sort_by_key(|mistake| mistake.span.start);
            Err(source.mistakes(self.0))
        }
    }
}

/// What is wrong with one file, in the file's order. Displays as plain text; see [`Mistakes::render`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistakes {
    source: Source,
    list: Vec<Mistake>,
}

impl Mistakes {
    /// File, line and column (from 1) and text of each.
    pub fn places(&self) -> Vec<(usize, usize, &str)> {
        self.list
            .iter()
            .map(|mistake| {
                let (line, column) = self.source.place(mistake.span.start);
                (line, column, mistake.what.as_str())
            })
            .collect()
    }

    /// For people; `renderer` decides about colour.
    pub fn render(&self, renderer: &Renderer) -> String {
        let rendered: Vec<String> = self
            .list
            .iter()
            .map(|mistake| self.render_one(mistake, renderer))
            .collect();
        rendered.join("\n\n")
    }

    fn render_one(&self, mistake: &Mistake, renderer: &Renderer) -> String {
        let span = self.visible(&mistake.span);
        let mut group: Group<'_> = Level::ERROR.primary_title(mistake.what.as_str()).element(
            Snippet::source(self.source.text.as_str())
                .path(self.source.name.as_str())
                .annotation(
                    AnnotationKind::Primary
                        .span(span)
                        .label(mistake.label.as_str()),
                ),
        );
        if let Some(help) = &mistake.help {
            group = group.element(Level::HELP.message(help.as_str()));
        }
        renderer.render(&[group])
    }

    /// A table's span runs over many lines; its first line says where it is.
    fn visible(&self, span: &Range<usize>) -> Range<usize> {
        let text = self.source.text.as_str();
        let start = span.start.min(text.len());
        let end = span.end.clamp(start, text.len());
        let line_end = text[start..end].find('\n').map_or(end, |at| start + at);
        start..line_end
    }
}

impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(&Renderer::plain()))
    }
}

impl std::error::Error for Mistakes {}
