//! What is around the plugin: a browser and a token endpoint of the test.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use url::Url;

use super::fixture::LIMIT;

/// A browser that opens nothing: it writes down its URL.
pub(crate) struct Browser {
    pub(crate) program: PathBuf,
    file: PathBuf,
}

impl Browser {
    pub(crate) fn new(scratch: &Path) -> Self {
        let (program, file) = (scratch.join("browser"), scratch.join("opened"));
        let script =
            format!("#!/bin/sh\nprintf %s \"$1\" >'{0}.new' && mv '{0}.new' '{0}'\n", file.display());
        executable(&program, &script);
        Self { program, file }
    }

    /// Waits for the URL.
    pub(crate) async fn opened(&self) -> Url {
        content(&self.file).await.parse().unwrap()
    }
}

/// Writes a script that can be run.
pub(crate) fn executable(path: &Path, script: &str) {
    std::fs::write(path, script).unwrap();
    std::fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
}

/// Waits for a file, and returns its content.
pub(crate) async fn content(path: &Path) -> String {
    let begun = Instant::now();
    loop {
        if let Ok(text) = std::fs::read_to_string(path) {
            return text;
        }
        assert!(begun.elapsed() < LIMIT, "{} does not appear", path.display());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// A token endpoint that answers when the test says so.
pub(crate) struct TokenEndpoint {
    pub(crate) url: String,
    listener: TcpListener,
}

/// A request to a [`TokenEndpoint`].
pub(crate) struct Exchange {
    stream: TcpStream,
    /// The form, as it was sent.
    pub(crate) form: String,
}

impl TokenEndpoint {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        Self { url: format!("http://{}/token", listener.local_addr().unwrap()), listener }
    }

    /// Waits for a request.
    pub(crate) async fn request(&self) -> Exchange {
        let reading = async {
            let (mut stream, _) = self.listener.accept().await.unwrap();
            let mut text = String::new();
            // The last field of the form.
            while !text.contains("client_id=") {
                let mut part = [0; 4096];
                let length = stream.read(&mut part).await.unwrap();
                assert!(length > 0, "the request is cut");
                text.push_str(std::str::from_utf8(&part[..length]).unwrap());
            }
            Exchange { stream, form: text.split_once("\r\n\r\n").unwrap().1.to_owned() }
        };
        tokio::time::timeout(LIMIT, reading).await.expect("a request arrives")
    }
}

impl Exchange {
    /// Returns a field of the form, which needs no decoding.
    pub(crate) fn field(&self, name: &str) -> String {
        let fields = self.form.split('&').filter_map(|field| field.split_once('='));
        fields.filter(|(key, _)| *key == name).map(|(_, value)| value.to_owned()).next().unwrap()
    }

    pub(crate) async fn answer(mut self, status: u16, body: &str) {
        let head =
            format!("HTTP/1.1 {status} Said\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len());
        self.stream.write_all(format!("{head}{body}").as_bytes()).await.unwrap();
    }
}

/// Opens an address as a browser does: status and page.
pub(crate) async fn visit(url: &Url) -> (u16, String) {
    let answer = http().get(url.clone()).send().await.unwrap();
    (answer.status().as_u16(), answer.text().await.unwrap())
}

pub(crate) fn http() -> reqwest::Client {
    reqwest::Client::builder().no_proxy().timeout(LIMIT).build().unwrap()
}
