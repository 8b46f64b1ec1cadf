//! A login from the first line to the Secret.

use cde_operator::oauth::{Claim, key};
use cde_sandbox::authorization_server::{CLIENT_SECRET, CONFIDENTIAL_CLIENT_ID};
use k8s_openapi::jiff::Timestamp;

use super::fixture::{Person, SECRET, Waiting, run, tokens};
use super::web::{Browser, visit};

#[tokio::test]
async fn a_login_with_a_pasted_address_creates_the_secret() {
    let person = Person::new().await;
    let ended = person.logged_in(&[]).await;
    assert_eq!(ended.code, 0, "{ended:?}");
    for line in [
        "Context:               sandbox\n".to_owned(),
        format!("Namespace:             {}\n", person.namespace),
        format!("Secret:                {SECRET}\n"),
        format!("Authorization server:  {}\n", person.server.issuer()),
    ] {
        assert!(ended.stderr.contains(&line), "{line}: {}", ended.stderr);
    }
    let done = format!("Logged in: the Secret {}/{SECRET} holds the login, and ", person.namespace);
    assert!(ended.stdout.starts_with(&done), "{}", ended.stdout);

    let secret = person.secret().await.unwrap();
    let label = secret.metadata.labels.as_ref().unwrap().get("app.kubernetes.io/managed-by");
    assert_eq!((secret.type_.as_deref(), label.map(String::as_str)), (Some("Opaque"), Some("cde-operator")));
    let managers = secret.metadata.managed_fields.unwrap();
    assert!(managers.iter().all(|entry| entry.manager.as_deref() == Some("cde-cli")), "{managers:?}");
    let stored = person.stored().await;
    let keys: Vec<&str> = stored.keys().map(String::as_str).collect();
    assert_eq!(keys, [key::ACCESS_TOKEN, key::EXPIRES_AT, key::OBTAINED_AT, key::REFRESH_TOKEN]);
    assert!(person.server.is_active(&stored[key::ACCESS_TOKEN]).await.unwrap());
    let lifetime = stored[key::EXPIRES_AT]
        .parse::<Timestamp>()
        .unwrap()
        .duration_since(stored[key::OBTAINED_AT].parse().unwrap());
    assert!((3590..=3600).contains(&lifetime.as_secs()), "{stored:?}");
}

#[tokio::test]
async fn a_login_in_the_browser_replaces_the_old_one_with_its_claim() {
    let person = Person::new().await;
    let mut old = tokens("old-access", "old-refresh", 60);
    old.claim = Some(Claim { holder: "pod-1".to_owned(), until: Timestamp::now() });
    person.store(&old).await;
    let browser = Browser::new(person.scratch.path());
    let mut command = person.plugin(&["login", "--yes"]);
    command.args(person.flags()).env("BROWSER", &browser.program);
    let waiting = Waiting::start(command).await;
    let opened = browser.opened().await;
    assert_eq!(opened, waiting.url);
    assert_eq!(opened.query_pairs().find(|(key, _)| key == "code_challenge_method").unwrap().1, "S256");
    let redirect = person.server.log_in(&opened).await.unwrap();
    let (status, page) = visit(&redirect).await;
    assert_eq!(status, 200);
    assert!(page.contains("You can close this page") && !page.contains("<script"), "{page}");
    let code = redirect.query_pairs().find(|(key, _)| key == "code").unwrap().1.into_owned();
    assert!(!page.contains(&code), "{page}");
    let ended = waiting.end().await;
    assert_eq!(ended.code, 0, "{ended:?}");
    let stored = person.stored().await;
    assert!(person.server.is_active(&stored[key::ACCESS_TOKEN]).await.unwrap());
    assert_ne!(stored[key::REFRESH_TOKEN], "old-refresh");
    assert!(!stored.contains_key(key::CLAIM), "the claim of the old login is gone");
}

#[tokio::test]
async fn a_browser_that_cannot_be_opened_leaves_the_url() {
    let person = Person::new().await;
    for browser in ["/no/such/browser", "false"] {
        let mut command = person.plugin(&["login", "--yes"]);
        command.args(person.flags()).env("BROWSER", browser);
        let mut waiting = Waiting::start(command).await;
        waiting.until("Cannot open a browser").await;
        visit(&person.server.log_in(&waiting.url).await.unwrap()).await;
        assert_eq!(waiting.end().await.code, 0);
    }
}

#[tokio::test]
async fn a_port_that_is_forwarded_by_ssh_can_be_chosen_and_is_named_if_it_is_in_use() {
    let person = Person::new().await;
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let ended = run(person.login(&["--port", &port])).await;
    assert_eq!(ended.code, 2, "{ended:?}");
    assert!(ended.stderr.contains(&format!("port {port} of 127.0.0.1")) && ended.stderr.contains("--port"));
    drop(taken);
    let waiting = Waiting::start(person.login(&["--port", &port])).await;
    assert_eq!(waiting.redirect_uri().as_str(), format!("http://127.0.0.1:{port}/callback"));
    // Without a browser here, a forwarded port reaches the listener, too.
    visit(&person.server.log_in(&waiting.url).await.unwrap()).await;
    assert_eq!(waiting.end().await.code, 0);
}

#[tokio::test]
async fn a_login_that_nobody_completes_ends_by_itself_and_changes_nothing() {
    let person = Person::new().await;
    let ended = run(person.login(&["--login-timeout", "200ms"])).await;
    assert_eq!(ended.code, 1, "{ended:?}");
    assert!(ended.stderr.contains("nobody logged in within 200ms"), "{ended:?}");
    assert!(person.secret().await.is_none());
}

#[tokio::test]
async fn a_confidential_client_uses_its_secret_and_a_wrong_one_is_named() {
    let person = Person::new().await;
    let file = person.scratch.path().join("client-secret");
    let path = file.display().to_string();
    for (secret, code) in [(CLIENT_SECRET, 0), ("wrong", 2)] {
        std::fs::write(&file, secret).unwrap();
        let mut flags = person.flags();
        flags[3] = CONFIDENTIAL_CLIENT_ID.to_owned();
        let mut command = person.plugin(&["login", "--no-browser", "--yes", "--client-secret-file", &path]);
        command.args(flags);
        let mut waiting = Waiting::start(command).await;
        let redirect = person.server.log_in(&waiting.url).await.unwrap();
        waiting.paste(redirect.as_str()).await;
        let ended = waiting.end().await;
        assert_eq!(ended.code, code, "{ended:?}");
        assert!(code == 0 || ended.stderr.contains("invalid_client"), "{ended:?}");
    }
}
