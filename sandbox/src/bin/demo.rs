//! `cargo demo`: the operator at work, on this machine, against a real API server and a simulated CDE.
//!
//! Ends with 0 if every sample came to what its file promises, with 1 if not, with 130 if interrupted. Whatever
//! it started ends with it, and its files go, however it ends.

#[path = "../demo/mod.rs"]
mod demo;

use std::future::Future;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::Parser;
use tokio::signal::unix::{Signal, SignalKind, signal};

use demo::screen::say;
use demo::stage::Stage;

const INTERRUPTED: u8 = 130;

/// Shows the operator at work: real control plane, simulated CDE, the samples of deploy/samples.
#[derive(Parser)]
#[command(version)]
struct Args {
    /// Leave everything running at the end and say how to reach it, until Ctrl-C.
    #[arg(long)]
    keep: bool,
    /// The operator's program, instead of the one that is built here: an image's, for example.
    #[arg(long, value_name = "FILE")]
    operator: Option<PathBuf>,
    /// Write a recording of the requests as an animated SVG.
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
}

fn main() -> ExitCode {
    // Tolerates `cargo demo -- --keep`: the alias has brought a `--` of its own.
    let args = Args::parse_from(std::env::args_os().filter(|arg| arg != "--"));
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => return failed(&error.into()),
    };
    let code = runtime.block_on(perform(args));
    // A build of the control plane that was interrupted is not waited for: it ends with this process.
    runtime.shutdown_background();
    code.unwrap_or_else(|error| failed(&error))
}

async fn perform(args: Args) -> anyhow::Result<ExitCode> {
    let mut interrupt = Interrupt::listen()?;
    let Some(stage) = interrupt.or(Stage::set(args.operator)).await else { return Ok(INTERRUPTED.into()) };
    let stage = stage?;
    let Some(played) = interrupt.or(demo::play(&stage, args.svg.as_deref())).await else {
        return Ok(INTERRUPTED.into());
    };
    let verdict = played.unwrap_or_else(|error| {
        complain(&error);
        false
    });
    if !verdict {
        say(&format!("\nThe end of the operator's log:\n{}", stage.operator.log_tail()));
    }
    if args.keep {
        demo::keep::explain(&stage);
        interrupt.came().await;
        say("");
    }
    let Some(stopped) = interrupt.or(stage.stop()).await else { return Ok(INTERRUPTED.into()) };
    stopped?;
    Ok(ExitCode::from(u8::from(!verdict)))
}

fn failed(error: &anyhow::Error) -> ExitCode {
    complain(error);
    ExitCode::FAILURE
}

fn complain(error: &anyhow::Error) {
    use std::io::Write;
    let _ = writeln!(std::io::stderr(), "demo: {error:#}");
}

/// Ctrl-C, or a polite request to end.
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

    /// What `work` comes to, or nothing if it was interrupted; it is dropped then.
    async fn or<T>(&mut self, work: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            done = work => Some(done),
            () = self.came() => None,
        }
    }
}
