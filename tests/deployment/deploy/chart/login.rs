//! The login mode: variables instead of a token file, and permissions on exactly one Secret.

use std::path::PathBuf;
use std::time::Duration;

use cde_harness::{LoginEnv, SECRET};
use cde_operator::oauth::key;
use cde_sandbox::control_plane::ControlPlane;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, PostParams, WatchParams};
use kube::{Api, Client};
use serde_json::{Value, json};

use super::render::lets_out;
use super::{Helm, everything, everything_of_a_login, login, rendered, values};
use crate::deploy::components;
use crate::deploy::fixture::{OPERATOR_NAMESPACE, eventually, installed, path};

#[tokio::test]
async fn a_login_sets_its_variables_and_mounts_no_token() {
    let objects = rendered(&login(json!({}))).await;
    let container = objects.container();
    assert_eq!((container.get("volumeMounts"), objects.pod()["spec"].get("volumes")), (None, None));
    let flags = objects.flags();
    for (flag, value) in [
        ("oauth-secret", Some("cde-operator-login")),
        ("oauth-client-id", Some("cde-operator")),
        ("oauth-token-url", Some("https://login.example.com/oauth2/token")),
        ("oauth-authorization-url", Some("https://login.example.com/oauth2/authorize")),
        ("oauth-assume-lifetime", Some("1h")),
        ("oauth-revocation-url", None),
        ("oauth-client-secret-file", None),
        ("oauth-scopes", None),
        ("token-file", None),
    ] {
        assert_eq!(flags.get(flag).map(String::as_str), value, "--{flag}");
    }
}

#[tokio::test]
async fn a_token_file_sets_no_variable_of_a_login_and_grants_no_access_to_secrets() {
    for values in [values(json!({})), everything()] {
        let objects = rendered(&values).await;
        let flags = objects.flags();
        assert!(flags.contains_key("token-file"), "{flags:?}");
        assert!(!flags.keys().any(|flag| flag.starts_with("oauth")), "{flags:?}");
        for role in objects.of("Role").into_iter().chain(objects.of("ClusterRole")) {
            assert!(!role["rules"].to_string().contains("secrets"), "{role}");
        }
    }
}

#[tokio::test]
async fn each_value_of_a_login_reaches_its_variable_and_the_client_secret_is_a_file() {
    let objects = rendered(&everything_of_a_login()).await;
    let flags = objects.flags();
    for (flag, value) in [
        ("oauth-secret", "login-of-a-team"),
        ("oauth-client-id", "operator-of-a-team"),
        ("oauth-token-url", "https://login.example.com:8444/oauth2/token"),
        ("oauth-authorization-url", "https://login.example.com:8444/oauth2/authorize"),
        ("oauth-revocation-url", "https://login.example.com:8445/oauth2/revoke"),
        ("oauth-client-secret-file", "/var/run/secrets/cde-oauth/client-secret"),
        ("oauth-scopes", "connectors.read connectors.write"),
        ("oauth-assume-lifetime", "30m"),
    ] {
        assert_eq!(flags.get(flag).map(String::as_str), Some(value), "--{flag}");
    }
    let volume = &objects.pod()["spec"]["volumes"][0];
    let secret =
        json!({"secretName": "client-of-a-team", "items": [{"key": "secret", "path": "client-secret"}]});
    assert_eq!(volume["secret"], secret);
    let mount = &objects.container()["volumeMounts"][0];
    assert_eq!(
        (&mount["name"], &mount["mountPath"]),
        (&volume["name"], &json!("/var/run/secrets/cde-oauth"))
    );
}

#[tokio::test]
async fn invalid_values_of_a_login_are_rejected_with_a_sentence_that_names_them() {
    let helm = Helm::new().await;
    let oauth = |name: &str, value: &str| json!({"cde": {"oauth": {name: value}}});
    for (wrong, words) in [
        // Two modes at once, and none.
        (json!({"cde": {"token": {"secret": "cde-operator-token"}}}), "/cde/token/secret': value must be ''"),
        (oauth("secretName", ""), "set one of cde.token.secret and cde.oauth.secretName"),
        (oauth("clientId", ""), "cde.oauth.clientId is required in login mode"),
        (oauth("tokenUrl", ""), "cde.oauth.tokenUrl is required in login mode"),
        (oauth("authorizationUrl", ""), "cde.oauth.authorizationUrl is required in login mode"),
        (oauth("tokenUrl", "http://login.example.com"), "cde.oauth.tokenUrl must begin with https://"),
        (oauth("authorizationUrl", "login"), "cde.oauth.authorizationUrl must begin with https://"),
        (oauth("revocationUrl", "login"), "cde.oauth.revocationUrl must begin with https://"),
        (
            oauth("tokenUrl", "https://me:secret@login.example.com"),
            "cde.oauth.tokenUrl must not contain a user",
        ),
        (
            oauth("assumeLifetime", "an hour"),
            "cde.oauth.assumeLifetime is \"an hour\", which is not a duration",
        ),
        (oauth("assumeLifetime", "999ms"), "cde.oauth.assumeLifetime must be at least 1s"),
        (oauth("clientSecret", "secret"), "/cde/oauth/clientSecret"),
        (oauth("refreshToken", "secret"), "'refreshToken'"),
        (
            json!({"terminationGracePeriodSeconds": 39}),
            "terminationGracePeriodSeconds must be at least cde.timeout (30s) plus 10 s",
        ),
    ] {
        let refused = helm.yaml("cde-operator", &login(wrong.clone())).await;
        let error = refused.err().unwrap_or_else(|| panic!("{wrong} is not rejected"));
        assert!(error.contains(words), "{wrong} does not say {words:?}: {error}");
        assert!(!error.contains("me:secret"), "{error}");
    }
}

