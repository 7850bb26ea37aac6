//! What callers send to say which memories they mean: to list, to export, to delete.

use serde::Deserialize;
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

use super::extract::schemas::NamespaceList;
use super::extract::{Asked, NamespacesParameters, Tags, set, within};
use super::phrases::{Now, Phrases};
use super::problem::{Fault, Input, Problem};
use crate::memory::{
    Filter, ForgetWhere, ListQuery, PageAt, RESULT_COUNT_MAX, Tag, TagMatch, normalise_tags,
};

/// The last page that can be asked for by number; a cursor has no such limit.
const PAGE_MAX: u32 = 1_000_000;

/// Which memories to list.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ListParameters {
    /// The page, counted from 1.
    #[param(minimum = 1, maximum = 1_000_000, default = 1)]
    page: Option<u32>,
    /// Memories on a page.
    #[param(minimum = 1, maximum = 100, default = 10)]
    page_size: Option<usize>,
    /// Where the page before ended (`next_cursor`); takes the place of `page`.
    cursor: Option<String>,
    /// A tag, or a comma list of them.
    #[param(example = "work")]
    tag: Option<String>,
    /// Whether `any` of the tags is enough (the default) or `all` are needed.
    #[param(inline)]
    tag_match: Option<TagMatchName>,
    /// Exactly this type.
    memory_type: Option<String>,
    /// A namespace, a comma list of them, or `*`: all that the caller may read.
    #[param(value_type = Option<NamespaceList>, inline)]
    namespace: Option<String>,
    /// The older name of `namespace`; `all` means `*`.
    #[param(value_type = Option<NamespaceList>, inline)]
    store: Option<String>,
}

impl ListParameters {
    /// The page as it was asked for, the memories on it, and what to read.
    ///
    /// # Errors
    /// Status 400.
    pub fn into_query(self) -> Result<(u32, usize, ListQuery), Problem> {
        let page = within("page", self.page.unwrap_or(1), 1..=PAGE_MAX)?;
        let limit = within("page_size", self.page_size.unwrap_or(10), 1..=RESULT_COUNT_MAX)?;
        let asked = Asked::new(Input::Query, self.namespace.as_deref(), self.store.as_deref());
        let tags = self.tag.as_deref().unwrap_or_default().split(',');
        let filter = Filter {
            namespaces: set(&[asked])?,
            tags: normalise_tags(tags).map_err(Problem::query)?,
            tag_match: self.tag_match.map(TagMatch::from).unwrap_or_default(),
            memory_type: self.memory_type,
            ..Filter::default()
        };
        let at = match self.cursor.filter(|cursor| !cursor.is_empty()) {
            Some(cursor) => PageAt::Cursor(cursor),
            None => PageAt::Offset(u64::from(page - 1) * limit as u64),
        };
        Ok((page, limit, ListQuery { filter, at, limit }))
    }
}

/// How tags combine.
#[derive(Clone, Copy, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = TagMatch)]
pub enum TagMatchName {
    /// At least one.
    Any,
    /// Every one.
    All,
}

impl From<TagMatchName> for TagMatch {
    fn from(name: TagMatchName) -> Self {
        match name {
            TagMatchName::Any => TagMatch::Any,
            TagMatchName::All => TagMatch::All,
        }
    }
}

/// Which memories to export.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ExportParameters {
    /// A tag, or a comma list of them.
    tag: Option<String>,
    /// Whether `any` of the tags is enough (the default) or `all` are needed.
    #[param(inline)]
    tag_match: Option<TagMatchName>,
    /// Exactly this type.
    memory_type: Option<String>,
    /// A namespace, a comma list of them, or `*`: all that the caller may read.
    #[param(value_type = Option<NamespaceList>, inline)]
    namespace: Option<String>,
    /// The older name of `namespace`; `all` means `*`.
    #[param(value_type = Option<NamespaceList>, inline)]
    store: Option<String>,
}

impl ExportParameters {
    /// Which memories are meant.
    ///
    /// # Errors
    /// Status 400.
    pub fn into_filter(self) -> Result<Filter, Problem> {
        let asked = Asked::new(Input::Query, self.namespace.as_deref(), self.store.as_deref());
        let tags = self.tag.as_deref().unwrap_or_default().split(',');
        Ok(Filter {
            namespaces: set(&[asked])?,
            tags: normalise_tags(tags).map_err(Problem::query)?,
            tag_match: self.tag_match.map(TagMatch::from).unwrap_or_default(),
            memory_type: self.memory_type,
            ..Filter::default()
        })
    }
}

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
    /// What to delete, with what the query string adds.
    ///
    /// # Errors
    /// Statuses 400 and 422.
    pub fn into_request(
        self,
        now: Now<'_>,
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
            created: phrases.strict_range(now)?,
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

    #[test]
    fn pages_have_bounds() {
        let check = |query: &str, good: bool| {
            let uri = format!("/?{query}").parse().unwrap();
            let parameters = axum::extract::Query::<ListParameters>::try_from_uri(&uri);
            let found = parameters.ok().and_then(|parameters| parameters.0.into_query().ok());
            assert_eq!(found.is_some(), good, "{query}");
        };
        check("", true);
        check("page=3&page_size=100&tag=a,b&tag_match=all&namespace=*", true);
        check("page=0", false);
        check("page=1000001", false);
        check("page_size=0", false);
        check("page_size=101", false);
        check("tag_match=some", false);
        check("namespace=Not%20valid", false);
    }
}
