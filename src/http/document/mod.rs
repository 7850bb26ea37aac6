//! The OpenAPI document: what every operation has in common is added here, once.

use axum::Router;
use axum::http::HeaderValue;
use axum::http::header::CONTENT_SECURITY_POLICY;
use tower_http::set_header::SetResponseHeaderLayer;
use utoipa::openapi::path::{Operation, Parameter, ParameterIn};
use utoipa::openapi::security::{ApiKey, ApiKeyValue, Http, HttpAuthScheme, SecurityScheme};
use utoipa::openapi::{
    Components, Content, HeaderBuilder, Ref, RefOr, Required, Response, ResponseBuilder,
    SecurityRequirement,
};
use utoipa::{OpenApi, PartialSchema};
use utoipa_swagger_ui::{Config, SwaggerUi};

use crate::http::extract::{ANY, header_parameter};
use crate::http::import::ImportSummary;
use crate::http::problem::{Detail, Fault, ProblemBody, Step};

/// Where the document is.
pub const DOCUMENT_PATH: &str = "/api/openapi.json";
/// Where people read and try it.
pub const DOCS_PATH: &str = "/api/docs";

/// Nothing of the page comes from elsewhere, and the browser holds it to that. The styles are the
/// page's own; it sets some of them from its script.
const DOCS_POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; \
     frame-ancestors 'none'",
);

/// What the document says before any route.
#[derive(OpenApi)]
#[openapi(
    info(title = "memnode", description = "Long-term memory for AI agents."),
    components(schemas(ImportSummary, ProblemBody<'static>, Detail, Fault, Step)),
    tags(
        (name = "memories", description = "Store, read, change and delete."),
        (name = "search", description = "By meaning, words, tag, time and likeness."),
        (name = "events", description = "What happens, as it happens."),
        (name = "labels", description = "Tags and types in use."),
        (name = "analytics", description = "All memories at a glance."),
        (name = "transfer", description = "All memories in and out, a line each."),
        (name = "backup", description = "Copies of the whole database."),
        (name = "health", description = "Is the node well?"),
        (name = "cluster", description = "The nodes, and what is decided about them."),
        (name = "maintenance", description = "For whoever runs the node."),
    ),
)]
struct Base;

/// A document that routes can be added to.
pub fn base() -> utoipa::openapi::OpenApi {
    Base::openapi()
}

/// Adds what every operation has in common: how to authenticate, and how it can fail.
pub fn finish(document: &mut utoipa::openapi::OpenApi) {
    let components = document.components.get_or_insert_default();
    add_security_schemes(components);
    for item in document.paths.paths.values_mut() {
        let writes = [&mut item.put, &mut item.post, &mut item.delete, &mut item.patch];
        writes.into_iter().flatten().for_each(|operation| finish_operation(operation, true));
        item.get.iter_mut().for_each(|operation| finish_operation(operation, false));
    }
}

fn add_security_schemes(components: &mut Components) {
    let bearer = Http::builder()
        .scheme(HttpAuthScheme::Bearer)
        .description(Some("An API key, or a token."))
        .build();
    components.add_security_scheme("bearer", SecurityScheme::Http(bearer));
    let header = ApiKeyValue::with_description("X-API-Key", "The API key.");
    components.add_security_scheme("header", SecurityScheme::ApiKey(ApiKey::Header(header)));
    let query = ApiKeyValue::with_description("api_key", "The API key; it may end up in logs.");
    components.add_security_scheme("query", SecurityScheme::ApiKey(ApiKey::Query(query)));
}

/// One of the credentials, or none where the node lets everyone in.
fn any_credential() -> Vec<SecurityRequirement> {
    let with = |name: &str| SecurityRequirement::new(name, std::iter::empty::<String>());
    vec![with("bearer"), with("header"), with("query"), SecurityRequirement::default()]
}

