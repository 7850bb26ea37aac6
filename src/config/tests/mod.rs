//! Tests of the whole: every name and every layer here, refusals and the command line beside.

mod command_line;
mod refusals;

use std::collections::BTreeSet;
use std::num::NonZeroUsize;
use std::path::Path;

use serde_json::json;

use super::table::SETTINGS;
use super::*;

/// For each key two texts and what `memnode config show` makes of them.
const SAMPLES: &[(&str, [&str; 2], [&str; 2])] = &[
    ("node.id", ["ada-1", "b.lan"], ["ada-1", "b.lan"]),
    ("node.namespace", ["team", "a_b-1"], ["team", "a_b-1"]),
    ("node.time_zone", ["Europe/Berlin", "UTC"], ["Europe/Berlin", "UTC"]),
    ("cluster.name", ["team", "a.B_c-1"], ["team", "a.B_c-1"]),
    (
        "cluster.nats_url",
        ["nats://h", "tls://A.example:4222/, nats://[::1]:1"],
        ["nats://h", "tls://a.example:4222,nats://[::1]:1"],
    ),
    ("cluster.nats_creds", ["/n.creds", "~/n.creds"], ["/n.creds", "/home/ada/n.creds"]),
    ("cluster.nats_nkey", ["/n.nk", "~/n.nk"], ["/n.nk", "/home/ada/n.nk"]),
    ("cluster.nats_user", ["ada", "node-1"], ["ada", "node-1"]),
    ("cluster.nats_password", ["s3cret-one", "s3cret-two"], ["********", "********"]),
    ("cluster.nats_ca", ["/ca.pem", "~/ca.pem"], ["/ca.pem", "/home/ada/ca.pem"]),
    ("cluster.nats_cert", ["/c.pem", "~/c.pem"], ["/c.pem", "/home/ada/c.pem"]),
    ("cluster.nats_key", ["/k.pem", "~/k.pem"], ["/k.pem", "/home/ada/k.pem"]),
    (
        "cluster.secret",
        ["s3cret-one-s3cret-one-s3cret-one", "s3cret-two-s3cret-two-s3cret-two"],
        ["********", "********"],
    ),
    ("cluster.secret_file", ["/s", "~/s"], ["/s", "/home/ada/s"]),
    ("cluster.stream_replicas", ["1", "5"], ["1", "5"]),
    ("cluster.stream_bytes_max", ["1MiB", "1TiB"], ["1048576", "1099511627776"]),
    ("cluster.stream_age_max", ["2m", "365d"], ["2m", "365d"]),
    ("cluster.op_bytes_max", ["1MiB", "2GiB"], ["1048576", "2147483648"]),
    ("store.base_dir", ["/srv/m", "~/m"], ["/srv/m", "/home/ada/m"]),
    ("store.path", ["/srv/m.db", "~/m.db"], ["/srv/m.db", "/home/ada/m.db"]),
    ("store.readers", ["1", "64"], ["1", "64"]),
    ("store.write_queue_max", ["1", "65536"], ["1", "65536"]),
    ("store.recount_interval", ["1s", "30d"], ["1s", "30d"]),
    ("http.enabled", ["yes", "off"], ["true", "false"]),
    ("http.host", ["localhost", "[::1]"], ["127.0.0.1", "::1"]),
    ("http.port", ["0", "65535"], ["0", "65535"]),
    (
        "http.cors_origins",
        ["*", "https://A.example:8443/, http://b"],
        ["*", "https://a.example:8443,http://b"],
    ),
    ("http.request_timeout", ["1500ms", "3600"], ["1500ms", "1h"]),
    ("http.body_bytes_max", ["1 KiB", "2MB"], ["1024", "2000000"]),
    ("http.batch_bytes_max", ["1GiB", "33554432"], ["1073741824", "33554432"]),
    ("http.connections_max", ["1", "1000000"], ["1", "1000000"]),
    (
        "http.allowed_hosts",
        ["Memory.Example", "a.lan,[::1],10.0.0.1"],
        ["memory.example", "a.lan,::1,10.0.0.1"],
    ),
    (
        "http.trusted_proxies",
        ["10.0.0.0/8", "::1, 192.168.0.1"],
        ["10.0.0.0/8", "::1/128,192.168.0.1/32"],
    ),
    ("http.tls_cert", ["/c.pem", "~/c.pem"], ["/c.pem", "/home/ada/c.pem"]),
    ("http.tls_key", ["/k.pem", "~/k.pem"], ["/k.pem", "/home/ada/k.pem"]),
    ("auth.api_key", ["s3cret-one", "s3cret-two"], ["********", "********"]),
    ("auth.api_key_file", ["/k", "~/k"], ["/k", "/home/ada/k"]),
    (
        "auth.jwt_issuers",
        [
            r#"[{"issuer":"i","audience":"a","algorithm":"ES256","jwks_file":"/k"}]"#,
            r#"[{"issuer":"j","audience":["a"],"algorithm":"EdDSA","jwks_file":"/"}]"#,
        ],
        [
            r#"{"issuer":"i","audience":["a"],"algorithm":"ES256","jwks_file":"/k","leeway":"1m"}"#,
            r#"{"issuer":"j","audience":["a"],"algorithm":"EdDSA","jwks_file":"/","leeway":"1m"}"#,
        ],
    ),
    ("auth.allow_anonymous", ["true", "FALSE"], ["true", "false"]),
    ("limits.reads", ["off", "100/s"], ["off", "100/s"]),
    ("limits.writes", ["600/m burst 5", "1/h"], ["600/m burst 5", "1/h"]),
    ("limits.searches", ["7/m burst 1", "7/s"], ["7/m", "7/s"]),
    ("limits.events", ["9/s", "off"], ["9/s", "off"]),
    ("limits.failures", ["3/s", "off"], ["3/s", "off"]),
    ("limits.connections", ["1", "off"], ["1", "off"]),
    ("limits.tools", ["a=1/s", "b=2/m,a=1/s"], ["a=1/s", "a=1/s,b=2/m"]),
    ("limits.callers_max", ["16", "10000000"], ["16", "10000000"]),
    ("embed.embedder", ["onnx", "builtin"], ["onnx", "builtin"]),
    ("embed.model_dir", ["/model", "model"], ["/model", "model"]),
    ("embed.dir", ["/onnx", "~"], ["/onnx", "/home/ada"]),
    ("embed.url", ["http://h/v1", "https://[::1]:1/x?y"], ["http://h/v1", "https://[::1]:1/x?y"]),
    ("embed.model", ["all-minilm", "a b"], ["all-minilm", "a b"]),
    ("embed.dimension", ["1", "8192"], ["1", "8192"]),
    ("embed.api_key", ["s3cret-one", "s3cret-two"], ["********", "********"]),
    ("embed.timeout", ["100ms", "10min"], ["100ms", "10m"]),
    ("rerank.url", ["http://h/rerank", "https://h:1/x"], ["http://h/rerank", "https://h:1/x"]),
    ("rerank.api_key", ["s3cret-one", "s3cret-two"], ["********", "********"]),
    ("rerank.timeout", ["10ms", "1m"], ["10ms", "1m"]),
    ("dedup.enabled", ["1", "0"], ["true", "false"]),
    ("dedup.threshold", ["0", "1"], ["0.0", "1.0"]),
    ("dedup.time_window_hours", ["1", "87600"], ["1", "87600"]),
    ("events.heartbeat", ["5", "300"], ["5", "300"]),
    ("events.log_rows_max", ["10000", "100000000"], ["10000", "100000000"]),
    (
        "webhooks.urls",
        ["http://h/a", "https://h/b#tag=x, http://h"],
        ["http://h/a", "https://h/b#tag=x,http://h"],
    ),
    ("webhooks.secret", ["s3cret-one", "s3cret-two"], ["********", "********"]),
    ("webhooks.tries", ["1", "20"], ["1", "20"]),
    ("ingest.roots", ["/a", "/a, ~/b"], ["/a", "/a,/home/ada/b"]),
    ("backup.dir", ["/srv/b", "~/b"], ["/srv/b", "/home/ada/b"]),
    ("backup.enabled", ["no", "true"], ["false", "true"]),
    ("backup.interval", ["Hourly", "weekly"], ["hourly", "weekly"]),
    ("backup.retention_days", ["1", "3650"], ["1", "3650"]),
    ("backup.max_count", ["1", "1000"], ["1", "1000"]),
    ("log.filter", ["off", "info,memnode=debug"], ["off", "info,memnode=debug"]),
    ("log.format", ["json", "human"], ["json", "human"]),
    ("log.slow_query_ms", ["0", "3600000"], ["0", "3600000"]),
    ("otel.endpoint", ["http://c:4318", "https://c/x"], ["http://c:4318", "https://c/x"]),
    ("otel.headers", ["a=b", "a=b,c=d%20e"], ["********", "********"]),
    ("otel.protocol", ["http/protobuf", "http/protobuf"], ["http/protobuf", "http/protobuf"]),
    ("otel.timeout", ["100", "60000"], ["100", "60000"]),
    ("otel.service_name", ["memory", "m 2"], ["memory", "m 2"]),
    ("otel.resource_attributes", ["a=b", "a=b, c=d"], ["a=b", "a=b,c=d"]),
    ("otel.sampler", ["always_off", "traceidratio"], ["always_off", "traceidratio"]),
    ("otel.sampler_arg", ["0", "0.5"], ["0.0", "0.5"]),
    ("otel.disabled", ["true", "0"], ["true", "false"]),
    ("audit.days", ["1", "3650"], ["1", "3650"]),
    ("audit.reads", ["true", "0"], ["true", "false"]),
];

fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect()
}

/// Loads with a home and no settings file but the given text.
fn load_all(
    file: &str,
    environment: &[(&str, &str)],
    flags: &[(&str, &str)],
) -> Result<Loaded, ConfigError> {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("memnode.toml");
    std::fs::write(&path, file).unwrap();
    load_file(&path, environment, flags)
}

fn load_file(
    path: &Path,
    environment: &[(&str, &str)],
    flags: &[(&str, &str)],
) -> Result<Loaded, ConfigError> {
    let mut environment = pairs(environment);
    environment.extend(pairs(&[("HOME", "/home/ada")]));
    let flags = Flags { file: Some(path.to_path_buf()), settings: pairs(flags) };
    load(&Sources { flags, environment })
}

/// As flags, but for secrets, which are no flags.
fn load_settings(settings: &[(&str, &str)]) -> Result<Loaded, ConfigError> {
    let is_secret = |key: &str| table::by_key(key).unwrap().secret;
    let (secrets, flags): (Vec<_>, Vec<_>) = settings.iter().partition(|(key, _)| is_secret(key));
    let named =
        secrets.iter().map(|(key, value)| (table::by_key(key).unwrap().environment, *value));
    load_all("", &named.collect::<Vec<_>>(), &flags)
}

fn load_flags(flags: &[(&str, &str)]) -> Result<Loaded, ConfigError> {
    load_all("", &[], flags)
}

