//! Kinds of values that several tools take, each valid once it is read.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

use crate::memory::{TAG_COUNT_MAX, Tag, TagMatch, normalise_tags};

/// Normalised tags, from a list or from a text with commas between them.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Tags(pub(super) Vec<Tag>);

impl<'de> Deserialize<'de> for Tags {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged, expecting = "tags are a list of strings or one string with commas")]
        enum Given {
            Text(String),
            List(Vec<String>),
        }
        let tags = match Given::deserialize(deserializer)? {
            Given::Text(text) => normalise_tags(text.split(',')),
            Given::List(texts) => normalise_tags(texts.iter().map(String::as_str)),
        };
        tags.map(Tags).map_err(D::Error::custom)
    }
}

impl JsonSchema for Tags {
    fn schema_name() -> Cow<'static, str> {
        "Tags".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "oneOf": [
                {"type": "array", "items": {"type": "string"}, "maxItems": TAG_COUNT_MAX},
                {"type": "string"},
            ],
            "description": "A list of tags, or one string with commas between them.",
        })
    }
}

/// A whole number within bounds; `10.0` is one as well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Whole<const MIN: usize, const MAX: usize>(pub(super) usize);

impl<'de, const MIN: usize, const MAX: usize> Deserialize<'de> for Whole<MIN, MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let number = f64::deserialize(deserializer)?;
        if number.fract() != 0.0 || !(MIN as f64..=MAX as f64).contains(&number) {
            let detail = format!("{number} is not a whole number from {MIN} to {MAX}");
            return Err(D::Error::custom(detail));
        }
        Ok(Whole(number as usize))
    }
}

impl<const MIN: usize, const MAX: usize> JsonSchema for Whole<MIN, MAX> {
    fn schema_name() -> Cow<'static, str> {
        format!("Whole{MIN}To{MAX}").into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "integer", "minimum": MIN, "maximum": MAX})
    }
}

/// A number from 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Fraction(pub(super) f64);

impl<'de> Deserialize<'de> for Fraction {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let number = f64::deserialize(deserializer)?;
        if !(0.0..=1.0).contains(&number) {
            return Err(D::Error::custom(format!("{number} is not a number from 0 to 1")));
        }
        Ok(Fraction(number))
    }
}

impl JsonSchema for Fraction {
    fn schema_name() -> Cow<'static, str> {
        "Fraction".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "number", "minimum": 0, "maximum": 1})
    }
}

/// How several tags combine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum TagMode {
    /// One of the tags is enough.
    Any,
    /// Every tag is needed.
    All,
}

impl From<TagMode> for TagMatch {
    fn from(mode: TagMode) -> Self {
        match mode {
            TagMode::Any => TagMatch::Any,
            TagMode::All => TagMatch::All,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check<T: serde::de::DeserializeOwned + std::fmt::Debug>(json: &str, good: bool) {
        let found = serde_json::from_str::<T>(json);
        assert_eq!(found.is_ok(), good, "{json}: {found:?}");
    }

    #[test]
    fn tags_are_a_list_or_a_text() {
        for json in [r#"["B","a"]"#, r#""b, A""#] {
            let tags: Tags = serde_json::from_str(json).expect("valid");
            assert_eq!(tags.0.iter().map(Tag::as_str).collect::<Vec<_>>(), ["a", "b"]);
        }
        check::<Tags>("7", false);
        check::<Tags>("[1]", false);
        check::<Tags>(&format!("\"{}\"", "x".repeat(101)), false);
    }

    #[test]
    fn numbers_are_bounded() {
        for (json, good) in [("1", true), ("100", true), ("10.0", true), ("0", false)] {
            check::<Whole<1, 100>>(json, good);
        }
        for json in ["101", "1.5", "-1", "\"5\"", "1e999", "null"] {
            check::<Whole<1, 100>>(json, false);
        }
        for (json, good) in [("0", true), ("0.5", true), ("1", true), ("1.1", false)] {
            check::<Fraction>(json, good);
        }
    }
}
