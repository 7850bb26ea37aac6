//! `memory_list`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Definition, Outcome};
use crate::Result;
use crate::mcp::arguments::{TagMode, Tags, Whole};
use crate::mcp::call::{Call, Conditions};
use crate::mcp::sure::AfterArgument;
use crate::mcp::view::MemoryView;
use crate::memory::{ListQuery, PageAt, RESULT_COUNT_MAX};

/// The last page that can be asked for.
const PAGE_MAX: usize = 1_000_000_000;
const PAGE_SIZE_DEFAULT: usize = 20;

const DESCRIPTION: &str = "\
Browse memories page by page, newest first, by tag or type. Use memory_search to find something by \
its meaning or its words.";

/// Arguments of `memory_list`.
#[derive(Deserialize, JsonSchema)]
pub(super) struct Input {
    /// From 1.
    page: Option<Whole<1, PAGE_MAX>>,
    /// Memories on one page; 20 when left out.
    page_size: Option<Whole<1, RESULT_COUNT_MAX>>,
    /// Only memories with these tags.
    tags: Option<Tags>,
    /// Whether `any` tag is enough (default) or `all` are needed.
    tag_match: Option<TagMode>,
    /// Only memories of this type.
    memory_type: Option<String>,
    /// Where to look: one, several with commas between, or `*` for all that may be read.
    namespace: Option<String>,
    #[serde(flatten)]
    seen: AfterArgument,
}

/// One page.
#[derive(Serialize, JsonSchema)]
struct Output {
    /// Newest first.
    memories: Vec<MemoryView>,
    /// Memories on all pages.
    total: u64,
    /// This page.
    page: usize,
    /// Most memories on one page.
    page_size: usize,
    /// Whether there is a next page.
    has_more: bool,
}

pub(super) fn definition() -> Definition {
    Definition::reading::<Input, Output>("List memories", DESCRIPTION)
}

pub(super) async fn answer(call: &Call<'_>, input: Input) -> Result<Outcome> {
    call.see(&input.seen).await?;
    let filter = call.filter(Conditions {
        namespace: input.namespace.as_deref(),
        tags: input.tags.as_ref(),
        tag_match: input.tag_match,
        memory_type: input.memory_type.as_deref(),
        ..Conditions::default()
    })?;
    let number = input.page.map_or(1, |page| page.0);
    let page_size = input.page_size.map_or(PAGE_SIZE_DEFAULT, |size| size.0);
    let offset = (number as u64 - 1) * page_size as u64;
    let query = ListQuery { filter, at: PageAt::Offset(offset), limit: page_size };
    let page = call.service.list(&call.who, query).await?;
    let has_more = offset + (page.memories.len() as u64) < page.total;
    let memories = page.memories.into_iter().map(MemoryView::from).collect();
    let output = Output { memories, total: page.total, page: number, page_size, has_more };
    Outcome::json("", &output)
}
