//! What to do with a demo that is left running.

use std::path::Path;

use super::NAMESPACE;
use super::screen::{heading, say};
use super::stage::Stage;

/// Says how to reach everything, and what to try.
pub(crate) fn explain(stage: &Stage) {
    let Stage { operator, sandbox, control_plane, .. } = stage;
    let kubectl = control_plane.kubectl();
    let programs = Path::new(kubectl.get_program()).parent().unwrap_or(Path::new("."));
    heading("All of it goes on running; Ctrl-C here ends it. In another terminal:");
    say(&format!(
        r#"export KUBECONFIG={kubeconfig}
export PATH={programs}:$PATH   # the kubectl of this release

kubectl get cde -n {NAMESPACE} -w
kubectl patch mrb voucher-feed-on-hold -n {NAMESPACE} --type=merge -p '{{"spec": {{"suspend": false}}}}'
kubectl annotate crst mistyped-connector -n {NAMESPACE} cde.productsup.com/retry="$(date -u +%FT%TZ)" --overwrite
kubectl get mrb -A --field-selector status.outcome=Failed

# The CDE: what it holds, what it was asked, and a fault for the next rollback
curl {cde}/_sandbox/connectors
curl {cde}/_sandbox/ledger
curl -X POST {cde}/_sandbox/faults -d '{{"operation": "rollback", "status": 429, "headers": [["retry-after", "5"]]}}'

# The operator
tail -f {log}
curl {operator}/metrics"#,
        kubeconfig = control_plane.kubeconfig().display(),
        programs = programs.display(),
        cde = sandbox.url(),
        log = operator.log.display(),
        operator = operator.url,
    ));
}
