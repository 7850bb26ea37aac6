//! Whom to tell of what: an address, and in its fragment, which is never sent, a filter.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::events::{EventKind, Filter};
use crate::memory::{NamespaceSet, normalise_tags};
use crate::{Error, Result};

/// Starts a secret whose rest is base64 (standardwebhooks.com, "Signature scheme").
const SECRET_PREFIX: &str = "whsec_";
/// Shortest key, in bytes.
const KEY_BYTES_MIN: usize = 16;

/// An address and what it is told of.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Target {
    /// As it was configured.
    pub(super) name: String,
    /// The address without the filter.
    pub(super) url: String,
    pub(super) filter: Filter,
}

impl Target {
    /// Reads `https://host/path#tag=a&namespace=b&event=memory_stored`; what is named several
    /// times, or in a comma list, is one of these.
    pub(super) fn parse(text: &str) -> Result<Self> {
        let (url, fragment) = text.split_once('#').unwrap_or((text, ""));
        let (mut names, mut tags, mut kinds) = (Vec::new(), Vec::new(), Vec::new());
        for part in fragment.split('&').filter(|part| !part.is_empty()) {
            let (key, value) = part.split_once('=').unwrap_or((part, ""));
            let items = value.split(',').map(str::trim).filter(|item| !item.is_empty());
            match key {
                "namespace" => names.extend(items),
                "tag" => tags.extend(items),
                "event" => kinds.extend(items),
                _ => return Err(wrong(url, &format!("`{key}` is no filter"))),
            }
        }
        let namespaces = match &names[..] {
            [] => NamespaceSet::All,
            names => names.join(",").parse().map_err(|error: Error| wrong(url, &error.detail))?,
        };
        let tags = normalise_tags(tags).map_err(|error| wrong(url, &error.detail))?;
        let changes = [EventKind::MemoryStored, EventKind::MemoryUpdated, EventKind::MemoryDeleted];
        let kind = |name: &&str| {
            EventKind::from_name(name)
                .filter(|kind| changes.contains(kind))
                .ok_or_else(|| wrong(url, &format!("`{name}` is no change of a memory")))
        };
        let kinds = kinds.iter().map(kind).collect::<Result<_>>()?;
        let filter = Filter { namespaces, tags, kinds, hears_node: true };
        Ok(Target { name: text.to_owned(), url: url.to_owned(), filter })
    }
}

fn wrong(url: &str, why: &str) -> Error {
    Error::invalid(format!(
        "webhook {url}: {why}; a filter looks like #tag=a&tag=b&namespace=work&event=memory_stored"
    ))
    .reason("invalid_webhook")
}

/// The key that a secret stands for.
pub(super) fn key(secret: &str) -> Result<Vec<u8>> {
    let key = match secret.strip_prefix(SECRET_PREFIX) {
        Some(text) => STANDARD.decode(text).unwrap_or_default(),
        None => secret.as_bytes().to_vec(),
    };
    if key.len() < KEY_BYTES_MIN {
        return Err(Error::invalid(format!(
            "the secret of webhooks needs {KEY_BYTES_MIN} bytes: `whsec_` and their base64, or as \
             many characters"
        ))
        .reason("invalid_webhook"));
    }
    Ok(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_stands_in_the_fragment() {
        let target = Target::parse("https://h/p?q=1#tag=A,b&event=memory_deleted").expect("valid");
        assert_eq!(target.url, "https://h/p?q=1");
        assert_eq!(target.filter.tags, normalise_tags(["a", "b"]).expect("tags"));
        assert_eq!(target.filter.kinds, [EventKind::MemoryDeleted]);
        assert_eq!(target.filter.namespaces, NamespaceSet::All);
        let target = Target::parse("http://h#namespace=a&namespace=b").expect("valid");
        assert_eq!(target.filter.namespaces, "a,b".parse().expect("names"));
    }

    #[test]
    fn what_is_no_filter_is_refused() {
        for text in ["http://h#x=1", "http://h#event=heartbeat", "http://h#namespace=_keys"] {
            assert_eq!(Target::parse(text).expect_err(text).reason, "invalid_webhook");
        }
    }

    #[test]
    fn a_secret_is_base64_or_long_enough() {
        assert_eq!(key("whsec_MDEyMzQ1Njc4OWFiY2RlZg==").ok(), Some(b"0123456789abcdef".to_vec()));
        assert_eq!(key("0123456789abcdef").ok(), Some(b"0123456789abcdef".to_vec()));
        for bad in ["short", "whsec_MDEy", "whsec_?"] {
            assert!(key(bad).is_err(), "{bad}");
        }
    }
}
