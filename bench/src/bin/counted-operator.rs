//! The operator with an allocator that counts. It runs as `cde-operator run` does, and at the end prints the number of
//! allocations and their bytes as JSON on one line.

use std::io::Write as _;
use std::process::ExitCode;

use cde_operator::app;
use cde_operator::config::{Cli, Command};
use clap::Parser as _;
use serde_json::json;

#[global_allocator]
static ALLOCATOR: dhat::Alloc = dhat::Alloc;

fn main() -> ExitCode {
    let _counting = dhat::Profiler::builder().testing().build();
    let Command::Run(args) = Cli::parse().command else { return ExitCode::from(2) };
    let result = app::run(*args);
    let counts = dhat::HeapStats::get();
    let line = json!({"allocations": counts.total_blocks, "bytes": counts.total_bytes});
    let printed = writeln!(std::io::stdout(), "{line}");
    if result.is_ok() && printed.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
