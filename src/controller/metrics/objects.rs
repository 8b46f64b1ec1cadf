//! Metrics that are computed at each scrape: objects by reason, circuit breaker and watches.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::{ConstGauge, Gauge};

use crate::api::{Outcome, Reason};
use crate::controller::cache::Cache;
use crate::controller::circuit_breaker::CircuitBreaker;
use crate::controller::kind::Kind;
use crate::operation::BreakerState;
use crate::runtime::clock;
use crate::runtime::metrics::encode;
use crate::runtime::watches::Watches;

use super::Labels;

/// The objects of one kind and reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Group {
    count: i64,
    /// Since when the oldest one has been open or failed, as a Unix time.
    oldest: Option<i64>,
}

trait CountObjects: Send + Sync {
    /// Adds the objects to the groups and returns how many open ones belong to another operator.
    fn count(&self, groups: &mut BTreeMap<Labels<2>, Group>) -> i64;
}

impl<K: Kind> CountObjects for Cache<K> {
    fn count(&self, groups: &mut BTreeMap<Labels<2>, Group>) -> i64 {
        let labels = |reason| [("kind", K::KIND), ("reason", reason)];
        let mut foreign = 0;
        self.for_each(|object, is_foreign| {
            let Ok(object) = &object.0 else {
                groups.entry(labels("Undecodable")).or_default().count += 1;
                return;
            };
            let status = object.status();
            if status.and_then(|status| status.outcome).is_some_and(Outcome::is_final) {
                return;
            }
            let reason = status.and_then(|status| status.reason).map_or("New", Reason::as_str);
            let group = groups.entry(labels(reason)).or_default();
            group.count += 1;
            if is_foreign {
                foreign += i64::from(status.is_none_or(|status| status.outcome.is_none()));
                return;
            }
            group.oldest = Some(group.oldest.unwrap_or(i64::MAX).min(since(object.as_ref())));
        });
        foreign
    }
}

/// The transition time of Ready, or the creation time before the first status, as a Unix time.
fn since<K: Kind>(object: &K) -> i64 {
    let ready = object
        .status()
        .and_then(|status| status.conditions.iter().find(|condition| condition.type_ == "Ready"))
        .map(|ready| &ready.last_transition_time);
    ready.or(object.meta().creation_timestamp.as_ref()).map_or(0, |Time(time)| time.as_second())
}

/// The caches to count; cheap to clone.
#[derive(Clone, Default)]
pub(super) struct Objects(Arc<Mutex<Vec<Arc<dyn CountObjects>>>>);

impl Objects {
    pub(super) fn add<K: Kind>(&self, cache: Arc<Cache<K>>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(cache);
    }
}

impl fmt::Debug for Objects {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Objects")
    }
}

/// Computes metrics at each scrape.
pub(super) struct ScrapeCollector {
    pub(super) objects: Objects,
    pub(super) breaker: CircuitBreaker,
    pub(super) watches: Watches,
}

impl fmt::Debug for ScrapeCollector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ScrapeCollector")
    }
}

impl Collector for ScrapeCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        self.objects(&mut encoder)?;
        self.calls(&mut encoder)?;
        self.watches(&mut encoder)
    }
}

impl ScrapeCollector {
    fn objects(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let (mut groups, mut foreign) = (BTreeMap::new(), 0);
        for cache in self.objects.0.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            foreign += cache.count(&mut groups);
        }
        let (objects, oldest) = (Family::<Labels<2>, Gauge>::default(), Family::<_, Gauge>::default());
        for (labels, group) in groups {
            objects.get_or_create(&labels).set(group.count);
            if let Some(since) = group.oldest {
                oldest.get_or_create(&labels).set(since);
            }
        }
        let help = "Objects that are open, failed or undecodable, by the reason of their condition Ready";
        encode(encoder, "cde_operator_objects", help, &objects)?;
        let help = "Unix time since when the oldest of these objects has been open or failed, without foreign objects";
        encode(encoder, "cde_operator_oldest_object_timestamp_seconds", help, &oldest)?;
        let help = "Open requests that were claimed for another base URL and are left alone";
        encode(encoder, "cde_operator_foreign_objects", help, &ConstGauge::new(foreign))
    }

    fn calls(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let present = self.breaker.state();
        let breaker = Family::<Labels<1>, Gauge>::default();
        for state in BreakerState::ALL {
            breaker.get_or_create(&[("state", state.as_str())]).set(i64::from(state == present));
        }
        let help = "State of the circuit breaker for calls to the CDE API: 1 for the current state, 0 for the others";
        encode(encoder, "cde_operator_circuit_breaker_state", help, &breaker)?;
        let Some(left) = self.breaker.resumes_in() else { return Ok(()) };
        let at = clock::now().checked_add(left).unwrap_or(Timestamp::MAX);
        let help = "Unix time when calls to the CDE API resume or the next probe is sent";
        encode(encoder, "cde_operator_calls_resume_timestamp_seconds", help, &ConstGauge::new(at.as_second()))
    }

    fn watches(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let up = Family::<_, Gauge>::default();
        for watch in self.watches.all() {
            let namespace = watch.namespace.clone().unwrap_or_default();
            up.get_or_create(&[("kind", watch.kind.to_owned()), ("namespace", namespace)])
                .set(i64::from(watch.is_up()));
        }
        let help =
            "1 if the watch of this kind works in this namespace (empty for all namespaces), 0 otherwise";
        encode(encoder, "cde_operator_watch_up", help, &up)
    }
}
