//! What is refused or warned of, in which words, and what those words must not say.

use super::*;

#[test]
fn a_file_that_cannot_be_read_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("memnode.toml");
    let check = |content: Option<&[u8]>, expected: &str| {
        if let Some(content) = content {
            std::fs::write(&path, content).unwrap();
        }
        let message = refusal(load_file(&path, &[], &[]));
        let start = format!("cannot read the settings in {}: ", path.display());
        assert!(message.starts_with(&start), "{message}");
        assert!(message.contains(expected), "{message}");
        assert!(!message.contains("s3cret"), "{message}");
    };
    check(None, "No such file");
    check(Some(b"\xff"), "UTF-8");
    check(Some(&vec![b'#'; (1 << 20) + 1]), "more than 1048576 bytes");
    check(Some(b"[auth]\napi_key = \"s3cret\nx = 1"), "line 2 is not TOML");
    check(Some(b"[auth]\n\n[auth]\napi_key = s3cret"), "is not TOML");
}

#[test]
fn unknown_names_are_refused_with_the_nearest_known_one() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("memnode.toml");
    let check_file = |text: &str, key: &str, hint: &str| {
        std::fs::write(&path, text).unwrap();
        let expected = format!("unknown key {key} in {}{hint}", path.display());
        assert_eq!(refusal(load_file(&path, &[], &[])), expected);
    };
    check_file("http.prot = 1", "http.prot", "; did you mean http.port?");
    check_file("port = 1", "port", "; did you mean http.port?");
    check_file("http = 1", "http", "");
    check_file("[nats]\nurl = ''", "nats", "");
    check_file("[elsewhere]", "elsewhere", "");
    check_file("[http.extra]", "http.extra", "");
    check_file("http.\"a.b\" = 1", "http.a.b", "");
    let check = |loaded: Result<Loaded, ConfigError>, expected: &str| {
        assert_eq!(refusal(loaded), expected);
    };
    let variable = |name| load_all("", &[(name, "1")], &[]);
    check(
        variable("MEMNODE_LOGG"),
        "unknown environment variable MEMNODE_LOGG; did you mean MEMNODE_LOG?",
    );
    check(
        variable("MEMNODE_HTTP_PORT"),
        "unknown environment variable MEMNODE_HTTP_PORT; did you mean MCP_HTTP_PORT?",
    );
    check(
        variable("MEMNODE_UNHEARD_OF_THING"),
        "unknown environment variable MEMNODE_UNHEARD_OF_THING",
    );
    check(load_flags(&[("http.hots", "x")]), "unknown setting http.hots; did you mean http.host?");
}

#[test]
fn foreign_variables_are_named_in_one_warning() {
    let environment = [("MCP_QUALITY_SYSTEM", "1"), ("MCP_API_KYE", "s3cret"), ("PATH", "/bin")];
    let warnings = load_all("", &environment, &[]).unwrap().warnings;
    assert_eq!(
        warnings,
        ["ignored, not settings of memnode: MCP_API_KYE (did you mean MCP_API_KEY?), \
             MCP_QUALITY_SYSTEM",]
    );
}

