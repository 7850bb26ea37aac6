//! The settings as arguments of every command.

use clap::{Arg, ArgAction, ArgMatches, value_parser};

use super::Flags;
use super::layers::{Given, defaults};
use super::table::{SETTINGS, Setting};

const FILE_ARG: &str = "config";

/// One global argument for each setting, and `--config FILE`; their ids are the keys. The short
/// help names only the few that most people need.
pub fn clap_args() -> Vec<Arg> {
    let file = Arg::new(FILE_ARG)
        .long(FILE_ARG)
        .value_name("FILE")
        .value_parser(value_parser!(std::path::PathBuf))
        .help("Settings file; default: ~/.config/memnode/memnode.toml [env: MEMNODE_CONFIG]")
        .help_heading("Settings")
        .global(true);
    let defaults = defaults();
    let default = |setting: &Setting| match defaults.get(setting.key) {
        Some((Given::Text(text), _)) if !text.is_empty() => format!(" [default: {text}]"),
        _ => String::new(),
    };
    let settings = SETTINGS.iter().map(|setting| arg(setting, &default(setting)));
    std::iter::once(file).chain(settings).collect()
}

fn arg(setting: &Setting, default: &str) -> Arg {
    let arg = Arg::new(setting.key)
        .long(setting.flag)
        .value_name(setting.kind.name)
        .help(format!("{}{default} [env: {}]", setting.help, setting.environment))
        .help_heading("Settings")
        .hide_short_help(!setting.common)
        .action(ArgAction::Set)
        .global(true);
    // A switch takes its value only after `=`, or it would swallow the command behind it.
    match setting.kind.switch {
        true => arg.num_args(0..=1).require_equals(true).default_missing_value("true"),
        false => arg,
    }
}

/// The settings among the arguments, wherever on the command line they stood.
pub fn flags_from(matches: &ArgMatches) -> Flags {
    let mut deepest = matches;
    while let Some((_, inner)) = deepest.subcommand() {
        deepest = inner;
    }
    let value = |setting: &Setting| deepest.get_one::<String>(setting.key).cloned();
    let pair = |setting: &Setting| Some((setting.key.to_string(), value(setting)?));
    Flags {
        file: deepest.get_one::<std::path::PathBuf>(FILE_ARG).cloned(),
        settings: SETTINGS.iter().filter_map(pair).collect(),
    }
}
