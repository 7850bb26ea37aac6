//! The stream on the server: made when it is missing, never altered, read by one supervised loop.

use std::sync::Arc;
use std::time::Duration;

use async_nats::jetstream::consumer::{AckPolicy, DeliverPolicy, pull};
use async_nats::jetstream::context::GetStreamErrorKind;
use async_nats::jetstream::stream::{Config, DiscardPolicy, Info, RetentionPolicy, StorageType};
use async_nats::jetstream::{self, ErrorCode};
use futures::StreamExt;
use memnode_cluster::ClusterId;
use memnode_cluster::replicator::{Input, StreamInfo};

use super::Shared;
use super::packing::unpack;
use super::subject::Subjects;
use crate::config::ClusterConfig;

/// How long the server remembers message ids.
const DUPLICATE_WINDOW: Duration = Duration::from_secs(120);
/// Words before the cluster id in the stream's description.
const DESCRIPTION: &str = "memnode cluster ";
/// How long the server keeps a reader that went away.
const READER_AGE_MAX: Duration = Duration::from_secs(60);
/// Messages of one pull.
const PULL_COUNT: usize = 500;
/// Bound of one pull; the server then says that it is over.
const PULL_EXPIRES: Duration = Duration::from_secs(20);
/// The server says at least this often that it is there.
const PULL_HEARTBEAT: Duration = Duration::from_secs(3);
/// Pause before a reader that broke is made anew.
const READER_PAUSE: Duration = Duration::from_millis(300);

/// Why the stream cannot be used.
#[derive(Debug, thiserror::Error)]
pub(super) enum StreamError {
    /// It belongs to another cluster.
    #[error("the stream belongs to the cluster {}", hex(.0))]
    OtherCluster(ClusterId),
    /// It was not made by memnode.
    #[error("the stream `{0}` exists and is not of memnode")]
    Foreign(String),
    /// The server does not answer, or says no.
    #[error("{0}")]
    Server(String),
}

/// The id in lower-case hexadecimal.
pub(super) fn hex(id: &ClusterId) -> String {
    id.0.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// How the stream is; `None` when there is none.
pub(super) async fn look(
    context: &jetstream::Context,
    subjects: &Subjects,
) -> Result<Option<(ClusterId, StreamInfo)>, StreamError> {
    match context.get_stream(subjects.stream()).await {
        Ok(stream) => describe(subjects, stream.cached_info()).map(Some),
        Err(error) => match error.kind() {
            GetStreamErrorKind::JetStream(error)
                if error.error_code() == ErrorCode::STREAM_NOT_FOUND =>
            {
                Ok(None)
            }
            _ => Err(StreamError::Server(error.to_string())),
        },
    }
}

/// Makes the stream; when somebody was faster, gives theirs.
pub(super) async fn make(
    context: &jetstream::Context,
    subjects: &Subjects,
    config: &ClusterConfig,
    cluster: &ClusterId,
) -> Result<(ClusterId, StreamInfo), StreamError> {
    let wanted = Config {
        name: subjects.stream(),
        description: Some(format!("{DESCRIPTION}{}", hex(cluster))),
        subjects: vec![subjects.all_ops()],
        retention: RetentionPolicy::Limits,
        discard: DiscardPolicy::Old,
        storage: StorageType::File,
        num_replicas: config.replicas(),
        max_bytes: i64::try_from(config.stream_bytes_max).unwrap_or(i64::MAX),
        max_age: config.stream_age_max,
        duplicate_window: DUPLICATE_WINDOW.min(config.stream_age_max),
        ..Config::default()
    };
    match context.create_stream(wanted).await {
        Ok(stream) => describe(subjects, stream.cached_info()),
        Err(error) => match look(context, subjects).await? {
            Some(found) => Ok(found),
            None => Err(StreamError::Server(format!("the stream cannot be made: {error}"))),
        },
    }
}

fn describe(subjects: &Subjects, info: &Info) -> Result<(ClusterId, StreamInfo), StreamError> {
    let id = info.config.description.as_deref().and_then(|text| {
        let digits = text.strip_prefix(DESCRIPTION)?;
        (digits.len() == 32).then_some(())?;
        u128::from_str_radix(digits, 16).ok()
    });
    let id = id.ok_or_else(|| StreamError::Foreign(subjects.stream()))?;
    let stream = StreamInfo {
        created: info.created.unix_timestamp_nanos().to_string(),
        first_seq: info.state.first_sequence,
        last_seq: info.state.last_sequence,
    };
    Ok((ClusterId(id.to_be_bytes()), stream))
}

/// Reads the stream from a sequence number on, for as long as it takes: what breaks is made anew
/// after the last message that came.
pub(super) async fn read(shared: Arc<Shared>, reader: u64, from: u64) {
    let mut next = from;
    loop {
        if let Err(error) = read_until_broken(&shared, reader, &mut next).await {
            tracing::debug!(error, reader, next, "reading the stream broke");
        }
        tokio::time::sleep(READER_PAUSE).await;
    }
}

async fn read_until_broken(shared: &Shared, reader: u64, next: &mut u64) -> Result<(), String> {
    let config = pull::Config {
        deliver_policy: match *next {
            0 | 1 => DeliverPolicy::All,
            start_sequence => DeliverPolicy::ByStartSequence { start_sequence },
        },
        ack_policy: AckPolicy::None,
        inactive_threshold: READER_AGE_MAX,
        memory_storage: true,
        num_replicas: 1,
        ..pull::Config::default()
    };
    let stream = shared.subjects.stream();
    let consumer = shared
        .context
        .create_consumer_on_stream(config, stream)
        .await
        .map_err(|error| error.to_string())?;
    let mut messages = consumer
        .stream()
        .max_messages_per_batch(PULL_COUNT)
        .expires(PULL_EXPIRES)
        .heartbeat(PULL_HEARTBEAT)
        .messages()
        .await
        .map_err(|error| error.to_string())?;
    while let Some(message) = messages.next().await {
        let message = message.map_err(|error| error.to_string())?;
        let seq = message.info().map_err(|error| error.to_string())?.stream_sequence;
        let batch = unpack(&message.payload).map(Box::new);
        shared.wait_for_room().await;
        if shared.inputs.send(Input::Message { reader, seq, batch }).await.is_err() {
            return Ok(());
        }
        *next = seq + 1;
    }
    Err("the server ended it".to_owned())
}
