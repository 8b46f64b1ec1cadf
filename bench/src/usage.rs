//! The resources that a process has used, as the kernel reports them.

use std::io::Write as _;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use cde_sandbox::process;
use procfs::process::Process;
use procfs::{Current, LoadAverage};
use serde::{Deserialize, Serialize};

/// CPU time and memory of a process so far.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Usage {
    /// In user and system mode, in steps of 10 ms.
    pub(crate) cpu: Duration,
    /// Resident memory now, in bytes.
    pub(crate) resident: u64,
    /// Peak resident memory, in bytes.
    pub(crate) peak: u64,
    pub(crate) threads: u64,
    /// Open files and sockets.
    pub(crate) files: u64,
}

impl Usage {
    /// Returns the usage of the process with this id.
    ///
    /// # Errors
    /// If it is not running.
    pub(crate) fn of(id: u32) -> Result<Self> {
        Self::read(&Process::new(i32::try_from(id)?)?).with_context(|| format!("process {id}"))
    }

    /// Returns the usage of this process.
    ///
    /// # Errors
    /// If the kernel does not report it.
    pub(crate) fn own() -> Result<Self> {
        Self::read(&Process::myself()?)
    }

    /// Prints the usage on one line, for the process that started this one.
    ///
    /// # Errors
    /// If standard output is closed.
    pub(crate) fn print(&self) -> Result<()> {
        writeln!(std::io::stdout(), "{}", serde_json::to_string(self)?)?;
        Ok(())
    }

    /// Runs a process to its end and returns the usage that it prints. `name` is its name in errors.
    ///
    /// # Errors
    /// If it fails; the error contains its standard error.
    pub(crate) async fn printed(command: Command, name: &str) -> Result<Self> {
        let output = process::output(command, b"").await?;
        ensure!(output.status.success(), "{name} failed: {}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).with_context(|| format!("{name} printed no usage"))
    }

    fn read(process: &Process) -> Result<Self> {
        let (stat, status) = (process.stat()?, process.status()?);
        let milliseconds = (stat.utime + stat.stime) * 1000 / procfs::ticks_per_second();
        let bytes = |kilobytes: Option<u64>| kilobytes.unwrap_or_default() * 1024;
        Ok(Self {
            cpu: Duration::from_millis(milliseconds),
            resident: bytes(status.vmrss),
            peak: bytes(status.vmhwm),
            threads: status.threads,
            files: u64::try_from(process.fd_count()?)?,
        })
    }

    /// Returns the resident memory now, in MB.
    pub(crate) fn megabytes(&self) -> f64 {
        megabytes(self.resident)
    }
}

/// Converts bytes to MB of 1,000,000 bytes.
#[expect(clippy::cast_precision_loss, reason = "no process has 2^52 bytes")]
pub(crate) fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}

/// Returns the load average of the last minute.
///
/// # Errors
/// If the kernel does not report it.
pub(crate) fn load() -> Result<f64> {
    Ok(f64::from(LoadAverage::current()?.one))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    #[test]
    fn own_usage_and_usage_by_id_agree() {
        let (own, same) = (Usage::own().unwrap(), Usage::of(std::process::id()).unwrap());
        assert!(own.resident > 0 && own.peak >= own.resident && own.threads > 0 && own.files > 2, "{own:?}");
        // Other tests of this process run meanwhile, and the kernel updates a peak late, so the peak may seem to go down.
        assert!(same.cpu >= own.cpu && same.peak > own.peak / 2, "{same:?} {own:?}");
    }

    #[test]
    fn the_usage_of_a_process_that_is_not_running_is_an_error() {
        assert!(Usage::of(u32::MAX).is_err());
    }
}
