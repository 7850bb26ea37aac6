//! One request: who asks, in which namespace, and under which key.

use std::path::PathBuf;

use serde_json::{Map, Value};

use super::IngestPaths;
use super::arguments::{TagMode, Tags};
use crate::auth::Principal;
use crate::limit::{Budget, Exceeded, Meter};
use crate::memory::time_phrase::{self, TimeRange};
use crate::memory::{Filter, Idempotency, Namespace, NamespaceSet, TagCount, TagMatch};
use crate::service::Service;
use crate::{Error, Result, telemetry};

/// Where the bridge puts the key that makes a call safe to repeat.
pub(super) const IDEMPOTENCY_KEY: &str = "memnode/idempotency_key";
/// Where the bridge puts the directory that its client runs in.
pub(super) const DIRECTORY: &str = "memnode/cwd";
/// Where the bridge puts the namespace that its client was started with.
pub(super) const NAMESPACE: &str = "memnode/namespace";

/// What a tool, resource or prompt needs to know of its request.
pub(super) struct Call<'a> {
    pub(super) service: &'a Service,
    pub(super) who: Principal,
    /// The namespace of a call that names none.
    pub(super) default_namespace: Namespace,
    pub(super) ingest: &'a IngestPaths,
    /// What relative paths start from.
    pub(super) directory: Option<PathBuf>,
    pub(super) key: Option<Key>,
    /// What pays for the call; callers that are not over HTTP have nothing to pay.
    pub(super) meter: Option<Meter>,
}

/// The caller's key and the request it stands for.
pub(super) struct Key {
    pub(super) text: String,
    pub(super) request: Vec<u8>,
}

impl Call<'_> {
    /// Takes what a part of the work costs: the first part or not at all, any later one as soon
    /// as that is there.
    pub(super) async fn pay(&self, budget: Budget, cost: usize, is_first: bool) -> Result<()> {
        let Some(meter) = &self.meter else { return Ok(()) };
        if is_first {
            return meter.take(budget, cost).map(drop).map_err(|exceeded| refused(&exceeded));
        }
        meter.take_when_possible(budget, cost).await;
        Ok(())
    }

    /// The one namespace that is meant.
    pub(super) fn namespace(&self, given: Option<&str>) -> Result<Namespace> {
        given.map_or_else(|| Ok(self.default_namespace.clone()), str::parse)
    }

    /// The namespaces to look at.
    pub(super) fn namespaces(&self, given: Option<&str>) -> Result<NamespaceSet> {
        given.map_or_else(|| Ok(self.default_namespace.clone().into()), str::parse)
    }

    /// Makes the only write of this call happen once.
    pub(super) fn once(&self) -> Result<Option<Idempotency>> {
        self.key.as_ref().map(|key| Idempotency::new(&key.text, &key.request)).transpose()
    }

    /// Makes one write of several happen once.
    pub(super) fn once_of(&self, part: &str) -> Result<Option<Idempotency>> {
        let of = |key: &Key| Idempotency::new(&format!("{}/{part}", key.text), &key.request);
        self.key.as_ref().map(of).transpose()
    }

    /// Every tag in use, the most used first.
    pub(super) async fn tags(&self, namespaces: &NamespaceSet) -> Result<Vec<TagCount>> {
        let mut tags = self.service.tags(&self.who, namespaces).await?;
        tags.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| a.tag.cmp(&b.tag)));
        Ok(tags)
    }

    /// The conditions that searching, listing and deleting share.
    pub(super) fn filter(&self, conditions: Conditions<'_>) -> Result<Filter> {
        Ok(Filter {
            namespaces: self.namespaces(conditions.namespace)?,
            tags: conditions.tags.cloned().unwrap_or_default().0,
            tag_match: conditions.tag_match.map_or(TagMatch::Any, TagMode::into),
            memory_type: conditions.memory_type.map(str::to_owned),
            created: self.time_range(&conditions)?,
            metadata: Map::new(),
        })
    }

    fn time_range(&self, conditions: &Conditions<'_>) -> Result<TimeRange> {
        let now = self.service.now(None)?;
        let mut range = match conditions.time_expr {
            Some(phrase) => time_phrase::parse(phrase, &now)?,
            None => TimeRange::default(),
        };
        let instant = |text| time_phrase::parse_instant(text, &now);
        if let Some(text) = conditions.after {
            range = within(range, TimeRange { after: Some(instant(text)?), before: None });
        }
        if let Some(text) = conditions.before {
            range = within(range, TimeRange { after: None, before: Some(instant(text)?) });
        }
        Ok(range)
    }
}

/// The refusal, which is counted.
pub(super) fn refused(exceeded: &Exceeded) -> Error {
    telemetry::metrics().rate_limited(exceeded.budget);
    Error::from(exceeded)
}

/// The part of both ranges that they share.
pub(super) fn within(a: TimeRange, b: TimeRange) -> TimeRange {
    let pick = |a: Option<f64>, b: Option<f64>, choose: fn(f64, f64) -> f64| match (a, b) {
        (Some(a), Some(b)) => Some(choose(a, b)),
        (a, b) => a.or(b),
    };
    TimeRange {
        after: pick(a.after, b.after, f64::max),
        before: pick(a.before, b.before, f64::min),
    }
}

/// Conditions as arguments give them.
#[derive(Clone, Copy, Default)]
pub(super) struct Conditions<'a> {
    pub(super) namespace: Option<&'a str>,
    pub(super) tags: Option<&'a Tags>,
    pub(super) tag_match: Option<TagMode>,
    pub(super) memory_type: Option<&'a str>,
    pub(super) time_expr: Option<&'a str>,
    pub(super) after: Option<&'a str>,
    pub(super) before: Option<&'a str>,
}

/// Reads the key that came with a request.
pub(super) fn key(meta: &Map<String, Value>, tool: &str, arguments: &Value) -> Result<Option<Key>> {
    let text = match meta.get(IDEMPOTENCY_KEY) {
        None => return Ok(None),
        Some(Value::String(text)) => text.clone(),
        Some(_) => {
            return Err(Error::invalid(format!("`_meta[\"{IDEMPOTENCY_KEY}\"]` must be a string")));
        }
    };
    // With sorted keys the same request always has the same bytes.
    let mut arguments = arguments.clone();
    arguments.sort_all_objects();
    Ok(Some(Key { text, request: format!("{tool} {arguments}").into_bytes() }))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn two_ranges_leave_what_they_share() {
        let range = |after, before| TimeRange { after, before };
        let found = within(range(Some(1.0), None), range(Some(2.0), Some(9.0)));
        assert_eq!(found, range(Some(2.0), Some(9.0)));
        assert_eq!(within(TimeRange::default(), range(None, Some(3.0))), range(None, Some(3.0)));
    }

    #[test]
    fn a_key_stands_for_one_request_whatever_the_order_of_its_arguments() {
        let meta = Map::from_iter([(IDEMPOTENCY_KEY.to_owned(), json!("k-1"))]);
        let of = |text: &str| {
            let arguments = serde_json::from_str(text).expect("JSON");
            key(&meta, "memory_store", &arguments).expect("valid").expect("a key").request
        };
        assert_eq!(of(r#"{"a":1,"b":2}"#), of(r#"{"b":2,"a":1}"#));
        assert_ne!(of(r#"{"a":1}"#), of(r#"{"a":2}"#));
        assert!(key(&Map::new(), "x", &Value::Null).expect("valid").is_none());
        let wrong = Map::from_iter([(IDEMPOTENCY_KEY.to_owned(), json!(7))]);
        assert!(key(&wrong, "x", &Value::Null).is_err());
    }
}
