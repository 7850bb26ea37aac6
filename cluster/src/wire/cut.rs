//! Runs of ops as messages: consecutive numbers, no more bytes than one may have.

/// Bytes that stand around an op in a message.
const AROUND_BYTES: usize = 8;

/// A stretch of one origin's numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stretch {
    /// Ops that fit one message.
    Ops {
        /// The number of the first.
        lo: u64,
        /// Their encodings, at least one.
        payloads: Vec<Vec<u8>>,
    },
    /// Numbers whose ops are not kept.
    Missing {
        /// The first.
        lo: u64,
        /// The last.
        hi: u64,
    },
}

/// Cuts `lo..=hi` into stretches, in order and without a gap. `payloads`: what is kept of it, by
/// ascending number. A single op may be longer than `bytes_max`.
pub fn cut(
    lo: u64,
    hi: u64,
    payloads: impl IntoIterator<Item = (u64, Vec<u8>)>,
    bytes_max: usize,
) -> Vec<Stretch> {
    let mut stretches = Vec::new();
    let (mut next, mut bytes) = (lo, 0);
    for (oseq, payload) in payloads {
        if next < oseq {
            stretches.push(Stretch::Missing { lo: next, hi: oseq - 1 });
        }
        next = oseq + 1;
        let more = payload.len() + AROUND_BYTES;
        match stretches.last_mut() {
            Some(Stretch::Ops { payloads, .. }) if bytes + more <= bytes_max => {
                bytes += more;
                payloads.push(payload);
            }
            _ => {
                bytes = more;
                stretches.push(Stretch::Ops { lo: oseq, payloads: vec![payload] });
            }
        }
    }
    if next <= hi {
        stretches.push(Stretch::Missing { lo: next, hi });
    }
    stretches
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(lo: u64, hi: u64, kept: &[u64], expected: &[Stretch]) {
        let payloads = kept.iter().map(|oseq| (*oseq, vec![0; 92]));
        assert_eq!(cut(lo, hi, payloads, 200), expected, "{lo}..={hi} of {kept:?}");
    }

    fn ops(lo: u64, count: usize) -> Stretch {
        Stretch::Ops { lo, payloads: vec![vec![0; 92]; count] }
    }

    #[test]
    fn ops_are_cut_by_size_and_what_is_not_kept_is_told_apart() {
        check(1, 3, &[1, 2, 3], &[ops(1, 2), ops(3, 1)]);
        check(1, 3, &[], &[Stretch::Missing { lo: 1, hi: 3 }]);
        check(
            1,
            9,
            &[3, 4, 5, 7],
            &[
                Stretch::Missing { lo: 1, hi: 2 },
                ops(3, 2),
                ops(5, 1),
                Stretch::Missing { lo: 6, hi: 6 },
                ops(7, 1),
                Stretch::Missing { lo: 8, hi: 9 },
            ],
        );
    }

    #[test]
    fn an_op_longer_than_a_message_goes_alone() {
        let long = vec![1; 500];
        let payloads = [(1, vec![0]), (2, long.clone()), (3, vec![0])];
        let expected = [
            Stretch::Ops { lo: 1, payloads: vec![vec![0]] },
            Stretch::Ops { lo: 2, payloads: vec![long] },
            Stretch::Ops { lo: 3, payloads: vec![vec![0]] },
        ];
        assert_eq!(cut(1, 3, payloads, 200), expected);
    }
}
