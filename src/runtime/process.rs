//! Figures of the process, as the Prometheus client libraries name them, with a prefix of our own.

use std::fmt;
use std::time::{SystemTime, UNIX_EPOCH};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use tokio::runtime::Handle;

use super::figure::tell;

/// Reads `/proc/self` when it is asked; tells nothing where there is none.
#[derive(Debug)]
pub struct ProcessFigures {
    prefix: &'static str,
    started: SystemTime,
}

impl ProcessFigures {
    /// Figures named `<prefix>_process_…`, of a process that starts now.
    #[must_use]
    pub fn new(prefix: &'static str) -> Self {
        Self { prefix, started: SystemTime::now() }
    }
}

#[cfg(target_os = "linux")]
impl Collector for ProcessFigures {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let Ok(process) = procfs::process::Process::myself() else { return Ok(()) };
        let Ok(stat) = process.stat() else { return Ok(()) };
        #[expect(clippy::cast_precision_loss, reason = "seconds of CPU time fit a float for ages")]
        let cpu = (stat.utime + stat.stime) as f64 / procfs::ticks_per_second() as f64;
        let name = |name: &str| format!("{}_process_{name}", self.prefix);
        let help = "CPU time that the process has used";
        tell(&mut encoder, &name("cpu_seconds"), help, &ConstCounter::new(cpu))?;
        let files = process.fd_count().map_or(0, |count| u64::try_from(count).unwrap_or(u64::MAX));
        let tasks = Handle::try_current().map_or(0, |runtime| runtime.metrics().num_alive_tasks());
        let started = self.started.duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs());
        let limit = memory_limit().map(|bytes| {
            ("memory_limit_bytes", "Memory that the control group of the process may use", bytes)
        });
        let figures = [
            ("resident_memory_bytes", "Memory that the process has resident", stat.rss * procfs::page_size()),
            ("open_fds", "Files and sockets that the process has open", files),
            ("start_time_seconds", "When the process started, in unix time", started),
            ("tasks", "Tasks of the runtime that are not done", u64::try_from(tasks).unwrap_or(u64::MAX)),
            ("threads", "Threads of the process", u64::try_from(stat.num_threads).unwrap_or_default()),
        ];
        for (figure, help, value) in figures.into_iter().chain(limit) {
            let value = ConstGauge::new(i64::try_from(value).unwrap_or(i64::MAX));
            tell(&mut encoder, &name(figure), help, &value)?;
        }
        Ok(())
    }
}

/// What a container may use, by cgroup v2; `None` where there is no limit, or nobody says.
#[cfg(target_os = "linux")]
fn memory_limit() -> Option<u64> {
    std::fs::read_to_string("/sys/fs/cgroup/memory.max").ok()?.trim().parse().ok()
}

#[cfg(not(target_os = "linux"))]
impl Collector for ProcessFigures {
    fn encode(&self, _: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        Ok(())
    }
}
