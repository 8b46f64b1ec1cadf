//! The operator: the real program, as a process of its own, with the rights that `deploy/` gives it and no more.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use uuid::Uuid;

use crate::cde::Remote;
use crate::control_plane::OPERATOR_NAMESPACE;
use crate::process::{self, Process, Signal};

const READY_LIMIT: Duration = Duration::from_mins(2);
/// The default of `--timeout` and 10 s, and a little for a busy machine.
const STOP_LIMIT: Duration = Duration::from_secs(45);
/// Small against what a start takes, which is measured with it.
const POLL: Duration = Duration::from_millis(5);
const TAIL_LINES: usize = 40;

/// A running operator; killed when it is dropped.
#[derive(Debug)]
pub struct Operator {
    /// Where its probes and metrics are.
    pub url: String,
    /// All that it prints.
    pub log: PathBuf,
    process: Process,
    http: reqwest::Client,
}

impl Operator {
    /// Starts `program` with `flags`, as whom `kubeconfig` names, and waits until it is ready. Its log is a file in
    /// `scratch`.
    ///
    /// # Errors
    /// If it ends or does not get ready in time; with the end of its log.
    pub async fn start(
        program: &Path,
        scratch: &Path,
        kubeconfig: &Path,
        cde: &Remote,
        flags: &[&str],
    ) -> Result<Self> {
        let id = Uuid::new_v4().simple();
        let token_file = scratch.join(format!("token-{id}"));
        fs::write(&token_file, cde.token())?;
        let mut command = Command::new(program);
        for (name, _) in std::env::vars_os() {
            let text = name.to_string_lossy();
            if ["CDE_", "OTEL_"].iter().any(|prefix| text.starts_with(prefix))
                || text.to_lowercase().ends_with("_proxy")
            {
                command.env_remove(&name);
            }
        }
        command
            .arg("run")
            .args(["--listen", "127.0.0.1:0"])
            .args(flags)
            .env("KUBECONFIG", kubeconfig)
            .env("CDE_URL", cde.url())
            .env("CDE_TOKEN_FILE", token_file)
            .env("POD_NAME", "cde-operator")
            .env("POD_NAMESPACE", OPERATOR_NAMESPACE);
        let log = scratch.join(format!("operator-{id}.log"));
        let process = process::spawn_logged(command, &log)?;
        let http = reqwest::Client::builder().no_proxy().timeout(READY_LIMIT).build()?;
        let mut operator = Self { url: String::new(), log, process, http };
        operator.ready().await?;
        Ok(operator)
    }

    /// The id of its process.
    #[must_use]
    pub fn process_id(&self) -> u32 {
        self.process.id()
    }

    /// What it says of itself under `/metrics`.
    ///
    /// # Errors
    /// If it does not answer.
    pub async fn metrics(&self) -> Result<String> {
        let answer = self.http.get(format!("{}/metrics", self.url)).send().await?;
        Ok(answer.error_for_status()?.text().await?)
    }

    /// The address that it says it listens on.
    fn address(&self) -> Option<String> {
        let log = fs::read_to_string(&self.log).ok()?;
        let (_, rest) = log.split_once("listen=\"")?;
        Some(format!("http://{}", rest.split_once('"')?.0))
    }

    async fn ready(&mut self) -> Result<()> {
        let begin = Instant::now();
        loop {
            if let Some(url) = self.address() {
                let answer = self.http.get(format!("{url}/readyz")).send().await;
                if answer.is_ok_and(|answer| answer.status().is_success()) {
                    self.url = url;
                    return Ok(());
                }
            }
            if let Some(status) = self.process.try_wait()? {
                bail!("the operator has ended ({status}); the end of its log:\n{}", self.log_tail());
            }
            if begin.elapsed() > READY_LIMIT {
                bail!(
                    "the operator is not ready after {READY_LIMIT:?}; the end of its log:\n{}",
                    self.log_tail()
                );
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// The last lines of its log.
    #[must_use]
    pub fn log_tail(&self) -> String {
        process::tail(&self.log, TAIL_LINES)
    }

    /// Asks it to end, as a kubelet would.
    ///
    /// # Errors
    /// If it does not end well, or in time.
    pub async fn stop(mut self) -> Result<()> {
        let tail = |operator: &Self| {
            format!("the operator does not stop as asked; the end of its log:\n{}", operator.log_tail())
        };
        if let Err(error) = self.process.signal(Signal::TERM) {
            return Err(error).with_context(|| tail(&self));
        }
        let ended = self.process.wait(STOP_LIMIT).await;
        let status = ended.with_context(|| tail(&self))?;
        ensure!(status.success(), "{}\n({status})", tail(&self));
        Ok(())
    }
}
