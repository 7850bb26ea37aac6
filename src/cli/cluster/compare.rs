//! `memnode cluster compare`: whether nodes hold the same.

use std::collections::BTreeMap;
use std::path::Path;

use hyper::Method;
use serde_json::json;

use super::super::exit::Failure;
use super::super::find::{ask, read};
use super::super::output::counted;
use super::super::{Call, Output};
use super::show::shortened;
use super::wire::{Digest, Vector, count};
use crate::client::{ApiClient, ClientError, Payload};
use crate::node::Need;

const DIGEST: &str = "/api/cluster/digest";
/// Buckets that the text names.
const BUCKET_COUNT_SHOWN: usize = 20;

/// A node and what it holds.
struct Held {
    name: String,
    digest: Digest,
}

/// How two nodes stand to each other.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    Equal,
    /// They have not applied the same writes: how many each lacks of the other's.
    Behind {
        first: u64,
        second: u64,
    },
    /// They applied the same writes and hold something else in these buckets.
    Diverged(Vec<u16>),
}

pub(super) async fn run(
    call: &Call,
    urls: &[String],
    authorities: Option<&Path>,
) -> Result<(), Failure> {
    let mut nodes = Vec::with_capacity(urls.len() + 1);
    if let [_] = urls {
        let answer = ask(call, Need::StoreOnly, Method::GET, DIGEST, Payload::Empty).await?;
        nodes.push(Held { name: "this node".to_owned(), digest: read(&answer)? });
    }
    for url in urls {
        let digest = call.until_stopped(fetch(call, url, authorities)).await?;
        nodes.push(Held { name: url.clone(), digest });
    }
    let Some((first, others)) = nodes.split_first() else { return Ok(()) };
    let verdicts: Vec<(&Held, Verdict)> =
        others.iter().map(|other| (other, compare(&first.digest, &other.digest))).collect();
    show(&call.output, first, &verdicts)?;
    let differ = verdicts.iter().filter(|(_, verdict)| *verdict != Verdict::Equal).count();
    if differ == 0 {
        return Ok(());
    }
    Err(Failure::Found(format!(
        "{} from {}",
        counted(differ as u64, "node differs", "nodes differ"),
        first.name
    )))
}

async fn fetch(call: &Call, url: &str, authorities: Option<&Path>) -> Result<Digest, Failure> {
    let key = call.config.auth.api_key.as_ref().map(|key| key.expose().to_owned());
    let client = ApiClient::tcp(url, key, authorities).map_err(|error| match error {
        ClientError::BadPath => Failure::Usage(format!(
            "{url} is not the address of a node, such as http://node-2:8000"
        )),
        other => other.into(),
    })?;
    client.json(Method::GET, DIGEST, Payload::Empty).await.map_err(|error| match error {
        error @ (ClientError::Refused(_) | ClientError::Unreadable { .. }) => error.into(),
        other => Failure::NotRunning(format!("{url}: {other}")),
    })
}

fn compare(first: &Digest, second: &Digest) -> Verdict {
    let lacks = |of: &Vector, than: &Vector| -> u64 {
        than.iter()
            .map(|(origin, runs)| missing(of.get(origin).map_or(&[], Vec::as_slice), runs))
            .sum()
    };
    if first.vector != second.vector {
        return Verdict::Behind {
            first: lacks(&first.vector, &second.vector),
            second: lacks(&second.vector, &first.vector),
        };
    }
    if first.root == second.root {
        return Verdict::Equal;
    }
    let of = |digest: &Digest| -> BTreeMap<u16, Option<String>> {
        digest.buckets.iter().map(|bucket| (bucket.bucket, bucket.digest.clone())).collect()
    };
    let (ours, theirs) = (of(first), of(second));
    let mut numbers: Vec<u16> = ours.keys().chain(theirs.keys()).copied().collect();
    numbers.sort_unstable();
    numbers.dedup();
    numbers.retain(|number| ours.get(number) != theirs.get(number));
    Verdict::Diverged(numbers)
}

