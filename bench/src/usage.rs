//! What a process has used, as the kernel tells it.

use std::time::Duration;

use anyhow::{Context, Result};
use procfs::process::Process;
use procfs::{Current, LoadAverage};
use serde::{Deserialize, Serialize};

/// CPU time and memory of a process so far.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Usage {
    /// In user and in system mode, in steps of 10 ms.
    pub(crate) cpu: Duration,
    /// Resident at present, in bytes.
    pub(crate) resident: u64,
    /// The most that was ever resident, in bytes.
    pub(crate) peak: u64,
    pub(crate) threads: u64,
    /// Open files and sockets.
    pub(crate) files: u64,
}

impl Usage {
    /// Of the process with this id.
    ///
    /// # Errors
    /// If it does not run.
    pub(crate) fn of(id: u32) -> Result<Self> {
        Self::read(&Process::new(i32::try_from(id)?)?).with_context(|| format!("process {id}"))
    }

    /// Of this process.
    ///
    /// # Errors
    /// If the kernel does not tell.
    pub(crate) fn own() -> Result<Self> {
        Self::read(&Process::myself()?)
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

    /// Resident at present, in MB.
    pub(crate) fn megabytes(&self) -> f64 {
        megabytes(self.resident)
    }
}

/// Bytes in MB, of 1,000,000 bytes each.
#[expect(clippy::cast_precision_loss, reason = "no process has 2^52 bytes")]
pub(crate) fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}

/// How many processes wanted to run, on average of the last minute.
///
/// # Errors
/// If the kernel does not tell.
pub(crate) fn load() -> Result<f64> {
    Ok(f64::from(LoadAverage::current()?.one))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests may end at what they did not expect")]

    use super::*;

    #[test]
    fn a_process_knows_itself_as_others_do() {
        let (own, same) = (Usage::own().unwrap(), Usage::of(std::process::id()).unwrap());
        assert!(own.resident > 0 && own.peak >= own.resident && own.threads > 0 && own.files > 2, "{own:?}");
        // Other tests of this process run meanwhile, and the kernel notes a peak late: it may seem to go down.
        assert!(same.cpu >= own.cpu && same.peak > own.peak / 2, "{same:?} {own:?}");
    }

    #[test]
    fn who_does_not_run_uses_nothing() {
        assert!(Usage::of(u32::MAX).is_err());
    }
}
