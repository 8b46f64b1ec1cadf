//! The processes of one operator, one after the other: killed, told to stop, frozen, started again.

use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::sync::Arc;
use std::time::Duration;

use cde_sandbox::process::Signal;
use cde_sandbox::proxy::Point;
use jiff::Timestamp;

use super::Stage;
use crate::random::script::{Act, ProcessAct};
use cde_harness::{Flags, Operator};

/// For one call to the CDE API; a claim lasts five seconds longer.
const TIMEOUT: &str = "1s";
/// Calls a second of one operator.
pub(crate) const RATE: u32 = 50;
/// A process that is told to stop ends by then: the contract's eleven seconds, and some for a busy machine.
const STOPS_WITHIN: Duration = Duration::from_secs(15);
/// So long it is waited for a claim to freeze at.
const PATIENCE: Duration = Duration::from_secs(2);

/// One process from start to end.
pub(crate) struct Life {
    pub(crate) pod: String,
    pub(crate) operator: Operator,
    pub(crate) freezes: Vec<Freeze>,
    /// What is wrong with how it ended.
    pub(crate) complaint: Option<String>,
}

/// When a process could not run.
#[derive(Clone, Debug)]
pub(crate) struct Freeze {
    pub(crate) from: Timestamp,
    pub(crate) to: Timestamp,
    /// The claim, by request and attempt, that was stored and that it had not heard of: it notices when it goes on.
    pub(crate) unheard: Option<(String, u64)>,
}

/// Whoever keeps one operator running.
pub(super) struct Crew {
    stage: Arc<Stage>,
    number: usize,
    names: usize,
    ended: Vec<Life>,
}

impl Crew {
    /// Starts the operator of this number, and does to it what the script says; gives the process that runs then,
    /// and those before.
    pub(super) async fn work(stage: Arc<Stage>, number: usize) -> (Life, Vec<Life>) {
        let mut crew = Self { stage: stage.clone(), number, names: 0, ended: Vec::new() };
        let mut life = crew.start(false).await;
        let mine = |act: &Act| match act {
            Act::Process(of, act) if *of == number => Some(act.clone()),
            _ => None,
        };
        for (at, act) in stage.acts(mine) {
            if !stage.comes(at).await {
                break;
            }
            life = match act {
                ProcessAct::Kill { restart, renamed } => {
                    life.kill();
                    crew.replace(life, restart, renamed).await
                }
                ProcessAct::Terminate { restart, renamed } => {
                    life.stop().await;
                    crew.replace(life, restart, renamed).await
                }
                ProcessAct::Freeze { length, at_claim } => {
                    crew.freeze(&mut life, length, at_claim).await;
                    life
                }
            };
        }
        (life, crew.ended)
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
        let operator = self.stage.env.start_behind(&self.stage.proxies[self.number], flags).await;
        Life { pod, operator, freezes: Vec::new(), complaint: None }
    }

    async fn replace(&mut self, ended: Life, after: Duration, renamed: bool) -> Life {
        self.ended.push(ended);
        self.stage.pass(after).await;
        self.start(renamed).await
    }

    async fn freeze(&mut self, life: &mut Life, length: Duration, at_claim: bool) {
        let claim = self.stage.proxies[self.number].hold(self.stage.claims(), Point::BeforeReply);
        let mut unheard = None;
        if at_claim && let Ok(Ok(call)) = tokio::time::timeout(PATIENCE, claim.seen()).await {
            let operation = call.json()["status"]["operation"].take();
            let request = operation["id"].as_str().map(str::to_owned);
            unheard = request.zip(operation["inFlight"]["attempt"].as_u64());
        }
        let from = Timestamp::now();
        let stopped = life.operator.process.freeze();
        claim.release();
        self.stage.pass(length).await;
        // One that has ended by itself is found out where it is told to stop.
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

    /// Tells it to stop, and waits until it has.
    pub(crate) async fn stop(&mut self) {
        if let Ok(Some(status)) = self.operator.process.try_wait() {
            return self.ended_by_itself(status);
        }
        let _ = self.operator.process.signal(Signal::TERM);
        match self.operator.process.wait(STOPS_WITHIN).await {
            Ok(status) if status.code() == Some(0) => {}
            // Nobody listens for signals in the first milliseconds.
            Ok(status)
                if status.signal() == Some(Signal::TERM.as_raw()) && self.operator.log().is_empty() => {}
            Ok(status) => self.complaint = Some(format!("told to stop, it ended with {status}")),
            Err(error) => self.complaint = Some(format!("told to stop: {error}")),
        }
        self.operator.kill();
    }

    fn ended_by_itself(&mut self, status: ExitStatus) {
        let signal = status.signal();
        self.complaint = Some(format!("it ended by itself: {status}, signal {signal:?}"));
    }
}
