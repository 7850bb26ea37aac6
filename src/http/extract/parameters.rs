//! Paths and query strings.

use std::fmt::Display;
use std::ops::RangeInclusive;

use axum::extract::{FromRequestParts, Path};
use axum::http::request::Parts;
use axum::http::{StatusCode, Uri};
use serde::de::DeserializeOwned;
use utoipa::IntoParams;
use utoipa::openapi::Required;
use utoipa::openapi::path::{Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::schema::{ObjectBuilder, Type};

use crate::http::problem::Problem;
use crate::memory::ContentHash;

/// The memory that the path names. What is not a hash names none, as an unknown hash does.
#[derive(Clone, Copy, Debug, IntoParams)]
#[into_params(parameter_in = Path)]
pub struct MemoryPath {
    /// The `content_hash` of the memory.
    #[param(value_type = String, pattern = "^[0-9a-fA-F]{64}$",
        example = "b94d27b9934d3e08a52e52d7da7dabfac484efe37a5380ee9088f7ace2efcde9")]
    pub hash: ContentHash,
}

impl<S: Send + Sync> FromRequestParts<S> for MemoryPath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let text = path_text(parts, state).await;
        let hash = text.and_then(|text| text.parse().ok()).ok_or_else(Problem::memory_not_found)?;
        Ok(MemoryPath { hash })
    }
}

/// The digest bucket that the path names.
#[derive(Clone, Copy, Debug, IntoParams)]
#[into_params(parameter_in = Path)]
pub struct BucketPath {
    /// The number of the bucket.
    #[param(maximum = 4095)]
    pub bucket: u16,
}

/// The API key that the path names.
#[derive(Clone, Debug, IntoParams)]
#[into_params(parameter_in = Path)]
pub struct KeyPath {
    /// The `id` of the key.
    #[param(example = "0f1e2d3c4b5a6978")]
    pub id: String,
}

impl<S: Send + Sync> FromRequestParts<S> for KeyPath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let id = path_text(parts, state).await.unwrap_or_default();
        Ok(KeyPath { id })
    }
}

/// Buckets of the digest; part of the replication protocol.
const BUCKET_COUNT: u16 = 4096;

impl<S: Send + Sync> FromRequestParts<S> for BucketPath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let text = path_text(parts, state).await;
        let number = text.and_then(|text| text.parse().ok());
        let bucket = number.filter(|&bucket: &u16| bucket < BUCKET_COUNT).ok_or_else(|| {
            let detail = format!("buckets are numbered from 0 to {}", BUCKET_COUNT - 1);
            Problem::new(StatusCode::NOT_FOUND, "bucket_not_found", detail)
        })?;
        Ok(BucketPath { bucket })
    }
}

async fn path_text<S: Send + Sync>(parts: &mut Parts, state: &S) -> Option<String> {
    Path::<String>::from_request_parts(parts, state).await.ok().map(|path| path.0)
}

/// Any header.
pub const ANY: &str = "^.*$";

/// A header that may be sent, for the document.
pub fn header_parameter(name: &str, description: &str, pattern: &str) -> Parameter {
    ParameterBuilder::new()
        .name(name)
        .parameter_in(ParameterIn::Header)
        .required(Required::False)
        .description(Some(description))
        .schema(Some(ObjectBuilder::new().schema_type(Type::String).pattern(Some(pattern))))
        .build()
}

/// The query string. Unknown names are ignored: `api_key` is one that no handler sees.
pub struct Query<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        parse_query(&parts.uri).map(Query)
    }
}

/// Reads a query string.
///
/// # Errors
/// Status 400.
pub fn parse_query<T: DeserializeOwned>(uri: &Uri) -> Result<T, Problem> {
    let query = axum::extract::Query::try_from_uri(uri);
    query.map(|query| query.0).map_err(|error| Problem::bad_query(error.body_text()))
}

/// Holds a number of the query string within its bounds.
///
/// # Errors
/// Status 400.
pub fn within<T: PartialOrd + Display>(
    name: &str,
    number: T,
    bounds: RangeInclusive<T>,
) -> Result<T, Problem> {
    if bounds.contains(&number) {
        return Ok(number);
    }
    let (low, high) = (bounds.start(), bounds.end());
    Err(Problem::bad_query(format!("`{name}` must be from {low} to {high}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::Request;

    #[derive(Debug, serde::Deserialize)]
    #[allow(dead_code, reason = "only its reading is tested")]
    struct Sample {
        page: Option<u32>,
    }

    #[tokio::test]
    async fn a_bad_query_string_is_status_400() {
        for (query, good) in [
            ("", true),
            ("page=2&api_key=x", true),
            ("page=-1", false),
            ("page=x", false),
            ("page=", false),
            ("page=1&page=2", false),
            ("page=99999999999", false),
        ] {
            let request = Request::get(format!("/?{query}")).body(()).unwrap();
            let (mut parts, ()) = request.into_parts();
            let found = Query::<Sample>::from_request_parts(&mut parts, &()).await;
            let status = found.err().map(|problem| problem.status().as_u16());
            assert_eq!(status, (!good).then_some(400), "{query}");
        }
    }

    #[test]
    fn bounds_are_inclusive() {
        assert!(within("page", 1, 1..=100).is_ok());
        assert!(within("page", 100, 1..=100).is_ok());
        let problem = within("page", 0, 1..=100).expect_err("below the bounds");
        assert_eq!(problem.text(), "`page` must be from 1 to 100");
    }
}
