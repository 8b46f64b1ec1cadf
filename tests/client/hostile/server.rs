//! A server that sends the given bytes on each connection, whatever they are, and closes it.

use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// A running server. It ends when it is dropped.
pub(crate) struct Server {
    pub(crate) url: String,
    answer: Arc<Mutex<Vec<u8>>>,
    serving: JoinHandle<()>,
}

impl Server {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let answer: Arc<Mutex<Vec<u8>>> = Arc::default();
        let told = answer.clone();
        let serving = tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                read_request(&mut stream).await;
                let answer = told.lock().unwrap().clone();
                // A client that has read enough closes the connection first.
                let _ = stream.write_all(&answer).await;
                let _ = stream.shutdown().await;
            }
        });
        Self { url, answer, serving }
    }

    /// Sets the bytes of the next responses.
    pub(crate) fn answers(&self, bytes: Vec<u8>) {
        *self.answer.lock().unwrap() = bytes;
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

/// Reads everything that a client without a body sends.
pub(crate) async fn read_request(stream: &mut TcpStream) -> String {
    let (mut request, mut some) = (Vec::new(), [0; 4096]);
    while !request.ends_with(b"\r\n\r\n") {
        match stream.read(&mut some).await {
            Ok(read) if read > 0 => request.extend_from_slice(&some[..read]),
            _ => break,
        }
    }
    String::from_utf8_lossy(&request).into_owned()
}
