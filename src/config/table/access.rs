//! The part of the table about who reaches the node, and how.

use super::{BOOL, BYTES, FILE, Kind, SECRET, Setting, kind, setting};

const RATE: Kind = kind("RATE", "off, or a rate such as 100/s, 600/m burst 50 or 50/h");

/// The settings of `http`, `auth` and `limits`.
pub(super) const SETTINGS: &[Setting] = &[
    setting(
        "http.enabled",
        "MCP_HTTP_ENABLED",
        "http-enabled",
        BOOL,
        "Serve HTTP; default: yes for serve, no for mcp",
    ),
    setting(
        "http.host",
        "MCP_HTTP_HOST",
        "http-host",
        kind("ADDRESS", "an IP address or localhost"),
        "Address to listen on",
    )
    .common(),
    setting(
        "http.port",
        "MCP_HTTP_PORT",
        "http-port",
        kind("PORT", "a port from 0 (any free one) to 65535"),
        "Port to listen on",
    )
    .common(),
    setting(
        "http.cors_origins",
        "MCP_CORS_ORIGINS",
        "cors-origins",
        kind("LIST", "`*` alone, or up to 100 origins such as https://example.org"),
        "Web origins that may call, comma between; default: its own",
    ),
    setting(
        "http.request_timeout",
        "MEMNODE_REQUEST_TIMEOUT",
        "request-timeout",
        kind("TIME", "a time from 1s to 1h, such as 30s or 5m"),
        "Longest a request may take",
    ),
    setting(
        "http.body_bytes_max",
        "MEMNODE_BODY_BYTES_MAX",
        "body-bytes-max",
        BYTES,
        "Longest body of a request",
    ),
    setting(
        "http.batch_bytes_max",
        "MEMNODE_BATCH_BYTES_MAX",
        "batch-bytes-max",
        BYTES,
        "Longest body of a batch",
    ),
    setting(
        "http.connections_max",
        "MEMNODE_CONNECTIONS_MAX",
        "connections-max",
        kind("COUNT", "a whole number from 1 to 1000000"),
        "Connections at a time",
    ),
    setting(
        "http.allowed_hosts",
        "MEMNODE_ALLOWED_HOSTS",
        "allowed-hosts",
        kind("LIST", "up to 100 host names or addresses, without ports"),
        "Names it answers to, comma between; default: on loopback its own, else any",
    ),
    setting(
        "http.trusted_proxies",
        "MEMNODE_TRUSTED_PROXIES",
        "trusted-proxies",
        kind("LIST", "up to 100 addresses or ranges such as 10.0.0.0/8"),
        "Proxies whose X-Forwarded-For is believed, comma between; default: none",
    ),
    setting(
        "http.tls_cert",
        "MEMNODE_TLS_CERT",
        "tls-cert",
        FILE,
        "Certificate chain, PEM: connections are encrypted; needs --tls-key",
    ),
    setting("http.tls_key", "MEMNODE_TLS_KEY", "tls-key", FILE, "Private key of it, PEM"),
    setting(
        "auth.api_key",
        "MCP_API_KEY",
        "api-key",
        SECRET,
        "Key that callers must send; not as a flag, which other users can see",
    )
    .secret(),
    setting(
        "auth.api_key_file",
        "MCP_API_KEY_FILE",
        "api-key-file",
        FILE,
        "File that holds that key",
    ),
    setting(
        "auth.jwt_issuers",
        "MEMNODE_JWT_ISSUERS",
        "jwt-issuers",
        kind(
            "JSON",
            "up to 16 issuers, each named once, with issuer, audience, algorithm (RS256, ES256, \
             EdDSA or HS256) and one of public_key_file, jwks_file and jwks_url (https), or \
             secret_file for HS256; perhaps leeway, namespace_claim and jwks_ca_file",
        ),
        "Issuers whose tokens are accepted, as JSON; default: none",
    ),
    setting(
        "auth.allow_anonymous",
        "MCP_ALLOW_ANONYMOUS_ACCESS",
        "allow-anonymous",
        BOOL,
        "Serve calls without a key; default: only on loopback with no key set",
    ),
    setting(
        "limits.reads",
        "MEMNODE_LIMIT_READS",
        "limit-reads",
        RATE,
        "Reads that one caller may ask for",
    ),
    setting(
        "limits.writes",
        "MEMNODE_LIMIT_WRITES",
        "limit-writes",
        RATE,
        "Writes that one caller may ask for",
    ),
    setting(
        "limits.searches",
        "MEMNODE_LIMIT_SEARCHES",
        "limit-searches",
        RATE,
        "Searches that one caller may ask for",
    ),
    setting(
        "limits.events",
        "MEMNODE_LIMIT_EVENTS",
        "limit-events",
        RATE,
        "Event streams that one caller may open",
    ),
    setting(
        "limits.failures",
        "MEMNODE_LIMIT_FAILURES",
        "limit-failures",
        RATE,
        "Wrong credentials of one address",
    ),
    setting(
        "limits.connections",
        "MEMNODE_LIMIT_CONNECTIONS",
        "limit-connections",
        kind("COUNT", "a whole number from 1 to 1000000, or off"),
        "Connections of one address at a time",
    ),
    setting(
        "limits.tools",
        "MEMNODE_LIMIT_TOOLS",
        "limit-tools",
        kind("LIST", "up to 64 items such as memory_ingest=10/m"),
        "Limits of single MCP tools, comma between",
    ),
    setting(
        "limits.callers_max",
        "MEMNODE_LIMIT_CALLERS_MAX",
        "limit-callers-max",
        kind("COUNT", "a whole number from 16 to 10000000"),
        "Callers that limits tell apart",
    ),
];