#[test]
fn bad_values_are_refused_and_what_is_allowed_is_named() {
    for (key, bad_values) in [
        ("node.id", &["a b", "é", "a\nb"][..]),
        ("node.namespace", &["", "_own", "Team", "a/b", "a\u{fffd}"]),
        ("node.time_zone", &["Mars/Olympus_Mons", "+99"]),
        ("cluster.name", &["", "a b", "é", "a/b"]),
        (
            "cluster.nats_url",
            &[
                "h:4222",
                "http://h",
                "nats://",
                "nats://u@h",
                "nats://h/x",
                "nats://h:0",
                "tls://[1]",
                ",",
            ],
        ),
        ("cluster.nats_user", &["a b", "é"]),
        ("cluster.stream_replicas", &["0", "6", "two"]),
        ("cluster.stream_bytes_max", &["", "1MB", "2TiB"]),
        ("cluster.stream_age_max", &["", "119s", "366d"]),
        ("cluster.op_bytes_max", &["", "0", "16777216TiB"]),
        ("store.base_dir", &["/a\0b", "/a\u{fffd}"]),
        ("store.readers", &["0", "65", "-1", "2.5", "two"]),
        ("store.write_queue_max", &["0", "65537", ""]),
        ("store.recount_interval", &["", "999ms", "31d", "never"]),
        ("http.enabled", &["maybe", "2"]),
        ("http.host", &["", "example.org", "127.0.0.1:8000", "256.0.0.1", "0"]),
        ("http.port", &["", "65536", "-1", "80a", "0x50", "8 0"]),
        (
            "http.cors_origins",
            &[
                "https://a,*",
                "example.org",
                "https://",
                "https://*",
                "https://a/b",
                "https://u@h",
                ",",
            ],
        ),
        ("http.request_timeout", &["", "0", "999ms", "3601s", "1.5s", "30 parsecs", "s", "-1s"]),
        ("http.body_bytes_max", &["1023", "1TiB", "2GiB", "99999999999999999999", "MiB", ""]),
        ("http.batch_bytes_max", &["0", "18446744073709551615GiB"]),
        ("http.connections_max", &["0", "1000001", "many", ""]),
        ("limits.connections", &["0", "1000001", "many", "1/s"]),
        ("http.allowed_hosts", &["https://a", "a:80", "a b", "a/b", "*", ","]),
        ("http.trusted_proxies", &["proxy", "10.0.0.0/33", "10.0.0", "*"]),
        ("auth.jwt_issuers", &["{}", "[1]", "https://id.example", "[{}]"]),
        ("auth.allow_anonymous", &["sure"]),
        ("embed.embedder", &["", "ONNX", "candle"]),
        ("rerank.url", &["h/v1", "ftp://h/", "http://"]),
        ("rerank.timeout", &["9ms", "61s", "x"]),
        ("embed.url", &["h/v1", "ftp://h/", "http://", "http:///v1", "http://:80/", "http://a b/"]),
        ("embed.dimension", &["0", "8193", "3e2"]),
        ("embed.timeout", &["99ms", "11m"]),
        ("dedup.threshold", &["NaN", "-0.1", "1.01", "inf", "", "0,85"]),
        ("dedup.time_window_hours", &["0", "87601", "-1"]),
        ("ingest.roots", &["notes", "/a,,/b", "/a,notes"]),
        ("backup.dir", &["/a\0b"]),
        ("backup.enabled", &["", "maybe"]),
        ("backup.interval", &["", "yearly", "6h"]),
        ("backup.retention_days", &["", "0", "3651", "1.5"]),
        ("backup.max_count", &["", "0", "1001", "-1"]),
        ("log.filter", &["", "inof", "memnode=loud", "info,", "info\nwarn"]),
        ("log.format", &["", "yaml", "JSON"]),
        ("log.slow_query_ms", &["", "-1", "3600001", "1s"]),
        ("otel.endpoint", &["collector:4317", "grpc://c", "http://u:p@c"]),
        ("otel.protocol", &["", "grpc", "http/json"]),
        ("otel.timeout", &["", "99", "60001", "10s"]),
        ("otel.resource_attributes", &["a", "=b", "a=b,"]),
        ("otel.sampler", &["", "on", "jaeger_remote"]),
        ("otel.sampler_arg", &["-0.1", "1.1", "NaN"]),
        ("audit.days", &["", "0", "3651"]),
    ] {
        let setting = table::by_key(key).unwrap();
        for bad in bad_values {
            let message = refusal(load_flags(&[(key, bad)]));
            let place = format!(" for {key} (from flag --{}): it must be ", setting.flag);
            assert!(message.contains(&place), "{bad:?}: {message}");
            assert!(message.ends_with(setting.kind.allowed), "{bad:?}: {message}");
            assert!(message.starts_with("bad value \"") || message.starts_with("bad value for"));
        }
    }
}

