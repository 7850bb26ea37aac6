//! Words that resemble a word which nobody wrote.

/// Words shorter than this, in characters, resemble nothing.
const CHARS_MIN: usize = 4;
/// Of shorter words a slip among the first letters makes too many others.
const SLIP_CHARS_MIN: usize = 5;
/// Letters that a start has: few words share so many.
const START_CHARS: usize = 4;
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

/// How words start that resemble this one but for a slip among its first letters: of every word
/// that one edit before the third letter, or a swap before the fourth, leads to, the start.
pub fn other_starts(looked_for: &str) -> Vec<String> {
    let letters: Vec<char> = looked_for.chars().take(START_CHARS + 2).collect();
    if looked_for.chars().count() < SLIP_CHARS_MIN {
        return Vec::new();
    }
    let start = |letters: Vec<char>| letters.into_iter().take(START_CHARS).collect::<String>();
    let mut starts = Vec::new();
    for at in 0..2 {
        let mut swapped = letters.clone();
        swapped.swap(at, at + 1);
        let mut fewer = letters.clone();
        fewer.remove(at);
        starts.extend([start(swapped), start(fewer)]);
        for letter in 'a'..='z' {
            let (mut replaced, mut more) = (letters.clone(), letters.clone());
            replaced[at] = letter;
            more.insert(at, letter);
            starts.extend([start(replaced), start(more)]);
        }
    }
    starts.sort_unstable();
    starts.dedup();
    starts
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
            ("acrolin", "carolin", Some(1)),
        ] {
            assert_eq!(distance(looked_for, word), expected, "{looked_for} {word}");
        }
    }

    #[test]
    fn a_slip_among_the_first_letters_leads_to_the_start_of_the_word() {
        let leads = |looked_for: &str, word: &str| {
            other_starts(looked_for).iter().any(|start| word.starts_with(start))
        };
        for looked_for in ["acrolin", "arolin", "ccarolin", "karolin", "crolin", "caarolin"] {
            assert!(leads(looked_for, "carolin"), "{looked_for}");
        }
        assert!(leads("craolin", "carolin") && leads("cerolin", "carolin"));
        assert!(!leads("marilyn", "carolin"));
        assert!(other_starts("note").is_empty());
        assert!(other_starts("carolin").len() < 120);
    }
}
