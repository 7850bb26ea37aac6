//! The identity of a text.

use std::fmt;
use std::str::FromStr;

use sha2::{Digest, Sha256};

use crate::{Error, Result};

/// SHA-256 of the text without outer white space and in lower case: the id in every URL.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ContentHash([u8; 32]);

impl ContentHash {
    /// The hash of a text. Texts that differ only in case or outer space share it.
    pub fn of(content: &str) -> Self {
        let stripped = content.trim_matches(is_stripped);
        ContentHash(Sha256::digest(stripped.to_lowercase().as_bytes()).into())
    }

    /// From the 32 bytes that the store keeps.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        ContentHash(bytes)
    }

    /// The 32 bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// White space as the existing clients strip it: Unicode's, and the four ASCII separators.
fn is_stripped(c: char) -> bool {
    c.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&c)
}

impl fmt::Display for ContentHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for ContentHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for ContentHash {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let wrong = || {
            let shown: String = text.chars().take(80).collect();
            Error::invalid(format!("`{shown}` is not a content hash of 64 hex digits"))
                .reason("invalid_content_hash")
        };
        if text.len() != 64 || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(wrong());
        }
        let mut bytes = [0; 32];
        for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks(2)) {
            let pair = std::str::from_utf8(pair).map_err(|_| wrong())?;
            *byte = u8::from_str_radix(pair, 16).map_err(|_| wrong())?;
        }
        Ok(ContentHash(bytes))
    }
}

impl serde::Serialize for ContentHash {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for ContentHash {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn case_and_outer_space_do_not_count() {
        // sha256("hello world"), as any sha256 tool prints it.
        let expected = "b94d27b9934d3e08a52e52d7da7dabfac484efe37a5380ee9088f7ace2efcde9";
        for text in ["hello world", " Hello World\n", "\u{1c}HELLO WORLD\u{3000}"] {
            assert_eq!(ContentHash::of(text).to_string(), expected, "{text:?}");
        }
        assert_ne!(ContentHash::of("hello  world").to_string(), expected);
    }

    #[test]
    fn lower_case_is_unicode_aware() {
        assert_eq!(ContentHash::of("ÄÖÜ ΣΑΣ"), ContentHash::of("äöü σας"));
    }

    #[test]
    fn only_64_hex_digits_parse() {
        let hash = ContentHash::of("x");
        assert_eq!(hash.to_string().parse::<ContentHash>().expect("round trip"), hash);
        for text in ["", "abc", &"g".repeat(64), &"a".repeat(63), &"é".repeat(32)] {
            assert!(text.parse::<ContentHash>().is_err(), "{text:?}");
        }
    }
}
