//! Tags: trimmed, lower case, no commas, bounded.

use std::fmt;

use super::limits::{TAG_CHARS_MAX, TAG_COUNT_MAX};
use crate::{Error, Result};

/// One normalised tag.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize)]
#[serde(transparent)]
pub struct Tag(String);

impl Tag {
    /// Normalises one tag; `None` when nothing is left of it.
    ///
    /// # Errors
    /// `InvalidInput` when it is longer than [`TAG_CHARS_MAX`] or holds a control character.
    pub fn new(text: &str) -> Result<Option<Self>> {
        let tag = text.trim().to_lowercase().replace(',', "-");
        if tag.is_empty() {
            return Ok(None);
        }
        if tag.chars().count() > TAG_CHARS_MAX {
            let start: String = tag.chars().take(20).collect();
            return Err(Error::invalid(format!(
                "tag `{start}…` is longer than {TAG_CHARS_MAX} characters"
            ))
            .reason("invalid_tag"));
        }
        if tag.chars().any(char::is_control) {
            return Err(Error::invalid("a tag holds a control character").reason("invalid_tag"));
        }
        Ok(Some(Tag(tag)))
    }

    /// The tag.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> serde::Deserialize<'de> for Tag {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        match Tag::new(&text) {
            Ok(Some(tag)) => Ok(tag),
            Ok(None) => Err(serde::de::Error::custom("a tag is empty")),
            Err(error) => Err(serde::de::Error::custom(error)),
        }
    }
}

/// Normalises a list of tags: empty ones are dropped, repeats too, the order is alphabetical.
///
/// # Errors
/// `InvalidInput` when a tag is not valid or more than [`TAG_COUNT_MAX`] remain.
pub fn normalise_tags<'a>(texts: impl IntoIterator<Item = &'a str>) -> Result<Vec<Tag>> {
    let mut tags = Vec::new();
    for text in texts {
        tags.extend(Tag::new(text)?);
    }
    tags.sort();
    tags.dedup();
    if tags.len() > TAG_COUNT_MAX {
        return Err(Error::invalid(format!(
            "{} tags are given; at most {TAG_COUNT_MAX} are allowed",
            tags.len()
        ))
        .reason("too_many_tags"));
    }
    Ok(tags)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_trimmed_lowered_and_freed_of_commas() {
        let tags = normalise_tags([" Work ", "a,b", "", "work", "ÄH"]).expect("valid tags");
        let names: Vec<&str> = tags.iter().map(Tag::as_str).collect();
        assert_eq!(names, ["a-b", "work", "äh"]);
    }

    #[test]
    fn bounds_are_held() {
        assert!(normalise_tags([&*"x".repeat(101)]).is_err());
        assert!(normalise_tags([&*"é".repeat(100)]).is_ok());
        assert!(normalise_tags(["a\u{0}b"]).is_err());
        let many: Vec<String> = (0..101).map(|n| format!("t{n}")).collect();
        assert!(normalise_tags(many.iter().map(String::as_str)).is_err());
    }
}
