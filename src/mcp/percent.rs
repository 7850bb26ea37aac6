//! Percent-encoding of the parts of a resource URI (RFC 3986, section 2.1).

/// The text that `encoded` stands for; `None` when it is not valid, or not UTF-8.
pub(super) fn decode(encoded: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(encoded.len());
    let mut rest = encoded.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => digit(rest.next()?)? << 4 | digit(rest.next()?)?,
            byte => byte,
        });
    }
    String::from_utf8(bytes).ok()
}

/// Encodes all but the characters that never need it.
pub(super) fn encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

fn digit(byte: u8) -> Option<u8> {
    let digit = char::from(byte).to_digit(16)?;
    Some(digit as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(encoded: &str, expected: Option<&str>) {
        assert_eq!(decode(encoded).as_deref(), expected, "{encoded}");
    }

    #[test]
    fn parts_of_uris_are_decoded() {
        check("plain", Some("plain"));
        check("a%20b%2Fc", Some("a b/c"));
        check("%C3%A9%e2%82%ac", Some("é€"));
        check("100%", None);
        check("%4", None);
        check("%zz", None);
        check("%+1", None);
        check("%ff", None);
    }

    #[test]
    fn what_is_encoded_decodes_to_itself() {
        for text in ["work", "agent:me", "c#/f 100%", "é€"] {
            assert_eq!(decode(&encode(text)).as_deref(), Some(text));
        }
    }
}
