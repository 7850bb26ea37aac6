//! Failures in the words of MCP.
//!
//! A request that cannot be routed is a JSON-RPC error, which clients show to nobody. Everything
//! that a model can mend, wrong arguments included, is a tool result with `isError`.

use rmcp::model::{CallToolResult, ContentBlock, ErrorCode, ErrorData, MetaObject};
use serde_json::json;

use crate::{Code, Error};

/// The JSON-RPC code of a failure, and what a caller can do about it.
fn words(code: Code) -> (ErrorCode, &'static str) {
    match code {
        Code::InvalidInput => (ErrorCode::INVALID_PARAMS, "correct the arguments and call again"),
        Code::Unauthenticated => {
            (ErrorCode::INVALID_REQUEST, "set the API key in the client's configuration")
        }
        Code::Forbidden => {
            (ErrorCode::INVALID_REQUEST, "ask the owner of the node for the missing permission")
        }
        Code::NotFound => (
            ErrorCode::RESOURCE_NOT_FOUND,
            "memory_search and memory_list show what exists; mind the namespace",
        ),
        Code::Gone => (ErrorCode::RESOURCE_NOT_FOUND, "it is lost for good; go on without it"),
        Code::Conflict => (ErrorCode::INVALID_REQUEST, "look at the present state first"),
        Code::PreconditionFailed => {
            (ErrorCode::INVALID_REQUEST, "read the memory again and repeat the change")
        }
        Code::TooLarge => (ErrorCode::INVALID_PARAMS, "split it into smaller parts"),
        Code::RateLimited => (ErrorCode::INTERNAL_ERROR, "wait a moment and call again"),
        Code::DeadlineExceeded => (ErrorCode::INTERNAL_ERROR, "call again, or ask for less"),
        Code::StorageFull => (
            ErrorCode::INTERNAL_ERROR,
            "nothing was stored; free disk space on the node, searching goes on",
        ),
        Code::Unavailable => (
            ErrorCode::INTERNAL_ERROR,
            "call again shortly; memory_health and `memnode doctor` say what is missing",
        ),
        Code::Internal => {
            (ErrorCode::INTERNAL_ERROR, "nothing in the call is wrong; see the node's log")
        }
    }
}

/// The JSON-RPC error of a failure outside a tool.
pub(super) fn error_data(error: &Error) -> ErrorData {
    log(error);
    let (code, _) = words(error.code);
    ErrorData::new(code, error.detail.clone(), Some(json!({ "code": error.reason })))
}

/// The result of a tool that failed: what went wrong, and what to do.
///
/// It carries no structured content, because that would have to match the schema of a success;
/// the stable name of the failure is in `_meta`.
pub(super) fn tool_result(doing: &str, error: &Error) -> CallToolResult {
    log(error);
    let (_, advice) = words(error.code);
    let text = format!("Error {doing}: {} ({advice})", error.detail);
    let mut result = CallToolResult::error(vec![ContentBlock::text(text)]);
    let mut meta = MetaObject::default();
    meta.0.insert("memnode/error".to_owned(), json!({ "code": error.reason }));
    result.meta = Some(meta);
    result
}

fn log(error: &Error) {
    if error.code == Code::Internal {
        let source = std::error::Error::source(error);
        tracing::error!(source, "an MCP request failed: {error}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_tool_says_what_to_do_and_names_the_failure() {
        let error = Error::invalid("content is empty").reason("empty_content");
        let result = tool_result("storing memory", &error);
        assert_eq!(result.is_error, Some(true));
        assert_eq!(result.structured_content, None);
        let text = result.content[0].as_text().map(|content| content.text.as_str());
        let expected =
            "Error storing memory: content is empty (correct the arguments and call again)";
        assert_eq!(text, Some(expected));
        let meta = result.meta.expect("meta");
        assert_eq!(meta.0["memnode/error"], json!({"code": "empty_content"}));
    }

    #[test]
    fn the_cause_of_a_defect_stays_inside() {
        let error = Error::internal("the store failed", std::io::Error::other("secret path"));
        let data = error_data(&error);
        assert_eq!(data.code, ErrorCode::INTERNAL_ERROR);
        assert!(!format!("{data:?}").contains("secret"));
    }
}