#[test]
fn a_refused_value_is_shown_short_and_on_one_line() {
    let value = format!("x\n{}", "é".repeat(5000));
    let message = refusal(load_all("", &[("MCP_HTTP_PORT", &value)], &[]));
    assert!(message.contains("\"x\\nééé"), "{message}");
    assert!(message.contains("(from environment MCP_HTTP_PORT)"), "{message}");
    assert!(message.chars().count() < 250, "{message}");
    assert!(!message.contains('\n'));
}

#[test]
fn wrong_types_of_the_file_are_refused() {
    for (line, key) in [
        ("http.port = [8000]", "http.port"),
        ("http.port = 8000.5", "http.port"),
        ("http.port = 2026-01-01", "http.port"),
        ("http.port = {}", "http.port"),
        ("http.cors_origins = [1]", "http.cors_origins"),
        ("http.cors_origins = ['']", "http.cors_origins"),
        ("dedup.threshold = nan", "dedup.threshold"),
        ("dedup.enabled = 'perhaps'", "dedup.enabled"),
    ] {
        let message = refusal(load_all(line, &[], &[]));
        assert!(message.contains(&format!("for {key} (from file ")), "{message}");
    }
}

#[test]
fn lists_have_a_bound() {
    let list = |count: usize| vec!["/a"; count].join(",");
    assert!(load_flags(&[("ingest.roots", &list(100))]).is_ok());
    assert!(load_flags(&[("ingest.roots", &list(101))]).is_err());
    let origins = |count: usize| vec!["https://a"; count].join(",");
    assert!(load_flags(&[("http.cors_origins", &origins(100))]).is_ok());
    assert!(load_flags(&[("http.cors_origins", &origins(101))]).is_err());
}

#[test]
fn a_secret_is_never_shown() {
    let check_text = |text: String| assert!(!text.contains("s3cret"), "{text}");
    let environment = [
        ("MCP_API_KEY", "s3cret-a"),
        ("MEMNODE_EMBEDDER_API_KEY", "s3cret-b"),
        ("MEMNODE_NATS_URL", "nats://h"),
        ("MEMNODE_NATS_USER", "ada"),
        ("MEMNODE_NATS_PASSWORD", "s3cret-c"),
    ];
    let flags = [
        ("embed.embedder", "openai"),
        ("embed.url", "http://h/v1/embeddings"),
        ("embed.model", "m"),
        ("embed.dimension", "384"),
    ];
    let loaded = load_all("", &environment, &flags).unwrap();
    let key = loaded.config.auth.api_key.as_ref().unwrap();
    assert_eq!(key.expose(), "s3cret-a");
    assert_eq!(serde_json::to_value(key).unwrap(), json!("********"));
    check_text(format!("{key} {key:?} {loaded:#?}"));
    check_text(effective_text(&loaded.effective));
    check_text(effective_json(&loaded.effective).to_string());
    for bad in ["s3cret with spaces", "s3crét", &"s3cret".repeat(200)] {
        for key in ["auth.api_key", "cluster.nats_password", "embed.api_key"] {
            for error in [load_flags(&[(key, bad)]), load_settings(&[(key, bad)])] {
                let error = error.map(|_| ()).unwrap_err();
                check_text(format!("{error} {error:?}"));
            }
            let error = load_all(&format!("{key} = [{bad:?}]"), &[], &[]).map(|_| ()).unwrap_err();
            check_text(format!("{error} {error:?}"));
        }
    }
    for (key, url) in
        [("embed.url", "https://ada:s3cret@h/v1"), ("cluster.nats_url", "nats://ada:s3cret@h")]
    {
        let error = load_flags(&[(key, url)]).map(|_| ()).unwrap_err();
        check_text(format!("{error} {error:?}"));
    }
}

