//! Who listens, and to what: the query string of an event stream.

use axum::extract::FromRequestParts;
use axum::http::HeaderMap;
use axum::http::request::Parts;
use serde::Deserialize;
use utoipa::IntoParams;

use crate::auth::Principal;
use crate::events::{EventKind, Filter, TAG_COUNT_MAX};
use crate::http::AppState;
use crate::http::extract::schemas::NamespaceList;
use crate::http::extract::{Asked, Query, authenticate_parts, set};
use crate::http::problem::{Input, Problem};
use crate::memory::{EventId, NamespaceSet, Tag, normalise_tags};

/// Where a browser says what it has seen (HTML, "Server-sent events").
pub const LAST_EVENT_ID: &str = "last-event-id";

/// What to listen to.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct FilterParameters {
    /// A namespace, a comma list of them, or `*`: all that the caller may read, which is the
    /// default.
    #[param(value_type = Option<NamespaceList>, inline)]
    pub namespace: Option<String>,
    /// The older name of `namespace`; `all` means `*`.
    #[param(value_type = Option<NamespaceList>, inline)]
    pub store: Option<String>,
    /// A tag, or a comma list of them: changes of memories that have one of them.
    pub tag: Option<String>,
    /// A kind of event, or a comma list of them, such as `memory_stored`.
    pub event: Option<String>,
    /// What was seen: events after that follow. As the header `Last-Event-ID`, which beats it.
    pub last_event_id: Option<String>,
}

impl FilterParameters {
    /// Which events are wanted.
    ///
    /// # Errors
    /// Status 400.
    pub fn filter(&self) -> Result<Filter, Problem> {
        let is_named = self.namespace.is_some() || self.store.is_some();
        let asked = Asked::new(Input::Query, self.namespace.as_deref(), self.store.as_deref());
        let namespaces = if is_named { set(&[asked])? } else { NamespaceSet::All };
        let tags = normalise_tags(items(self.tag.as_deref())).map_err(Problem::query)?;
        filter(namespaces, tags, items(self.event.as_deref()))
    }

    /// What was seen before; the header beats the query string.
    ///
    /// # Errors
    /// Status 400 for what no event carried.
    pub fn last(&self, headers: &HeaderMap) -> Result<Option<EventId>, Problem> {
        let header = headers.get(LAST_EVENT_ID).map(|value| value.to_str().unwrap_or("?"));
        let text = header.or(self.last_event_id.as_deref()).map(str::trim);
        text.filter(|text| !text.is_empty()).map(str::parse).transpose().map_err(Problem::query)
    }
}

/// A filter of the parts that a caller names.
///
/// # Errors
/// Status 400.
pub fn filter<'a>(
    namespaces: NamespaceSet,
    tags: Vec<Tag>,
    kinds: impl Iterator<Item = &'a str>,
) -> Result<Filter, Problem> {
    if tags.len() > TAG_COUNT_MAX {
        return Err(Problem::bad_query(format!("at most {TAG_COUNT_MAX} tags can be listened to")));
    }
    let kind = |name: &str| {
        EventKind::from_name(name).ok_or_else(|| {
            let known = EventKind::ALL.map(EventKind::name).join(", ");
            let shown: String = name.chars().take(80).collect();
            Problem::bad_query(format!("`{shown}` is no event; there are {known}"))
        })
    };
    let kinds = kinds.map(kind).collect::<Result<_, _>>()?;
    // Who may hear what is decided by the service.
    Ok(Filter { namespaces, tags, kinds, hears_node: false })
}

fn items(list: Option<&str>) -> impl Iterator<Item = &str> {
    list.unwrap_or_default().split(',').map(str::trim).filter(|item| !item.is_empty())
}

/// The caller of an event stream, who may also show a ticket.
pub struct Watcher(pub Principal);

impl FromRequestParts<AppState> for Watcher {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, Problem> {
        let Query(Shown { ticket }) = Query::from_request_parts(parts, state).await?;
        let has_key = parts.headers.contains_key("authorization")
            || parts.headers.contains_key("x-api-key")
            || parts.uri.query().unwrap_or_default().split('&').any(|p| p.starts_with("api_key="));
        match ticket {
            Some(ticket) if !has_key => Ok(Watcher(state.authenticator.redeem(&ticket)?)),
            _ => Ok(Watcher(authenticate_parts(parts, &state.authenticator).await?)),
        }
    }
}

#[derive(Deserialize)]
struct Shown {
    ticket: Option<String>,
}
