//! Fields that several bodies share, with their bounds.

use std::fmt;

use serde::de::{Error, SeqAccess, Unexpected, Visitor};
use serde::{Deserialize, Deserializer};
use utoipa::openapi::schema::{ArrayBuilder, ObjectBuilder, OneOfBuilder, Type};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use crate::memory::{RESULT_COUNT_MAX, TAG_CHARS_MAX, TAG_COUNT_MAX, Tag, normalise_tags};

/// Normalised tags, from a list or from a text with commas between them; null is none.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tags(pub Vec<Tag>);

impl<'de> Deserialize<'de> for Tags {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TagsVisitor)
    }
}

struct TagsVisitor;

impl<'de> Visitor<'de> for TagsVisitor {
    type Value = Tags;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a sequence")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Tags, E> {
        normalise_tags(text.split(',')).map(Tags).map_err(E::custom)
    }

    fn visit_unit<E: Error>(self) -> Result<Tags, E> {
        Ok(Tags::default())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Tags, A::Error> {
        let mut texts: Vec<String> = Vec::new();
        while let Some(text) = seq.next_element()? {
            texts.push(text);
        }
        normalise_tags(texts.iter().map(String::as_str)).map(Tags).map_err(A::Error::custom)
    }
}

impl PartialSchema for Tags {
    fn schema() -> RefOr<Schema> {
        let tag = ObjectBuilder::new().schema_type(Type::String).max_length(Some(TAG_CHARS_MAX));
        let list = ArrayBuilder::new().items(tag).max_items(Some(TAG_COUNT_MAX));
        let text = ObjectBuilder::new()
            .schema_type(Type::String)
            .description(Some("The same with commas between the tags."));
        OneOfBuilder::new()
            .item(list)
            .item(text)
            .item(ObjectBuilder::new().schema_type(Type::Null))
            .description(Some(
                "Trimmed, put into lower case, without repeats; a comma inside a listed tag \
                 becomes `-`.",
            ))
            .examples([serde_json::json!(["work", "rust"])])
            .into()
    }
}

impl ToSchema for Tags {}

/// A whole number of results, 1 to [`RESULT_COUNT_MAX`]; `10.0` is one as well.
pub fn result_count<'de, D: Deserializer<'de>>(deserializer: D) -> Result<usize, D::Error> {
    let number = f64::deserialize(deserializer)?;
    if number.fract() != 0.0 || !(1.0..=RESULT_COUNT_MAX as f64).contains(&number) {
        let expected = format!("a whole number from 1 to {RESULT_COUNT_MAX}");
        return Err(D::Error::invalid_value(Unexpected::Float(number), &expected.as_str()));
    }
    Ok(number as usize)
}

/// A number from 0 to 1.
pub fn fraction<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    let number = f64::deserialize(deserializer)?;
    if !(0.0..=1.0).contains(&number) {
        return Err(D::Error::invalid_value(Unexpected::Float(number), &"a number from 0 to 1"));
    }
    Ok(number)
}

/// A number from 0 to 1, or null.
pub fn fraction_or_none<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<f64>, D::Error> {
    #[derive(Deserialize)]
    struct Fraction(#[serde(deserialize_with = "fraction")] f64);
    Ok(Option::<Fraction>::deserialize(deserializer)?.map(|fraction| fraction.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(json: &str, expected: Option<&[&str]>) {
        let tags = serde_json::from_str::<Tags>(json).ok();
        let names = tags.map(|tags| tags.0.iter().map(Tag::to_string).collect::<Vec<_>>());
        let expected = expected.map(|names| names.iter().map(ToString::to_string).collect());
        assert_eq!(names, expected, "{json}");
    }

    #[test]
    fn tags_are_a_list_or_a_text_with_commas() {
        check(r#"["B", " a "]"#, Some(&["a", "b"]));
        check(r#""b, A,,b""#, Some(&["a", "b"]));
        check(r#"["a,b"]"#, Some(&["a-b"]));
        check("null", Some(&[]));
        check(r#""""#, Some(&[]));
        check("7", None);
        check(r#"{"a": 1}"#, None);
        check(r#"["a", null]"#, None);
        check(r#"["a\u0000"]"#, None);
        check(&format!("[\"{}\"]", "x".repeat(101)), None);
    }

    #[derive(Deserialize)]
    struct Numbers {
        #[serde(default, deserialize_with = "fraction_or_none")]
        fraction: Option<f64>,
        #[serde(default, deserialize_with = "result_count")]
        count: usize,
    }

    #[test]
    fn numbers_outside_their_bounds_are_refused() {
        for (body, good) in [
            (r#"{"fraction": 0, "count": 1}"#, true),
            (r#"{"fraction": 1, "count": 100}"#, true),
            (r#"{"fraction": null, "count": 10.0}"#, true),
            (r#"{"fraction": 1.01}"#, false),
            (r#"{"fraction": -0.1}"#, false),
            (r#"{"fraction": 1e999}"#, false),
            (r#"{"fraction": "NaN"}"#, false),
            (r#"{"count": 0}"#, false),
            (r#"{"count": 101}"#, false),
            (r#"{"count": 1.5}"#, false),
            (r#"{"count": -1}"#, false),
            (r#"{"count": null}"#, false),
        ] {
            let found = serde_json::from_str::<Numbers>(body).ok();
            assert_eq!(found.is_some(), good, "{body}");
            assert!(found.is_none_or(|numbers| {
                numbers.count <= 100 && numbers.fraction.is_none_or(|part| part <= 1.0)
            }));
        }
    }
}
