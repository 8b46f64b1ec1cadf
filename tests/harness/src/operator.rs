//! The operator as a process.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use cde_sandbox::process::{self, Process, Signal};

use super::{LIMIT, POLL, TestEnv};

/// Returns the operator's program, as Cargo built it for the test program that runs.
#[must_use]
pub fn operator_program() -> PathBuf {
    let built = env::var_os("CARGO_BIN_EXE_cde-operator");
    built.expect("Cargo sets CARGO_BIN_EXE_cde-operator: run the test with `cargo test`").into()
}

/// How to start an operator, in addition to what all tests need.
#[derive(Clone, Debug)]
pub struct Flags {
    /// Arguments after `run`.
    pub args: Vec<String>,
    /// Environment variables.
    pub env: Vec<(String, String)>,
    /// The program: the operator of this source, unless a test sets another one.
    pub program: PathBuf,
    /// Whether the operator reads its token from the environment's token file, which is not so in login mode.
    pub token_file: bool,
    /// Whether to wait for `/readyz` before the test continues.
    pub wait_ready: bool,
}

impl Default for Flags {
    fn default() -> Self {
        let args = ["--timeout", "2s", "--retry-min", "1s", "--retry-max", "2s", "--rate", "0"];
        Self {
            args: args.map(str::to_owned).to_vec(),
            env: Vec::new(),
            program: operator_program(),
            token_file: true,
            wait_ready: true,
        }
    }
}

impl Flags {
    /// Returns flags for tests of the result of a request and not of its timing: a failed call is retried soon, and a
    /// held call does not time out.
    #[must_use]
    pub fn fast_retries() -> Self {
        Self::default().with("--retry-min", "100ms").with("--retry-max", "100ms").with("--timeout", "20s")
    }

    /// Sets a flag to another value.
    #[must_use]
    pub fn with(mut self, flag: &str, value: &str) -> Self {
        if let Some(at) = self.args.iter().position(|arg| arg == flag) {
            self.args.drain(at..at + 2);
        }
        self.args.extend([flag.to_owned(), value.to_owned()]);
        self
    }

    /// Sets an environment variable.
    #[must_use]
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.env.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Lets [`TestEnv::start`] return before the operator is ready.
    #[must_use]
    pub fn without_readiness_wait(mut self) -> Self {
        self.wait_ready = false;
        self
    }
}

/// A running operator. It is killed when it is dropped.
#[derive(Debug)]
pub struct Operator {
    /// Its process.
    pub process: Process,
    log: PathBuf,
    url: Option<String>,
}

impl Operator {
    pub(crate) async fn start(env: &TestEnv, kubeconfig: &Path, flags: Flags) -> Self {
        let log = env.scratch.path().join(format!("operator-{}.log", uuid::Uuid::new_v4().simple()));
        let mut command = command_of(&flags.program, kubeconfig);
        command
            .args(["run", "--log-format", "json"])
            .args(&flags.args)
            .env("CDE_URL", env.sandbox.url())
            .env("POD_NAME", "operator")
            .env("POD_NAMESPACE", "cde-operator-system")
            .envs(flags.env);
        if flags.token_file {
            command.env("CDE_TOKEN_FILE", env.token_file());
        }
        for (flag, default) in [("--listen", "127.0.0.1:0"), ("--namespaces", &env.namespace)] {
            if !flags.args.iter().any(|arg| arg == flag) {
                command.args([flag, default]);
            }
        }
        let process = process::spawn_logged(command, &log).expect("the operator starts");
        let mut operator = Self { process, log, url: None };
        if flags.wait_ready {
            operator.ready().await;
        }
        operator
    }

    /// Waits until `/readyz` answers 200.
    pub async fn ready(&mut self) {
        let begun = Instant::now();
        loop {
            if self.probe("/readyz").await.is_some_and(|(code, _)| code == 200) {
                return;
            }
            let ended = self.process.try_wait().expect("the process can be asked");
            assert!(ended.is_none(), "the operator ended: {ended:?}\n{}", self.log());
            assert!(begun.elapsed() < LIMIT, "the operator is not ready\n{}", self.log());
            tokio::time::sleep(POLL).await;
        }
    }

    /// Returns status and body of an endpoint of the admin server; `None` if it does not respond.
    pub async fn probe(&mut self, path: &str) -> Option<(u16, String)> {
        if self.url.is_none() {
            self.url = self.listens();
        }
        let client = reqwest::Client::builder().no_proxy().timeout(LIMIT).build().expect("a client");
        let answer = client.get(format!("{}{path}", self.url.as_ref()?)).send().await.ok()?;
        Some((answer.status().as_u16(), answer.text().await.ok()?))
    }

    fn listens(&self) -> Option<String> {
        let log = self.log();
        let line = log.lines().find(|line| line.contains("\"listen\""))?;
        let line: serde_json::Value = serde_json::from_str(line).ok()?;
        Some(format!("http://{}", line["listen"].as_str()?))
    }

    /// Waits until a line of its log contains `words`, and returns that line.
    pub async fn wait_for_log(&self, words: &str) -> String {
        let begun = Instant::now();
        loop {
            let log = self.log();
            if let Some(line) = log.lines().find(|line| line.contains(words)) {
                return line.to_owned();
            }
            assert!(begun.elapsed() < LIMIT, "timed out waiting for {words:?} in the log\n{log}");
            tokio::time::sleep(POLL).await;
        }
    }

    /// Returns its output so far.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Sends SIGKILL, as when the node loses power.
    pub fn kill(&mut self) {
        self.process.kill().expect("it is killed");
    }

    /// Sends SIGTERM and returns the exit code.
    pub async fn terminate(&mut self) -> Option<i32> {
        self.process.signal(Signal::TERM).expect("SIGTERM is sent");
        self.exit_code().await
    }

    /// Waits until it ends and returns the exit code.
    pub async fn exit_code(&mut self) -> Option<i32> {
        self.process.wait(LIMIT).await.expect("it ends").code()
    }
}

/// Returns a command that runs the operator's program without those of the caller's environment variables that it
/// would read.
#[must_use]
pub fn command(kubeconfig: &Path) -> Command {
    command_of(&operator_program(), kubeconfig)
}

/// As [`command`], for another program.
#[must_use]
pub fn command_of(program: &Path, kubeconfig: &Path) -> Command {
    let mut command = Command::new(program);
    for (name, _) in env::vars_os() {
        if ["CDE_", "OTEL_"].iter().any(|prefix| name.to_string_lossy().starts_with(prefix)) {
            command.env_remove(name);
        }
    }
    for name in
        ["RUST_LOG", "POD_NAME", "POD_NAMESPACE", "HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"]
    {
        command.env_remove(name);
    }
    command.env("KUBECONFIG", kubeconfig);
    command
}
