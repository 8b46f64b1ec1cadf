//! Permissions, kubeconfig flags and an API server that does not answer.

use serde_json::json;
use tokio::net::TcpListener;

use super::fixture::{Person, SECRET, VERBS, run, tokens};

#[tokio::test]
async fn a_missing_permission_is_named_before_anybody_logs_in() {
    for (missing, has_secret) in [("get", false), ("create", false), ("patch", false), ("patch", true)] {
        let verbs: Vec<&str> = VERBS.into_iter().filter(|verb| *verb != missing).collect();
        let person = Person::with_verbs(&verbs).await;
        if has_secret {
            person.store(&tokens("access-1", "refresh-1", 60)).await;
        }
        let ended = run(person.login(&["--yes"])).await;
        assert_eq!(ended.code, 3, "without {missing}: {ended:?}");
        let says =
            format!("error: you may not {missing} secrets {SECRET} in the namespace {}", person.namespace);
        assert!(ended.stderr.contains(&says), "without {missing}: {ended:?}");
        assert!(!ended.stderr.contains("\n  http"), "nobody is sent to the browser: {ended:?}");
    }
}

#[tokio::test]
async fn a_login_that_exists_is_replaced_without_the_permission_to_create() {
    let person = Person::with_verbs(&["get", "patch"]).await;
    person.store(&tokens("access-1", "refresh-1", 60)).await;
    assert_eq!(person.logged_in(&["--yes"]).await.code, 0);
}

#[tokio::test]
async fn whoami_needs_one_permission_and_names_it() {
    let person = Person::with_verbs(&["get"]).await;
    person.store(&tokens("access-1", "refresh-1", 60)).await;
    assert_eq!(run(person.plugin(&["whoami", "--secret", SECRET])).await.code, 0);
    let person = Person::with_verbs(&["create", "patch"]).await;
    let ended = run(person.plugin(&["whoami", "--secret", SECRET])).await;
    assert_eq!(ended.code, 3, "{ended:?}");
    assert!(ended.stderr.contains("you may not get secrets"), "{ended:?}");
}

#[tokio::test]
async fn kubectl_runs_the_plugin() {
    let person = Person::new().await;
    let program = std::path::Path::new(env!("CARGO_BIN_EXE_kubectl-cde"));
    let mut kubectl = person.control_plane.kubectl();
    let path = std::env::var("PATH").unwrap();
    kubectl.env("PATH", format!("{}:{path}", program.parent().unwrap().display()));
    kubectl.args(["cde", "version", "--client"]);
    let ended = run(kubectl).await;
    assert_eq!((ended.code, ended.stdout.as_str()), (0, &*format!("Plugin:    {}\n", cde_operator::VERSION)));
}

#[tokio::test]
async fn the_kubeconfig_is_chosen_as_kubectl_does() {
    let person = Person::new().await;
    person.store(&tokens("access-1", "refresh-1", 60)).await;
    let whoami = |args: &[&str], kubeconfig: &str| {
        let mut command = person.plugin(&["whoami", "--secret", SECRET]);
        command.args(args).env("KUBECONFIG", kubeconfig);
        run(command)
    };
    let real = person.kubeconfig.display().to_string();
    let other = person.scratch.path().join("other").display().to_string();
    let user = json!([{"name": "nobody", "user": {"token": "canary-token"}}]);
    let context =
        json!([{"name": "elsewhere", "context": {"cluster": "sandbox", "user": "nobody", "namespace": "n"}}]);
    let kubeconfig = json!({"apiVersion": "v1", "kind": "Config", "users": user, "contexts": context,
        "current-context": "elsewhere"});
    std::fs::write(&other, kubeconfig.to_string()).unwrap();

    // The first file of a list says which context is the current one.
    let list = format!("{other}:{real}");
    let ended = whoami(&[], &list).await;
    assert_eq!(ended.code, 3, "{ended:?}");
    assert!(ended.stderr.contains("does not accept your credentials"), "{ended:?}");
    let ended = whoami(&["--context", "sandbox"], &list).await;
    assert!(ended.code == 0 && ended.stdout.contains("Context:               sandbox"), "{ended:?}");
    let ended = whoami(&["--kubeconfig", &real], &other).await;
    assert_eq!(ended.code, 0, "{ended:?}");
    for (args, kubeconfig) in [(vec!["--context", "missing"], real.as_str()), (vec![], "/no/such/file")] {
        let ended = whoami(&args, kubeconfig).await;
        assert_eq!(ended.code, 2, "{ended:?}");
        assert!(ended.stderr.contains("check --kubeconfig, KUBECONFIG and --context"), "{ended:?}");
        assert!(!ended.stderr.contains("canary"), "{ended:?}");
    }
    let ended = whoami(&["--as", "somebody"], &real).await;
    assert_eq!(ended.code, 3, "{ended:?}");
    assert!(ended.stderr.contains("you may not impersonate this user: check --as"), "{ended:?}");
}

#[tokio::test]
async fn an_api_server_that_does_not_answer_ends_the_command_in_time() {
    let person = Person::new().await;
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let server = format!("http://{}", silent.local_addr().unwrap());
    let kubeconfig =
        person.control_plane.service_account(&person.namespace, "person", Some(&server)).await.unwrap();
    let mut command = person.plugin(&["whoami", "--secret", SECRET, "--request-timeout", "200ms"]);
    command.env("KUBECONFIG", kubeconfig).env("CDE_OAUTH_AUTHORIZATION_URL", "https://login.example.com");
    let ended = run(command).await;
    assert_eq!(ended.code, 3, "{ended:?}");
    assert!(ended.stderr.contains("cannot reach the API server"), "{ended:?}");
    drop(silent);
}

#[tokio::test]
async fn an_api_server_that_needs_no_proxy_is_reached_directly_as_with_kubectl() {
    let person = Person::new().await;
    person.store(&tokens("access-1", "refresh-1", 60)).await;
    let mut command = person.plugin(&["whoami", "--secret", SECRET]);
    // Nothing listens at this port. A server on this machine needs no proxy, whatever NO_PROXY says.
    command.env("HTTPS_PROXY", "http://127.0.0.1:1").env("NO_PROXY", "*.corp,[::1]:8443");
    let ended = run(command).await;
    assert_eq!(ended.code, 0, "{ended:?}");
}
