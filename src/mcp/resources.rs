//! Resources: what is stored, as JSON under a URI.

use std::collections::BTreeMap;

use rmcp::model::{ReadResourceResult, Resource, ResourceContents, ResourceTemplate};
use serde_json::{Value, json};

use super::call::{Call, Conditions};
use super::percent;
use super::tools::Counts;
use super::view::{HitView, MemoryView};
use crate::limit::Budget;
use crate::memory::{
    Filter, ListQuery, NamespaceSet, PageAt, RESULT_COUNT_MAX, SearchQuery, TagCount, TagMatch,
    normalise_tags,
};
use crate::{Code, Error, Result};

const SCHEME: &str = "memory://";
const MIME_TYPE: &str = "application/json";
/// Results of a search by URI.
const SEARCH_LIMIT: usize = 10;
/// Tags that are listed as resources of their own.
const TAG_COUNT_LISTED: usize = 5;

/// What pays for reading a resource.
pub(super) fn budget(uri: &str) -> Budget {
    let searches = uri.strip_prefix(SCHEME).is_some_and(|rest| rest.starts_with("search/"));
    if searches { Budget::Searches } else { Budget::Reads }
}

/// What a URI asks for.
#[derive(Debug, PartialEq, Eq)]
enum Asked {
    Stats,
    Tags,
    Recent(usize),
    Tag(String),
    Search(String),
}

/// Resources that are worth showing in a list.
pub(super) async fn list(call: &Call<'_>) -> Result<Vec<Resource>> {
    let mut resources = vec![
        resource("memory://stats", "Memory statistics", "How much is stored"),
        resource("memory://tags", "Tags", "All tags, and how many memories have each"),
        resource("memory://recent/10", "Recent memories", "The ten newest memories"),
    ];
    let tags = call.tags(&call.namespaces(None)?).await?;
    resources.extend(tags.iter().take(TAG_COUNT_LISTED).map(|TagCount { tag, .. }| {
        let uri = format!("{SCHEME}tag/{}", percent::encode(tag));
        resource(&uri, &format!("Memories tagged '{tag}'"), "The newest memories with this tag")
    }));
    Ok(resources)
}

fn resource(uri: &str, name: &str, description: &str) -> Resource {
    Resource::new(uri, name).with_description(description).with_mime_type(MIME_TYPE)
}

/// Resources that need a value filled in.
pub(super) fn templates() -> Vec<ResourceTemplate> {
    let template = |uri: &str, name: &str, description: &str| {
        ResourceTemplate::new(uri, name).with_description(description).with_mime_type(MIME_TYPE)
    };
    vec![
        template("memory://recent/{n}", "Recent memories", "The n newest memories, up to 100"),
        template("memory://tag/{tag}", "Memories by tag", "The newest memories with a tag"),
        template("memory://search/{query}", "Search", "The memories nearest in meaning"),
    ]
}

/// Reads one resource. `?namespace=` looks elsewhere than the client's default.
pub(super) async fn read(call: &Call<'_>, uri: &str) -> Result<ReadResourceResult> {
    let (asked, namespace) = parse(uri)?;
    let namespaces = call.namespaces(namespace.as_deref())?;
    let content = match asked {
        Asked::Stats => {
            let stats = call.service.stats(&call.who, &namespaces).await?;
            json!(Counts::from(stats))
        }
        Asked::Tags => tags(call.tags(&namespaces).await?),
        Asked::Recent(limit) => {
            let filter = Filter { namespaces, ..Filter::default() };
            let memories = newest(call, filter, limit).await?;
            json!({"count": memories.len(), "memories": memories})
        }
        Asked::Tag(tag) => {
            let filter = Filter {
                namespaces,
                tags: normalise_tags([tag.as_str()])?,
                tag_match: TagMatch::All,
                ..Filter::default()
            };
            if filter.tags.is_empty() {
                return Err(unknown(uri));
            }
            let memories = newest(call, filter, RESULT_COUNT_MAX).await?;
            json!({"tag": tag, "count": memories.len(), "memories": memories})
        }
        Asked::Search(query) => search(call, query, namespaces).await?,
    };
    let contents = ResourceContents::text(format!("{content:#}"), uri).with_mime_type(MIME_TYPE);
    Ok(ReadResourceResult::new(vec![contents]))
}

fn tags(counts: Vec<TagCount>) -> Value {
    let counts: BTreeMap<String, u64> =
        counts.into_iter().map(|TagCount { tag, count }| (tag, count)).collect();
    let names: Vec<&String> = counts.keys().collect();
    json!({"tags": names, "count": names.len(), "counts": counts})
}

