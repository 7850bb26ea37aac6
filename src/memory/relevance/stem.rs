//! English words without their endings (Porter 1980, "An algorithm for suffix stripping"), exactly
//! as the tokenizer `porter` of FTS5 does it, so that what the word index finds is recognised here.

/// Words outside of these lengths, in bytes, stay as they are.
const BYTES: std::ops::RangeInclusive<usize> = 3..=64;

/// Endings and what takes their place, when enough of the word is left before them.
type Rules = &'static [(&'static str, &'static str)];

const STEP_2: Rules = &[
    ("ational", "ate"),
    ("tional", "tion"),
    ("enci", "ence"),
    ("anci", "ance"),
    ("izer", "ize"),
    ("logi", "log"),
    ("bli", "ble"),
    ("alli", "al"),
    ("entli", "ent"),
    ("eli", "e"),
    ("ousli", "ous"),
    ("ization", "ize"),
    ("ation", "ate"),
    ("ator", "ate"),
    ("alism", "al"),
    ("iveness", "ive"),
    ("fulness", "ful"),
    ("ousness", "ous"),
    ("aliti", "al"),
    ("iviti", "ive"),
    ("biliti", "ble"),
];
const STEP_3: Rules = &[
    ("icate", "ic"),
    ("ative", ""),
    ("alize", "al"),
    ("iciti", "ic"),
    ("ical", "ic"),
    ("ful", ""),
    ("ness", ""),
];
const STEP_4: &[&str] = &[
    "al", "ance", "ence", "er", "ic", "able", "ible", "ant", "ement", "ment", "ent", "ion", "ou",
    "ism", "ate", "iti", "ous", "ive", "ize",
];

/// The stem of a word in lower case.
pub fn stem(word: &str) -> String {
    if !BYTES.contains(&word.len()) {
        return word.to_owned();
    }
    let mut word = word.to_owned();
    without_plural(&mut word);
    without_participle(&mut word);
    if word.ends_with('y') && has_vowel(&word[..word.len() - 1]) {
        word.replace_range(word.len() - 1.., "i");
    }
    replace(&mut word, STEP_2);
    replace(&mut word, STEP_3);
    without_suffix(&mut word);
    without_final_e(&mut word);
    if word.ends_with("ll") && measure(&word[..word.len() - 1]) > 1 {
        word.pop();
    }
    word
}

/// Step 1a.
fn without_plural(word: &mut String) {
    if word.ends_with("sses") || word.ends_with("ies") {
        word.truncate(word.len() - 2);
    } else if word.ends_with('s') && !word.ends_with("ss") {
        word.pop();
    }
}

/// Step 1b.
fn without_participle(word: &mut String) {
    if let Some(start) = word.strip_suffix("eed") {
        if measure(start) > 0 {
            word.pop();
        }
        return;
    }
    let Some(start) = word.strip_suffix("ed").or_else(|| word.strip_suffix("ing")) else { return };
    if !has_vowel(start) {
        return;
    }
    word.truncate(start.len());
    let bytes = word.as_bytes();
    let last = bytes[bytes.len() - 1];
    let is_doubled = bytes.len() > 1 && bytes[bytes.len() - 2] == last;
    if ["at", "bl", "iz"].iter().any(|end| word.ends_with(end)) {
        word.push('e');
    } else if is_doubled && is_consonant(bytes, bytes.len() - 1) && !b"lsz".contains(&last) {
        word.pop();
    } else if measure(word) == 1 && ends_short(word) {
        word.push('e');
    }
}

/// Steps 2 and 3: the longest ending that is there, if a measure is left before it.
fn replace(word: &mut String, rules: Rules) {
    let found = rules.iter().filter(|(ending, _)| word.ends_with(ending));
    let Some((ending, new)) = found.max_by_key(|(ending, _)| ending.len()) else { return };
    let start = word.len() - ending.len();
    if measure(&word[..start]) > 0 {
        word.replace_range(start.., new);
    }
}

/// Step 4.
fn without_suffix(word: &mut String) {
    let found = STEP_4.iter().filter(|ending| word.ends_with(**ending));
    let Some(ending) = found.max_by_key(|ending| ending.len()) else { return };
    let start = &word[..word.len() - ending.len()];
    let may_go = *ending != "ion" || start.ends_with(['s', 't']);
    if may_go && measure(start) > 1 {
        word.truncate(start.len());
    }
}

/// Step 5a.
fn without_final_e(word: &mut String) {
    let Some(start) = word.strip_suffix('e') else { return };
    let measured = measure(start);
    if measured > 1 || measured == 1 && !ends_short(start) {
        word.pop();
    }
}

/// How many times a consonant follows a vowel.
fn measure(word: &str) -> usize {
    let bytes = word.as_bytes();
    (1..bytes.len()).filter(|at| is_consonant(bytes, *at) && !is_consonant(bytes, at - 1)).count()
}

fn has_vowel(word: &str) -> bool {
    (0..word.len()).any(|at| !is_consonant(word.as_bytes(), at))
}

/// Consonant, vowel, consonant at the end, the last one none of w, x and y.
fn ends_short(word: &str) -> bool {
    let bytes = word.as_bytes();
    let Some(start) = bytes.len().checked_sub(3) else { return false };
    is_consonant(bytes, start)
        && !is_consonant(bytes, start + 1)
        && is_consonant(bytes, start + 2)
        && !b"wxy".contains(&bytes[start + 2])
}

/// A `y` is a vowel after a consonant.
fn is_consonant(bytes: &[u8], at: usize) -> bool {
    match bytes[at] {
        b'a' | b'e' | b'i' | b'o' | b'u' => false,
        b'y' => at == 0 || !is_consonant(bytes, at - 1),
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endings_go_as_the_paper_says() {
        for (word, expected) in [
            ("caresses", "caress"),
            ("ponies", "poni"),
            ("cats", "cat"),
            ("agreed", "agre"),
            ("plastered", "plaster"),
            ("motoring", "motor"),
            ("sing", "sing"),
            ("conflated", "conflat"),
            ("hopping", "hop"),
            ("falling", "fall"),
            ("filing", "file"),
            ("happy", "happi"),
            ("sky", "sky"),
            ("relational", "relat"),
            ("vietnamization", "vietnam"),
            ("triplicate", "triplic"),
            ("adjustment", "adjust"),
            ("adoption", "adopt"),
            ("probate", "probat"),
            ("rate", "rate"),
            ("controll", "control"),
            ("painting", "paint"),
            ("painted", "paint"),
            ("is", "is"),
            ("über", "über"),
        ] {
            assert_eq!(stem(word), expected, "{word}");
        }
        let long = "s".repeat(65);
        assert_eq!(stem(&long), long);
    }
}
