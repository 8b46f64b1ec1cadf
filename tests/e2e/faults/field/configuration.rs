//! Invalid label selectors end the program before it contacts anything.

use serde_json::Value;

use crate::faults::configuration::Nowhere;
use crate::faults::request::{Request, a_restore, a_rollback, ended};
use cde_harness::{Flags, TestEnv, command};

const INVALID: [&str; 9] =
    ["app in (", "app in", "app=a=b", "=a", "-app=a", "app=-a", "two words", "app notin a", "a b in (c)"];

/// Fault 56.
#[tokio::test]
async fn an_invalid_label_selector_exits_with_code_2_and_one_sentence() {
    let nowhere = Nowhere::new();
    for selector in INVALID {
        let mut flag = nowhere.run();
        flag.arg(format!("--selector={selector}"));
        nowhere.refuses(flag, selector, &["--selector", selector]).await;
        let mut variable = nowhere.run();
        variable.env("CDE_SELECTOR", selector);
        nowhere.refuses(variable, selector, &["--selector", selector]).await;
    }
}

/// Fault 56.
#[tokio::test]
async fn the_preflight_check_names_an_invalid_label_selector() {
    let env = TestEnv::new().await;
    let mut command = command(&env.kubeconfig(None).await);
    command
        .args(["check", "--output=json", "--selector=app in (", "--namespaces", &env.namespace])
        .env("CDE_URL", env.sandbox.url())
        .env("CDE_TOKEN_FILE", env.token_file());

    let output = ended(command).await;

    assert_eq!(output.status.code(), Some(1));
    let findings: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap();
    let finding = findings.iter().find(|one| one["check"] == "configuration").unwrap();
    assert_eq!(finding["verdict"], "failed", "{finding}");
    assert!(finding["message"].as_str().unwrap().contains("--selector"), "{finding}");
}

/// Fault 56: selectors that Kubernetes accepts are accepted and mean the same.
#[tokio::test]
async fn label_selectors_of_every_form_are_accepted_and_share_the_work() {
    let env = TestEnv::new().await;
    let selector = "app, !old, tier in (a, b), team notin (x), zone==z, kind != k, example.com/name=n";
    let _operator = env.start(Flags::default().with("--selector", selector)).await;
    let labels = |request: &Request, tier: &str| {
        let labels = [("app", "any"), ("tier", tier), ("zone", "z"), ("example.com/name", "n")];
        labels.iter().fold(request.manifest(), |manifest, (key, value)| manifest.label(key, value))
    };
    let [chosen, other] = [a_rollback(&env.sandbox, "chosen"), a_restore(&env.sandbox, "other")];
    env.apply_all([labels(&other, "c"), labels(&chosen, "b")]).await;

    chosen.succeeds(&env).await;

    assert_eq!(other.get(&env).await.reason(), "", "it belongs to another operator");
}