#[test]
fn listening_beyond_this_machine_needs_a_key_or_a_word() {
    use Anonymous::{Allowed, Refused, UntilThereAreKeys};
    let check = |host: &str, key: &str, word: &str, anonymous: Anonymous, bound: bool| {
        let given = [("http.host", host), ("auth.api_key", key), ("auth.allow_anonymous", word)];
        let config = load_settings(&given).unwrap().config;
        assert_eq!(config.auth.anonymous, anonymous, "{given:?}");
        assert_eq!(config.check_bind().is_ok(), bound, "{given:?}");
        let in_file = [given[0], ("auth.api_key_file", key), given[2]];
        let config = load_settings(&in_file).unwrap().config;
        assert_eq!((config.auth.anonymous, config.check_bind().is_ok()), (anonymous, bound));
    };
    for loopback in ["127.0.0.1", "127.8.8.8", "::1", "localhost", "::ffff:127.0.0.1"] {
        check(loopback, "", "", UntilThereAreKeys, true);
        check(loopback, "key", "", Refused, true);
        check(loopback, "key", "true", Allowed, true);
        check(loopback, "", "false", Refused, true);
    }
    for open in ["0.0.0.0", "::", "192.168.1.2"] {
        check(open, "", "", Refused, false);
        check(open, "", "false", Refused, false);
        check(open, "key", "", Refused, true);
        check(open, "", "true", Allowed, true);
    }
    let refused = load_flags(&[("http.host", "0.0.0.0")]).unwrap().config.check_bind();
    let message = refused.unwrap_err().to_string();
    assert!(message.contains("set MCP_API_KEY"), "{message}");
    assert!(message.contains("MCP_ALLOW_ANONYMOUS_ACCESS=true"), "{message}");
}

#[test]
fn a_secret_may_lie_in_a_file_of_its_own() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("secret");
    let named = path.to_str().unwrap();
    let read = |content: Option<&str>, key: &'static str| {
        std::fs::remove_file(&path).ok();
        content.into_iter().for_each(|content| std::fs::write(&path, content).unwrap());
        let mut config = load_flags(&[(key, named)]).unwrap().config;
        config.read_secrets().map(|()| config).map_err(|error| error.to_string())
    };
    let long = "s3cret-s3cret-s3cret-s3cret-s3cret";
    let config = read(Some(&format!("{long}\n")), "auth.api_key_file").unwrap();
    assert_eq!(config.auth.api_key.unwrap().expose(), long);
    let config = read(Some(long), "cluster.secret_file").unwrap();
    assert_eq!(config.cluster.secret.unwrap().expose(), long);
    for (content, key, expected) in [
        (None, "auth.api_key_file", "No such file"),
        (Some(""), "auth.api_key_file", "1 to 1024 visible"),
        (Some("two s3crets"), "auth.api_key_file", "1 to 1024 visible"),
        (Some("s3cret"), "cluster.secret_file", "at least 32"),
    ] {
        let message = read(content, key).unwrap_err();
        assert!(message.contains(named) && message.contains(expected), "{message}");
        assert!(!message.contains("s3cret"), "{message}");
    }
    for key in ["auth.api_key", "cluster.secret"] {
        let file = format!("{key}_file");
        let message = refusal(load_all(&format!("{key} = '{long}'\n{file} = '/s'"), &[], &[]));
        assert_eq!(message, format!("only one of {key} and {file} can be set"));
    }
}

#[test]
fn an_embedder_gets_what_its_kind_needs() {
    let openai =
        [("embed.url", "http://h/v1/embeddings"), ("embed.model", "m"), ("embed.dimension", "384")];
    for (missing, _) in openai {
        let given = openai.into_iter().filter(|(key, _)| *key != missing);
        let flags: Vec<_> = given.chain([("embed.embedder", "openai")]).collect();
        let message = refusal(load_flags(&flags));
        assert!(message.contains(&format!("openai, which needs {missing};")), "{message}");
        assert!(message.contains("MEMNODE_EMBEDDER_"), "{message}");
    }
    let message = refusal(load_flags(&[("embed.embedder", "onnx")]));
    assert!(message.contains("onnx, which needs embed.dir;"), "{message}");

    let unused = load_flags(&[("embed.url", "http://h/"), ("embed.dir", "/m")]).unwrap();
    assert_eq!(
        unused.warnings,
        ["set, but without effect while embed.embedder is builtin: embed.dir, embed.url"]
    );
}

