//! Instructions for a demo that keeps running.

use std::path::Path;

use cde_sandbox::authorization_server::{PASSWORD, USER};
use cde_sandbox::control_plane::OPERATOR_NAMESPACE;

use super::environment::Environment;
use super::terminal::{heading, say};
use super::{NAMESPACE, login};

/// Prints how to reach everything and what to try.
pub(crate) fn explain(environment: &Environment) {
    let Environment { operator, sandbox, server, plugin, control_plane, .. } = environment;
    let kubectl = control_plane.kubectl();
    let directory = |program: &'_ Path| program.parent().unwrap_or(Path::new(".")).display().to_string();
    let programs = [Path::new(kubectl.get_program()), plugin].map(directory).join(":");
    let settings = login::plugin_settings(server).map(|(name, value)| format!("export {name}={value}"));
    heading("Everything keeps running until you press Ctrl-C here. Try this in another terminal:");
    say(&format!(
        r#"export KUBECONFIG={kubeconfig}
export PATH={programs}:$PATH   # kubectl of the same Kubernetes release, and kubectl cde

kubectl get cde -n {NAMESPACE} -w
kubectl patch mrb voucher-feed-on-hold -n {NAMESPACE} --type=merge -p '{{"spec": {{"suspend": false}}}}'
kubectl annotate crst mistyped-connector -n {NAMESPACE} cde.productsup.com/retry="$(date -u +%FT%TZ)" --overwrite
kubectl get mrb -A --field-selector status.outcome=Failed

# Log in by hand: `logout` ends the login of the demo, and all requests wait (LoginRequired) until `login`, which opens a
# browser. Log in there as {USER} with the password {PASSWORD}. Without a browser, add --no-browser.
{settings}
kubectl cde whoami -n {OPERATOR_NAMESPACE}
kubectl cde logout -n {OPERATOR_NAMESPACE}
kubectl cde login -n {OPERATOR_NAMESPACE}

# CDE sandbox: list the connectors and the calls, and make the next rollback fail with a 429
curl {cde}/_sandbox/connectors
curl {cde}/_sandbox/ledger
curl -X POST {cde}/_sandbox/faults -d '{{"operation": "rollback", "status": 429, "headers": [["retry-after", "5"]]}}'

# The operator
tail -f {log}
curl {operator}/metrics"#,
        kubeconfig = control_plane.kubeconfig().display(),
        settings = settings.join("\n"),
        cde = sandbox.url(),
        log = operator.log.display(),
        operator = operator.url,
    ));
}
