//! What rows are filtered by: namespaces, types and tags, as numbers.

use std::collections::HashMap;

use parking_lot::RwLock;

/// The number of a label; the same as long as a process keeps its [`Labels`].
pub type LabelId = u32;

/// Something a row can be filtered by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Label<'a> {
    /// The namespace it is in.
    Namespace(&'a str),
    /// The type it has.
    Type(&'a str),
    /// A tag it carries.
    Tag(&'a str),
}

impl Label<'_> {
    /// Spelled so that no two labels are the same.
    pub fn key(self) -> String {
        match self {
            Label::Namespace(name) => format!("n{name}"),
            Label::Type(name) => format!("t{name}"),
            Label::Tag(name) => format!("#{name}"),
        }
    }
}

/// The numbers of all labels that were ever seen. They are only added to, so that every snapshot
/// can share them.
#[derive(Debug, Default)]
pub struct Labels(RwLock<HashMap<Box<str>, LabelId>>);

impl Labels {
    /// The number of a label that was seen before; no row has one that was not.
    pub fn find(&self, key: &str) -> Option<LabelId> {
        self.0.read().get(key).copied()
    }

    /// The number of a label, drawn when it is new.
    pub fn intern(&self, key: &str) -> LabelId {
        if let Some(known) = self.find(key) {
            return known;
        }
        let mut labels = self.0.write();
        let next = LabelId::try_from(labels.len()).expect("memory holds fewer labels");
        *labels.entry(key.into()).or_insert(next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_of_different_kinds_differ_and_keep_their_numbers() {
        let labels = Labels::default();
        let keys = [Label::Namespace("a"), Label::Type("a"), Label::Tag("a"), Label::Tag("na")];
        let drawn: Vec<LabelId> = keys.iter().map(|label| labels.intern(&label.key())).collect();
        assert_eq!(drawn, [0, 1, 2, 3]);
        let again: Vec<LabelId> = keys.iter().map(|label| labels.intern(&label.key())).collect();
        assert_eq!(again, drawn);
        assert_eq!(labels.find(&Label::Tag("b").key()), None);
    }
}
