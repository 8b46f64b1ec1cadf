//! Instructions for a demo that keeps running.

use std::path::Path;

use super::NAMESPACE;
use super::environment::Environment;
use super::terminal::{heading, say};

/// Prints how to reach everything and what to try.
pub(crate) fn explain(environment: &Environment) {
    let Environment { operator, sandbox, control_plane, .. } = environment;
    let kubectl = control_plane.kubectl();
    let programs = Path::new(kubectl.get_program()).parent().unwrap_or(Path::new("."));
    heading("Everything keeps running until you press Ctrl-C here. Try this in another terminal:");
    say(&format!(
        r#"export KUBECONFIG={kubeconfig}
export PATH={programs}:$PATH   # kubectl of the same Kubernetes release

kubectl get cde -n {NAMESPACE} -w
kubectl patch mrb voucher-feed-on-hold -n {NAMESPACE} --type=merge -p '{{"spec": {{"suspend": false}}}}'
kubectl annotate crst mistyped-connector -n {NAMESPACE} cde.productsup.com/retry="$(date -u +%FT%TZ)" --overwrite
kubectl get mrb -A --field-selector status.outcome=Failed

# CDE sandbox: list the connectors and the calls, and make the next rollback fail with a 429
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