/// Numbers of `wanted` that are not in `held`; both are sorted ranges.
fn missing(held: &[(u64, u64)], wanted: &[(u64, u64)]) -> u64 {
    let overlap = |(lo, hi): &(u64, u64)| -> u64 {
        let parts = held.iter().filter(|(a, b)| a <= hi && b >= lo);
        parts.map(|(a, b)| count(&[((*a).max(*lo), (*b).min(*hi))])).sum()
    };
    count(wanted) - wanted.iter().map(overlap).sum::<u64>()
}

fn show(output: &Output, first: &Held, verdicts: &[(&Held, Verdict)]) -> Result<(), Failure> {
    if output.json {
        let others = verdicts.iter().map(|(other, verdict)| {
            let (lacks, has_more, buckets) = match verdict {
                Verdict::Equal => (0, 0, &[][..]),
                Verdict::Behind { first, second } => (*second, *first, &[][..]),
                Verdict::Diverged(buckets) => (0, 0, buckets.as_slice()),
            };
            json!({"node": other.name, "root": other.digest.root,
                "equal": *verdict == Verdict::Equal, "same_writes": lacks + has_more == 0,
                "lacks_ops": lacks, "more_ops": has_more, "buckets": buckets})
        });
        let others: Vec<_> = others.collect();
        return output
            .document(&json!({"node": first.name, "root": first.digest.root, "compared": others}));
    }
    for (other, verdict) in verdicts {
        output.line(sentence(first, other, verdict))?;
    }
    Ok(())
}

fn sentence(first: &Held, other: &Held, verdict: &Verdict) -> String {
    let (a, b) = (&first.name, &other.name);
    match verdict {
        Verdict::Equal => {
            let records = counted(other.digest.count, "record", "records");
            format!("{b} equals {a}: {records}, digest {}", shortened(&other.digest.root))
        }
        Verdict::Behind { first, second } => {
            let writes = |number: &u64| counted(*number, "write", "writes");
            format!(
                "{b} and {a} have not applied the same writes: {b} lacks {}, {a} lacks {}",
                writes(second),
                writes(first)
            )
        }
        Verdict::Diverged(buckets) => {
            let shown: Vec<String> =
                buckets.iter().take(BUCKET_COUNT_SHOWN).map(ToString::to_string).collect();
            let more = buckets.len().saturating_sub(shown.len());
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            let shown = shown.join(", ");
            format!("{b} and {a} applied the same writes and differ in buckets {shown}{more}")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(root: &str, runs: &[(u64, u64)], buckets: &[(u16, &str)]) -> Digest {
        let buckets: Vec<_> =
            buckets.iter().map(|(n, hash)| json!({"bucket": n, "digest": hash})).collect();
        let told = json!({"root": root, "count": 1, "vector": {"a~1": runs}, "buckets": buckets});
        serde_json::from_value(told).expect("a digest")
    }

    #[test]
    fn nodes_are_equal_behind_or_diverged() {
        let a = digest("r", &[(1, 5)], &[(1, "x"), (2, "y")]);
        assert_eq!(compare(&a, &digest("r", &[(1, 5)], &[])), Verdict::Equal);
        let behind = digest("s", &[(1, 2), (4, 4), (7, 8)], &[]);
        assert_eq!(compare(&a, &behind), Verdict::Behind { first: 2, second: 2 });
        let other = digest("s", &[(1, 5)], &[(1, "x"), (2, "z"), (3, "w")]);
        assert_eq!(compare(&a, &other), Verdict::Diverged(vec![2, 3]));
    }

    #[test]
    fn what_is_missing_is_counted() {
        for (held, wanted, expected) in [
            (&[][..], &[][..], 0),
            (&[], &[(1, 3)], 3),
            (&[(1, 3)], &[(1, 3)], 0),
            (&[(2, 2), (5, 9)], &[(1, 3), (6, 10)], 3),
        ] {
            assert_eq!(missing(held, wanted), expected, "{held:?} {wanted:?}");
        }
    }
}
