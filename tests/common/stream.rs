//! What an administrator does to the streams of a NATS server, step by step and blocking.

use async_nats::jetstream::ErrorCode;
use async_nats::jetstream::context::{CreateStreamError, GetStreamErrorKind};
use async_nats::jetstream::stream::{Config, Info, Stream};
use async_nats::jetstream::{self, Context};
use async_nats::{Client, ConnectOptions};
use tokio::runtime::{Builder, Runtime};

use super::eventually;
use super::nats::NatsServer;

/// A connection of its own to a server, past every proxy.
pub struct Admin {
    runtime: Runtime,
    client: Client,
    context: Context,
}

impl Admin {
    /// Connects without credentials.
    pub fn of(server: &NatsServer) -> Self {
        Self::connect(&server.url(), ConnectOptions::new)
    }

    /// Connects as somebody.
    ///
    /// # Panics
    /// When the server does not answer.
    pub fn connect(url: &str, options: impl Fn() -> ConnectOptions) -> Self {
        let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
        let client =
            eventually("the NATS server answers", || runtime.block_on(options().connect(url)).ok());
        // A context starts a task of its own.
        let context = runtime.block_on(async { jetstream::new(client.clone()) });
        Admin { runtime, client, context }
    }

    /// Waits until the server takes orders for streams; several elect a leader first.
    pub fn ready(self) -> Self {
        eventually("JetStream takes orders", || {
            let answer = self.runtime.block_on(self.context.get_stream("none"));
            let error = answer.err()?;
            let GetStreamErrorKind::JetStream(error) = error.kind() else { return None };
            (error.error_code() == ErrorCode::STREAM_NOT_FOUND).then_some(())
        });
        self
    }

    /// The state and configuration of a stream; `None` when there is none of that name.
    pub fn info(&self, stream: &str) -> Option<Info> {
        let found = self.runtime.block_on(self.context.get_stream(stream));
        found.ok().map(|stream: Stream| stream.cached_info().clone())
    }

    /// Waits until a stream is there.
    pub fn wait_for(&self, stream: &str) -> Info {
        eventually("the stream is there", || self.info(stream))
    }

    pub fn create(&self, config: Config) {
        self.try_create(config).expect("a stream is created");
    }

    pub fn try_create(&self, config: Config) -> Result<(), CreateStreamError> {
        self.runtime.block_on(self.context.create_stream(config)).map(drop)
    }

    pub fn delete(&self, stream: &str) {
        self.runtime.block_on(self.context.delete_stream(stream)).expect("a stream is deleted");
    }

    /// Deletes a stream and makes an empty one with the same configuration, which starts at 1.
    pub fn recreate(&self, stream: &str) {
        let config = self.wait_for(stream).config;
        self.delete(stream);
        self.create(config);
    }

    /// Removes all messages; the sequence goes on.
    pub fn purge(&self, stream: &str) {
        self.runtime.block_on(async {
            let stream = self.context.get_stream(stream).await.expect("a stream");
            stream.purge().await.expect("it is purged");
        });
    }

    /// Lets a stream keep only so many messages, the newest.
    pub fn limit_messages(&self, stream: &str, count: i64) {
        let config = Config { max_messages: count, ..self.wait_for(stream).config };
        self.runtime.block_on(self.context.update_stream(config)).expect("a stream is limited");
    }

    /// Takes such a limit away again, if the stream is there and has one.
    pub fn unlimit(&self, stream: &str) {
        if self.info(stream).is_some_and(|info| info.config.max_messages > 0) {
            self.limit_messages(stream, -1);
        }
    }

    /// Adds a message to whatever stream takes the subject; gives its sequence.
    pub fn publish(&self, subject: &str, payload: &[u8]) -> u64 {
        self.try_publish(subject, payload).expect("it is stored")
    }

    pub fn try_publish(&self, subject: &str, payload: &[u8]) -> Option<u64> {
        self.runtime.block_on(async {
            let payload = payload.to_vec().into();
            let published = self.context.publish(subject.to_owned(), payload).await;
            Some(published.ok()?.await.ok()?.sequence)
        })
    }

    /// Sends a message outside of streams.
    pub fn send(&self, subject: &str, payload: &[u8]) {
        self.runtime.block_on(async {
            let sent = self.client.publish(subject.to_owned(), payload.to_vec().into()).await;
            sent.expect("it is sent");
            self.client.flush().await.expect("it arrives");
        });
    }

    /// The message of a sequence: its subject and payload.
    pub fn message(&self, stream: &str, sequence: u64) -> Option<(String, Vec<u8>)> {
        self.runtime.block_on(async {
            let stream = self.context.get_stream(stream).await.ok()?;
            let message = stream.get_raw_message(sequence).await.ok()?;
            Some((message.subject.to_string(), message.payload.to_vec()))
        })
    }

    /// The newest message: its subject and payload.
    ///
    /// # Panics
    /// When there is none.
    pub fn last_message(&self, stream: &str) -> (String, Vec<u8>) {
        let last = self.wait_for(stream).state.last_sequence;
        self.message(stream, last).expect("there is a message")
    }
}
