//! `cargo benchmark`: measures the operator's release build against a bare worker, which does the same I/O and nothing
//! else, on a control plane and a simulated CDE that the benchmark starts.
//!
//! Every scenario runs several times, each time on a new control plane. Ratios are computed within a run. Tables go to
//! standard output, progress to standard error. All child processes end with the benchmark.

mod args;
mod crowd;
mod event;
mod figure;
mod kind;
mod ledger;
mod login;
mod metrics;
mod peer;
mod play;
mod race;
mod report;
mod scenario;
mod script;
mod stage;
mod statistics;
mod status;
mod store;
mod traffic;
mod usage;
mod worker;
mod writer;

use std::io::Write as _;
use std::process::ExitCode;

use anyhow::Result;
use cde_sandbox::cde::Sandbox;
use clap::Parser as _;
use tokio::runtime::Builder;
use tracing::subscriber::NoSubscriber;

use args::{Args, CdeArgs, Command};

fn main() -> ExitCode {
    // Tolerates `cargo benchmark -- --runs 1`: the alias already contains a `--`.
    let args = Args::parse_from(std::env::args_os().filter(|arg| arg != "--"));
    match run(args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: Args) -> Result<()> {
    // Without a subscriber, tracing would offer each span of the libraries to the crate `log`.
    tracing::subscriber::set_global_default(NoSubscriber::default())?;
    let mut runtime = match args.command {
        // Like the operator.
        Some(Command::Write(_) | Command::Work(_)) => Builder::new_current_thread(),
        _ => Builder::new_multi_thread(),
    };
    let runtime = runtime.enable_all().build()?;
    match args.command {
        None => runtime.block_on(play::play(&args)),
        Some(Command::Peer(args)) => runtime.block_on(peer::compare(&args)),
        Some(Command::Cde(args)) => runtime.block_on(simulate(args)),
        Some(Command::Work(args)) => runtime.block_on(worker::work(args)),
        Some(Command::Write(args)) => runtime.block_on(writer::write(args)),
    }
}

/// Serves a simulated CDE until the process is killed.
async fn simulate(args: CdeArgs) -> Result<()> {
    let mut builder = Sandbox::builder().listen(args.listen).token(args.token);
    if let Some(url) = args.introspection {
        builder = builder.introspection(url);
    }
    let sandbox = builder.start().await?;
    writeln!(std::io::stdout(), "CDE sandbox on {}", sandbox.url())?;
    std::future::pending().await
}