/// The newest memories that a filter leaves.
pub(super) async fn newest(
    call: &Call<'_>,
    filter: Filter,
    limit: usize,
) -> Result<Vec<MemoryView>> {
    let query = ListQuery { filter, at: PageAt::Offset(0), limit };
    let page = call.service.list(&call.who, query).await?;
    Ok(page.memories.into_iter().map(MemoryView::from).collect())
}

async fn search(call: &Call<'_>, text: String, namespaces: NamespaceSet) -> Result<Value> {
    let filter = Filter { namespaces, ..call.filter(Conditions::default())? };
    let query = SearchQuery::new(text, SEARCH_LIMIT, filter);
    let answer = call.service.search(&call.who, query.clone()).await?;
    let results: Vec<HitView> =
        answer.hits.into_iter().map(|hit| HitView::new(hit, false)).collect();
    Ok(json!({"query": query.text, "count": results.len(), "results": results}))
}

fn parse(uri: &str) -> Result<(Asked, Option<String>)> {
    let rest = uri.strip_prefix(SCHEME).ok_or_else(|| unknown(uri))?;
    // A search may hold a question mark of its own that nobody encoded.
    let (path, namespace) = match rest.rsplit_once("?namespace=") {
        Some((path, namespace)) => {
            (path, Some(percent::decode(namespace).ok_or_else(|| unknown(uri))?))
        }
        None => (rest, None),
    };
    let value = |encoded: &str| {
        percent::decode(encoded).filter(|text| !text.trim().is_empty()).ok_or_else(|| unknown(uri))
    };
    let asked = match path.split_once('/') {
        None if path == "stats" => Asked::Stats,
        None if path == "tags" => Asked::Tags,
        Some(("recent", count)) => Asked::Recent(recent_count(count)?),
        Some(("tag", tag)) => Asked::Tag(value(tag)?),
        Some(("search", query)) => Asked::Search(value(query)?),
        _ => return Err(unknown(uri)),
    };
    Ok((asked, namespace))
}

fn recent_count(text: &str) -> Result<usize> {
    let count = text.parse().ok().filter(|count| (1..=RESULT_COUNT_MAX).contains(count));
    count.ok_or_else(|| {
        Error::invalid(format!("memory://recent/ takes a number from 1 to {RESULT_COUNT_MAX}"))
    })
}

fn unknown(uri: &str) -> Error {
    let shown: String = uri.chars().take(200).collect();
    Error::new(Code::NotFound, format!("resource `{shown}` does not exist"))
        .reason("resource_not_found")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(uri: &str, expected: Result<(Asked, Option<&str>), &str>) {
        let found = parse(uri).map_err(|error| error.reason);
        let expected = expected.map(|(asked, namespace)| (asked, namespace.map(str::to_owned)));
        assert_eq!(found, expected, "{uri}");
    }

    #[test]
    fn uris_are_read() {
        check("memory://stats", Ok((Asked::Stats, None)));
        check("memory://tags?namespace=team", Ok((Asked::Tags, Some("team"))));
        check("memory://tags?namespace=%2A", Ok((Asked::Tags, Some("*"))));
        check("memory://recent/5", Ok((Asked::Recent(5), None)));
        check("memory://tag/agent%3Ame", Ok((Asked::Tag("agent:me".to_owned()), None)));
        check("memory://tag/a/b", Ok((Asked::Tag("a/b".to_owned()), None)));
        let search = Asked::Search("what is new?".to_owned());
        check("memory://search/what%20is new?", Ok((search, None)));
    }

    #[test]
    fn unknown_and_malformed_uris_are_refused() {
        for uri in [
            "",
            "memory://",
            "memory://stat",
            "memory://stats/x",
            "memory://tag/",
            "memory://tag/%20",
            "memory://search/%ff",
            "file:///etc/passwd",
        ] {
            check(uri, Err("resource_not_found"));
        }
        for uri in ["memory://recent/0", "memory://recent/101", "memory://recent/-1"] {
            check(uri, Err("invalid_input"));
        }
    }

    #[test]
    fn tags_are_listed_with_their_counts() {
        let counts = vec![
            TagCount { tag: "b".to_owned(), count: 2 },
            TagCount { tag: "a".to_owned(), count: 1 },
        ];
        let expected = json!({"tags": ["a", "b"], "count": 2, "counts": {"a": 1, "b": 2}});
        assert_eq!(tags(counts), expected);
    }
}
