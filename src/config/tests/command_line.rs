//! The settings as flags, and what help says of them.

use clap::Command;

use super::*;

fn command() -> Command {
    Command::new("memnode").args(clap_args()).subcommand(Command::new("serve"))
}

#[test]
fn every_setting_is_a_flag_before_and_behind_the_command() {
    command().debug_assert();
    for ((key, [value, _], _), setting) in SAMPLES.iter().zip(SETTINGS.iter()) {
        let flag = format!("--{}={value}", setting.flag);
        for arguments in [["memnode", &flag, "serve"], ["memnode", "serve", &flag]] {
            let flags = flags_from(&command().try_get_matches_from(arguments).unwrap());
            assert_eq!(flags.settings, pairs(&[(key, value)]));
        }
    }
    let file = command().try_get_matches_from(["memnode", "serve", "--config", "x.toml"]).unwrap();
    assert_eq!(flags_from(&file).file, Some("x.toml".into()));
    assert!(flags_from(&command().get_matches_from(["memnode"])).settings.is_empty());
}

#[test]
fn a_switch_alone_is_true_and_does_not_swallow_the_command() {
    let matches =
        command().try_get_matches_from(["memnode", "--allow-anonymous", "serve"]).unwrap();
    assert_eq!(matches.subcommand_name(), Some("serve"));
    assert_eq!(flags_from(&matches).settings, pairs(&[("auth.allow_anonymous", "true")]));
}

#[test]
fn unknown_and_repeated_flags_are_refused() {
    for arguments in [["memnode", "--http-prot=1", "serve"], ["memnode", "serve", "--http-prot=1"]]
    {
        let error = command().try_get_matches_from(arguments).unwrap_err();
        assert!(error.to_string().contains("--http-port"), "{error}");
    }
    let twice = ["memnode", "serve", "--http-port=1", "--http-port=2"];
    assert!(command().try_get_matches_from(twice).is_err());
}

#[test]
fn the_short_help_names_the_common_settings_and_the_long_one_all() {
    let short = command().render_help().to_string();
    assert!(short.lines().count() < 25, "{short}");
    let one_line = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let short = one_line(&short);
    let long = one_line(&command().render_long_help().to_string());
    for setting in SETTINGS.iter() {
        let flag = format!("--{} ", setting.flag);
        let switch = format!("--{}[", setting.flag);
        assert_eq!(short.contains(&flag), setting.common, "{}", setting.key);
        assert!(long.contains(&flag) || long.contains(&switch), "{}", setting.key);
        assert!(long.contains(&format!("[env: {}]", setting.environment)), "{}", setting.key);
    }
    assert!(short.contains("Port to listen on [default: 8000] [env: MCP_HTTP_PORT]"), "{short}");
}
