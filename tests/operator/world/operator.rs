//! The operator's program as a process.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use cde_sandbox::process::{self, Process, Signal};

use super::{LIMIT, POLL, World};

/// The operator of this source.
const PROGRAM: &str = env!("CARGO_BIN_EXE_cde-operator");

/// How the operator is started, apart from what every test needs.
#[derive(Clone, Debug)]
pub(crate) struct Flags {
    /// Arguments after `run`.
    pub(crate) args: Vec<String>,
    pub(crate) env: Vec<(String, String)>,
    /// Which operator it is: that of this source, unless a test has another one.
    pub(crate) program: PathBuf,
    /// Wait for `/readyz` before the test goes on.
    pub(crate) wait_ready: bool,
}

impl Default for Flags {
    fn default() -> Self {
        let args = ["--timeout", "2s", "--retry-min", "1s", "--retry-max", "2s", "--rate", "0"];
        Self {
            args: args.map(str::to_owned).to_vec(),
            env: Vec::new(),
            program: PathBuf::from(PROGRAM),
            wait_ready: true,
        }
    }
}

impl Flags {
    /// For tests of what a request comes to, and not of when: what fails is repeated soon, and a call that is held
    /// does not time out.
    pub(crate) fn brisk() -> Self {
        Self::default().with("--retry-min", "100ms").with("--retry-max", "100ms").with("--timeout", "20s")
    }

    /// With a flag set to another value.
    pub(crate) fn with(mut self, flag: &str, value: &str) -> Self {
        if let Some(at) = self.args.iter().position(|arg| arg == flag) {
            self.args.drain(at..at + 2);
        }
        self.args.extend([flag.to_owned(), value.to_owned()]);
        self
    }

    pub(crate) fn env(mut self, name: &str, value: &str) -> Self {
        self.env.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The test does not wait for readiness.
    pub(crate) fn unready(mut self) -> Self {
        self.wait_ready = false;
        self
    }
}

/// A running operator; killed when it is dropped.
pub(crate) struct Operator {
    pub(crate) process: Process,
    log: PathBuf,
    url: Option<String>,
}

impl Operator {
    pub(super) async fn start(world: &World, kubeconfig: &Path, flags: Flags) -> Self {
        let log = world.scratch.path().join(format!("operator-{}.log", uuid::Uuid::new_v4().simple()));
        let mut command = command_of(&flags.program, kubeconfig);
        command
            .args(["run", "--listen", "127.0.0.1:0", "--log-format", "json"])
            .args(&flags.args)
            .env("CDE_URL", world.sandbox.url())
            .env("CDE_TOKEN_FILE", world.token_file())
            .env("POD_NAME", "operator")
            .env("POD_NAMESPACE", "cde-operator-system")
            .envs(flags.env);
        if !flags.args.iter().any(|arg| arg == "--namespaces") {
            command.args(["--namespaces", &world.namespace]);
        }
        let process = process::spawn_logged(command, &log).expect("the operator starts");
        let mut operator = Self { process, log, url: None };
        if flags.wait_ready {
            operator.ready().await;
        }
        operator
    }

    /// Waits until `/readyz` says so.
    pub(crate) async fn ready(&mut self) {
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

    /// Code and body of an endpoint of the admin server; `None` where it does not answer.
    pub(crate) async fn probe(&mut self, path: &str) -> Option<(u16, String)> {
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

    /// Waits until a line of its log has these words, and gives that line.
    pub(crate) async fn says(&self, words: &str) -> String {
        let begun = Instant::now();
        loop {
            let log = self.log();
            if let Some(line) = log.lines().find(|line| line.contains(words)) {
                return line.to_owned();
            }
            assert!(begun.elapsed() < LIMIT, "it does not say {words:?}\n{log}");
            tokio::time::sleep(POLL).await;
        }
    }

    /// All that it has printed.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// SIGKILL, as when the node loses power.
    pub(crate) fn kill(&mut self) {
        self.process.kill().expect("it is killed");
    }

    /// SIGTERM, and the exit code.
    pub(crate) async fn terminate(&mut self) -> Option<i32> {
        self.process.signal(Signal::TERM).expect("it is told to stop");
        self.exit_code().await
    }

    /// Waits for its end.
    pub(crate) async fn exit_code(&mut self) -> Option<i32> {
        self.process.wait(LIMIT).await.expect("it ends").code()
    }
}

/// The operator's program without anything of the tester's own environment.
pub(crate) fn command(kubeconfig: &Path) -> Command {
    command_of(Path::new(PROGRAM), kubeconfig)
}

/// The same of another program.
pub(crate) fn command_of(program: &Path, kubeconfig: &Path) -> Command {
    let mut command = Command::new(program);
    for (name, _) in std::env::vars_os() {
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
