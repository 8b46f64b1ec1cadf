//! Metrics that are computed when they are scraped: which objects wait, why and since when; and whether calls go out.

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
use crate::operation::CallState;
use crate::runtime::clock;
use crate::runtime::metrics::encode;
use crate::runtime::watches::Watches;

use super::Labels;

/// The objects of one kind and reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Group {
    count: i64,
    /// Since when the oldest of them has been open, or failed, in unix time.
    oldest: Option<i64>,
}

/// Counts the objects of one watch.
trait Census: Send + Sync {
    /// Adds them to the groups; returns how many belong to another operator.
    fn count(&self, groups: &mut BTreeMap<Labels<2>, Group>) -> i64;
}

impl<K: Kind> Census for Cache<K> {
    fn count(&self, groups: &mut BTreeMap<Labels<2>, Group>) -> i64 {
        let labels = |reason| [("kind", K::KIND), ("reason", reason)];
        let mut foreign = 0;
        for (object, is_foreign) in self.all() {
            let Ok(object) = &object.0 else {
                groups.entry(labels("Undecodable")).or_default().count += 1;
                continue;
            };
            let status = object.status();
            if status.and_then(|status| status.outcome).is_some_and(Outcome::is_final) {
                continue;
            }
            let reason = status.and_then(|status| status.reason).map_or("New", Reason::as_str);
            let group = groups.entry(labels(reason)).or_default();
            group.count += 1;
            if is_foreign {
                // Another operator's is no wait of this one's.
                foreign += i64::from(status.is_none_or(|status| status.outcome.is_none()));
                continue;
            }
            group.oldest = Some(group.oldest.unwrap_or(i64::MAX).min(since(object.as_ref())));
        }
        foreign
    }
}

/// Since when the condition Ready has its status, in unix time; before the first status, the creation.
fn since<K: Kind>(object: &K) -> i64 {
    let ready = object
        .status()
        .and_then(|status| status.conditions.iter().find(|condition| condition.type_ == "Ready"))
        .map(|ready| &ready.last_transition_time);
    ready.or(object.meta().creation_timestamp.as_ref()).map_or(0, |Time(time)| time.as_second())
}

/// The caches that are counted; cheap to clone.
#[derive(Clone, Default)]
pub(super) struct Objects(Arc<Mutex<Vec<Arc<dyn Census>>>>);

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

/// Looks around when it is scraped.
pub(super) struct Present {
    pub(super) objects: Objects,
    pub(super) breaker: CircuitBreaker,
    pub(super) watches: Watches,
}

impl fmt::Debug for Present {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Present")
    }
}

impl Collector for Present {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        self.objects(&mut encoder)?;
        self.calls(&mut encoder)?;
        self.watches(&mut encoder)
    }
}

impl Present {
    fn objects(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let (mut groups, mut foreign) = (BTreeMap::new(), 0);
        for census in self.objects.0.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            foreign += census.count(&mut groups);
        }
        let (objects, oldest) = (Family::<Labels<2>, Gauge>::default(), Family::<_, Gauge>::default());
        for (labels, group) in groups {
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
        encode(encoder, "cde_operator_foreign_objects", help, &ConstGauge::new(foreign))
    }

    fn calls(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let present = self.breaker.state();
        let calls = Family::<Labels<1>, Gauge>::default();
        for state in CallState::ALL {
            calls.get_or_create(&[("state", state.as_str())]).set(i64::from(state == present));
        }
        let help = "Whether calls to the CDE API go out: 1 for the state that holds";
        encode(encoder, "cde_operator_calls", help, &calls)?;
        let Some(left) = self.breaker.resumes_in() else { return Ok(()) };
        let at = clock::now().checked_add(left).unwrap_or(Timestamp::MAX);
        let help = "When calls to the CDE API go out again, or the next probe of it, in unix time";
        encode(encoder, "cde_operator_calls_resume_timestamp_seconds", help, &ConstGauge::new(at.as_second()))
    }

    fn watches(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let up = Family::<_, Gauge>::default();
        for watch in self.watches.all() {
            let namespace = watch.namespace.clone().unwrap_or_default();
            up.get_or_create(&[("kind", watch.kind.to_owned()), ("namespace", namespace)])
                .set(i64::from(watch.is_up()));
        }
        let help = "1 if the watch of this kind works in this namespace (all of them where it is empty)";
        encode(encoder, "cde_operator_watch_up", help, &up)
    }
}
