//! Answers to what nodes ask each other, from one snapshot of the store.

use memnode_cluster::wire::{Ask, RECORD_PAGE_BYTES_MAX, Reply, Request, Root};
use memnode_cluster::{BUCKET_COUNT, ClusterId, GROUP_COUNT};

use crate::store::{Reader, StoreError};

/// Bytes of one page of the vector.
const VECTOR_PAGE_BYTES_MAX: usize = 256 * 1024;
/// Most records of one request by id.
const ID_COUNT_MAX: usize = 1_000;

/// Answers a request of a peer, if it is of this cluster.
pub(super) fn answer_ask(
    reader: &Reader<'_>,
    cluster: ClusterId,
    ask: &Ask,
) -> Result<Reply, StoreError> {
    if ask.cluster == cluster {
        answer(reader, &ask.request)
    } else {
        Ok(refused("it is of another cluster"))
    }
}

/// Answers a request.
pub fn answer(reader: &Reader<'_>, request: &Request) -> Result<Reply, StoreError> {
    Ok(match request {
        Request::Range(range) => match range.wanted() {
            Some(wanted) => reader.ops(&range.origin, &wanted)?,
            None => refused("the numbers are out of order or too many"),
        },
        Request::Vector { after } => {
            let (page, more) = reader.vector()?.page(after.as_ref(), VECTOR_PAGE_BYTES_MAX);
            Reply::Vector { page, more }
        }
        Request::Groups => {
            let groups = memnode_cluster::groups(&reader.digest()?.buckets);
            Reply::Groups { groups: groups.into_iter().map(Root).collect() }
        }
        Request::Buckets { group } if usize::from(*group) < GROUP_COUNT => {
            let buckets = reader.buckets(*group)?;
            Reply::Buckets {
                buckets: buckets.into_iter().map(|b| (Root(b.hash), b.count)).collect(),
            }
        }
        Request::Hashes { bucket, after } if usize::from(*bucket) < BUCKET_COUNT => {
            let (hashes, more) = reader.bucket_hashes(*bucket, *after)?;
            let hashes = hashes.into_iter().map(|(id, hash)| (id, Root(hash))).collect();
            Reply::Hashes { hashes, more }
        }
        Request::Records { ids } if ids.len() <= ID_COUNT_MAX && ids.is_sorted() => {
            let (records, more) = reader.transfer_records(ids)?;
            Reply::Records { records, more }
        }
        Request::BucketRecords { first, last, after }
            if first <= last && usize::from(*last) < BUCKET_COUNT =>
        {
            let (records, more) = reader.transfer_bucket_records(*first, *last, *after)?;
            Reply::Records { records, more }
        }
        _ => refused("there is no such group, bucket or list of records"),
    })
}

fn refused(reason: &str) -> Reply {
    Reply::Refused { reason: reason.to_owned() }
}

/// Pages of records must fit a message with everything around them.
const _: () = assert!(RECORD_PAGE_BYTES_MAX < memnode_cluster::wire::MESSAGE_BYTES_MAX);
