//! The CDE: the sandbox's program, told over its control endpoints what the samples need.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use cde_sandbox::cde::{Connector, Fault};
use cde_sandbox::process::{self, Process};
use uuid::Uuid;

use super::ledger::Ledger;

const START_LIMIT: Duration = Duration::from_secs(20);
const CALL_LIMIT: Duration = Duration::from_secs(10);

/// A running CDE.
pub(crate) struct Sandbox {
    /// Its base address.
    pub(crate) url: String,
    /// The token that it accepts.
    pub(crate) token: String,
    http: reqwest::Client,
    _process: Process,
}

impl Sandbox {
    /// Starts `program` with these connectors and faults.
    ///
    /// # Errors
    /// If it does not start, or does not take them.
    pub(crate) async fn start(
        program: &Path,
        scratch: &Path,
        connectors: &[Connector],
        faults: &[Fault],
    ) -> Result<Self> {
        let seed = scratch.join("connectors.json");
        fs::write(&seed, serde_json::to_vec(connectors)?)?;
        let token = Uuid::new_v4().to_string();
        let mut command = Command::new(program);
        command.args(["--listen", "127.0.0.1:0", "--token", &token, "--seed"]).arg(seed);
        let (process, mut lines) = process::spawn_lines(command)?;
        let first = tokio::time::timeout(START_LIMIT, lines.recv()).await.ok().flatten().unwrap_or_default();
        let Some(url) = address(&first) else { bail!("the CDE sandbox does not start: {first}") };
        let http = reqwest::Client::builder().no_proxy().timeout(CALL_LIMIT).build()?;
        let sandbox = Self { url: url.to_owned(), token, http, _process: process };
        sandbox.call(reqwest::Method::POST, "faults", serde_json::to_string(faults)?).await?;
        Ok(sandbox)
    }

    /// Every call so far.
    ///
    /// # Errors
    /// If it does not answer.
    pub(crate) async fn ledger(&self) -> Result<Ledger> {
        let text = self.call(reqwest::Method::GET, "ledger", String::new()).await?;
        serde_json::from_str(&text).context("the CDE sandbox's ledger cannot be read")
    }

    async fn call(&self, method: reqwest::Method, path: &str, body: String) -> Result<String> {
        let request = self.http.request(method, format!("{}/_sandbox/{path}", self.url)).body(body);
        let answer = request.send().await.context("the CDE sandbox does not answer")?;
        let status = answer.status();
        let text = answer.text().await?;
        if !status.is_success() {
            bail!("the CDE sandbox refuses {path}: {text}");
        }
        Ok(text)
    }
}

/// The address in the first line that the program prints.
fn address(line: &str) -> Option<&str> {
    line.strip_prefix("CDE sandbox on ")?.split(',').next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_is_read_from_the_first_line_and_from_no_other() {
        assert_eq!(address("CDE sandbox on http://127.0.0.1:1, token t"), Some("http://127.0.0.1:1"));
        assert_eq!(address("Error: cannot listen"), None);
    }
}