fn refusal(loaded: Result<Loaded, ConfigError>) -> String {
    loaded.map(|loaded| loaded.effective).unwrap_err().to_string()
}

fn seen<'a>(loaded: &'a Loaded, key: &str) -> &'a Effective {
    loaded.effective.iter().find(|setting| setting.key == key).unwrap()
}

/// The value of one line of the table that people see.
fn shown(loaded: &Loaded, key: &str) -> String {
    let mut setting = seen(loaded, key).clone();
    setting.source = Source::Default;
    let line = effective_text(&[setting]);
    line.trim_end().strip_prefix(key).unwrap().strip_suffix("default").unwrap().trim().to_string()
}

#[test]
fn what_others_can_reach_is_limited() {
    let load = |flags: &[(&str, &str)]| {
        let flags = [&[("http.host", "0.0.0.0")], flags].concat();
        load_all("", &[("MCP_API_KEY", "s3cret")], &flags).unwrap().config.limits
    };
    let limits = load(&[]);
    let rates = [limits.reads, limits.writes, limits.searches, limits.events, limits.failures];
    let rates = rates.map(|limit| limit.rate().expect("a limit").to_string());
    assert_eq!(rates, ["5000/s", "2000/s", "500/s", "20/s", "5/s"]);
    assert_eq!(load(&[("limits.reads", "off")]).reads, RateLimit::Off);
    let connections =
        |flags: &[(&str, &str)]| load(flags).connections.count_max().map(NonZeroUsize::get);
    assert_eq!(connections(&[]), Some(1024));
    assert_eq!(connections(&[("limits.connections", "off")]), None);
}

