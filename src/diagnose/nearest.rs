//! "Did you mean": the nearest allowed word, and the reasons behind refusals that a type alone cannot give.

/// The candidate nearest to `word`, if it is near enough to be a slip of the finger.
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let slips_max = (word.chars().count() / 3).max(1);
    candidates
        .into_iter()
        .map(|candidate| (slips(word, candidate), candidate))
        .filter(|(slips, _)| *slips <= slips_max)
        .min()
        .map(|(_, candidate)| candidate)
}

/// Insertions, deletions and replacements between two words (Levenshtein).
fn slips(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, to) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(from != *to);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

/// Keys by which people try to name a line by its number.
const LINE_BY_NUMBER: [&str; 5] = ["chip", "gpiochip", "offset", "number", "pin"];

/// Splits the parser's "unknown field `x`, expected one of `a`, `b`" into the fact and what was allowed.
pub(super) fn split_expectation(message: &str) -> (String, Option<&str>) {
    let message = message.trim_end();
    let (fact, allowed) = match message.split_once(", expected ") {
        Some((fact, allowed)) => (fact, Some(allowed)),
        None => (message, None),
    };
    let fact = fact
        .replace("unknown field", "unknown key")
        .replace("unknown variant", "unknown word")
        .replace("missing field", "missing key")
        .replace(
            "wanted exactly 1 element, more than 1 element",
            "more than one kind",
        );
    (fact, allowed)
}

/// What to do about it, as far as the parser's message tells.
pub(super) fn help(wrong: &str, message: &str, allowed: Option<&str>) -> Option<String> {
    let wrong = wrong.trim_matches(['"', '\'']);
    if message.contains("missing field `source`") || message.contains("missing field `confidence`")
    {
        return Some(
            "every table that states facts says where they come from (source = \"…\") and how sure that is \
             (confidence = \"high\", \"medium\" or \"low\")"
                .to_owned(),
        );
    }
    if message.starts_with("unknown field") && LINE_BY_NUMBER.contains(&wrong) {
        return Some(
            "a line is referred to by its name only: chip and line numbers follow probe order and change with \
             the kernel; `gpioinfo` prints names"
                .to_owned(),
        );
    }
    if message.contains("more than 1 element") {
        return Some("one kind only; is one of these headings misspelt?".to_owned());
    }
    let allowed = allowed?;
    let words: Vec<&str> = allowed.split('`').skip(1).step_by(2).collect();
    if words.is_empty() {
        return Some(format!("expected {allowed}"));
    }
    let list = words.join(", ");
    Some(match nearest(wrong, words.iter().copied()) {
        Some(word) => format!("did you mean `{word}`? allowed: {list}"),
        None => format!("allowed: {list}"),
    })
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn a_slip_is_recognised_and_another_word_is_not() {
        let words = ["adapter", "address", "segment"];
        assert_eq!(nearest("adress", words), Some("address"));
        assert_eq!(nearest("adaptor", words), Some("adapter"));
        assert_eq!(nearest("polarity", words), None);
    }
}