/// A request to the token endpoint has the timeout of a call to the CDE API.
#[tokio::test]
async fn a_stopping_pod_has_time_to_finish_and_store_a_refresh() {
    for (timeout, seconds) in [("100ms", 16), ("30s", 45), ("1m30s", 105)] {
        let objects = rendered(&login(json!({"cde": {"timeout": timeout}}))).await;
        assert_eq!(objects.pod()["spec"]["terminationGracePeriodSeconds"], seconds, "{timeout}");
    }
}

#[tokio::test]
async fn the_network_policy_allows_egress_to_the_authorization_server() {
    let oauth = |values: Value| json!({"cde": {"oauth": values}});
    for (more, ports) in [
        (json!({}), vec![443]),
        (oauth(json!({"tokenUrl": "https://login.example.com:8443/token"})), vec![8443]),
        (oauth(json!({"revocationUrl": "https://login.example.com/revoke"})), vec![443]),
        (oauth(json!({"revocationUrl": "https://login.example.com:8444/revoke"})), vec![443, 8444]),
        (json!({"proxy": {"https": "http://proxy:3128"}}), vec![3128]),
        (json!({"proxy": {"http": "http://proxy:3129"}}), vec![443]),
        (json!({"networkPolicy": {"oauth": {"ports": [7]}}}), vec![7]),
    ] {
        let egress = lets_out(login(more.clone())).await;
        assert_eq!((egress.len(), egress.last()), (4, Some(&ports)), "{more}");
    }
    let policy = rendered(&everything_of_a_login()).await;
    let egress = &policy.only("NetworkPolicy")["spec"]["egress"][3];
    assert_eq!(egress["to"], json!([{"ipBlock": {"cidr": "198.51.100.0/24"}}]));
}

#[tokio::test]
async fn the_role_of_a_login_and_the_pod_match_those_of_the_kustomize_component() {
    let component = components::login().await;
    let chart = rendered(&login(json!({}))).await;
    for kind in ["Role", "RoleBinding"] {
        let named =
            |object: &&Value| object["kind"] == kind && object["metadata"]["name"] == "cde-operator-login";
        let theirs = component.iter().find(named).unwrap();
        let ours = chart.named(kind, "cde-operator-login");
        for part in ["rules", "roleRef", "subjects"] {
            assert_eq!(ours[part], theirs[part], "{kind}");
        }
        assert_eq!(ours["metadata"]["namespace"], theirs["metadata"]["namespace"]);
    }
    let deployment = component.iter().find(|object| object["kind"] == "Deployment").unwrap();
    let [ours, theirs] = [chart.pod(), &deployment["spec"]["template"]].map(|pod| {
        let mut spec = pod["spec"].clone();
        let container = spec["containers"][0].as_object_mut().unwrap();
        // The sources of the configuration differ, and one of them leaves empty lists.
        for differs in ["args", "env", "envFrom", "image", "imagePullPolicy"] {
            container.remove(differs);
        }
        container.retain(|_, value| *value != json!([]));
        spec.as_object_mut().unwrap().retain(|_, value| *value != json!([]));
        spec
    });
    assert_eq!(ours, theirs);
}

#[tokio::test]
async fn roles_from_elsewhere_leave_out_the_role_of_a_login() {
    let without = rendered(&login(json!({"rbac": {"create": false}}))).await;
    assert!(without.of("Role").is_empty() && without.of("RoleBinding").is_empty());
}

fn secret(name: &str) -> Secret {
    let secret = json!({"metadata": {"name": name}, "stringData": {(key::ACCESS_TOKEN): "of-a-test"}});
    serde_json::from_value(secret).unwrap()
}

/// Returns whether the API server forbids this. Any other error fails the test.
fn forbidden<T>(result: kube::Result<T>) -> bool {
    match result {
        Ok(_) => false,
        Err(kube::Error::Api(status)) if status.code == 403 => true,
        Err(error) => panic!("{error}"),
    }
}

