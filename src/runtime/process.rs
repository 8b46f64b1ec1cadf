//! Metrics of the process, named as in the Prometheus client libraries, with a prefix.

use std::fmt;
use std::time::SystemTime;
#[cfg(target_os = "linux")]
use std::time::UNIX_EPOCH;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;
#[cfg(target_os = "linux")]
use prometheus_client::metrics::{counter::ConstCounter, gauge::ConstGauge};
#[cfg(target_os = "linux")]
use tokio::runtime::Handle;

use crate::runtime::clock;
#[cfg(target_os = "linux")]
use crate::runtime::metrics::encode;

/// Collects from `/proc/self` on each scrape, if that exists.
#[derive(Debug)]
#[cfg_attr(not(target_os = "linux"), expect(dead_code, reason = "only Linux has /proc"))]
pub struct ProcessMetrics {
    prefix: &'static str,
    started: SystemTime,
}

impl ProcessMetrics {
    /// Returns metrics named `<prefix>_process_…` of a process that starts now.
    #[must_use]
    pub fn new(prefix: &'static str) -> Self {
        Self { prefix, started: clock::wall() }
    }
}

#[cfg(target_os = "linux")]
impl Collector for ProcessMetrics {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let Ok(process) = procfs::process::Process::myself() else { return Ok(()) };
        let Ok(stat) = process.stat() else { return Ok(()) };
        #[expect(clippy::cast_precision_loss, reason = "CPU seconds fit a float")]
        let cpu = (stat.utime + stat.stime) as f64 / procfs::ticks_per_second() as f64;
        let name = |name: &str| format!("{}_process_{name}", self.prefix);
        let help = "CPU time of the process";
        encode(&mut encoder, &name("cpu_seconds"), help, &ConstCounter::new(cpu))?;
        let files = process.fd_count().map_or(0, |count| u64::try_from(count).unwrap_or(u64::MAX));
        let tasks = Handle::try_current().map_or(0, |runtime| runtime.metrics().num_alive_tasks());
        let started = self.started.duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs());
        let limit = memory_limit()
            .map(|bytes| ("memory_limit_bytes", "Memory limit of the control group of the process", bytes));
        let gauges = [
            ("resident_memory_bytes", "Resident memory of the process", stat.rss * procfs::page_size()),
            ("open_fds", "Open file descriptors of the process", files),
            ("start_time_seconds", "Unix time when the process started", started),
            ("tasks", "Unfinished tasks of the async runtime", u64::try_from(tasks).unwrap_or(u64::MAX)),
            ("threads", "Threads of the process", u64::try_from(stat.num_threads).unwrap_or_default()),
        ];
        for (gauge, help, value) in gauges.into_iter().chain(limit) {
            let value = ConstGauge::new(i64::try_from(value).unwrap_or(i64::MAX));
            encode(&mut encoder, &name(gauge), help, &value)?;
        }
        Ok(())
    }
}

/// Returns the memory limit of the container (cgroup v2), if there is one.
#[cfg(target_os = "linux")]
fn memory_limit() -> Option<u64> {
    std::fs::read_to_string("/sys/fs/cgroup/memory.max").ok()?.trim().parse().ok()
}

#[cfg(not(target_os = "linux"))]
impl Collector for ProcessMetrics {
    fn encode(&self, _: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        Ok(())
    }
}
