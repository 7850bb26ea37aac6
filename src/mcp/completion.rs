//! Completion of what a person types as an argument of a prompt or resource.

use rmcp::model::{ArgumentInfo, CompletionInfo};

use super::call::Call;
use crate::Result;

/// Values that an argument of a prompt or resource may be meant to have.
pub(super) async fn complete(call: &Call<'_>, argument: &ArgumentInfo) -> Result<CompletionInfo> {
    let candidates: Vec<String> = match argument.name.as_str() {
        "tag" | "tags" => {
            let tags = call.tags(&call.namespaces(None)?).await?;
            tags.into_iter().map(|tag| tag.tag).collect()
        }
        "format" => ["json", "markdown", "text"].map(str::to_owned).to_vec(),
        "time_period" | "time_range" => {
            ["today", "yesterday", "last week", "last month", "last year"]
                .map(str::to_owned)
                .to_vec()
        }
        _ => Vec::new(),
    };
    Ok(completion(candidates, &argument.value))
}

fn completion(candidates: Vec<String>, typed: &str) -> CompletionInfo {
    // Of a list only the last entry is still being typed.
    let (done, start) = typed.rsplit_once(',').map_or(("", typed), |(_, start)| {
        let start = start.trim_start();
        (&typed[..typed.len() - start.len()], start)
    });
    let start = start.to_lowercase();
    let matching = candidates.into_iter().filter(|candidate| candidate.starts_with(&start));
    let mut values: Vec<String> = matching.map(|candidate| format!("{done}{candidate}")).collect();
    let total = values.len();
    values.truncate(CompletionInfo::MAX_VALUES);
    let has_more = total > values.len();
    CompletionInfo::with_pagination(values, u32::try_from(total).ok(), has_more)
        .expect("no more values than may be given")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(typed: &str, expected: &[&str]) {
        let tags = ["work", "world", "rust"].map(str::to_owned).to_vec();
        assert_eq!(completion(tags, typed).values, expected, "{typed}");
    }

    #[test]
    fn the_start_of_a_value_is_completed() {
        check("wo", &["work", "world"]);
        check("Wor", &["work", "world"]);
        check("x", &[]);
        check("rust, wor", &["rust, work", "rust, world"]);
        check("rust,", &["rust,work", "rust,world", "rust,rust"]);
        let many = (0..150).map(|number| format!("t{number}")).collect();
        let found = completion(many, "t");
        assert_eq!((found.values.len(), found.total, found.has_more), (100, Some(150), Some(true)));
    }
}
