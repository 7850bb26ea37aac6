//! A stdio client's line to a server that may come and go.
//!
//! The bridge reads JSON-RPC lines from its client and forwards them on a byte stream to an MCP
//! server. When the stream breaks it asks for another one, replays the client's handshake, and
//! sends every unanswered request again under its first idempotency key, so that the client sees
//! one server that never went away. It knows JSON-RPC and byte streams; it must not know what the
//! tools do, where a server lives, or how one becomes reachable.

mod line;
mod message;
mod outbox;
mod scan;
mod session;
#[cfg(test)]
mod tests;

use std::io;
use std::pin::Pin;
use std::time::Duration;

use serde_json::{Map, Value};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadHalf, WriteHalf};
use tokio::time::{Instant, sleep, sleep_until};

use line::{Line, LineSplitter};
use outbox::{OUTBOX_BYTES_HIGH, advance};
use session::{ReplayFailure, Session};

/// How much is read at once from either side.
const READ_BYTES: usize = 64 * 1024;
/// How long outstanding requests may take after the client closed its end. Some clients send all
/// they have, close, and read the answers; those in a hurry send a signal.
const GRACE: Duration = Duration::from_secs(30);
/// The first pause after a stream that broke before it carried anything; doubled each time.
const PAUSE: Duration = Duration::from_millis(50);
/// The longest such pause.
const PAUSE_MAX: Duration = Duration::from_secs(2);
/// Streams in a row that may break before they carried anything.
const MUTE_LINKS_MAX: u32 = 20;

