//! Entity tags and the conditions on them (RFC 9110, sections 8.8.3 and 13.1).

use std::convert::Infallible;

use axum::extract::FromRequestParts;
use axum::http::header::{IF_MATCH, IF_NONE_MATCH};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use utoipa::IntoParams;
use utoipa::openapi::path::{Parameter, ParameterIn};

use super::parameters::{ANY, header_parameter};
use crate::auth::Principal;
use crate::memory::{ContentHash, Namespace};
use crate::service::Service;
use crate::{Code, Result};

/// The strong tag of a version.
pub fn etag(version: &str) -> HeaderValue {
    HeaderValue::from_str(&format!("\"{version}\"")).expect("a version is visible ASCII")
}

/// One member of a condition.
#[derive(Clone, Debug, PartialEq, Eq)]
struct EntityTag {
    weak: bool,
    version: String,
}

/// The members of a condition.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
enum Condition {
    #[default]
    Absent,
    Any,
    Tags(Vec<EntityTag>),
}

/// The versions of a memory that a change is for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IfMatch(Condition);

/// The versions of a memory that the caller has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IfNoneMatch(Condition);

impl<S: Sync> FromRequestParts<S> for IfMatch {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(IfMatch(condition_of(&parts.headers, IF_MATCH)))
    }
}

impl<S: Sync> FromRequestParts<S> for IfNoneMatch {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(IfNoneMatch(condition_of(&parts.headers, IF_NONE_MATCH)))
    }
}

impl IntoParams for IfMatch {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        let description = "The versions that the change is for: entity tags, or `*` for any.";
        vec![header_parameter("If-Match", description, ANY)]
    }
}

impl IntoParams for IfNoneMatch {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        vec![header_parameter(
            "If-None-Match",
            "The versions that the caller has: entity tags.",
            ANY,
        )]
    }
}

impl IfMatch {
    /// The one version that must still be current when the change is made; `None` for any.
    /// Out of several the current one is taken, if it is among them.
    ///
    /// # Errors
    /// As [`Service::get`].
    pub async fn version(
        &self,
        service: &Service,
        who: &Principal,
        namespace: &Namespace,
        hash: ContentHash,
    ) -> Result<Option<String>> {
        let Condition::Tags(tags) = &self.0 else { return Ok(None) };
        let mut strong = tags.iter().filter(|tag| !tag.weak).map(|tag| &tag.version);
        match (strong.next(), strong.next()) {
            // No memory has the empty version: the change fails, as it must.
            (None, _) => Ok(Some(String::new())),
            (Some(only), None) => Ok(Some(only.clone())),
            (Some(_), Some(_)) => {
                let current = match service.get(who, namespace, hash).await {
                    Ok(memory) => memory.version,
                    // The change says so itself, unless it is one that was answered before.
                    Err(error) if error.code == Code::NotFound => return Ok(Some(String::new())),
                    Err(error) => return Err(error),
                };
                let is_named = tags.iter().any(|tag| !tag.weak && tag.version == current);
                Ok(Some(if is_named { current } else { String::new() }))
            }
        }
    }
}

impl IfNoneMatch {
    /// Whether the caller has this version already.
    pub fn holds(&self, version: &str) -> bool {
        match &self.0 {
            Condition::Absent => false,
            Condition::Any => true,
            Condition::Tags(tags) => tags.iter().any(|tag| tag.version == version),
        }
    }
}

/// Reads a condition. What is no tag names no version, so that it cannot match by accident.
fn condition_of(headers: &HeaderMap, name: HeaderName) -> Condition {
    let mut tags = Vec::new();
    let mut values = headers.get_all(name).iter().peekable();
    if values.peek().is_none() {
        return Condition::Absent;
    }
    for value in values {
        let text = value.to_str().unwrap_or_default().trim();
        if text == "*" {
            return Condition::Any;
        }
        tags.extend(tags_of(text));
    }
    Condition::Tags(tags)
}

/// Reads a comma list of tags; stops at what is none.
fn tags_of(mut text: &str) -> Vec<EntityTag> {
    let mut tags = Vec::new();
    loop {
        text = text.trim_start_matches([' ', '\t', ',']);
        let (weak, quoted) = match text.strip_prefix("W/") {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let Some((version, rest)) = quoted.strip_prefix('"').and_then(|q| q.split_once('"')) else {
            return tags;
        };
        tags.push(EntityTag { weak, version: version.to_owned() });
        text = rest;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn condition(values: &[&str]) -> Condition {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(IF_MATCH, value.parse().unwrap());
        }
        condition_of(&headers, IF_MATCH)
    }

    fn check(values: &[&str], expected: &[(bool, &str)]) {
        let tags = expected.iter().map(|&(weak, version)| {
            let version = version.to_owned();
            EntityTag { weak, version }
        });
        assert_eq!(condition(values), Condition::Tags(tags.collect()), "{values:?}");
    }

    #[test]
    fn conditions_are_lists_of_tags() {
        assert_eq!(condition(&[]), Condition::Absent);
        assert_eq!(condition(&["*"]), Condition::Any);
        assert_eq!(condition(&[" * "]), Condition::Any);
        check(&["\"a\""], &[(false, "a")]);
        check(&["\"a\", W/\"b\"", "\"c,d\""], &[(false, "a"), (true, "b"), (false, "c,d")]);
        check(&["unquoted"], &[]);
        check(&["\"open"], &[]);
        check(&[""], &[]);
    }

    #[test]
    fn a_weak_tag_is_enough_to_have_a_version() {
        let holds = |values: &[&str]| IfNoneMatch(condition(values)).holds("v1");
        assert!(holds(&["\"v1\""]));
        assert!(holds(&["W/\"v1\""]));
        assert!(holds(&["\"v0\", \"v1\""]));
        assert!(holds(&["*"]));
        assert!(!holds(&["\"v2\""]));
        assert!(!holds(&[]));
    }
}
