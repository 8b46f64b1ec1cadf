//! `cargo demo`: runs the operator on this machine against a real API server, a real authorization server and a simulated
//! CDE API. Logs in for the operator, which refreshes the access token while the demo runs.
//!
//! Exits with 0 if every sample ended as its file says and no call lacked a valid token, with 1 if not, and with 130 if it
//! was interrupted. All processes that it started and all files that it wrote go away with it, however it ends.

#[path = "../demo/mod.rs"]
mod demo;

use std::future::Future;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::Parser;
use tokio::signal::unix::{Signal, SignalKind, signal};

use demo::environment::Environment;
use demo::terminal::say;

const INTERRUPTED: u8 = 130;

/// Runs the operator with a real API server, a real authorization server and a simulated CDE API, logs in, and applies
/// deploy/samples.
#[derive(Parser)]
#[command(version)]
struct Args {
    /// Keep everything running at the end, and print how to use it, until Ctrl-C.
    #[arg(long)]
    keep: bool,
    /// Operator binary to run instead of building one, such as the one from an image.
    #[arg(long, value_name = "FILE")]
    operator: Option<PathBuf>,
    /// The install.yaml of a release, to install instead of deploy/.
    #[arg(long, value_name = "FILE")]
    install: Option<PathBuf>,
    /// Write a recording of the requests as an animated SVG.
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
}

fn main() -> ExitCode {
    // The alias adds a `--`, so `cargo demo -- --keep` contains two.
    let args = Args::parse_from(std::env::args_os().filter(|arg| arg != "--"));
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => return failed(&error.into()),
    };
    let code = runtime.block_on(run(args));
    // Does not wait for an interrupted build of the control plane, which ends with this process.
    runtime.shutdown_background();
    code.unwrap_or_else(|error| failed(&error))
}

async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let mut interrupt = Interrupt::listen()?;
    let Some(environment) = interrupt.or(Environment::start(args.operator, args.install.as_deref())).await
    else {
        return Ok(INTERRUPTED.into());
    };
    let environment = environment?;
    let Some(finished) = interrupt.or(demo::run(&environment, args.svg.as_deref())).await else {
        return Ok(INTERRUPTED.into());
    };
    let as_expected = finished.unwrap_or_else(|error| {
        complain(&error);
        false
    });
    if !as_expected {
        say(&format!("\nLast lines of the operator's log:\n{}", environment.operator.log_tail()));
    }
    if args.keep {
        demo::keep::explain(&environment);
        interrupt.came().await;
        say("");
    }
    let Some(stopped) = interrupt.or(environment.stop()).await else { return Ok(INTERRUPTED.into()) };
    stopped?;
    Ok(ExitCode::from(u8::from(!as_expected)))
}

fn failed(error: &anyhow::Error) -> ExitCode {
    complain(error);
    ExitCode::FAILURE
}

fn complain(error: &anyhow::Error) {
    use std::io::Write;
    let _ = writeln!(std::io::stderr(), "demo: {error:#}");
}

/// Ctrl-C (SIGINT) or SIGTERM.
struct Interrupt {
    int: Signal,
    term: Signal,
}

impl Interrupt {
    fn listen() -> anyhow::Result<Self> {
        let listen = |kind| signal(kind).context("cannot listen for signals");
        Ok(Self { int: listen(SignalKind::interrupt())?, term: listen(SignalKind::terminate())? })
    }

    async fn came(&mut self) {
        tokio::select! {
            _ = self.int.recv() => (),
            _ = self.term.recv() => (),
        }
    }

    /// Returns the result of `work`, or `None` if a signal came first. `work` is then dropped.
    async fn or<T>(&mut self, work: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            done = work => Some(done),
            () = self.came() => None,
        }
    }
}
