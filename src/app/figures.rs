//! What the process tells of its place: what it is, whether it leads, and whether it has what it needs to work.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::{ConstGauge, Gauge};
use prometheus_client::metrics::info::Info;

use crate::controller::Context;
use crate::runtime::metrics::encode;
use crate::runtime::watch_health::WatchHealth;
use crate::runtime::watches::WatchState;

/// Looks around when it is asked.
pub(super) struct Place {
    pub(super) context: Arc<Context>,
    pub(super) watch_health: WatchHealth,
    /// The work may be done here, and is.
    pub(super) leads: Arc<AtomicBool>,
    /// Who leads holds this Lease; `None` where there is none to hold.
    pub(super) lease: Option<String>,
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Place")
    }
}

impl Collector for Place {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let build = Info::new(vec![("version", env!("CARGO_PKG_VERSION"))]);
        encode(&mut encoder, "cde_operator_build", "What runs", &build)?;
        let leads = self.leads.load(Ordering::SeqCst);
        self.leadership(&mut encoder, leads)?;
        self.means(&mut encoder)?;
        // Who does not work watches nothing.
        if leads { self.watches(&mut encoder) } else { Ok(()) }
    }
}

impl Place {
    fn leadership(&self, encoder: &mut DescriptorEncoder<'_>, leads: bool) -> fmt::Result {
        let (name, leads) = ("cde_operator_leader", i64::from(leads));
        let help = "1 where the work is done; 0 in a replica that waits for the Lease, or has not begun";
        let Some(lease) = &self.lease else { return encode(encoder, name, help, &ConstGauge::new(leads)) };
        let leader = Family::<[(&'static str, String); 1], Gauge>::default();
        leader.get_or_create(&[("lease", lease.clone())]).set(leads);
        encode(encoder, name, help, &leader)
    }

    /// What the work needs.
    fn means(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let Context { crds, tokens, workers, .. } = self.context.as_ref();
        let (read, usable) = tokens.condition();
        for (name, help, value) in [
            (
                "cde_operator_crds_ready",
                "1 if the custom resource definitions are there and new enough; nothing is claimed else",
                i64::from(crds.is_good()),
            ),
            (
                "cde_operator_token_file_usable",
                "0 if the token file is gone or holds no token; the last one stays in use",
                i64::from(usable),
            ),
            (
                "cde_operator_token_read_timestamp_seconds",
                "When the token in use was first read, in unix time",
                read.as_second(),
            ),
            (
                "cde_operator_workers",
                "Objects that may be worked on at the same time",
                i64::from(workers.limit()),
            ),
            (
                "cde_operator_workers_busy",
                "Objects that are worked on at present",
                i64::try_from(workers.busy()).unwrap_or(i64::MAX),
            ),
        ] {
            encode(encoder, name, help, &ConstGauge::new(value))?;
        }
        Ok(())
    }

    fn watches(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let listed = ConstGauge::new(i64::from(self.context.watches.all().iter().all(WatchState::is_listed)));
        let help = "1 if the first lists of all namespaces are complete";
        encode(encoder, "cde_operator_synced", help, &listed)?;
        let silence = ConstGauge::new(self.watch_health.silence().as_secs_f64());
        let help = "Time since the API server last answered a watch, whatever the answer";
        encode(encoder, "cde_operator_watch_silence_seconds", help, &silence)
    }
}
