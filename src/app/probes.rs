//! The liveness and readiness probes.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use prometheus_client::registry::Registry;

use crate::controller::Context;
use crate::operation::BreakerState;
use crate::runtime::admin::Admin;
use crate::runtime::watch_health::WatchHealth;

use super::Operator;
use super::metrics::OperatorMetrics;

/// The process is restarted if no watch had a response for this long. A shorter outage of the API server costs no restart.
const STUCK: Duration = Duration::from_mins(13);

impl Operator {
    pub(super) fn admin(
        &self,
        context: &Arc<Context>,
        mut registry: Registry,
        watch_health: WatchHealth,
    ) -> Admin {
        registry.register_collector(Box::new(OperatorMetrics {
            context: context.clone(),
            watch_health: watch_health.clone(),
            leads: self.leads.subscribe(),
            lease: self.lease_name(),
        }));
        let (ready, live_leads) = (context.clone(), self.leads.subscribe());
        let (leads, stands_by) = (self.leads.subscribe(), self.stands_by.clone());
        Admin {
            live: Box::new(move || is_live(&watch_health, *live_leads.borrow())),
            ready: Box::new(move || is_ready(&ready, *leads.borrow(), stands_by.load(Ordering::SeqCst))),
            registry,
        }
    }
}

/// Always live without leadership, because a replica that waits for the Lease watches nothing.
fn is_live(watch_health: &WatchHealth, leads: bool) -> Result<String, String> {
    let silence = watch_health.silence();
    if leads && silence > STUCK {
        return Err(format!("the API server has not responded to any watch for {} s", silence.as_secs()));
    }
    Ok(String::new())
}

fn is_ready(context: &Context, leads: bool, stands_by: bool) -> Result<String, String> {
    let problems = problems(context);
    if !context.crds.is_good() {
        return Err("the CRDs are missing or too old: apply crds/".to_owned());
    }
    if context.breaker.state() == BreakerState::TokenRejected {
        return Err("the CDE API rejects the token".to_owned());
    }
    if context.breaker.state() == BreakerState::LoginRequired {
        return Err("a CDE login is required: run `kubectl cde login`".to_owned());
    }
    // A replica that waits for the Lease is ready to take over.
    if context.watches.any_namespace_is_listed() || stands_by {
        return Ok(problems);
    }
    let why =
        if leads { "the first list is not complete" } else { "the operator has not started; see the log" };
    Err(format!("{why}\n{problems}").trim_end().to_owned())
}

/// Lists the watches that do not work. Only the log says why, because anyone may be able to reach this port.
fn problems(context: &Context) -> String {
    let mut lines = String::new();
    for watch in context.watches.all().iter().filter(|watch| watch.error.is_some()) {
        lines += "the watch of ";
        lines += &watch.name();
        lines += " does not work; see the log\n";
    }
    lines
}
