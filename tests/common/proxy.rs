//! A network that a test can break: a TCP proxy whose behaviour changes at run time.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::Duration;

/// What happens to connections, old and new.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Bytes go through.
    Pass,
    /// Connections are closed, new ones at once.
    Drop,
    /// Bytes go through, each piece this much later.
    Delay(Duration),
    /// Connections are taken and kept, and nothing comes of what is sent.
    HalfOpen,
}

/// One way to one server. It ends with the value.
pub struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    target: SocketAddr,
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    mode: Mode,
    /// Both ends of every connection.
    open: Vec<TcpStream>,
    is_over: bool,
}

impl Proxy {
    pub fn to(target: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("an address");
        let state = State { mode: Mode::Pass, open: Vec::new(), is_over: false };
        let shared = Arc::new(Shared { target, state: Mutex::new(state), changed: Condvar::new() });
        let accepting = Arc::clone(&shared);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if accepting.lock().is_over {
                    return;
                }
                accepting.take(stream);
            }
        });
        Proxy { address, shared }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Changes what happens from now on. Connections that lost bytes cannot go on, so all are
    /// closed unless bytes went through before and do after.
    pub fn set(&self, mode: Mode) {
        let mut state = self.shared.lock();
        let goes_on = state.mode.passes() && mode.passes();
        let is_swallowed = mode == Mode::HalfOpen;
        state.mode = mode;
        if !goes_on && !is_swallowed {
            state.close_all();
        }
        self.shared.changed.notify_all();
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        state.is_over = true;
        state.close_all();
        self.shared.changed.notify_all();
        drop(state);
        // Wakes the thread that accepts, which then sees that it is over.
        let _ = TcpStream::connect(self.address);
    }
}

impl Mode {
    fn passes(self) -> bool {
        matches!(self, Mode::Pass | Mode::Delay(_))
    }
}

impl State {
    fn close_all(&mut self) {
        for stream in self.open.drain(..) {
            // The other side may have closed it before.
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    /// Keeps the stream closable from outside, unless there is nothing left to keep it for.
    fn keep(&mut self, stream: &TcpStream) -> Option<()> {
        self.open.retain(|stream| stream.peer_addr().is_ok());
        self.open.push(stream.try_clone().ok()?);
        Some(())
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no panic")
    }

    /// Serves one new connection.
    fn take(self: &Arc<Self>, client: TcpStream) -> Option<()> {
        let mut state = self.lock();
        match state.mode {
            Mode::Drop => None,
            Mode::HalfOpen => {
                state.keep(&client)?;
                let shared = Arc::clone(self);
                std::thread::spawn(move || shared.swallow(client));
                Some(())
            }
            Mode::Pass | Mode::Delay(_) => {
                let server = TcpStream::connect(self.target).ok()?;
                for stream in [&client, &server] {
                    stream.set_nodelay(true).ok()?;
                    state.keep(stream)?;
                }
                let back = (server.try_clone().ok()?, client.try_clone().ok()?);
                for (from, to) in [(client, server), back] {
                    let shared = Arc::clone(self);
                    std::thread::spawn(move || shared.copy(from, to));
                }
                Some(())
            }
        }
    }

    fn swallow(&self, mut from: TcpStream) {
        let mut bytes = [0; 4096];
        while from.read(&mut bytes).is_ok_and(|count| count > 0) {}
    }

    /// Carries bytes one way until either side closes, and then closes both.
    fn copy(&self, mut from: TcpStream, mut to: TcpStream) {
        let mut bytes = vec![0; 64 * 1024];
        while let Ok(count @ 1..) = from.read(&mut bytes) {
            match self.mode_after_delay() {
                Mode::HalfOpen => continue,
                Mode::Drop => break,
                Mode::Pass | Mode::Delay(_) => {}
            }
            if to.write_all(&bytes[..count]).is_err() {
                break;
            }
        }
        // Closed already, or closed here.
        let _ = from.shutdown(Shutdown::Both);
        let _ = to.shutdown(Shutdown::Both);
    }

    /// Waits as long as a piece of bytes is held back; a change of mode ends the wait.
    fn mode_after_delay(&self) -> Mode {
        let state = self.lock();
        let Mode::Delay(delay) = state.mode else { return state.mode };
        let is_held = |state: &mut State| state.mode == Mode::Delay(delay) && !state.is_over;
        let (state, _) = self.changed.wait_timeout_while(state, delay, is_held).expect("no panic");
        state.mode
    }
}
