//! The operator's own program as a process, with only the permissions that `deploy/` gives it.

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
/// The default of `--timeout` plus 10 s, and some time for a busy machine.
const STOP_LIMIT: Duration = Duration::from_secs(45);
/// Small compared with the duration of a start, which is measured with it.
const POLL: Duration = Duration::from_millis(5);
const TAIL_LINES: usize = 40;

/// A running operator. It is killed when it is dropped.
#[derive(Debug)]
pub struct Operator {
    /// The base URL of its probes and metrics.
    pub url: String,
    /// The file with all its output.
    pub log: PathBuf,
    process: Process,
    http: reqwest::Client,
}

impl Operator {
    /// Starts `program` with `flags` as the user in `kubeconfig`, and waits until it is ready. Its log and the file with
    /// the token of `cde` are in `scratch`.
    ///
    /// # Errors
    /// If it ends, or is not ready in time. The error has the end of its log.
    pub async fn start(
        program: &Path,
        scratch: &Path,
        kubeconfig: &Path,
        cde: &Remote,
        flags: &[&str],
    ) -> Result<Self> {
        let token_file = scratch.join(format!("token-{}", Uuid::new_v4().simple()));
        fs::write(&token_file, cde.token())?;
        let token_file = token_file.to_string_lossy();
        let flags = [&["--token-file", &token_file], flags].concat();
        Self::start_in_login_mode(program, scratch, kubeconfig, cde, &flags).await
    }

    /// As [`Self::start`], without a token file. The flags must name the Secret of the login and the authorization server.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub async fn start_in_login_mode(
        program: &Path,
        scratch: &Path,
        kubeconfig: &Path,
        cde: &Remote,
        flags: &[&str],
    ) -> Result<Self> {
        let id = Uuid::new_v4().simple();
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
            .env("POD_NAME", "cde-operator")
            .env("POD_NAMESPACE", OPERATOR_NAMESPACE);
        let log = scratch.join(format!("operator-{id}.log"));
        let process = process::spawn_logged(command, &log)?;
        let http = reqwest::Client::builder().no_proxy().timeout(READY_LIMIT).build()?;
        let mut operator = Self { url: String::new(), log, process, http };
        operator.ready().await?;
        Ok(operator)
    }

    /// Its process ID.
    #[must_use]
    pub fn process_id(&self) -> u32 {
        self.process.id()
    }

    /// Returns its metrics.
    ///
    /// # Errors
    /// If it does not answer.
    pub async fn metrics(&self) -> Result<String> {
        let answer = self.http.get(format!("{}/metrics", self.url)).send().await?;
        Ok(answer.error_for_status()?.text().await?)
    }

    /// Returns the URL from the log line that names the listen address.
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
                bail!("the operator ended ({status}); last lines of its log:\n{}", self.log_tail());
            }
            if begin.elapsed() > READY_LIMIT {
                bail!(
                    "the operator is not ready after {READY_LIMIT:?}; last lines of its log:\n{}",
                    self.log_tail()
                );
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// Returns the last lines of its log.
    #[must_use]
    pub fn log_tail(&self) -> String {
        process::tail(&self.log, TAIL_LINES)
    }

    /// Stops it with SIGTERM, as a kubelet does.
    ///
    /// # Errors
    /// If it does not end in time with status 0.
    pub async fn stop(mut self) -> Result<()> {
        let tail = |operator: &Self| {
            format!("the operator did not stop cleanly; last lines of its log:\n{}", operator.log_tail())
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