#[test]
fn the_defaults_are_what_their_comments_say() {
    let loaded = load_flags(&[]).unwrap();
    let Config {
        node,
        cluster,
        store,
        http,
        auth,
        limits,
        embed,
        rerank,
        dedup,
        events,
        webhooks,
        ingest,
        backup,
        log,
        otel,
        audit,
    } = loaded.config;
    assert!(webhooks.urls.is_empty() && webhooks.secret.is_none());
    assert_eq!(webhooks.try_count_max, 12);
    assert_eq!((events.heartbeat.as_secs(), events.log_rows_max), (30, 1_000_000));
    assert!(!node.id.is_empty());
    assert_eq!((node.namespace.as_str(), node.time_zone), ("default", None));
    assert_eq!((cluster.name.as_str(), cluster.replicas()), ("memnode", 1));
    assert!(cluster.nats.is_none() && cluster.stream_replicas.is_none());
    assert_eq!((cluster.stream_bytes_max, cluster.op_bytes_max), (1 << 30, 4 << 30));
    assert_eq!(cluster.stream_age_max, Duration::from_hours(30 * 24));
    assert_eq!(store.base_dir, Path::new("/home/ada/.local/share/memnode"));
    assert_eq!(store.path, Path::new("/home/ada/.local/share/memnode/memnode.db"));
    assert!((2..=16).contains(&store.readers.get()));
    assert_eq!(store.write_queue_max.get(), 1024);
    assert_eq!(store.recount_interval, Duration::from_hours(24));
    assert_eq!(http.enabled, None);
    assert_eq!(http.address().to_string(), "127.0.0.1:8000");
    assert_eq!(http.cors_origins, CorsOrigins::Own);
    assert_eq!(http.request_timeout, Duration::from_secs(30));
    assert_eq!((http.body_bytes_max, http.batch_bytes_max), (1 << 20, 32 << 20));
    assert_eq!(http.connection_count_max.get(), 16_384);
    assert_eq!((http.allowed_hosts.len(), http.trusted_proxies), (0, Networks::default()));
    assert!(auth.api_key.is_none());
    assert_eq!((auth.api_key_file, auth.anonymous), (None, Anonymous::UntilThereAreKeys));
    assert!(cluster.secret.is_none() && cluster.secret_file.is_none());
    assert_eq!((limits.reads, limits.failures), (RateLimit::Off, RateLimit::Off));
    assert_eq!(limits.connections, ConnectionLimit::Off);
    assert_eq!((limits.tools, limits.caller_count_max.get()), (ToolLimits::default(), 10_000));
    assert_eq!(embed.model_dir, Path::new("/home/ada/.cache/memnode/model"));
    assert!(matches!(embed.embedder, EmbedderConfig::Builtin));
    assert!(rerank.url.is_none() && rerank.api_key.is_none());
    assert_eq!(rerank.timeout, Duration::from_secs(2));
    assert_eq!((dedup.enabled, dedup.threshold, dedup.time_window_hours), (false, 0.85, 24));
    assert!(ingest.roots.is_empty());
    assert_eq!(backup.dir, Path::new("/home/ada/.local/share/memnode/backups"));
    assert_eq!((backup.enabled, backup.interval), (true, BackupInterval::Daily));
    assert_eq!((backup.retention_days, backup.max_count), (7, 10));
    assert_eq!((log.filter.as_str(), log.format), ("info", LogFormat::Human));
    assert_eq!(log.slow_query.as_millis(), 250);
    assert!(otel.endpoint.is_none() && otel.headers.is_none() && otel.attributes.is_empty());
    assert_eq!(otel.sampler, Sampler { share: 1.0, follows_parent: true });
    assert_eq!((audit.days, audit.reads), (90, false));
    assert!(loaded.warnings.is_empty());
}

#[test]
fn table_defaults_and_reader_know_the_same_settings() {
    let keys: BTreeSet<&str> = SETTINGS.iter().map(|setting| setting.key).collect();
    let defaults: toml::Table = layers::DEFAULTS.parse().unwrap();
    let documented: BTreeSet<String> = defaults
        .iter()
        .flat_map(|(section, entries)| {
            let names = entries.as_table().unwrap().keys();
            names.map(move |name| format!("{section}.{name}"))
        })
        .collect();
    let read: Vec<&str> = load_flags(&[]).unwrap().effective.iter().map(|seen| seen.key).collect();
    assert!(documented.iter().map(String::as_str).eq(keys.iter().copied()));
    assert!(read.iter().eq(keys.iter()), "every key is read once, and shown sorted");
    assert!(SAMPLES.iter().map(|(key, ..)| *key).eq(SETTINGS.iter().map(|setting| setting.key)));
}

