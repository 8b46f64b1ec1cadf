//! What the probes ask.

use std::sync::Arc;

use prometheus_client::registry::Registry;
use tokio::sync::watch;

use crate::controller::{STUCK, Shared};
use crate::runtime::admin::Admin;
use crate::runtime::progress::Progress;

use super::Operator;

impl Operator {
    pub(super) fn admin(
        &self,
        shared: &Arc<Shared>,
        registry: Registry,
        listed: watch::Receiver<usize>,
        watches: usize,
        progress: Progress,
    ) -> Admin {
        let (gate, crds) = (shared.gate.clone(), shared.crds.clone());
        let leader_election = self.args.leader_election;
        let watching = listed.clone();
        Admin {
            live: Box::new(move || {
                let silence = progress.longest_silence();
                if *watching.borrow() > 0 && silence > STUCK {
                    return Err(format!("a watch has made no progress for {} s", silence.as_secs()));
                }
                Ok(())
            }),
            ready: Box::new(move || {
                if !crds.is_good() {
                    return Err(
                        "the custom resource definitions are missing or too old: apply crds/".to_owned()
                    );
                }
                if gate.token_refused() {
                    return Err("the CDE API refuses the token".to_owned());
                }
                // A replica that waits for the Lease is ready to take over.
                if *listed.borrow() < watches && !leader_election {
                    return Err("the first list is not complete".to_owned());
                }
                Ok(())
            }),
            registry,
        }
    }
}
