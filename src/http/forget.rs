//! `/api/memories/delete`: deleting all memories that some conditions leave.

use axum::extract::State;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::AppState;
use super::extract::schemas::NamespaceList;
use super::extract::{Ack, Asked, NamespacesParameters, Once, Query, Tags, WriteJson, set};
use super::memories::TagMatchName;
use super::phrases::Phrases;
use super::problem::{Fault, Input, Problem};
use crate::auth::Principal;
use crate::memory::{Filter, ForgetWhere, Tag, TagMatch, Written};
use crate::service::Service;

/// Which memories to delete: at least one condition. All of them must hold; other keys are
/// refused, because a condition that is misspelt would delete too much.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ForgetRequest {
    /// With these tags; at least one, if given.
    tags: Option<Tags>,
    /// Whether `any` of the tags is enough (the default) or `all` are needed.
    tag_match: Option<TagMatchName>,
    /// Of exactly this type.
    memory_type: Option<String>,
    /// Of this time.
    #[schema(max_length = 200, example = "last week")]
    time_filter: Option<String>,
    /// From then on: a date, a time, or a phrase.
    #[schema(max_length = 200)]
    after: Option<String>,
    /// Up to then: a date leaves its own day out.
    #[schema(max_length = 200, example = "2026-01-01")]
    before: Option<String>,
    /// The IANA time zone in which phrases are read; that of the node when absent.
    #[schema(max_length = 100)]
    tz: Option<String>,
    /// Only say what would be deleted.
    #[serde(default)]
    #[schema(required = false)]
    dry_run: bool,
    /// A namespace, a comma list of them, or `*`: all that the caller may read; `default` when it
    /// is named nowhere.
    #[schema(value_type = Option<NamespaceList>)]
    namespace: Option<String>,
    /// The older name of `namespace`; `all` means `*`.
    #[schema(value_type = Option<NamespaceList>)]
    store: Option<String>,
}

impl ForgetRequest {
    fn into_request(
        self,
        service: &Service,
        query: &NamespacesParameters,
    ) -> Result<ForgetWhere, Problem> {
        let asked = Asked::new(Input::Body, self.namespace.as_deref(), self.store.as_deref());
        let phrases = Phrases {
            tz: self.tz.as_deref(),
            during: self.time_filter.as_deref(),
            after: self.after.as_deref(),
            before: self.before.as_deref(),
        };
        let filter = Filter {
            namespaces: set(&[query.asked(), asked])?,
            tags: named_tags(self.tags)?,
            tag_match: self.tag_match.map(TagMatch::from).unwrap_or_default(),
            memory_type: self.memory_type,
            // An empty phrase must not widen what is deleted.
            created: phrases.strict_range(service)?,
            ..Filter::default()
        };
        Ok(ForgetWhere { filter, dry_run: self.dry_run })
    }
}

/// Tags that are given and come to nothing must not widen what is deleted.
fn named_tags(tags: Option<Tags>) -> Result<Vec<Tag>, Problem> {
    match tags {
        None => Ok(Vec::new()),
        Some(tags) if !tags.0.is_empty() => Ok(tags.0),
        Some(_) => {
            let msg = "name at least one tag, or leave `tags` out".to_owned();
            let loc = vec!["body".into(), "tags".into()];
            let fault = Fault { kind: "value_error".to_owned(), loc, msg, input: Value::Null };
            Err(Problem::faulty("nothing_named", fault))
        }
    }
}

/// What was deleted.
#[derive(Debug, Serialize, ToSchema)]
pub struct ForgetResponse {
    /// Always true.
    success: bool,
    /// Names how many.
    #[schema(example = "Successfully deleted 2 memories")]
    message: String,
    /// How many.
    count: usize,
    /// The ids, newest first.
    #[schema(max_items = 10000)]
    content_hashes: Vec<String>,
    /// Whether this was only a rehearsal.
    dry_run: bool,
}

/// Delete all memories that some conditions leave
///
/// In one step: all or none. More than 10,000 are refused.
#[utoipa::path(
    post,
    path = "/api/memories/delete",
    tag = "memories",
    params(NamespacesParameters, Once, Ack),
    request_body = ForgetRequest,
    responses((status = 200, body = ForgetResponse, description = "Deleted, or would be."))
)]
pub async fn forget(
    State(state): State<AppState>,
    who: Principal,
    Query(namespaces): Query<NamespacesParameters>,
    ack: Ack,
    WriteJson(body, once): WriteJson<ForgetRequest>,
) -> Result<Response, Problem> {
    let request = body.into_request(&state.service, &namespaces)?;
    let Written { value: forgotten, position } =
        state.service.forget_where(&who, request, once).await?;
    let count = forgotten.content_hashes.len();
    let verb = if forgotten.dry_run { "Would delete" } else { "Successfully deleted" };
    let body = axum::Json(ForgetResponse {
        success: true,
        message: format!("{verb} {count} {}", if count == 1 { "memory" } else { "memories" }),
        count,
        content_hashes: forgotten.content_hashes.iter().map(ToString::to_string).collect(),
        dry_run: forgotten.dry_run,
    });
    Ok(ack.answer(&position, body).await)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_condition_is_refused() {
        let check = |body: &str, good: bool| {
            assert_eq!(serde_json::from_str::<ForgetRequest>(body).is_ok(), good, "{body}");
        };
        check(r#"{"tags": ["a"], "tag_match": "all", "dry_run": true}"#, true);
        check(r#"{"before": "2020-01-01", "namespace": "work"}"#, true);
        check(r#"{"tag": "a"}"#, false);
        check(r#"{"tags": ["a"], "afer": "2020-01-01"}"#, false);
    }

    #[test]
    fn tags_that_come_to_nothing_are_refused() {
        assert!(named_tags(None).is_ok_and(|tags| tags.is_empty()));
        assert!(named_tags(serde_json::from_str(r#"["a"]"#).ok()).is_ok());
        for empty in ["[]", r#"[" "]"#, r#"",""#] {
            assert!(named_tags(serde_json::from_str(empty).ok()).is_err(), "{empty}");
        }
    }
}
