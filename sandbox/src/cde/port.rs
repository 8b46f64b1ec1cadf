//! The port that a sandbox listens on, and how it goes down and up again.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::server::{self, Shared};
use super::tls::Tls;
use super::{Error, lock};

/// A port, up or down. Dropping it closes it and cuts its connections.
pub(super) struct Port {
    pub(super) address: SocketAddr,
    pub(super) tls: Option<Tls>,
    server: Mutex<Option<Server>>,
    /// Bound without listening. While the port is down, connections are refused and no other process gets the port.
    _reserved: TcpSocket,
}

struct Server {
    /// Dropping it ends the server.
    stop: oneshot::Sender<()>,
    ended: JoinHandle<()>,
}

impl Port {
    /// Starts to listen and serve.
    pub(super) fn open(address: SocketAddr, tls: Option<Tls>, shared: &Arc<Shared>) -> Result<Self, Error> {
        let failed = |cause| Error::Listen { address, cause };
        let reserved = bind(address).map_err(failed)?;
        let address = reserved.local_addr().map_err(failed)?;
        let port = Self { address, tls, server: Mutex::default(), _reserved: reserved };
        port.up(shared)?;
        Ok(port)
    }

    /// Serves again after `down`. Does nothing while the port is up.
    pub(super) fn up(&self, shared: &Arc<Shared>) -> Result<(), Error> {
        let failed = |cause| Error::Listen { address: self.address, cause };
        let mut server = lock(&self.server);
        if server.is_some() {
            return Ok(());
        }
        let listener: TcpListener =
            bind(self.address).and_then(|socket| socket.listen(1024)).map_err(failed)?;
        let (stop, stopped) = oneshot::channel();
        let acceptor = self.tls.as_ref().map(|tls| tls.acceptor.clone());
        let ended = tokio::spawn(server::serve(listener, acceptor, shared.clone(), stopped));
        *server = Some(Server { stop, ended });
        Ok(())
    }

    /// Stops accepting connections and cuts the open ones.
    pub(super) async fn down(&self) {
        let server = lock(&self.server).take();
        if let Some(Server { stop, ended }) = server {
            drop(stop);
            drop(ended.await);
        }
    }
}

fn bind(address: SocketAddr) -> std::io::Result<TcpSocket> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    // One socket reserves the port, and another one listens.
    socket.set_reuseport(true)?;
    // Connections that were cut a moment ago must not block our own port.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    Ok(socket)
}
