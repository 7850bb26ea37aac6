//! Words that resemble a word which nobody wrote.

/// Words shorter than this, in characters, resemble nothing.
const CHARS_MIN: usize = 4;
/// From so many characters on, two edits are allowed instead of one.
const LONG_CHARS: usize = 8;

/// How far a word is from the one that was looked for; `None` when it does not resemble it. A word
/// that starts with it is as near as one with one edit.
pub fn distance(looked_for: &str, word: &str) -> Option<usize> {
    let (a, b): (Vec<char>, Vec<char>) = (looked_for.chars().collect(), word.chars().collect());
    if a.len() < CHARS_MIN {
        return None;
    }
    if b.starts_with(&a) {
        return Some(1);
    }
    let edits_max = if a.len() >= LONG_CHARS { 2 } else { 1 };
    if a.len().abs_diff(b.len()) > edits_max {
        return None;
    }
    Some(edits(&a, &b)).filter(|edits| *edits <= edits_max)
}

/// Letters added, lost, replaced or swapped with the next (optimal string alignment).
fn edits(a: &[char], b: &[char]) -> usize {
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut row = vec![i; b.len() + 1];
        for j in 1..=b.len() {
            let replaced = last[j - 1] + usize::from(a[i - 1] != b[j - 1]);
            row[j] = replaced.min(last[j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                row[j] = row[j].min(before[j - 2] + 1);
            }
        }
        before = std::mem::replace(&mut last, row);
    }
    last[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_with_a_slip_resemble_each_other() {
        for (looked_for, word, expected) in [
            ("melaine", "melanie", Some(1)),
            ("caroln", "caroline", None),
            ("carol", "caroline", Some(1)),
            ("otpclint", "otpclient", Some(1)),
            ("mispeling", "misspelling", Some(2)),
            ("printer", "printer", Some(1)),
            ("cat", "cats", None),
            ("bread", "break", Some(1)),
            ("bread", "drain", None),
            ("naïve", "naive", Some(1)),
        ] {
            assert_eq!(distance(looked_for, word), expected, "{looked_for} {word}");
        }
    }
}
