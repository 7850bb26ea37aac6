//! Processors with vectors of 256 bits: bits are counted by looking half bytes up (Muła, Kurz and
//! Lemire, "Faster population counts using AVX2 instructions", 2018).

#![allow(unsafe_code)]

use std::arch::x86_64::{
    __m256, __m256i, _CMP_GT_OQ, _mm256_add_epi8, _mm256_add_epi64, _mm256_add_ps,
    _mm256_and_si256, _mm256_castsi256_si128, _mm256_cmp_ps, _mm256_cvtepi32_ps, _mm256_loadu_ps,
    _mm256_loadu_si256, _mm256_movemask_ps, _mm256_mul_ps, _mm256_permutevar8x32_epi32,
    _mm256_sad_epu8, _mm256_set_m128i, _mm256_set1_epi8, _mm256_set1_epi64x, _mm256_set1_ps,
    _mm256_setr_epi8, _mm256_setr_epi32, _mm256_setzero_si256, _mm256_shuffle_epi8,
    _mm256_slli_epi64, _mm256_srli_epi16, _mm256_storeu_ps,
};

use super::super::best::Best;
use super::super::code::{BLOCK_ROWS, PLANES, QueryCode};
use super::Blocks;

/// Words whose counts fit a byte: each adds up to 8.
const WORDS_PER_BYTE: usize = 31;
/// Rows that one vector holds a word of.
const LANES: usize = 4;
/// Words of 384 numbers, the built-in model's: the loop over them is unrolled.
const BUILTIN_WORDS: usize = 6;

pub(super) fn is_available() -> bool {
    is_x86_feature_detected!("avx2")
}

/// As [`super::Kernel::scan`].
///
/// # Safety
/// [`is_available`] must have said so, and the lengths must fit each other.
#[target_feature(enable = "avx2")]
pub(super) unsafe fn scan(
    blocks: Blocks<'_>,
    mask: &[u8],
    query: &QueryCode,
    place: u32,
    best: &mut Best,
) {
    // SAFETY: what the caller promises.
    unsafe {
        match query.planes.first_chunk::<BUILTIN_WORDS>() {
            Some(planes) if query.planes.len() == BUILTIN_WORDS => {
                scan_planes(blocks, mask, query, planes, place, best);
            }
            _ => scan_planes(blocks, mask, query, &query.planes, place, best),
        }
    }
}

/// # Safety
/// As [`scan`]; `planes` must be those of `query`.
#[inline]
#[target_feature(enable = "avx2")]
unsafe fn scan_planes<P: AsRef<[[u64; PLANES]]> + ?Sized>(
    blocks: Blocks<'_>,
    mask: &[u8],
    query: &QueryCode,
    planes: &P,
    place: u32,
    best: &mut Best,
) {
    let planes = planes.as_ref();
    let (scale, base) = (_mm256_set1_ps(query.scale), _mm256_set1_ps(query.base));
    let offset = _mm256_set1_ps(query.offset);
    let mut threshold = _mm256_set1_ps(best.threshold());
    for (block, picked) in mask.iter().enumerate().filter(|(_, picked)| **picked != 0) {
        let row = block * BLOCK_ROWS;
        // SAFETY: there are as many blocks of words, factors and ones as bytes of the mask.
        let (count, factors, ones) = unsafe {
            let words = blocks.words.as_ptr().add(row * planes.len());
            let factors = _mm256_loadu_ps(blocks.factors.as_ptr().add(row));
            let ones = _mm256_loadu_ps(blocks.ones.as_ptr().add(row));
            (narrow(count(words, planes), count(words.add(LANES), planes)), factors, ones)
        };
        let inner = _mm256_add_ps(_mm256_mul_ps(scale, count), base);
        let estimates = _mm256_add_ps(_mm256_mul_ps(factors, inner), _mm256_mul_ps(offset, ones));
        let above = _mm256_cmp_ps::<_CMP_GT_OQ>(estimates, threshold);
        let mut hits = _mm256_movemask_ps(above) as u8 & picked;
        if hits != 0 {
            let mut spelled = [0.0; BLOCK_ROWS];
            // SAFETY: eight numbers of four bytes.
            unsafe { _mm256_storeu_ps(spelled.as_mut_ptr(), estimates) };
            while hits != 0 {
                let lane = hits.trailing_zeros() as usize;
                hits &= hits - 1;
                best.offer(spelled[lane], place + (row + lane) as u32);
            }
            threshold = _mm256_set1_ps(best.threshold());
        }
    }
}

/// For each of four rows of a block, the sum of the query's levels where it has ones.
///
/// # Safety
/// As [`scan`]; at `words` there must be the words of four rows, for each of `planes` eight words
/// after the last.
#[inline]
#[target_feature(enable = "avx2")]
unsafe fn count(words: *const u64, planes: &[[u64; PLANES]]) -> __m256i {
    let nibble = _mm256_set1_epi8(0x0f);
    let zero = _mm256_setzero_si256();
    #[rustfmt::skip]
    let ones = _mm256_setr_epi8(
        0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4,
        0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4,
    );
    let mut sums = [zero; PLANES];
    for (turn, planes) in planes.chunks(WORDS_PER_BYTE).enumerate() {
        let mut bytes = [zero; PLANES];
        for (number, planes) in planes.iter().enumerate() {
            let word = turn * WORDS_PER_BYTE + number;
            // SAFETY: what the caller promises.
            let word = unsafe { _mm256_loadu_si256(words.add(word * BLOCK_ROWS).cast()) };
            let low = _mm256_and_si256(word, nibble);
            let high = _mm256_and_si256(_mm256_srli_epi16::<4>(word), nibble);
            for (bytes, plane) in bytes.iter_mut().zip(planes) {
                let bits = _mm256_set1_epi64x(plane.cast_signed());
                // The query's own high half bytes line up once it is shifted as the word was.
                let bits_high = _mm256_set1_epi64x((plane >> 4).cast_signed());
                let low = _mm256_shuffle_epi8(ones, _mm256_and_si256(low, bits));
                let high = _mm256_shuffle_epi8(ones, _mm256_and_si256(high, bits_high));
                *bytes = _mm256_add_epi8(*bytes, _mm256_add_epi8(low, high));
            }
        }
        for (sum, bytes) in sums.iter_mut().zip(bytes) {
            *sum = _mm256_add_epi64(*sum, _mm256_sad_epu8(bytes, zero));
        }
    }
    let low = _mm256_add_epi64(sums[0], _mm256_slli_epi64::<1>(sums[1]));
    let high = _mm256_add_epi64(sums[2], _mm256_slli_epi64::<1>(sums[3]));
    _mm256_add_epi64(low, _mm256_slli_epi64::<2>(high))
}

/// Two times four small numbers of 64 bits as eight floating ones.
#[inline]
#[target_feature(enable = "avx2")]
fn narrow(first: __m256i, second: __m256i) -> __m256 {
    let even = _mm256_setr_epi32(0, 2, 4, 6, 0, 2, 4, 6);
    let first = _mm256_castsi256_si128(_mm256_permutevar8x32_epi32(first, even));
    let second = _mm256_castsi256_si128(_mm256_permutevar8x32_epi32(second, even));
    _mm256_cvtepi32_ps(_mm256_set_m128i(second, first))
}
