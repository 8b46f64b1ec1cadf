//! The operator: the real program, as a process of its own, with the rights that `deploy/` gives it and no more.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use cde_sandbox::process::{self, Process, Signal};

use super::sandbox::Sandbox;

/// Short, so that the demo ends in time.
const FLAGS: [&str; 6] = ["--timeout", "3s", "--retry-min", "1s", "--retry-max", "2s"];
const NAMESPACE: &str = "cde-operator-system";
const READY_LIMIT: Duration = Duration::from_secs(30);
/// `--timeout` and 10 s, and a little for a busy machine.
const STOP_LIMIT: Duration = Duration::from_secs(15);
const POLL: Duration = Duration::from_millis(50);
const TAIL_LINES: usize = 40;

/// A running operator.
pub(crate) struct Operator {
    /// Where its probes and metrics are.
    pub(crate) url: String,
    /// All that it prints.
    pub(crate) log: PathBuf,
    process: Process,
}

impl Operator {
    /// Starts `program` as whom `kubeconfig` names, and waits until it is ready.
    ///
    /// # Errors
    /// If it ends or does not get ready in time; with the end of its log.
    pub(crate) async fn start(
        program: &Path,
        scratch: &Path,
        kubeconfig: &Path,
        cde: &Sandbox,
    ) -> Result<Self> {
        let token_file = scratch.join("token");
        fs::write(&token_file, &cde.token)?;
        let mut command = Command::new(program);
        for (variable, _) in
            std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("CDE_"))
        {
            command.env_remove(variable);
        }
        command
            .arg("run")
            .args(FLAGS)
            .args(["--leader-election=true", "--listen", "127.0.0.1:0"])
            .env("KUBECONFIG", kubeconfig)
            .env("CDE_URL", &cde.url)
            .env("CDE_TOKEN_FILE", token_file)
            .env("POD_NAME", "cde-operator-demo")
            .env("POD_NAMESPACE", NAMESPACE)
            .envs([("NO_PROXY", "127.0.0.1"), ("no_proxy", "127.0.0.1")]);
        let log = scratch.join("operator.log");
        let process = process::spawn_logged(command, &log)?;
        let mut operator = Self { url: String::new(), log, process };
        operator.ready().await?;
        Ok(operator)
    }

    /// The address that it says it listens on.
    fn address(&self) -> Option<String> {
        let log = fs::read_to_string(&self.log).ok()?;
        let (_, rest) = log.split_once("listen=\"")?;
        Some(format!("http://{}", rest.split_once('"')?.0))
    }

    async fn ready(&mut self) -> Result<()> {
        let http = reqwest::Client::builder().no_proxy().timeout(READY_LIMIT).build()?;
        let begin = Instant::now();
        loop {
            if let Some(url) = self.address() {
                let answer = http.get(format!("{url}/readyz")).send().await;
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
    pub(crate) fn log_tail(&self) -> String {
        let log =
            fs::read(&self.log).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(TAIL_LINES)..].join("\n")
    }

    /// Asks it to end, as a kubelet would.
    ///
    /// # Errors
    /// If it does not end well, or in time.
    pub(crate) async fn stop(mut self) -> Result<()> {
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
