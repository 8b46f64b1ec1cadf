//! What the probes ask.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use prometheus_client::registry::Registry;

use crate::controller::Context;
use crate::operation::CallState;
use crate::runtime::admin::Admin;
use crate::runtime::watch_health::WatchHealth;

use super::Operator;
use super::figures::Place;

/// Watches that were not answered for so long are stuck. An API server that is down for less costs no restart.
const STUCK: Duration = Duration::from_mins(13);

impl Operator {
    pub(super) fn admin(
        &self,
        context: &Arc<Context>,
        mut registry: Registry,
        watch_health: WatchHealth,
    ) -> Admin {
        registry.register_collector(Box::new(Place {
            context: context.clone(),
            watch_health: watch_health.clone(),
            leads: self.leads.clone(),
            lease: self.lease_name(),
        }));
        let (ready, live_leads) = (context.clone(), self.leads.clone());
        let (leads, stands_by) = (self.leads.clone(), self.stands_by.clone());
        let is = |flag: &AtomicBool| flag.load(Ordering::SeqCst);
        Admin {
            live: Box::new(move || is_live(&watch_health, is(&live_leads))),
            ready: Box::new(move || is_ready(&ready, is(&leads), is(&stands_by))),
            registry,
        }
    }
}

/// A replica that waits for the Lease watches nothing.
fn is_live(watch_health: &WatchHealth, leads: bool) -> Result<String, String> {
    let silence = watch_health.silence();
    if leads && silence > STUCK {
        return Err(format!("the API server has not answered any watch for {} s", silence.as_secs()));
    }
    Ok(String::new())
}

fn is_ready(context: &Context, leads: bool, stands_by: bool) -> Result<String, String> {
    let problems = problems(context);
    if !context.crds.is_good() {
        return Err("the custom resource definitions are missing or too old: apply crds/".to_owned());
    }
    if context.breaker.state() == CallState::TokenRejected {
        return Err("the CDE API refuses the token".to_owned());
    }
    // A replica that waits for the Lease is ready to take over.
    if context.watches.any_namespace_is_listed() || stands_by {
        return Ok(problems);
    }
    let why =
        if leads { "the first list is not complete" } else { "the work has not begun; the log says why" };
    Err(format!("{why}\n{problems}").trim_end().to_owned())
}

/// The watches that do not work, a line each. Why is in the log: here it would show to anybody who can reach the port.
fn problems(context: &Context) -> String {
    let mut lines = String::new();
    for watch in context.watches.all().iter().filter(|watch| watch.error.is_some()) {
        lines += "the watch of ";
        lines += &watch.name();
        lines += " does not work; the log says why\n";
    }
    lines
}
