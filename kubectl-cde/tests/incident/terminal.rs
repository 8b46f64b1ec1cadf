//! What a person sees and types on a terminal.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::process::{Command, ExitStatus};
use std::time::{Duration, Instant};

use cde_harness::{Kind, LIMIT};
use rustix::process::{Pid, Signal, kill_process};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use tokio::process::Child;

use super::fixture::Incident;

/// A program on a pseudo-terminal.
pub(crate) struct Terminal {
    hands: File,
    child: Child,
}

impl Terminal {
    /// Starts a program with all of its streams on a terminal.
    pub(crate) fn start(mut command: Command) -> Self {
        let hands = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&hands).unwrap();
        unlockpt(&hands).unwrap();
        let name = ptsname(&hands, Vec::new()).unwrap().into_string().unwrap();
        let program = File::options().read(true).write(true).open(name).unwrap();
        command.env("TERM", "xterm").env_remove("NO_COLOR");
        command.stdin(program.try_clone().unwrap()).stdout(program.try_clone().unwrap()).stderr(program);
        let child = tokio::process::Command::from(command).kill_on_drop(true).spawn().unwrap();
        Self { hands: File::from(hands), child }
    }

    /// Types a line.
    pub(crate) fn types(&mut self, line: &str) {
        writeln!(self.hands, "{line}").unwrap();
    }

    /// Sends what Ctrl-C sends.
    pub(crate) fn interrupt(&mut self) {
        let id = self.child.id().and_then(|id| Pid::from_raw(id.cast_signed())).unwrap();
        kill_process(id, Signal::INT).unwrap();
    }

    /// Reads until the terminal shows `text`, and returns what it has shown since the last call.
    pub(crate) async fn until(&self, text: &str) -> String {
        let text = text.to_owned();
        self.read(move |seen| seen.contains(&text)).await
    }

    /// Reads until the program ends.
    pub(crate) async fn end(mut self) -> (String, ExitStatus) {
        let seen = self.read(|_| false).await;
        (seen, self.child.wait().await.unwrap())
    }

    /// Reads until the program ends, and returns what it has written, and when.
    pub(crate) async fn record(self) -> Vec<(Duration, Vec<u8>)> {
        let (begun, mut hands) = (Instant::now(), self.hands.try_clone().unwrap());
        let reading = tokio::task::spawn_blocking(move || {
            let mut all = Vec::new();
            let mut part = [0; 4096];
            // Reading fails when the program has ended.
            while let Ok(length @ 1..) = hands.read(&mut part) {
                all.push((begun.elapsed(), part[..length].to_vec()));
            }
            all
        });
        tokio::time::timeout(LIMIT, reading).await.expect("the program ends").unwrap()
    }

    async fn read(&self, enough: impl Fn(&str) -> bool + Send + 'static) -> String {
        let mut hands = self.hands.try_clone().unwrap();
        let reading = tokio::task::spawn_blocking(move || {
            let mut seen = Vec::new();
            while !enough(&String::from_utf8_lossy(&seen)) {
                let mut part = [0; 1024];
                // Reading fails when the program has ended.
                match hands.read(&mut part) {
                    Ok(length) if length > 0 => seen.extend_from_slice(&part[..length]),
                    _ => break,
                }
            }
            String::from_utf8_lossy(&seen).into_owned()
        });
        tokio::time::timeout(LIMIT, reading).await.expect("the terminal shows it").unwrap()
    }
}

#[tokio::test]
async fn colors_are_for_terminals_without_no_color() {
    let incident = Incident::new().await;
    incident.failed().await;
    let (seen, status) = Terminal::start(incident.plugin(&["status"])).end().await;
    assert!(status.success() && seen.contains("\u{1b}[1m\u{1b}[31mNEEDS A PERSON\u{1b}[0m"), "{seen:?}");
    let mut command = incident.plugin(&["status"]);
    command.args(["-o", "wide"]);
    let mut plain = Command::new("env");
    plain.arg("NO_COLOR=1").arg(command.get_program()).args(command.get_args());
    for (key, value) in command.get_envs() {
        match value {
            Some(value) => plain.env(key, value),
            None => plain.env_remove(key),
        };
    }
    let (seen, status) = Terminal::start(plain).end().await;
    assert!(status.success() && seen.contains("NEEDS A PERSON") && !seen.contains('\u{1b}'), "{seen:?}");
}

#[tokio::test]
async fn a_retry_of_an_unknown_outcome_asks_first() {
    let incident = Incident::new().await;
    let name = incident.unknown().await;
    for (answer, code, says) in [("n", 1, "error: nothing was changed"), ("y", 0, " retried")] {
        let mut terminal = Terminal::start(incident.plugin(&["retry", &name]));
        terminal.until("and retry? [y/N] ").await;
        terminal.types(answer);
        let (seen, status) = terminal.end().await;
        assert_eq!(status.code(), Some(code), "{seen}");
        assert!(seen.contains(says), "{seen}");
    }
}

#[tokio::test]
async fn a_request_that_changes_before_the_yes_is_not_retried() {
    let incident = Incident::new().await;
    let name = incident.unknown().await;
    let mut terminal = Terminal::start(incident.plugin(&["retry", &name]));
    terminal.until("and retry? [y/N] ").await;
    incident.env.kubectl(&["label", "mrb", &name, "seen-by=a-colleague"], "").await;
    terminal.types("y");
    let (seen, status) = terminal.end().await;
    assert_eq!(status.code(), Some(3), "{seen}");
    assert!(seen.contains("has changed since you looked at it"), "{seen}");
    let object = incident.env.get(Kind::Rollback, &name).await;
    assert_eq!(object.reason(), "OutcomeUnknown");
    assert!(object.metadata()["annotations"]["cde.productsup.com/retry"].is_null());
}
