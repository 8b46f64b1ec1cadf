//! No token shows anywhere, and no permission is superfluous.

use std::process::Command;
use std::time::Duration;

use cde_sandbox::process::output;

use crate::faults::request::{a_rollback, all_succeed_once, apply};
use cde_harness::{LoginEnv, SECRET, command, exposed};

/// Fault 73.
#[tokio::test]
async fn no_token_shows_in_logs_events_objects_or_metrics() {
    let login = LoginEnv::new(Duration::from_secs(4)).await;
    let first = login.log_in().await;
    let flags = login.flags().with("--log-level", "trace").env("RUST_LOG", "trace");
    let mut operator = login.env.start(flags).await;
    let request = a_rollback(&login.env.sandbox, "quiet");
    apply(&login.env, std::slice::from_ref(&request)).await;
    all_succeed_once(&login.env, std::slice::from_ref(&request)).await;
    let second = login.refreshed(1).await;
    login.server.revoke_all().await.unwrap();
    login.env.until_events(SECRET, 1).await;
    let (_, metrics) = operator.probe("/metrics").await.unwrap();
    let object = format!("{:?}", request.get(&login.env).await);
    let events = format!("{:?}{:?}", login.env.events(SECRET).await, login.env.events(&request.name).await);
    let tokens = [
        first.access_token.clone(),
        first.refresh_token.clone(),
        second.access_token.as_ref().map(exposed).unwrap().to_owned(),
        second.refresh_token.as_ref().map(exposed).unwrap().to_owned(),
    ];
    for (place, text) in
        [("log", operator.log()), ("metrics", metrics), ("object", object), ("Events", events)]
    {
        assert!(!text.is_empty(), "{place}");
        for token in &tokens {
            // The second half is random, and a part of it would be a leak as well.
            assert!(!text.contains(&token[token.len() / 2..]), "the {place} shows a token");
        }
    }
}

/// Takes each permission of the login mode away: `check` names it.
#[tokio::test]
async fn check_names_each_missing_permission_and_passes_with_exactly_these() {
    let login = LoginEnv::new(Duration::from_hours(1)).await;
    login.log_in().await;
    let all = ["get", "list", "watch", "patch"];
    for missing in all {
        let rest: Vec<_> = all.into_iter().filter(|verb| *verb != missing).collect();
        login.grant(&rest).await;
        let found = check(&login).await;
        let named = format!("{missing} secrets/{SECRET}");
        assert!(found.lines().any(|line| line.starts_with("failed") && line.contains(&named)), "{found}");
    }
    login.grant(&all).await;
    let found = check(&login).await;
    assert!(!found.contains("failed") && found.contains("holds a login and may be patched"), "{found}");
    assert!(
        found.lines().any(|line| line.starts_with("ok") && line.contains("accepts the token")),
        "{found}"
    );
}

async fn check(login: &LoginEnv) -> String {
    let kubeconfig = login.env.kubeconfig(None).await;
    let mut command: Command = command(&kubeconfig);
    let flags = login.flags();
    command.arg("check").args(&flags.args).args(["--namespaces", &login.env.namespace]);
    command.env("CDE_URL", login.env.sandbox.url()).envs(flags.env);
    let output = output(command, b"").await.unwrap();
    String::from_utf8(output.stdout).unwrap()
}
