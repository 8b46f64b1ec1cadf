//! The cost of one object at the API server: requests, from its audit log, and watch traffic, measured by a proxy.

use anyhow::Result;
use cde_sandbox::control_plane::{AuditEvent, OPERATOR_NAMESPACE};
use cde_sandbox::proxy::Proxy;

use super::{Scenario, Size};
use crate::crowd::Crowd;
use crate::figure::{Figures, Goal};
use crate::kind::Kind;
use crate::ledger::Ledger;
use crate::script;
use crate::stage::{ACCOUNT, Stage};
use crate::statistics::count;
use crate::traffic::Traffic;

pub(crate) const SCENARIO: Scenario = Scenario {
    name: "requests",
    about: "requests per object to the API server and to the CDE, and watch traffic, with a ready operator",
    size: Size { objects: 500, concurrency: 0, minutes: 0.0 },
    smoke: Some(Size { objects: 5, concurrency: 0, minutes: 0.0 }),
    run: |stage, size| Box::pin(run(stage, size)),
};

async fn run(stage: &Stage, size: &Size) -> Result<Figures> {
    let (cde, namespace) = (stage.cde().await?, stage.namespace("requests").await?);
    let proxy = Proxy::start(&stage.plane).await?;
    let through = stage.plane.service_account(OPERATOR_NAMESPACE, ACCOUNT, Some(proxy.url())).await?;
    let like = script::new_objects(stage).await?;
    let operator = stage.operator_as(&through, &cde, &namespace, &["--rate", "0"]).await?;
    let before = watched(&proxy);
    let crowd = Crowd::new(&namespace, size.objects);
    crowd.known_to(&cde).await?;
    crowd.store(stage, &like, |_, _| ()).await?;
    stage.all_succeeded(&namespace, super::patience(crowd.len())).await?;
    let traffic = Traffic::with_events(stage, &namespace, crowd.len()).await?;
    operator.stop().await?;

    let each = count(size.objects);
    let mut figures = Figures::default();
    for kind in Kind::ALL {
        let of_kind = |event: &AuditEvent| event.resource == kind.plural();
        let writes = count(traffic.count(|event| of_kind(event) && event.subresource == "status")) / each;
        let reads = count(traffic.count(|event| of_kind(event) && event.verb == "get")) / each;
        let word = kind.word();
        figures.judge(format!("{word}: status writes"), "1/object", writes, Goal::AtMost(2.0));
        figures.judge(format!("{word}: reads"), "1/object", reads, Goal::AtMost(0.0));
    }
    let events = count(traffic.count(|event| event.resource == "events")) / (2.0 * each);
    figures.judge("Events", "1/object", events, Goal::AtMost(1.0));
    figures.add("lists in total", "", count(traffic.count(|event| event.verb == "list")));
    let ledger = Ledger::of(&cde).await?;
    let reads = count(ledger.calls.iter().filter(|call| call.method == "GET").count()) / each;
    figures.judge("CDE calls that read", "1/rollback", reads, Goal::AtMost(1.0));
    let changes = count(ledger.calls.iter().filter(|call| call.method != "GET").count()) / (2.0 * each);
    figures.judge("CDE calls that change", "1/object", changes, Goal::AtMost(1.0));
    let bytes = watched(&proxy) - before;
    figures.add("watches", "kB/object", bytes / 1000.0 / (2.0 * each));
    Ok(figures)
}

/// Returns the bytes of all watches so far.
fn watched(proxy: &Proxy) -> f64 {
    let watches = proxy.ledger().into_iter().filter(|exchange| exchange.call.is_watch());
    watches.map(|exchange| count(usize::try_from(exchange.response_bytes).unwrap_or_default())).sum()
}