#[test]
fn every_default_has_a_comment_that_names_its_variable_and_its_flag() {
    for setting in SETTINGS.iter() {
        let names = format!("# {}, --{}\n", setting.environment, setting.flag);
        let (_, after) = layers::DEFAULTS.split_once(&names).expect(setting.key);
        let (_, name) = setting.key.split_once('.').unwrap();
        assert!(after.starts_with(&format!("{name} = ")), "{}", setting.key);
    }
}

#[test]
fn no_name_is_used_twice() {
    let environment = SETTINGS.iter().map(|setting| setting.environment);
    let variables: BTreeSet<&str> = environment.collect();
    assert_eq!(variables.len(), SETTINGS.len());
    let prefixes = ["MCP_", "MEMNODE_", "OTEL_"];
    let is_ours = |name: &&str| prefixes.iter().any(|prefix| name.starts_with(prefix));
    assert!(variables.iter().all(is_ours));
    let flags: BTreeSet<&str> = SETTINGS.iter().map(|setting| setting.flag).collect();
    assert_eq!(flags.len(), SETTINGS.len());
}

/// What a setting is nothing without, in the environment.
fn needed_by(key: &str) -> &'static [(&'static str, &'static str)] {
    match key {
        "embed.embedder" => &[("MEMNODE_EMBEDDER_DIR", "/onnx")],
        "http.tls_cert" => &[("MEMNODE_TLS_KEY", "/k.pem")],
        "http.tls_key" => &[("MEMNODE_TLS_CERT", "/c.pem")],
        "cluster.nats_user" => &[("MEMNODE_NATS_PASSWORD", "s3cret")],
        "cluster.nats_password" => &[("MEMNODE_NATS_USER", "ada")],
        "cluster.nats_cert" => &[("MEMNODE_NATS_KEY", "/k.pem")],
        "cluster.nats_key" => &[("MEMNODE_NATS_CERT", "/c.pem")],
        _ => &[],
    }
}

#[test]
fn for_every_setting_the_flag_beats_the_environment_and_that_the_file_and_that_the_default() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("memnode.toml");
    for ((key, [first, second], [first_shown, second_shown]), setting) in
        SAMPLES.iter().zip(SETTINGS.iter())
    {
        let (section, name) = key.split_once('.').unwrap();
        let needed = needed_by(key);
        let check = |environment: &[(&str, &str)], flag: Option<&str>, value: &str, source| {
            let flags: Vec<(&str, &str)> = flag.map(|value| (*key, value)).into_iter().collect();
            let loaded = load_file(&path, environment, &flags).unwrap();
            assert_eq!(shown(&loaded, key), value, "{key}");
            assert_eq!(seen(&loaded, key).source, source, "{key}");
        };
        std::fs::write(&path, format!("[{section}]\n{name} = {first:?}\n")).unwrap();
        check(needed, None, first_shown, Source::File(path.clone()));
        let variable = [needed, &[(setting.environment, *second)]].concat();
        check(&variable, None, second_shown, Source::Environment(setting.environment));
        if setting.secret {
            let refused = refusal(load_file(&path, &variable, &[(key, first)]));
            assert!(refused.contains(&format!("give it as {}", setting.environment)), "{refused}");
            assert!(!refused.contains("s3cret"), "{refused}");
        } else {
            check(&variable, Some(first), first_shown, Source::Flag(setting.flag));
        }
    }
    let untouched = load_flags(&[]).unwrap().effective;
    assert!(untouched.iter().all(|setting| setting.source == Source::Default));
}

#[test]
fn typed_values_of_the_file_mean_the_same_as_text() {
    let file = r#"
        http = { port = 9000, enabled = true, cors_origins = ["https://a", "https://b"] }
        [dedup]
        threshold = 0.5
        [ingest]
        roots = ["~/notes", "/with, comma"]
    "#;
    let loaded = load_all(file, &[], &[]).unwrap();
    let Config { http, dedup, ingest, .. } = loaded.config;
    let origins = ["https://a", "https://b"].map(String::from).to_vec();
    assert_eq!((http.port, http.enabled, dedup.threshold), (9000, Some(true), 0.5));
    assert_eq!(http.cors_origins, CorsOrigins::Listed(origins));
    assert_eq!(ingest.roots, [Path::new("/home/ada/notes"), Path::new("/with, comma")]);
}

