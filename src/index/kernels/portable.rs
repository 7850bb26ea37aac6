//! The kernel that runs everywhere, and that the others are held against.

use super::super::best::Best;
use super::super::code::{BLOCK_ROWS, QueryCode};
use super::Blocks;

/// As [`super::Kernel::scan`], which has checked the lengths.
pub(super) fn scan(
    blocks: Blocks<'_>,
    mask: &[u8],
    query: &QueryCode,
    place: u32,
    best: &mut Best,
) {
    let block_words = query.planes.len() * BLOCK_ROWS;
    for (block, picked) in mask.iter().enumerate().filter(|(_, picked)| **picked != 0) {
        let counts = count(&blocks.words[block * block_words..][..block_words], query);
        let first = block * BLOCK_ROWS;
        for lane in (0..BLOCK_ROWS).filter(|lane| picked >> lane & 1 == 1) {
            let row = first + lane;
            let estimate = query.estimate(counts[lane], blocks.factors[row], blocks.ones[row]);
            best.offer(estimate, place + row as u32);
        }
    }
}

/// For each row of a block, the sum of the query's levels where it has ones.
fn count(block: &[u64], query: &QueryCode) -> [u32; BLOCK_ROWS] {
    let mut counts = [0; BLOCK_ROWS];
    let (words, _) = block.as_chunks::<BLOCK_ROWS>();
    for (word, planes) in words.iter().zip(&query.planes) {
        for (plane, bits) in planes.iter().enumerate() {
            for (count, row) in counts.iter_mut().zip(word) {
                *count += (row & bits).count_ones() << plane;
            }
        }
    }
    counts
}
