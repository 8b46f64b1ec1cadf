//! A sandbox in a process of its own, controlled over its control endpoints.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde::de::DeserializeOwned;
use uuid::Uuid;

use super::connector::Connector;
use super::fault::Fault;
use crate::process::{self, Process};

const START_LIMIT: Duration = Duration::from_secs(20);
const CALL_LIMIT: Duration = Duration::from_mins(1);

/// A running sandbox. It is killed when it is dropped.
#[derive(Debug)]
pub struct Remote {
    program: PathBuf,
    args: Vec<String>,
    token: String,
    url: String,
    http: reqwest::Client,
    process: Option<Process>,
}

impl Remote {
    /// Starts `program` with `args`. The program must take the flags `--listen` and `--token` as `cde-sandbox` does.
    ///
    /// # Errors
    /// If it does not start.
    pub async fn start(program: &Path, args: &[&str]) -> Result<Self> {
        Self::start_on(SocketAddr::from(([127, 0, 0, 1], 0)), program, args).await
    }

    /// As [`Self::start`], on an address that others may reach. Anyone there can change everything.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub async fn start_on(address: SocketAddr, program: &Path, args: &[&str]) -> Result<Self> {
        let mut remote = Self {
            program: program.to_owned(),
            args: args.iter().map(|&arg| arg.to_owned()).collect(),
            token: Uuid::new_v4().to_string(),
            url: String::new(),
            http: reqwest::Client::builder().no_proxy().timeout(CALL_LIMIT).build()?,
            process: None,
        };
        remote.listen(address).await?;
        Ok(remote)
    }

    /// Its base URL.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The token that it accepts.
    #[must_use]
    pub fn token(&self) -> &str {
        &self.token
    }

    /// Adds connectors, or replaces those with the same IDs.
    ///
    /// # Errors
    /// If it does not respond, or rejects the connectors.
    pub async fn put(&self, connectors: &[Connector]) -> Result<()> {
        self.call(reqwest::Method::PUT, "connectors", serde_json::to_vec(connectors)?).await.map(drop)
    }

    /// Removes a connector.
    ///
    /// # Errors
    /// If it does not respond, or has no connector with this ID.
    pub async fn forget(&self, connector: Uuid) -> Result<()> {
        self.call(reqwest::Method::DELETE, &format!("connectors/{connector}"), Vec::new()).await.map(drop)
    }

    /// Adds faults. If several apply to a call, the oldest one is used.
    ///
    /// # Errors
    /// If it does not respond, or rejects the faults.
    pub async fn inject(&self, faults: &[Fault]) -> Result<()> {
        self.call(reqwest::Method::POST, "faults", serde_json::to_vec(faults)?).await.map(drop)
    }

    /// Removes all faults.
    ///
    /// # Errors
    /// If it does not respond.
    pub async fn clear_faults(&self) -> Result<()> {
        self.call(reqwest::Method::DELETE, "faults", Vec::new()).await.map(drop)
    }

    /// Returns every call so far, in a type that the caller chooses.
    ///
    /// # Errors
    /// If it does not respond, or the response does not fit the type.
    pub async fn ledger<T: DeserializeOwned>(&self) -> Result<T> {
        let text = self.call(reqwest::Method::GET, "ledger", Vec::new()).await?;
        serde_json::from_slice(&text).context("cannot read the ledger of the CDE sandbox")
    }

    /// Kills it. It forgets everything, and connections to its address are refused.
    pub fn down(&mut self) {
        self.process = None;
    }

    /// Starts it again on the same address, empty, with the same token.
    ///
    /// # Errors
    /// If another program uses the address, or the sandbox does not start.
    pub async fn up(&mut self) -> Result<()> {
        let address = self.url.trim_start_matches("http://").parse().context("an address")?;
        self.listen(address).await
    }

    async fn listen(&mut self, address: SocketAddr) -> Result<()> {
        let mut command = Command::new(&self.program);
        command.args(&self.args).args(["--token", &self.token, "--listen", &address.to_string()]);
        let (process, mut lines) = process::spawn_lines(command)?;
        let first = tokio::time::timeout(START_LIMIT, lines.recv()).await.ok().flatten().unwrap_or_default();
        let Some(url) = url(&first) else { bail!("the CDE sandbox did not start: {first}") };
        url.clone_into(&mut self.url);
        self.process = Some(process);
        Ok(())
    }

    async fn call(&self, method: reqwest::Method, path: &str, body: Vec<u8>) -> Result<Vec<u8>> {
        let request = self.http.request(method, format!("{}/_sandbox/{path}", self.url)).body(body);
        let answer = request.send().await.context("the CDE sandbox does not respond")?;
        let status = answer.status();
        let body = answer.bytes().await?;
        if !status.is_success() {
            bail!("the CDE sandbox rejected {path}: {}", String::from_utf8_lossy(&body));
        }
        Ok(body.into())
    }
}

/// Returns the URL in the first line that the program prints.
fn url(line: &str) -> Option<&str> {
    line.strip_prefix("CDE sandbox on ")?.split(',').next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_is_read_only_from_the_first_line() {
        assert_eq!(url("CDE sandbox on http://127.0.0.1:1, token t"), Some("http://127.0.0.1:1"));
        assert_eq!(url("Error: cannot listen"), None);
    }
}
