//! What stands at the moment of asking: who waits, why and since when, and whether calls go out.

use std::fmt;

use jiff::Timestamp;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet};
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::{ConstGauge, Gauge};

use crate::controller::gate::Gate;
use crate::controller::roster::Roster;
use crate::runtime::metrics::encode;

use super::KindAndReason;

/// Reads roster and gate when it is asked.
pub(super) struct Standing {
    pub(super) roster: Roster,
    pub(super) gate: Gate,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct State {
    state: &'static str,
}

impl fmt::Debug for Standing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Standing")
    }
}

impl Collector for Standing {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        self.objects(&mut encoder)?;
        self.calls(&mut encoder)
    }
}

impl Standing {
    fn objects(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let (objects, oldest) = (Family::<KindAndReason, Gauge>::default(), Family::<_, Gauge>::default());
        for ((kind, reason), group) in self.roster.census() {
            let labels = KindAndReason { kind, reason };
            objects.get_or_create(&labels).set(group.count);
            if let Some(since) = group.oldest {
                oldest.get_or_create(&labels).set(since);
            }
        }
        let help = "Objects that are open, have failed, or cannot be decoded, by the reason of their condition Ready";
        encode(encoder, "cde_operator_objects", help, &objects)?;
        let help = "Since when the oldest of these objects has been open, or failed, in unix time; foreign ones apart";
        encode(encoder, "cde_operator_oldest_object_timestamp_seconds", help, &oldest)?;
        let help = "Open requests that were claimed for another base address and are left alone";
        encode(encoder, "cde_operator_foreign_objects", help, &ConstGauge::new(self.roster.others()))
    }

    fn calls(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let state = self.gate.state();
        let calls = Family::<State, Gauge>::default();
        for word in ["open", "paused", "down", "unauthorized"] {
            calls.get_or_create(&State { state: word }).set(i64::from(word == state));
        }
        let help = "Whether calls to the CDE API go out: 1 for the state that holds";
        encode(encoder, "cde_operator_calls", help, &calls)?;
        let Some(left) = self.gate.resumes_in() else { return Ok(()) };
        let at = Timestamp::now().checked_add(left).unwrap_or(Timestamp::MAX);
        let help = "When calls to the CDE API go out again, or the next probe of it, in unix time";
        encode(encoder, "cde_operator_calls_resume_timestamp_seconds", help, &ConstGauge::new(at.as_second()))
    }
}
