//! The port that a sandbox listens on, and how it goes down and up again.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::server::{self, Shared};
use super::tls::Tls;
use super::{Error, lock};

/// A listening port. Dropped, it is closed and its connections are cut.
pub(super) struct Port {
    pub(super) address: SocketAddr,
    pub(super) tls: Option<Tls>,
    state: Mutex<State>,
}

enum State {
    Up {
        /// Dropping it ends the server.
        stop: oneshot::Sender<()>,
        server: JoinHandle<()>,
    },
    /// Bound without listening: connections are refused, and nobody else gets the port.
    Down(TcpSocket),
    Stopped,
}

impl Port {
    /// Listens and serves.
    pub(super) fn open(address: SocketAddr, tls: Option<Tls>, shared: &Arc<Shared>) -> Result<Self, Error> {
        let failed = |cause| Error::Listen { address, cause };
        let socket = bind(address).map_err(failed)?;
        let address = socket.local_addr().map_err(failed)?;
        let port = Self { address, tls, state: Mutex::new(State::Down(socket)) };
        port.up(shared)?;
        Ok(port)
    }

    /// Serves again after `down`; no-op while up.
    pub(super) fn up(&self, shared: &Arc<Shared>) -> Result<(), Error> {
        let failed = |cause| Error::Listen { address: self.address, cause };
        let mut state = lock(&self.state);
        let socket = match std::mem::replace(&mut *state, State::Stopped) {
            State::Down(socket) => socket,
            State::Stopped => bind(self.address).map_err(failed)?,
            up @ State::Up { .. } => {
                *state = up;
                return Ok(());
            }
        };
        let listener: TcpListener = socket.listen(1024).map_err(failed)?;
        let (stop, stopped) = oneshot::channel();
        let acceptor = self.tls.as_ref().map(|tls| tls.acceptor.clone());
        let server = tokio::spawn(server::serve(listener, acceptor, shared.clone(), stopped));
        *state = State::Up { stop, server };
        Ok(())
    }

    /// Closes the port and cuts its connections.
    pub(super) async fn stop(&self) {
        let state = std::mem::replace(&mut *lock(&self.state), State::Stopped);
        if let State::Up { stop, server } = state {
            drop(stop);
            drop(server.await);
        }
    }

    /// Like `stop`, but keeps the port for `up`.
    pub(super) async fn down(&self) -> Result<(), Error> {
        self.stop().await;
        let socket = bind(self.address).map_err(|cause| Error::Listen { address: self.address, cause })?;
        *lock(&self.state) = State::Down(socket);
        Ok(())
    }
}

fn bind(address: SocketAddr) -> std::io::Result<TcpSocket> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    // Connections that were cut a moment ago must not keep us from our own port.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    Ok(socket)
}
