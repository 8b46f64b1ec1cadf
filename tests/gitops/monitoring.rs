//! Monitors and rules against the CRDs of Prometheus Operator.

use cde_sandbox::controllers;
use cde_sandbox::process::scratch_dir;
use cde_sandbox::program::workspace;

use crate::controller::built;
use crate::helm;
use crate::kubernetes::{install_crds, test_env};

#[tokio::test]
async fn the_crds_of_prometheus_operator_accept_every_monitor_and_rule() {
    let crds = built(controllers::prometheus_operator_crds).await;
    for kind in ["podmonitors", "servicemonitors", "prometheusrules"] {
        let file = crds.join(format!("monitoring.coreos.com_{kind}.yaml"));
        install_crds(&["-f", &file.display().to_string()]).await;
    }
    let env = test_env().await;
    let accept = ["create", "--dry-run=server", "--validate=strict", "-f"];
    for file in ["deploy/monitoring/rules.yaml", "deploy/components/pod-monitor/pod-monitor.yaml"] {
        let file = workspace().join(file).display().to_string();
        let accept = [&accept[..], &[&file]].concat();
        env.control_plane.kubectl_ok(&accept, "").await.unwrap();
    }
    let (program, home) = (helm::program().await, scratch_dir().unwrap());
    let chart = workspace().join("deploy/chart").display().to_string();
    for monitor in ["podMonitor", "serviceMonitor"] {
        let enabled = format!(
            "image.repository=registry.example.com/cde-operator,cde.url=https://cde.example.com,cde.token.secret=token,\
             metrics.{monitor}.enabled=true,metrics.{monitor}.scrapeTimeout=5s,metrics.{monitor}.interval=15s,\
             prometheusRule.enabled=true"
        );
        let template =
            ["template", "cde-operator", &chart, "-n", &env.namespace, "-s", "templates/monitors.yaml"];
        let args = [&template[..], &["--set", &enabled]].concat();
        let monitors = helm::run(&program, &env, home.path(), &args).await.unwrap();
        assert!(monitors.to_lowercase().contains(&format!("kind: {}", monitor.to_lowercase())), "{monitors}");
        env.kubectl(&[&accept[..], &["-"]].concat(), &monitors).await;
    }
}
