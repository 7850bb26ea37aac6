//! Where a person's settings, data and caches live, and what this machine is called.

use std::path::{Path, PathBuf};

/// Where a person's settings, data and caches live, by the XDG base directory specification
/// (<https://specifications.freedesktop.org/basedir-spec/latest/>); `None` without a home.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Directories {
    /// `$HOME`.
    pub home: Option<PathBuf>,
    /// `$XDG_CONFIG_HOME`, else `~/.config`.
    pub config: Option<PathBuf>,
    /// `$XDG_DATA_HOME`, else `~/.local/share`.
    pub data: Option<PathBuf>,
    /// `$XDG_CACHE_HOME`, else `~/.cache`.
    pub cache: Option<PathBuf>,
}

impl Directories {
    /// Reads the variables; one that is no absolute path counts as unset, as the specification
    /// demands.
    pub(super) fn new(environment: &[(String, String)]) -> Self {
        let absolute = |name: &str| {
            let (_, value) = environment.iter().find(|(candidate, _)| candidate == name)?;
            Some(PathBuf::from(value)).filter(|path| path.is_absolute())
        };
        let home = absolute("HOME");
        let below_home = |part: &str| home.as_ref().map(|home| home.join(part));
        Directories {
            config: absolute("XDG_CONFIG_HOME").or_else(|| below_home(".config")),
            data: absolute("XDG_DATA_HOME").or_else(|| below_home(".local/share")),
            cache: absolute("XDG_CACHE_HOME").or_else(|| below_home(".cache")),
            home,
        }
    }

    /// The path with a leading `~` replaced by the home; `None` when there is no home for it.
    pub(super) fn expand(&self, text: &str) -> Option<PathBuf> {
        if text == "~" {
            return self.home.clone();
        }
        match text.strip_prefix("~/") {
            Some(rest) => self.home.as_ref().map(|home| home.join(rest)),
            None => Some(Path::new(text).to_path_buf()),
        }
    }
}

/// The name of this machine: the kernel's, else `$HOSTNAME`, else `memnode`.
pub(super) fn host_name(environment: &[(String, String)]) -> String {
    let kernel = std::fs::read_to_string("/proc/sys/kernel/hostname").ok();
    let variable = || environment.iter().find(|(name, _)| name == "HOSTNAME");
    kernel
        .or_else(|| variable().map(|(_, value)| value.clone()))
        .map(|name| node_name(&name))
        .filter(|name| !name.is_empty())
        .unwrap_or_else(|| "memnode".to_string())
}

/// A host name as a node name: what `node.id` does not allow becomes `-`.
fn node_name(host_name: &str) -> String {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    host_name.trim().chars().map(|c| if allowed(c) { c } else { '-' }).take(64).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn directories(environment: &[(&str, &str)]) -> Directories {
        let pair = |(name, value): &(&str, &str)| (name.to_string(), value.to_string());
        Directories::new(&environment.iter().map(pair).collect::<Vec<_>>())
    }

    #[test]
    fn the_variables_of_the_specification_beat_the_home() {
        let found = directories(&[("HOME", "/home/ada"), ("XDG_DATA_HOME", "/data")]);
        assert_eq!(found.data, Some("/data".into()));
        assert_eq!(found.config, Some("/home/ada/.config".into()));
        assert_eq!(found.cache, Some("/home/ada/.cache".into()));
    }

    #[test]
    fn a_relative_or_empty_variable_counts_as_unset() {
        let found = directories(&[("HOME", "/home/ada"), ("XDG_DATA_HOME", "data")]);
        assert_eq!(found.data, Some("/home/ada/.local/share".into()));
        assert_eq!(directories(&[("HOME", "")]).data, None);
    }

    #[test]
    fn only_a_leading_tilde_of_ones_own_is_expanded() {
        let found = directories(&[("HOME", "/home/ada")]);
        for (text, expected) in
            [("~", "/home/ada"), ("~/x", "/home/ada/x"), ("/a/~/b", "/a/~/b"), ("~bob/x", "~bob/x")]
        {
            assert_eq!(found.expand(text), Some(expected.into()), "{text}");
        }
        assert_eq!(directories(&[]).expand("~/x"), None);
        assert_eq!(directories(&[]).expand("x"), Some("x".into()));
    }

    #[test]
    fn a_host_name_becomes_a_node_name() {
        for (host, expected) in [("ada\n", "ada"), ("a b.lan", "a-b.lan"), ("\n", ""), ("é1", "-1")]
        {
            assert_eq!(node_name(host), expected);
        }
        assert!(!host_name(&[]).is_empty());
    }
}
