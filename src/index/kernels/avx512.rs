//! Processors that count the bits of eight words at once (AVX-512 VPOPCNTDQ: Intel from Ice Lake,
//! AMD from Zen 4).

#![allow(unsafe_code)]

use std::arch::x86_64::{
    __m256, __m512i, _CMP_GT_OQ, _mm256_add_ps, _mm256_cmp_ps_mask, _mm256_loadu_ps, _mm256_mul_ps,
    _mm256_set1_ps, _mm256_storeu_ps, _mm512_add_epi64, _mm512_and_si512, _mm512_cvtepi64_ps,
    _mm512_loadu_si512, _mm512_popcnt_epi64, _mm512_set1_epi64, _mm512_setzero_si512,
    _mm512_slli_epi64,
};

use super::super::best::Best;
use super::super::code::{BLOCK_ROWS, PLANES, QueryCode};
use super::Blocks;

/// Words of 384 numbers, the built-in model's: their planes stay in registers.
const BUILTIN_WORDS: usize = 6;

pub(super) fn is_available() -> bool {
    is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512dq")
        && is_x86_feature_detected!("avx512vl")
        && is_x86_feature_detected!("avx512vpopcntdq")
}

/// As [`super::Kernel::scan`].
///
/// # Safety
/// [`is_available`] must have said so, and the lengths must fit each other.
#[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512vpopcntdq")]
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
#[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512vpopcntdq")]
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
            (count(words, planes), factors, ones)
        };
        let inner = _mm256_add_ps(_mm256_mul_ps(scale, count), base);
        let estimates = _mm256_add_ps(_mm256_mul_ps(factors, inner), _mm256_mul_ps(offset, ones));
        let mut hits = _mm256_cmp_ps_mask::<_CMP_GT_OQ>(estimates, threshold) & picked;
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

/// For each row of a block, the sum of the query's levels where it has ones.
///
/// # Safety
/// As [`scan`]; at `words` there must be eight words for each of `planes`.
#[inline]
#[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512vpopcntdq")]
unsafe fn count(words: *const u64, planes: &[[u64; PLANES]]) -> __m256 {
    let mut sums: [__m512i; PLANES] = [_mm512_setzero_si512(); PLANES];
    for (number, planes) in planes.iter().enumerate() {
        // SAFETY: what the caller promises.
        let word = unsafe { _mm512_loadu_si512(words.add(number * BLOCK_ROWS).cast()) };
        for (sum, plane) in sums.iter_mut().zip(planes) {
            let common = _mm512_and_si512(word, _mm512_set1_epi64(plane.cast_signed()));
            *sum = _mm512_add_epi64(*sum, _mm512_popcnt_epi64(common));
        }
    }
    let low = _mm512_add_epi64(sums[0], _mm512_slli_epi64::<1>(sums[1]));
    let high = _mm512_add_epi64(sums[2], _mm512_slli_epi64::<1>(sums[3]));
    _mm512_cvtepi64_ps(_mm512_add_epi64(low, _mm512_slli_epi64::<2>(high)))
}