fn finish_operation(operation: &mut Operation, is_write: bool) {
    let is_open = operation.security.is_some();
    if !is_open {
        operation.parameters.get_or_insert_default().push(after_parameter().into());
    }
    describe_acknowledged(operation);
    let parameters = operation.parameters.iter().flatten();
    let is_in_path = |parameter: &RefOr<_>| match parameter {
        RefOr::T(Parameter { parameter_in, .. }) => *parameter_in == ParameterIn::Path,
        RefOr::Ref(_) => false,
    };
    let has_path = parameters.clone().any(is_in_path);
    let has_others = parameters.clone().any(|parameter| !is_in_path(parameter));
    let has_body = operation.request_body.is_some();
    // A node without peers cannot say more than that it has the write itself.
    let can_ask_ack = parameters.clone().any(|parameter| match parameter {
        RefOr::T(parameter) => parameter.name == "Memnode-Ack",
        RefOr::Ref(_) => false,
    });
    if let Some(RefOr::T(body)) = &mut operation.request_body
        && body.content.contains_key("application/x-ndjson")
    {
        // No lines are lines too.
        body.required = Some(Required::False);
    }
    let failures = [
        (400, has_others || has_body),
        (401, !is_open),
        (403, true),
        (404, has_path),
        (409, can_ask_ack),
        (410, !is_open),
        (413, has_body),
        (415, has_body),
        (422, has_body),
        (429, !is_open),
        (500, true),
        (503, true),
        (507, is_write && !is_open),
    ];
    for (status, _) in failures.into_iter().filter(|(_, can_happen)| *can_happen) {
        let responses = &mut operation.responses.responses;
        responses
            .entry(status.to_string())
            .or_insert_with(|| ResponseBuilder::new().description(meaning(status)).into());
    }
    for (status, response) in &mut operation.responses.responses {
        if let (RefOr::T(response), true) = (response, status.as_str() >= "400") {
            describe_failure(status, response);
        }
    }
    operation.security.get_or_insert_with(any_credential);
}

/// What every call may ask to see.
fn after_parameter() -> Parameter {
    let description = "Wait, up to 2 s, until the writes of these positions (`Memnode-Position` of \
                       their answers, from any node) are applied here.";
    header_parameter("Memnode-After", description, ANY)
}

/// Writes that can be asked how sure they are say where they stand, also when that took too long.
fn describe_acknowledged(operation: &mut Operation) {
    let asks = |parameter: &RefOr<Parameter>| match parameter {
        RefOr::T(parameter) => parameter.name == "Memnode-Ack",
        RefOr::Ref(_) => false,
    };
    if !operation.parameters.iter().flatten().any(asks) {
        return;
    }
    let responses = &mut operation.responses.responses;
    let Some(RefOr::T(done)) = responses.get_mut("200") else { return };
    let header = |text| HeaderBuilder::new().schema(Some(String::schema())).description(Some(text));
    let position = header("Where the write stands: send it in `Memnode-After`.").build();
    done.headers.insert("Memnode-Position".to_owned(), position.into());
    let ack = header("How sure the write is, if that was asked.").build();
    done.headers.insert("Memnode-Ack".to_owned(), ack.into());
    let mut less = done.clone();
    less.description = "Done, but less sure than `Memnode-Ack` asked for.".to_owned();
    responses.insert("202".to_owned(), less.into());
}

fn describe_failure(status: &str, response: &mut Response) {
    let problem = Content::new(Some(Ref::from_schema_name("Problem")));
    response.content.insert("application/problem+json".to_owned(), problem.into());
    let header = match status {
        "401" => ("WWW-Authenticate", "How to get a credential."),
        "503" | "507" => ("Retry-After", "When to try again, in seconds."),
        _ => return,
    };
    let description =
        HeaderBuilder::new().schema(Some(String::schema())).description(Some(header.1));
    response.headers.insert(header.0.to_owned(), description.build().into());
}

fn meaning(status: u16) -> &'static str {
    match status {
        400 => "The query string or a header is not valid.",
        401 => "The credential is missing or wrong.",
        403 => "The credential lacks a scope, or the page that asks may not.",
        404 => "There is no such thing.",
        409 => "It contradicts what is there now.",
        410 => "A write that `Memnode-After` names is lost on every node.",
        413 => "The body, or a part of it, is too large.",
        415 => "The body has the wrong media type.",
        422 => "The body is not valid.",
        429 => "The caller asks for more than it may.",
        503 => "A part of the node is not ready, or the request took too long.",
        507 => "The disk is full.",
        _ => "The node failed.",
    }
}

/// The page that shows the document, and the document.
pub fn page(document: utoipa::openapi::OpenApi) -> Router {
    let config = Config::default().try_it_out_enabled(true).validator_url("none");
    let page = SwaggerUi::new(DOCS_PATH).config(config).url(DOCUMENT_PATH, document);
    let policy = SetResponseHeaderLayer::overriding(CONTENT_SECURITY_POLICY, DOCS_POLICY);
    Router::from(page).layer(policy)
}

#[cfg(test)]
mod tests;
