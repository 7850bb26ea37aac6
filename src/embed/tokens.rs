//! Text to token ids, and which texts share a run.

use tokenizers::{PaddingParams, Tokenizer, TruncationParams};

/// A text is first read up to this many bytes per token it may have; English needs about five.
const BYTES_PER_TOKEN: usize = 8;

/// What lies beyond this many bytes per token is never read, however few tokens came before it.
const BYTES_PER_TOKEN_MAX: usize = 512;

/// The most texts in one run.
pub(super) const RUN_TEXTS_MAX: usize = 32;

/// The most tokens in one run, padding included: what it computes still fits a core's cache, and
/// attention, which grows with texts times length squared, stays at a few megabytes.
const RUN_TOKENS_MAX: usize = 384;

/// What a run costs beside its tokens, counted in tokens: so much padding is worth saving one.
const RUN_OVERHEAD_TOKENS: usize = 8;

/// A tokenizer that cuts at a fixed number of tokens and never pads.
pub(super) struct Tokens {
    tokenizer: Tokenizer,
    tokens_max: usize,
}

impl Tokens {
    /// Reads a `tokenizer.json`. Its own truncation and padding are replaced: the published files
    /// cut at 128 tokens and pad everything to them.
    pub(super) fn new(json: &[u8], tokens_max: usize) -> Result<Self, tokenizers::Error> {
        let mut tokenizer = Tokenizer::from_bytes(json)?;
        tokenizer.with_padding(None::<PaddingParams>);
        let cut = TruncationParams { max_length: tokens_max, ..TruncationParams::default() };
        tokenizer.with_truncation(Some(cut))?;
        Ok(Tokens { tokenizer, tokens_max })
    }

    /// The ids of a text, at least one and at most the limit.
    ///
    /// Only as much of a long text is read as fills the limit.
    pub(super) fn encode(&self, text: &str) -> Result<Vec<i32>, tokenizers::Error> {
        let mut window = self.tokens_max * BYTES_PER_TOKEN;
        loop {
            let head = head(text, window);
            let encoding = self.tokenizer.encode_fast(head, true)?;
            let ids = encoding.get_ids();
            let exhausted =
                head.len() == text.len() || window >= self.tokens_max * BYTES_PER_TOKEN_MAX;
            if exhausted || ids.len() >= self.tokens_max {
                let mut ids: Vec<i32> = ids.iter().map(|&id| id.cast_signed()).collect();
                if ids.is_empty() {
                    // Tokenizers without start and end tokens make nothing of an empty text.
                    ids.push(0);
                }
                return Ok(ids);
            }
            window *= 4;
        }
    }
}

/// The first `bytes_max` bytes of a text or a little less: cut at white space where there is some.
pub(super) fn head(text: &str, bytes_max: usize) -> &str {
    if text.len() <= bytes_max {
        return text;
    }
    let cut = text.floor_char_boundary(bytes_max);
    let near = text.floor_char_boundary(cut.saturating_sub(128));
    match text[near..cut].rfind(char::is_whitespace) {
        Some(space) => &text[..near + space],
        None => &text[..cut],
    }
}

/// Splits texts of these token counts into runs, as indexes: little padding, bounded size.
pub(super) fn runs(lengths: &[usize]) -> Vec<Vec<usize>> {
    let mut order: Vec<usize> = (0..lengths.len()).collect();
    order.sort_by_key(|&index| lengths[index]);
    let mut runs: Vec<Vec<usize>> = Vec::new();
    let mut longest = 0;
    for index in order {
        let length = lengths[index];
        match runs.last_mut() {
            Some(run) if joins(run.len(), longest, length) => run.push(index),
            _ => runs.push(vec![index]),
        }
        longest = length;
    }
    runs
}

/// Whether a text of `length` tokens should join a run of `count` texts of up to `longest`.
fn joins(count: usize, longest: usize, length: usize) -> bool {
    let padding = count * (length - longest);
    count < RUN_TEXTS_MAX
        && (count + 1) * length <= RUN_TOKENS_MAX
        && padding <= RUN_OVERHEAD_TOKENS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_text_is_cut_at_white_space_and_never_inside_a_character() {
        let check = |text: &str, bytes_max, expected: &str| {
            assert_eq!(head(text, bytes_max), expected);
        };
        check("short", 10, "short");
        check("", 0, "");
        check("one two three", 9, "one two");
        check("unbroken", 3, "unb");
        check("äöü", 3, "ä");
        check("a\u{2003}äöü", 5, "a");
    }

    #[test]
    fn runs_hold_texts_of_like_length_and_stay_bounded() {
        let check = |lengths: &[usize], expected: &[&[usize]]| assert_eq!(runs(lengths), expected);
        check(&[], &[]);
        check(&[5], &[&[0]]);
        check(&[9, 5, 8], &[&[1, 2, 0]]);
        check(&[250, 5, 250, 6], &[&[1, 3], &[0], &[2]]);
        check(&[100, 100, 100, 100], &[&[0, 1, 2], &[3]]);
    }

    #[test]
    fn every_text_is_in_exactly_one_run() {
        let lengths: Vec<usize> = (0..500).map(|n| 2 + n * 7919 % 255).collect();
        let runs = runs(&lengths);
        let mut seen: Vec<usize> = runs.concat();
        seen.sort_unstable();
        assert_eq!(seen, (0..500).collect::<Vec<_>>());
        for run in &runs {
            let longest = run.iter().map(|&index| lengths[index]).max();
            assert!(run.len() <= RUN_TEXTS_MAX);
            assert!(longest.is_some_and(|longest| longest * run.len() <= RUN_TOKENS_MAX));
        }
    }

    #[test]
    fn one_long_text_still_gets_a_run() {
        assert_eq!(runs(&[8192, 1]), [[1], [0]]);
    }
}
