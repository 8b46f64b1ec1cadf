//! A forward proxy as companies use it: it opens tunnels on CONNECT, and keeps all bytes that it sees.

use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

/// A running proxy. It ends when it is dropped.
pub(crate) struct Tunnel {
    pub(crate) url: String,
    seen: Arc<Mutex<Vec<u8>>>,
    serving: JoinHandle<()>,
}

impl Tunnel {
    /// Starts a proxy that finds `host` at `address`, and every other host at its own address.
    pub(crate) async fn start(host: &'static str, address: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let seen: Arc<Mutex<Vec<u8>>> = Arc::default();
        let kept = seen.clone();
        let serving = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                connections.spawn(connect(stream, host, address.clone(), kept.clone()));
            }
        });
        Self { url, seen, serving }
    }

    /// Returns all bytes that clients have sent through it.
    pub(crate) fn seen(&self) -> String {
        String::from_utf8_lossy(&self.seen.lock().unwrap()).into_owned()
    }
}

impl Drop for Tunnel {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

/// Returns `None` if a peer closes the connection.
async fn connect(
    mut client: TcpStream,
    host: &str,
    address: String,
    seen: Arc<Mutex<Vec<u8>>>,
) -> Option<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(client.read_u8().await.ok()?);
    }
    seen.lock().unwrap().extend_from_slice(&head);
    let text = String::from_utf8_lossy(&head).into_owned();
    let target = text.strip_prefix("CONNECT ")?.split(' ').next()?.to_owned();
    let target = if target.starts_with(host) { address } else { target };
    let server = TcpStream::connect(target).await.ok()?;
    client.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await.ok()?;
    let ((mut up, mut down), (mut from, mut to)) = (client.into_split(), server.into_split());
    let upwards = async {
        let mut some = vec![0; 16 * 1024];
        loop {
            let read = up.read(&mut some).await.ok().filter(|read| *read > 0)?;
            seen.lock().unwrap().extend_from_slice(&some[..read]);
            to.write_all(&some[..read]).await.ok()?;
        }
    };
    tokio::select! {
        ended = upwards => ended,
        _ = tokio::io::copy(&mut from, &mut down) => Some(()),
    }
}
