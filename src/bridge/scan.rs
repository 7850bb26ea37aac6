//! Finds the id of a message that is too long to be kept.

use serde_json::Value;

/// Longest key and longest id that are looked at.
const TOKEN_BYTES_MAX: usize = 256;

/// Follows JSON text just closely enough to see the outermost `id`.
#[derive(Default)]
pub(super) struct IdScanner {
    depth: usize,
    in_string: bool,
    escaped: bool,
    /// The last string of the outermost object.
    string: Vec<u8>,
    /// The value of the outermost `id`, while it is read.
    value: Option<Vec<u8>>,
    found: Option<Vec<u8>>,
}

impl IdScanner {
    /// Looks at the next part of the text.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|&byte| self.step(byte));
    }

    /// The id, if the text has one; `Null` otherwise.
    pub(super) fn id(&self) -> Value {
        let id = self.found.as_deref().and_then(|text| serde_json::from_slice(text).ok());
        id.unwrap_or(Value::Null)
    }

    fn step(&mut self, byte: u8) {
        let ends = !self.in_string && self.depth == 1 && matches!(byte, b',' | b'}');
        if ends {
            if let Some(value) = self.value.take() {
                self.found = Some(value);
            }
        } else if let Some(value) = &mut self.value {
            push_bounded(value, byte);
        }
        if self.in_string { self.step_in_string(byte) } else { self.step_outside(byte) }
    }

    fn step_in_string(&mut self, byte: u8) {
        if self.escaped {
            self.escaped = false;
        } else if byte == b'\\' {
            self.escaped = true;
        } else if byte == b'"' {
            self.in_string = false;
            return;
        }
        if self.depth == 1 {
            push_bounded(&mut self.string, byte);
        }
    }

    fn step_outside(&mut self, byte: u8) {
        match byte {
            b'"' => {
                self.in_string = true;
                self.string.clear();
            }
            b'{' | b'[' => self.depth += 1,
            b'}' | b']' => self.depth = self.depth.saturating_sub(1),
            b':' if self.depth == 1 && self.string == b"id" => self.value = Some(Vec::new()),
            _ => {}
        }
    }
}

fn push_bounded(token: &mut Vec<u8>, byte: u8) {
    if token.len() < TOKEN_BYTES_MAX {
        token.push(byte);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(text: &str, expected: Value) {
        let mut scanner = IdScanner::default();
        text.as_bytes().chunks(3).for_each(|part| scanner.push(part));
        assert_eq!(scanner.id(), expected, "{text}");
    }

    #[test]
    fn only_the_outermost_id_is_found() {
        check(r#"{"jsonrpc":"2.0","id":7,"params":{"x":[1,2]}}"#, json!(7));
        check(r#"{"params":{"id":1,"t":"\"id\":2}"},"id" : "a,\"}b" }"#, json!("a,\"}b"));
        check(r#"{"params":{"id":1},"method":"x"}"#, Value::Null);
        check(r#"{"method":"id","params":[{"id":5}]}"#, Value::Null);
        check(r#"[{"id":5}]"#, Value::Null);
        check(r#"{"id":"#, Value::Null);
    }

    #[test]
    fn an_endless_id_is_not_kept() {
        check(&format!(r#"{{"id":"{}"}}"#, "x".repeat(100_000)), Value::Null);
    }
}