/// Why a bridge gave up.
#[derive(Debug, thiserror::Error)]
pub enum BridgeError {
    /// The client's end cannot be read.
    #[error("cannot read from the client")]
    Input(#[source] io::Error),
    /// The client's end cannot be written.
    #[error("cannot write to the client")]
    Output(#[source] io::Error),
    /// There is no server, and none to be expected.
    #[error("{0}")]
    Connect(#[source] crate::Error),
    /// Server after server hung up without a word.
    #[error("the server closed {MUTE_LINKS_MAX} connections in a row without an answer")]
    Mute,
    /// The next server does not speak as the client was told.
    #[error(transparent)]
    Replay(#[from] ReplayFailure),
}

/// What a bridge adds to the requests it forwards.
#[derive(Clone, Debug)]
pub struct BridgeOptions {
    /// Starts every idempotency key; no two runs may share it.
    pub run_id: String,
    /// Goes into the `_meta` of every request that reaches memories, where the client left the
    /// key free.
    pub meta: Map<String, Value>,
    /// How long outstanding requests may take after the client closed its end.
    pub grace: Duration,
    /// The first pause after a stream that broke before it carried anything.
    pub pause: Duration,
}

impl BridgeOptions {
    /// With a random run id.
    pub fn new(meta: Map<String, Value>) -> Self {
        let run_id = format!("{:032x}", rand::random::<u128>());
        BridgeOptions { run_id, meta, grace: GRACE, pause: PAUSE }
    }
}

/// Carries messages between a client and one server after another, until the client is done.
///
/// `connect` is asked for a stream at the start and whenever the last one broke; it waits and
/// retries itself, so that its failure is final. The future may be dropped at any point.
///
/// # Errors
/// `Connect`, `Mute` and `Replay` when no server can be had, `Input` and `Output` when the client
/// cannot be reached. A client that hangs up is no error.
pub async fn run<I, O, C, F, S>(
    input: I,
    output: O,
    mut connect: C,
    options: BridgeOptions,
) -> Result<(), BridgeError>
where
    I: AsyncRead + Unpin,
    O: AsyncWrite + Unpin,
    C: FnMut() -> F,
    F: Future<Output = crate::Result<S>>,
    S: AsyncRead + AsyncWrite,
{
    let (grace, pause) = (options.grace, options.pause);
    let mut session = Session::new(options.run_id, options.meta);
    let mut ends = Ends::new(input, output);
    let mut client_lines = LineSplitter::default();
    let mut server_lines = LineSplitter::default();
    let mut attempt = Some(Box::pin(after(Duration::ZERO, connect())));
    let mut mute_links = 0;
    let mut is_mute = true;

    while !(ends.deadline.is_some() && session.is_idle() && session.to_client.is_settled()) {
        match ends.next(&mut session, &mut attempt).await {
            Event::Client(Ok(count)) => {
                // The end of the input ends its last line too.
                let end: &[u8] = if count == 0 { b"\n" } else { b"" };
                let read = [&ends.from_client[..count], end].concat();
                client_lines.push(&read, |line| match line {
                    Line::Whole(line) => session.on_client_line(line),
                    Line::TooLong(id) => session.on_client_line_too_long(id),
                });
                if count == 0 {
                    ends.deadline = Some(Instant::now() + grace);
                }
            }
            Event::Client(Err(error)) => return Err(BridgeError::Input(error)),
            Event::Opened(stream) => {
                ends.open(stream.map_err(BridgeError::Connect)?);
                (attempt, server_lines, is_mute) = (None, LineSplitter::default(), true);
                session.on_link_opened();
            }
            Event::Server(Ok(count @ 1..)) => {
                is_mute = false;
                let mut result = Ok(());
                server_lines.push(&ends.from_server[..count], |line| match line {
                    Line::Whole(line) if result.is_ok() => result = session.on_server_line(line),
                    Line::Whole(_) => {}
                    Line::TooLong(id) => session.on_server_line_too_long(id),
                });
                result?;
            }
            Event::Server(Ok(0) | Err(_)) | Event::Told(Err(_)) => {
                tracing::info!(requests = session.pending_count(), "lost the server");
                ends.close();
                session.on_link_lost();
                mute_links = if is_mute { mute_links + 1 } else { 0 };
                if mute_links == MUTE_LINKS_MAX {
                    return Err(BridgeError::Mute);
                }
                attempt = Some(Box::pin(after(pause_before(mute_links, pause), connect())));
            }
            Event::Told(Ok(())) | Event::Shown(Ok(())) => {}
            Event::Shown(Err(error)) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(()),
            Event::Shown(Err(error)) => return Err(BridgeError::Output(error)),
            Event::Deadline => return Ok(()),
        }
    }
    Ok(())
}

/// Everything a bridge reacts to.
enum Event<S> {
    Client(io::Result<usize>),
    Server(io::Result<usize>),
    Told(io::Result<()>),
    Shown(io::Result<()>),
    Opened(crate::Result<S>),
    Deadline,
}

/// What a bridge reads and writes.
struct Ends<I, O, S> {
    input: I,
    output: O,
    /// Both halves of the stream to the server, while there is one.
    reader: Option<ReadHalf<S>>,
    writer: Option<WriteHalf<S>>,
    from_client: Vec<u8>,
    from_server: Vec<u8>,
    /// When to stop; set once the client has closed its end, which is not read after that.
    deadline: Option<Instant>,
}

impl<I, O, S> Ends<I, O, S>
where
    I: AsyncRead + Unpin,
    O: AsyncWrite + Unpin,
    S: AsyncRead + AsyncWrite,
{
    fn new(input: I, output: O) -> Self {
        Ends {
            input,
            output,
            reader: None,
            writer: None,
            from_client: vec![0; READ_BYTES],
            from_server: vec![0; READ_BYTES],
            deadline: None,
        }
    }

    fn open(&mut self, stream: S) {
        let (reader, writer) = tokio::io::split(stream);
        (self.reader, self.writer) = (Some(reader), Some(writer));
    }

    fn close(&mut self) {
        (self.reader, self.writer) = (None, None);
    }

    /// Waits for whatever happens first. A side is not read while what it causes cannot be
    /// written.
    async fn next<F: Future<Output = crate::Result<S>>>(
        &mut self,
        session: &mut Session,
        attempt: &mut Option<Pin<Box<F>>>,
    ) -> Event<S> {
        let reads_client = self.deadline.is_none() && session.has_room();
        let reads_server = session.to_client.len() < OUTBOX_BYTES_HIGH;
        let tells = !session.to_server.is_settled();
        let shows = !session.to_client.is_settled();
        tokio::select! {
            read = self.input.read(&mut self.from_client), if reads_client => Event::Client(read),
            opened = there(attempt.as_mut(), |attempt| attempt.as_mut()) => Event::Opened(opened),
            read = there(self.reader.as_mut(), |reader| reader.read(&mut self.from_server)),
                if reads_server => Event::Server(read),
            told = there(self.writer.as_mut(), |writer| advance(writer, &mut session.to_server)),
                if tells => Event::Told(told),
            shown = advance(&mut self.output, &mut session.to_client), if shows => {
                Event::Shown(shown)
            }
            () = there(self.deadline, sleep_until) => Event::Deadline,
        }
    }
}

/// Does something with what is there; waits for ever when nothing is.
async fn there<T, F: Future>(thing: Option<T>, act: impl FnOnce(T) -> F) -> F::Output {
    match thing {
        Some(thing) => act(thing).await,
        None => std::future::pending().await,
    }
}

fn pause_before(mute_links: u32, first: Duration) -> Duration {
    match mute_links {
        0 => Duration::ZERO,
        count => first.saturating_mul(1 << (count - 1).min(16)).min(PAUSE_MAX),
    }
}

async fn after<F: Future>(pause: Duration, attempt: F) -> F::Output {
    if !pause.is_zero() {
        sleep(pause).await;
    }
    attempt.await
}