#[test]
fn a_node_proves_itself_to_nats_in_one_whole_way() {
    let check = |flags: &[(&str, &str)], expected: &str| {
        let message = refusal(load_settings(flags));
        assert!(message.contains(expected), "{message}");
    };
    let (creds, nkey) = (("cluster.nats_creds", "/c"), ("cluster.nats_nkey", "/n"));
    let (user, password) = (("cluster.nats_user", "ada"), ("cluster.nats_password", "s3cret"));
    check(&[creds, nkey], "only one of cluster.nats_creds,");
    check(&[creds, user, password], "only one of cluster.nats_creds,");
    check(&[user], "cluster.nats_user and cluster.nats_password need each other");
    check(&[password], "cluster.nats_user and cluster.nats_password need each other");
    check(&[("cluster.nats_cert", "/c")], "cluster.nats_cert and cluster.nats_key need");
    check(&[("cluster.nats_key", "/k")], "cluster.nats_cert and cluster.nats_key need");
}

#[test]
fn settings_of_nats_without_a_server_are_warned_of() {
    let unread = load_flags(&[("cluster.stream_replicas", "3"), ("cluster.nats_ca", "/ca")]);
    assert_eq!(
        unread.unwrap().warnings,
        ["set, but without effect while cluster.nats_url is not set: \
          cluster.nats_ca, cluster.stream_replicas"]
    );
}

#[test]
fn the_stream_has_three_copies_where_three_servers_are_listed() {
    let replicas = |url: &str, set: &str| {
        let flags = [("cluster.nats_url", url), ("cluster.stream_replicas", set)];
        load_flags(&flags).unwrap().config.cluster.replicas()
    };
    assert_eq!(replicas("nats://a", ""), 1);
    assert_eq!(replicas("nats://a,nats://b", ""), 1);
    assert_eq!(replicas("nats://a,nats://b,nats://c", ""), 3);
    assert_eq!(replicas("nats://a,nats://b,nats://c", "1"), 1);
    assert_eq!(replicas("nats://a", "5"), 5);
    let many = |count: usize| vec!["nats://a"; count].join(",");
    assert!(load_flags(&[("cluster.nats_url", &many(16))]).is_ok());
    assert!(load_flags(&[("cluster.nats_url", &many(17))]).is_err());
}

#[test]
fn the_batch_limit_may_not_be_below_the_body_limit() {
    let flags = |body| [("http.body_bytes_max", body), ("http.batch_bytes_max", "2MiB")];
    assert!(load_flags(&flags("2MiB")).is_ok());
    let message = refusal(load_flags(&flags("3MiB")));
    assert!(message.contains("http.batch_bytes_max (2097152)"), "{message}");
}

#[test]
fn without_a_home_only_paths_that_were_named_are_used() {
    let load_homeless = |settings: &[(&str, &str)]| {
        let flags = Flags { file: None, settings: pairs(settings) };
        load(&Sources { flags, environment: Vec::new() })
    };
    let message = refusal(load_homeless(&[]));
    assert!(message.ends_with("set HOME or MCP_MEMORY_BASE_DIR"), "{message}");
    let message = refusal(load_homeless(&[("store.base_dir", "/m")]));
    assert!(message.ends_with("set HOME or MEMNODE_MODEL_DIR"), "{message}");
    let message = refusal(load_homeless(&[("store.base_dir", "~/m")]));
    assert!(message.contains("`~` needs HOME"), "{message}");
    assert!(load_homeless(&[("store.base_dir", "/m"), ("embed.model_dir", "/model")]).is_ok());
}
