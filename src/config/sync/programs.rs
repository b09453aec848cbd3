//! Programs of the site, as written.

use fencepost_sync::hooks::{ARGV_MAX, Hook};
use toml::Spanned;

use crate::config::raw::millis;
use crate::diagnose::{Findings, Mistake};

/// A hook may take this long unless configured otherwise, in ms.
const LIMIT_MS: u32 = 10_000;

/// A program by its whole path, and how long it may take.
pub(super) fn program(
    argv: &Spanned<Vec<String>>,
    limit_key: &str,
    limit: &Option<Spanned<i64>>,
    findings: &mut Findings,
) -> Hook {
    let words = argv.get_ref();
    if !words
        .first()
        .is_some_and(|program| program.starts_with('/'))
    {
        findings.refuse(
            Mistake::new(argv.span(), "a program is meant here, by its whole path").help(
                "there is no shell: write each argument on its own, such as [\"/usr/sbin/nft\", \"-c\", \"-f\", \
                 \"{staged}/etc/nftables.conf\"]",
            ),
        );
    }
    if words.len() > ARGV_MAX || words.iter().any(|word| word.contains('\0')) {
        let text = format!("argv has a NUL byte or more than {ARGV_MAX} words");
        findings.refuse(Mistake::new(argv.span(), text));
    }
    Hook {
        argv: words.clone(),
        limit: millis(limit_key, limit, LIMIT_MS, 100, 3_600_000, findings),
    }
}
