//! Steps through words: the few moves that grammar rules are made of.

use super::lexer::{Kind, Token};

/// The words not read yet.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cursor<'t> {
    pub(super) rest: &'t [Token],
}

/// What a rule made of the words, and the words it left.
pub(super) type Step<'t, T> = Option<(T, Cursor<'t>)>;

/// Takes the words it knows from the front, or nothing.
pub(super) type Rule<T> = fn(Cursor<'_>) -> Step<'_, T>;

/// Of the rules that fit, the one that takes most words.
pub(super) fn longest<'t, T>(at: Cursor<'t>, rules: &[Rule<T>]) -> Step<'t, T> {
    rules.iter().filter_map(|rule| rule(at)).min_by_key(|(_, at)| at.rest.len())
}

impl<'t> Cursor<'t> {
    /// The next word; nothing at a mark or the end.
    pub(super) fn word(self) -> Step<'t, &'t str> {
        let (first, rest) = self.rest.split_first()?;
        Some((first.word()?, Cursor { rest }))
    }

    /// Goes over the next word when it is one of `words`.
    pub(super) fn expect(self, words: &[&str]) -> Option<Cursor<'t>> {
        let (word, at) = self.word()?;
        words.contains(&word).then_some(at)
    }

    /// Goes over the next word if it is one of `words`.
    pub(super) fn skip(self, words: &[&str]) -> Cursor<'t> {
        self.expect(words).unwrap_or(self)
    }

    pub(super) fn skip_comma(self) -> Cursor<'t> {
        match self.rest {
            [Token { kind: Kind::Comma, .. }, rest @ ..] => Cursor { rest },
            _ => self,
        }
    }
}
