//! What the probes ask.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use prometheus_client::registry::Registry;

use crate::controller::{STUCK, Shared};
use crate::runtime::admin::Admin;
use crate::runtime::watch_health::WatchHealth;

use super::Operator;
use super::figures::Place;

impl Operator {
    pub(super) fn admin(
        &self,
        shared: &Arc<Shared>,
        mut registry: Registry,
        watch_health: WatchHealth,
    ) -> Admin {
        registry.register_collector(Box::new(Place {
            shared: shared.clone(),
            watch_health: watch_health.clone(),
            leads: self.leads.clone(),
            lease: self.lease_name(),
            workers: self.args.concurrency,
        }));
        let (live, ready) = (shared.clone(), shared.clone());
        let (leads, stands_by) = (self.leads.clone(), self.stands_by.clone());
        let is = |flag: &AtomicBool| flag.load(Ordering::SeqCst);
        Admin {
            live: Box::new(move || is_live(&live, &watch_health)),
            ready: Box::new(move || is_ready(&ready, is(&leads), is(&stands_by))),
            registry,
        }
    }
}

fn is_live(shared: &Shared, watch_health: &WatchHealth) -> Result<(), String> {
    let silence = watch_health.silence();
    if shared.lists.has_begun() && silence > STUCK {
        return Err(format!("the API server has not answered any watch for {} s", silence.as_secs()));
    }
    Ok(())
}

fn is_ready(shared: &Shared, leads: bool, stands_by: bool) -> Result<(), String> {
    if !shared.crds.is_good() {
        return Err("the custom resource definitions are missing or too old: apply crds/".to_owned());
    }
    if shared.gate.token_refused() {
        return Err("the CDE API refuses the token".to_owned());
    }
    // A replica that waits for the Lease is ready to take over.
    if shared.lists.is_complete() || stands_by {
        return Ok(());
    }
    Err(if leads { "the first list is not complete" } else { "the work has not begun; the log says why" }
        .to_owned())
}
