//! What `kubectl apply` warns about, as `deploy/` and the chart install it.

use cde_sandbox::cde::new_id;
use serde_json::json;

use crate::policies::governed::{governed, until};
use cde_harness::{Manifest, TestEnv, from_now, restore, rollback};

const HOUR: i64 = 3600;
const DAY: i64 = 24 * HOUR;
/// Makes kubectl fail where it would print a warning, so that a test can read it.
const STRICT: &str = "--warnings-as-errors";

const EXPIRES: &str = "is in the past: this request will expire without a call";
const SKIPPED: &str = "is more than a day in the past: the operator will skip this request and call nothing";

async fn warned() -> TestEnv {
    let env = governed("*").await;
    let late = restore("probe", new_id()).spec("notAfter", from_now(-HOUR));
    until(&env, &[STRICT], &late, Some(EXPIRES)).await;
    let hook = restore("probe", new_id()).annotation("helm.sh/hook", "pre-install");
    until(&env, &[STRICT], &hook, Some("makes this object a hook")).await;
    env
}

/// Both kinds with this limit.
fn both(not_after: &str) -> [Manifest; 2] {
    [restore("out", new_id()), rollback("back", new_id(), "main")]
        .map(|manifest| manifest.spec("notAfter", not_after.to_owned()))
}

async fn warning(env: &TestEnv, verb: &str, yaml: &str) -> String {
    let told = env.try_kubectl(&[verb, STRICT, "--dry-run=server", "-f", "-"], yaml).await;
    told.expect_err("there is a warning")
}

#[tokio::test]
async fn a_limit_that_has_passed_gets_a_warning_that_says_what_will_happen() {
    let env = warned().await;
    for (seconds, words) in
        [(-1, EXPIRES), (-DAY + HOUR, EXPIRES), (-DAY - 60, SKIPPED), (-400 * DAY, SKIPPED)]
    {
        for manifest in both(&from_now(seconds)) {
            let warning = warning(&env, "apply", &manifest.yaml()).await;
            assert!(warning.contains(words), "{seconds}: {warning}");
            let other = if words == EXPIRES { SKIPPED } else { EXPIRES };
            assert!(!warning.contains(other), "{seconds}: {warning}");
        }
    }
    for manifest in both("2025-06-30T00:00:00+02:00") {
        assert!(
            warning(&env, "apply", &manifest.yaml())
                .await
                .contains("spec.notAfter (2025-06-30T00:00:00+02:00)")
        );
    }
}

#[tokio::test]
async fn a_request_with_a_warning_is_created_all_the_same() {
    let env = warned().await;
    for manifest in both(&from_now(-HOUR)) {
        env.apply(&manifest.annotation("argocd.argoproj.io/hook", "PreSync")).await;
    }
}

#[tokio::test]
async fn a_request_without_a_mistake_gets_no_warning_and_one_that_is_edited_only_for_what_changes() {
    let env = warned().await;
    let sound = restore("sound", new_id());
    env.kubectl(&["create", STRICT, "-f", "-"], &sound.yaml()).await;
    for manifest in both(&from_now(HOUR)) {
        env.kubectl(&["create", STRICT, "-f", "-"], &manifest.yaml()).await;
        env.kubectl(&["apply", "--server-side", "--force-conflicts", STRICT, "-f", "-"], &manifest.yaml())
            .await;
    }
    let late = rollback("late", new_id(), "main")
        .spec("notAfter", from_now(-DAY - HOUR))
        .annotation("helm.sh/hook", "test");
    env.apply(&late).await;
    let suspend = json!({"spec": {"suspend": true}}).to_string();
    env.kubectl(&["patch", STRICT, "mrb", "late", "--type=merge", "-p", &suspend], "").await;
    for (name, change, words) in [
        ("back", json!({"spec": {"notAfter": "2001-01-01T00:00:00Z"}}), SKIPPED),
        (
            "back",
            json!({"metadata": {"annotations": {"helm.sh/hook": "test"}}}),
            "the annotation helm.sh/hook makes",
        ),
    ] {
        let patch = ["patch", STRICT, "mrb", name, "--type=merge", "-p", &change.to_string()];
        let warning = env.try_kubectl(&patch, "").await.expect_err("there is a warning");
        assert!(warning.contains(words), "{warning}");
    }
}

#[tokio::test]
async fn hooks_and_generated_names_get_a_warning_because_each_object_is_a_new_request() {
    let env = warned().await;
    for hook in ["helm.sh/hook", "argocd.argoproj.io/hook"] {
        for manifest in both(&from_now(HOUR)) {
            let warning = warning(&env, "apply", &manifest.annotation(hook, "PreSync").yaml()).await;
            assert!(
                warning.contains(&format!("the annotation {hook} makes this object a hook")),
                "{warning}"
            );
            assert!(!warning.contains("generateName"), "{warning}");
        }
    }
    for manifest in both(&from_now(HOUR)) {
        let mut generated: serde_json::Value = serde_saphyr::from_str(&manifest.yaml()).unwrap();
        let metadata = generated["metadata"].as_object_mut().unwrap();
        metadata.remove("name");
        metadata.insert("generateName".to_owned(), json!("again-"));
        let warning = warning(&env, "create", &generated.to_string()).await;
        assert!(warning.contains("metadata.generateName gives each object another name"), "{warning}");
    }
}
