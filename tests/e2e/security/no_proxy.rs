//! `NO_PROXY` in the forms that other programs accept, for each of the three servers that the operator calls.

use std::process::Command;
use std::time::Duration;

use cde_sandbox::process::{self, scratch_dir};
use futures::future::join_all;
use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use crate::security::tunnel::Tunnel;
use cde_harness::{LoginEnv, command, login_of};

/// Nothing listens at these addresses, and no resolver knows the names. What matters is whether the proxy is asked.
const CDE: &str = "cde.corp.test:8443";
const API_SERVER: &str = "api.corp.test:6443";

/// Runs `check` with these servers and variables. Returns whether it reached for the CDE API and for the API server through
/// the proxy.
async fn through_proxy(
    [cde, api_server]: [&str; 2],
    variables: &[(&str, &str)],
    proxy_in_kubeconfig: bool,
) -> [bool; 2] {
    let (tunnel, scratch) = (Tunnel::start("nobody", String::new()).await, scratch_dir().unwrap());
    let [token, kubeconfig] = ["token", "kubeconfig"].map(|name| scratch.path().join(name));
    std::fs::write(&token, "canary-token").unwrap();
    let mut cluster = json!({"server": format!("https://{api_server}")});
    if proxy_in_kubeconfig {
        cluster["proxy-url"] = json!(tunnel.url);
    }
    let access = json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "other", "cluster": {"server": "https://127.0.0.1:1"}}, {"name": "it", "cluster": cluster}],
        "users": [{"name": "it", "user": {"token": "canary-kubernetes"}}],
        "contexts": [{"name": "it", "context": {"cluster": "it", "user": "it"}}],
        "current-context": "it",
    });
    std::fs::write(&kubeconfig, access.to_string()).unwrap();
    let mut check: Command = command(&kubeconfig);
    check.args(["check", "--timeout=2s", "--url", &format!("https://{cde}"), "--token-file"]).arg(&token);
    for name in ["NO_PROXY", "no_proxy", "ALL_PROXY", "all_proxy"] {
        check.env_remove(name);
    }
    for (name, value) in variables {
        check.env(name, if *value == "PROXY" { &tunnel.url } else { *value });
    }
    let checked = process::output(check, b"").await.unwrap();
    assert_eq!(checked.status.code(), Some(1), "{}", String::from_utf8_lossy(&checked.stderr));
    let seen = tunnel.seen();
    [cde, api_server].map(|server| seen.contains(&format!("CONNECT {server} ")))
}

#[tokio::test]
async fn no_proxy_excepts_the_cde_api_and_the_api_server_in_each_form() {
    let (names, v4, v6) =
        ([CDE, API_SERVER], ["10.255.0.1:8443", "10.255.0.1:6443"], ["[fd00::7]:8443", "[fd00::7]:6443"]);
    let (both, none) = ([true, true], [false, false]);
    let cases = [
        (names, "other.test", both),
        (names, "corp.test", none),
        (names, ".corp.test", none),
        (names, "*.corp.test", none),
        (names, "CDE.corp.TEST", [false, true]),
        (names, "orp.test", both),
        (names, "*.corp.test:8443", [false, true]),
        (names, "api.corp.test:6443", [true, false]),
        (names, "other.test, cde.corp.test", [false, true]),
        (names, "*", none),
        (v4, "10.0.0.0/8", none),
        (v4, "10.255.0.1:6443", [true, false]),
        (v4, "11.0.0.0/8", both),
        (v6, "fd00::/8", none),
        (v6, "fd00::7", none),
        (v6, "[fd00::7]", none),
        (v6, "[fd00::7]:8443", [false, true]),
        (v6, "fe80::/10", both),
        // In the address of the proxy, it means nothing.
        (names, "127.0.0.0/8", both),
    ];
    let checks = cases.map(|(servers, list, expected)| async move {
        for (https, no) in [("HTTPS_PROXY", "NO_PROXY"), ("https_proxy", "no_proxy")] {
            let found = through_proxy(servers, &[(https, "PROXY"), (no, list)], false).await;
            assert_eq!(found, expected, "{no}={list:?} for {servers:?}");
        }
    });
    join_all(checks).await;
}

#[tokio::test]
async fn the_proxy_of_a_kubeconfig_is_used_whatever_no_proxy_says() {
    let found = through_proxy([CDE, API_SERVER], &[("NO_PROXY", "*,")], true);
    let unusable = through_proxy([CDE, API_SERVER], &[("HTTPS_PROXY", "PROXY"), ("NO_PROXY", "a,,b")], false);
    // A list that kube cannot read is an error, which ends the check of Kubernetes.
    assert_eq!(tokio::join!(found, unusable), ([false, false], [true, false]));
    let found = through_proxy([CDE, API_SERVER], &[("NO_PROXY", "*")], true).await;
    assert_eq!(found, [false, true]);
}

#[tokio::test]
async fn no_proxy_excepts_the_token_endpoint() {
    let login = LoginEnv::new(Duration::from_hours(1)).await;
    let mut expired = login_of(&login.server.new_login().await.unwrap());
    expired.expires_at = Some(Timestamp::now() - SignedDuration::from_hours(1));
    login.store(&expired).await;
    let tunnel = Tunnel::start("nobody", String::new()).await;
    let start = async |list: &str| {
        let flags = login.flags().with("--oauth-token-url", "https://login.corp.test:8443/token");
        let flags = flags.env("HTTPS_PROXY", &tunnel.url).env("NO_PROXY", list);
        login.env.start(flags.without_readiness_wait()).await
    };

    let operator = start("*.corp.test:8443").await;
    operator.wait_for_log("cannot connect to the token endpoint").await;
    assert_eq!(tunnel.seen(), "");
    drop(operator);

    let operator = start("*.corp.test:9443").await;
    operator.wait_for_log("cannot connect to the token endpoint").await;
    assert!(tunnel.seen().starts_with("CONNECT login.corp.test:8443 "), "{}", tunnel.seen());
}
