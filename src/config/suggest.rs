//! The known name that someone probably meant.

/// Longer names are no slips of the finger, and comparing costs the product of the lengths.
const NAME_BYTES_MAX: usize = 64;

/// The nearest of the known names, if one is near: a third of its letters may differ. A name with
/// a wrong or missing section or prefix (`port` for `http.port`) is found by its last part.
pub(super) fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    if name.len() > NAME_BYTES_MAX {
        return None;
    }
    known
        .filter_map(|candidate| Some((apart(name, candidate)?, candidate)))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

fn apart(name: &str, candidate: &str) -> Option<usize> {
    let end = last_part(candidate);
    let by_end = near(name, end).or_else(|| near(last_part(name), end));
    near(name, candidate).or(by_end.map(|distance| distance + 1))
}

fn near(name: &str, candidate: &str) -> Option<usize> {
    Some(edits(name, candidate)).filter(|distance| *distance <= candidate.len() / 3)
}

/// `port` of `http.port`, `HTTP_PORT` of `MCP_HTTP_PORT`.
fn last_part(name: &str) -> &str {
    match name.rsplit_once('.') {
        Some((_, part)) => part,
        None => name.split_once('_').map_or(name, |(_, part)| part),
    }
}

/// The Levenshtein distance.
fn edits(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().collect();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (above, from) in left.chars().enumerate() {
        let mut diagonal = above;
        row[0] = above + 1;
        for (column, to) in right.iter().enumerate() {
            let replaced = diagonal + usize::from(from != *to);
            diagonal = row[column + 1];
            row[column + 1] = replaced.min(diagonal + 1).min(row[column] + 1);
        }
    }
    row[right.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_are_those_of_levenshtein() {
        for (left, right, expected) in
            [("", "", 0), ("", "abc", 3), ("kitten", "sitting", 3), ("port", "prot", 2)]
        {
            assert_eq!(edits(left, right), expected);
            assert_eq!(edits(right, left), expected);
        }
    }

    #[test]
    fn the_near_name_is_found_and_the_far_one_is_not() {
        let known = ["http.port", "http.host", "log.filter", "MCP_HTTP_PORT", "MEMNODE_LOG"];
        for (name, expected) in [
            ("http.prot", Some("http.port")),
            ("port", Some("http.port")),
            ("server.port", Some("http.port")),
            ("MEMNODE_HTTP_PORT", Some("MCP_HTTP_PORT")),
            ("MEMNODE_LOGS", Some("MEMNODE_LOG")),
            ("MEMNODE_SOMETHING_ELSE", None),
            ("nats", None),
            ("zzz", None),
            (&"x".repeat(1 << 20), None),
        ] {
            assert_eq!(nearest(name, known.into_iter()), expected, "{name:.40}");
        }
    }
}