/// Installs the chart in `namespace`, and returns a kubeconfig of its account.
async fn account_in(control_plane: &ControlPlane, namespace: &str) -> PathBuf {
    let helm = Helm::of(control_plane).await;
    let values = login(json!({
        "crds": {"enabled": false}, "warnings": {"enabled": false}, "rbac": {"userRoles": false},
        "namespaces": [namespace],
    }));
    let install = ["install", "login", &path("deploy/chart"), "-n", namespace, "--create-namespace"];
    helm.ok(&install, &values).await;
    control_plane.service_account(namespace, "login-cde-operator", None).await.unwrap()
}

/// Returns a client of the chart's account in `namespace`, which has the Secrets `cde-operator-login` and `other`.
async fn operator_of(namespace: &str) -> Client {
    let control_plane = installed().await;
    let account = account_in(control_plane, namespace).await;
    let secrets: Api<Secret> = Api::namespaced(control_plane.admin().await.unwrap(), namespace);
    for name in ["cde-operator-login", "other"] {
        secrets.create(&PostParams::default(), &secret(name)).await.unwrap();
    }
    control_plane.client(&account).await.unwrap()
}

#[tokio::test]
async fn the_operator_keeps_a_login_alive_with_the_permissions_of_the_chart() {
    let login = LoginEnv::new(Duration::from_secs(4)).await;
    let account = account_in(&login.env.control_plane, &login.env.namespace).await;
    login.log_in().await;
    let operator = login.env.start_as(&account, login.flags()).await;
    login.refreshed(2).await;
    login.server.revoke_all().await.unwrap();
    let events = login.env.until_events(SECRET, 1).await;
    assert_eq!(events[0].1, "LoginRequired", "{events:?}");
    // By now it has listed, watched, patched and read the Secret.
    assert!(!operator.log().contains("forbidden"), "{}", operator.log());
}

#[tokio::test]
async fn the_operator_may_read_and_patch_its_login_and_no_other_secret() {
    let namespace = "operator-with-a-login";
    let secrets: Api<Secret> = Api::namespaced(operator_of(namespace).await, namespace);
    eventually("the binding is in force", async || secrets.get("cde-operator-login").await.is_ok()).await;

    let only = "metadata.name=cde-operator-login";
    let listed = secrets.list(&ListParams::default().fields(only)).await.unwrap();
    assert_eq!(listed.items.len(), 1);
    assert!(!forbidden(secrets.watch(&WatchParams::default().fields(only), "0").await));
    let change = Patch::Merge(json!({"stringData": {(key::CLAIM): "of-a-test"}}));
    let parameters = PatchParams::default();
    secrets.patch("cde-operator-login", &parameters, &change).await.unwrap();

    assert!(forbidden(secrets.list(&ListParams::default()).await), "it lists all Secrets");
    assert!(forbidden(secrets.watch(&WatchParams::default(), "0").await), "it watches all Secrets");
    assert!(forbidden(secrets.get("other").await), "it reads another Secret");
    assert!(forbidden(secrets.patch("other", &parameters, &change).await), "it patches another Secret");
    let own = secret("cde-operator-login");
    assert!(
        forbidden(secrets.replace("cde-operator-login", &PostParams::default(), &own).await),
        "it replaces"
    );
    assert!(forbidden(secrets.create(&PostParams::default(), &secret("new")).await), "it creates");
    assert!(forbidden(secrets.delete("cde-operator-login", &DeleteParams::default()).await), "it deletes");
}

#[tokio::test]
async fn the_notes_say_how_to_log_in_and_how_to_see_that_a_login_is_needed() {
    let control_plane = installed().await;
    let helm = Helm::of(control_plane).await;
    let create = ["create", "secret", "generic", "logged-in", "-n", OPERATOR_NAMESPACE, "--from-literal=a=b"];
    control_plane.kubectl_ok(&create, "").await.unwrap();
    for (secret, missing) in [("nobody-logged-in", true), ("logged-in", false)] {
        let values = login(json!({
            "crds": {"enabled": false}, "rbac": {"userRoles": false}, "cde": {"oauth": {"secretName": secret}},
        }));
        let install =
            ["install", "notes", &path("deploy/chart"), "-n", OPERATOR_NAMESPACE, "--dry-run=server"];
        let told = helm.ok(&install, &values).await;
        let (_, notes) = told.split_once("NOTES:").unwrap();
        assert_eq!(notes.contains("Nobody has logged in"), missing, "{notes}");
        assert!(notes.contains(&format!("kubectl cde login -n {OPERATOR_NAMESPACE}\n")), "{notes}");
        assert!(notes.contains("--field-selector status.reason=LoginRequired"), "{notes}");
        assert!(!notes.contains("create secret"), "{notes}");
    }
}
