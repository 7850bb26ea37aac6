//! The loops over all rows, in the vector instructions that the processor has.
//!
//! Each kernel gives, to the last bit, what the portable one gives.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod portable;

use super::best::Best;
use super::code::{BLOCK_ROWS, QueryCode};

/// The codes of consecutive rows, in blocks of [`BLOCK_ROWS`].
#[derive(Clone, Copy, Debug)]
pub struct Blocks<'a> {
    /// For each block and word, that word of each of its rows.
    pub words: &'a [u64],
    /// For each row, its factor; 0 where a block is not full.
    pub factors: &'a [f32],
    /// For each row, its factor times how many ones it has.
    pub ones: &'a [f32],
}

/// One of the kernels, which this processor has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kernel(Instructions);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Instructions {
    Portable,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    #[cfg(target_arch = "x86_64")]
    Avx512,
}

impl Kernel {
    /// The fastest kernel for this processor.
    pub fn detect() -> Self {
        *Self::available().last().expect("the portable kernel runs everywhere")
    }

    /// The kernels that this processor can run, slowest first.
    pub fn available() -> Vec<Self> {
        let mut kernels = vec![Kernel(Instructions::Portable)];
        #[cfg(target_arch = "x86_64")]
        {
            if avx2::is_available() {
                kernels.push(Kernel(Instructions::Avx2));
            }
            if avx512::is_available() {
                kernels.push(Kernel(Instructions::Avx512));
            }
        }
        kernels
    }

    /// What people call it.
    pub fn name(self) -> &'static str {
        match self.0 {
            Instructions::Portable => "portable",
            #[cfg(target_arch = "x86_64")]
            Instructions::Avx2 => "avx2",
            #[cfg(target_arch = "x86_64")]
            Instructions::Avx512 => "avx512-vpopcntdq",
        }
    }

    /// Offers the rows that `mask` picks (bit `r` of byte `b` is row `r` of block `b`) to `best`;
    /// the first row of the first block lies at `place`.
    ///
    /// # Panics
    /// When the parts are not of the same number of blocks, or the query is of other words.
    #[allow(unsafe_code, reason = "the vector instructions that were found to be there")]
    pub fn scan(
        self,
        blocks: Blocks<'_>,
        mask: &[u8],
        query: &QueryCode,
        place: u32,
        best: &mut Best,
    ) {
        let rows = mask.len() * BLOCK_ROWS;
        assert_eq!(blocks.factors.len(), rows, "a factor for each row");
        assert_eq!(blocks.ones.len(), rows, "a count for each row");
        assert_eq!(blocks.words.len(), rows * query.planes.len(), "words of the query's dimension");
        match self.0 {
            Instructions::Portable => portable::scan(blocks, mask, query, place, best),
            // SAFETY: `available` is the only maker of these, and made them after it had asked the
            // processor; the lengths that the kernels rely on were just checked.
            #[cfg(target_arch = "x86_64")]
            Instructions::Avx2 => unsafe { avx2::scan(blocks, mask, query, place, best) },
            #[cfg(target_arch = "x86_64")]
            Instructions::Avx512 => unsafe { avx512::scan(blocks, mask, query, place, best) },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::best::Candidate;
    use super::*;
    use proptest::prelude::*;

    #[derive(Debug)]
    struct Case {
        words: Vec<u64>,
        factors: Vec<f32>,
        ones: Vec<f32>,
        mask: Vec<u8>,
        query: Vec<f32>,
    }

    impl Case {
        fn scan(&self, kernel: Kernel, count: usize) -> Vec<Candidate> {
            let blocks = Blocks { words: &self.words, factors: &self.factors, ones: &self.ones };
            let mut best = Best::new(count);
            kernel.scan(blocks, &self.mask, &QueryCode::of(&self.query), 4096, &mut best);
            best.into_sorted()
        }
    }

    /// Any words, of any dimension that a file may have.
    fn case() -> impl Strategy<Value = Case> {
        let dimension = prop_oneof![1_usize..200, Just(384), Just(768), Just(1024), Just(3072)];
        (dimension, 0_usize..12, any::<u64>()).prop_flat_map(|(dimension, block_count, _)| {
            let rows = block_count * BLOCK_ROWS;
            let word = prop_oneof![any::<u64>(), Just(0), Just(u64::MAX)];
            let factor = prop_oneof![4 => 0.0_f32..2.0, 1 => Just(0.0)];
            (
                prop::collection::vec(word, rows * dimension.div_ceil(64)),
                prop::collection::vec(factor, rows),
                prop::collection::vec(0.0_f32..100.0, rows),
                prop::collection::vec(prop_oneof![any::<u8>(), Just(0), Just(255)], block_count),
                prop::collection::vec(-1.0_f32..1.0, dimension),
            )
                .prop_map(|(words, factors, ones, mask, query)| Case {
                    words,
                    factors,
                    ones,
                    mask,
                    query,
                })
        })
    }

    proptest! {
        #[test]
        fn every_kernel_gives_what_the_portable_one_gives(
            case in case(),
            count in 1_usize..30,
        ) {
            let kernels = Kernel::available();
            let expected = case.scan(kernels[0], count);
            for kernel in &kernels[1..] {
                prop_assert_eq!(&case.scan(*kernel, count), &expected, "{}", kernel.name());
            }
        }

        #[test]
        fn only_rows_of_the_mask_are_found(case in case()) {
            for kernel in Kernel::available() {
                let found = case.scan(kernel, 1000);
                let wanted: u32 = case.mask.iter().map(|byte| byte.count_ones()).sum();
                prop_assert_eq!(found.len(), wanted as usize, "{}", kernel.name());
                for candidate in found {
                    let place = candidate.place as usize - 4096;
                    prop_assert!(case.mask[place / 8] >> (place % 8) & 1 == 1);
                }
            }
        }
    }

    #[test]
    fn an_unfit_query_is_refused_by_all() {
        for kernel in Kernel::available() {
            let scan = || {
                let case = Case {
                    words: vec![0; 8],
                    factors: vec![0.0; 8],
                    ones: vec![0.0; 8],
                    mask: vec![255],
                    query: vec![0.5; 65],
                };
                case.scan(kernel, 1)
            };
            assert!(std::panic::catch_unwind(scan).is_err(), "{}", kernel.name());
        }
    }
}