#[test]
fn an_empty_flag_takes_back_what_the_environment_set() {
    let environment = [("MCP_API_KEY", "s3cret"), ("MCP_CORS_ORIGINS", "*")];
    let flags = [("auth.api_key", ""), ("http.cors_origins", "")];
    let config = load_all("", &environment, &flags).unwrap().config;
    assert!(config.auth.api_key.is_none());
    assert_eq!(config.http.cors_origins, CorsOrigins::Own);
}

#[test]
fn the_file_is_the_named_one_else_the_one_in_the_directory_of_settings() {
    let directory = tempfile::tempdir().unwrap();
    let write = |name: &str, port: u16| {
        let path = directory.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, format!("http.port = {port}")).unwrap();
        path
    };
    let flag = write("flag.toml", 1);
    let variable = write("variable.toml", 2);
    write("config/memnode/memnode.toml", 3);
    let config_home = directory.path().join("config").to_str().unwrap().to_string();
    let port = |file: Option<&Path>, variable: &str, config_home: &str| {
        let flags = Flags { file: file.map(Path::to_path_buf), settings: Vec::new() };
        let environment = pairs(&[
            ("HOME", directory.path().to_str().unwrap()),
            ("MEMNODE_CONFIG", variable),
            ("XDG_CONFIG_HOME", config_home),
        ]);
        load(&Sources { flags, environment }).unwrap().config.http.port
    };
    assert_eq!(port(Some(&flag), variable.to_str().unwrap(), &config_home), 1);
    assert_eq!(port(None, variable.to_str().unwrap(), &config_home), 2);
    assert_eq!(port(None, "~/variable.toml", &config_home), 2);
    assert_eq!(port(None, "", &config_home), 3);
    assert_eq!(port(None, "", "/nowhere"), 8000);
}

#[test]
fn the_settings_in_force_are_shown_as_a_table_and_as_json() {
    let settings = [
        Effective {
            key: "auth.api_key",
            value: json!("********"),
            source: Source::Environment("MCP_API_KEY"),
        },
        Effective { key: "http.cors_origins", value: json!(["a", "b"]), source: Source::Default },
        Effective { key: "http.port", value: json!(9000), source: Source::Flag("http-port") },
        Effective { key: "node.time_zone", value: json!(null), source: Source::File("/x".into()) },
    ];
    let table = "\
auth.api_key       ********  environment MCP_API_KEY
http.cors_origins  a,b       default
http.port          9000      flag --http-port
node.time_zone     -         file /x
";
    assert_eq!(effective_text(&settings), table);
    assert_eq!(
        effective_json(&settings[2..]),
        json!([
            {"key": "http.port", "value": 9000, "source": "flag --http-port"},
            {"key": "node.time_zone", "value": null, "source": "file /x"},
        ])
    );
}

#[test]
fn the_real_environment_is_read() {
    assert!(environment().iter().any(|(name, _)| name == "PATH"));
}

#[test]
fn telemetry_goes_to_the_collector_that_is_named_unless_it_is_disabled() {
    let otel = |environment: &[(&str, &str)]| load_all("", environment, &[]).unwrap().config.otel;
    let collector = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c:4318");
    assert_eq!(otel(&[collector]).endpoint.as_deref(), Some("http://c:4318"));
    assert_eq!(otel(&[collector, ("OTEL_SDK_DISABLED", "true")]).endpoint, None);
    let sampler = |kind, share| {
        otel(&[("OTEL_TRACES_SAMPLER", kind), ("OTEL_TRACES_SAMPLER_ARG", share)]).sampler
    };
    let expected = |share, follows_parent| Sampler { share, follows_parent };
    assert_eq!(sampler("parentbased_traceidratio", "0.25"), expected(0.25, true));
    assert_eq!(sampler("traceidratio", "0.25"), expected(0.25, false));
    assert_eq!(sampler("always_off", "0.25"), expected(0.0, false));
    let attributes = otel(&[("OTEL_RESOURCE_ATTRIBUTES", "a=b, c = d")]).attributes;
    assert_eq!(attributes, pairs(&[("a", "b"), ("c", "d")]));
}
