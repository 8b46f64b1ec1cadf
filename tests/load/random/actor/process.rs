//! The successive processes of one operator: killed, stopped, frozen and started again.

use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::sync::Arc;
use std::time::Duration;

use cde_sandbox::process::Signal;
use cde_sandbox::proxy::Point;
use jiff::Timestamp;

use super::RunEnv;
use crate::random::script::{Act, ProcessAct};
use cde_harness::{Flags, Operator};

/// The timeout of one call to the CDE API. A claim lasts five seconds longer.
const TIMEOUT: &str = "1s";
/// Calls per second of one operator.
pub(crate) const RATE: u32 = 50;
/// How long a process may take to stop: the documented eleven seconds, and some time for a busy machine.
const STOPS_WITHIN: Duration = Duration::from_secs(15);
/// How long to wait for a claim at which to freeze the process.
const PATIENCE: Duration = Duration::from_secs(2);

/// One process from start to end.
pub(crate) struct Life {
    pub(crate) pod: String,
    pub(crate) operator: Operator,
    pub(crate) freezes: Vec<Freeze>,
    /// What was wrong with how it ended.
    pub(crate) complaint: Option<String>,
}

/// A time in which a process could not run.
#[derive(Clone, Debug)]
pub(crate) struct Freeze {
    pub(crate) from: Timestamp,
    pub(crate) to: Timestamp,
    /// The claim, by request and attempt, whose reply the process had not received: it notices when it continues.
    pub(crate) unheard: Option<(String, u64)>,
}

/// Keeps one operator running.
pub(super) struct Supervisor {
    run_env: Arc<RunEnv>,
    number: usize,
    names: usize,
    ended: Vec<Life>,
}

impl Supervisor {
    /// Starts the operator of this number, and does to it what the script says. Returns the process that runs at the
    /// end, and the earlier ones.
    pub(super) async fn work(run_env: Arc<RunEnv>, number: usize) -> (Life, Vec<Life>) {
        let mut supervisor = Self { run_env: run_env.clone(), number, names: 0, ended: Vec::new() };
        let mut life = supervisor.start(false).await;
        let mine = |act: &Act| match act {
            Act::Process(of, act) if *of == number => Some(act.clone()),
            _ => None,
        };
        for (at, act) in run_env.acts(mine) {
            if !run_env.wait_until(at).await {
                break;
            }
            life = match act {
                ProcessAct::Kill { restart, renamed } => {
                    life.kill();
                    supervisor.replace(life, restart, renamed).await
                }
                ProcessAct::Terminate { restart, renamed } => {
                    life.stop().await;
                    supervisor.replace(life, restart, renamed).await
                }
                ProcessAct::Freeze { length, at_claim } => {
                    supervisor.freeze(&mut life, length, at_claim).await;
                    life
                }
            };
        }
        (life, supervisor.ended)
    }

    async fn start(&mut self, renamed: bool) -> Life {
        self.names += usize::from(renamed);
        let pod = format!("pod-{}-{}", self.number, self.names);
        let flags = Flags::default()
            .with("--timeout", TIMEOUT)
            .with("--retry-min", "200ms")
            .with("--retry-max", "1s")
            .with("--rate", &RATE.to_string())
            .env("POD_NAME", &pod)
            .without_readiness_wait();
        let operator = self.run_env.env.start_behind(&self.run_env.proxies[self.number], flags).await;
        Life { pod, operator, freezes: Vec::new(), complaint: None }
    }

    async fn replace(&mut self, ended: Life, after: Duration, renamed: bool) -> Life {
        self.ended.push(ended);
        self.run_env.sleep(after).await;
        self.start(renamed).await
    }

    async fn freeze(&mut self, life: &mut Life, length: Duration, at_claim: bool) {
        let claim = self.run_env.proxies[self.number].hold(self.run_env.claims(), Point::BeforeReply);
        let mut unheard = None;
        if at_claim && let Ok(Ok(call)) = tokio::time::timeout(PATIENCE, claim.seen()).await {
            let operation = call.json()["status"]["operation"].take();
            let request = operation["id"].as_str().map(str::to_owned);
            unheard = request.zip(operation["inFlight"]["attempt"].as_u64());
        }
        let from = Timestamp::now();
        let stopped = life.operator.process.freeze();
        claim.release();
        self.run_env.sleep(length).await;
        // A process that has ended by itself is noticed when it is stopped.
        if stopped.and_then(|()| life.operator.process.signal(Signal::CONT)).is_ok() {
            life.freezes.push(Freeze { from, to: Timestamp::now(), unheard });
        }
    }
}

impl Life {
    fn kill(&mut self) {
        if let Ok(Some(status)) = self.operator.process.try_wait() {
            self.ended_by_itself(status);
        }
        self.operator.kill();
    }

    /// Sends SIGTERM, and waits until the process has ended.
    pub(crate) async fn stop(&mut self) {
        if let Ok(Some(status)) = self.operator.process.try_wait() {
            return self.ended_by_itself(status);
        }
        let _ = self.operator.process.signal(Signal::TERM);
        match self.operator.process.wait(STOPS_WITHIN).await {
            Ok(status) if status.code() == Some(0) => {}
            // In the first milliseconds no signal handler is installed.
            Ok(status)
                if status.signal() == Some(Signal::TERM.as_raw()) && self.operator.log().is_empty() => {}
            Ok(status) => self.complaint = Some(format!("after SIGTERM it ended with {status}")),
            Err(error) => self.complaint = Some(format!("after SIGTERM: {error}")),
        }
        self.operator.kill();
    }

    fn ended_by_itself(&mut self, status: ExitStatus) {
        let signal = status.signal();
        self.complaint = Some(format!("it ended by itself: {status}, signal {signal:?}"));
    }
}
