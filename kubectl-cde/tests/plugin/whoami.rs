//! `kubectl cde whoami` and `version`.

use cde_operator::oauth::{Claim, Login};
use serde_json::{Value, json};

use super::fixture::{Person, SECRET, run, tokens};

async fn whoami(person: &Person, more: &[&str]) -> (i32, String) {
    let mut command = person.plugin(&["whoami", "--secret", SECRET]);
    command.args(["--authorization-url", "https://login.example.com/authorize"]).args(more);
    let ended = run(command).await;
    assert!(ended.stderr.is_empty(), "{ended:?}");
    (ended.code, ended.stdout)
}

#[tokio::test]
async fn whoami_says_whether_a_login_is_required() {
    let person = Person::new().await;
    let (code, text) = whoami(&person, &[]).await;
    assert!(code == 1 && text.contains("Login:                 none: run `kubectl cde login`"), "{text}");

    let mut refreshing = tokens("canary-a", "canary-r", -60);
    refreshing.claim = Some(Claim {
        holder: "pod-1".to_owned(),
        until: jiff::Timestamp::now() + jiff::SignedDuration::from_mins(1),
    });
    for (login, expected, says) in [
        (
            tokens("canary-a", "canary-r", 3599),
            0,
            vec!["valid; the operator refreshes it", "Token valid until:", "(in 59m"],
        ),
        (
            tokens("canary-a", "canary-r", -60),
            1,
            vec!["does not run or cannot refresh", "Token expired:", "(1m"],
        ),
        (refreshing, 0, vec!["a refresh is under way", "by pod-1, until "]),
        (
            Login { refresh_token: None, ..tokens("canary-a", "", -60) },
            1,
            vec!["expired: run `kubectl cde login`"],
        ),
        (
            Login { expires_at: None, ..tokens("canary-a", "canary-r", 0) },
            0,
            vec!["Token valid until:     unknown"],
        ),
        (Login::default(), 1, vec!["none: run"]),
    ] {
        person.store(&login).await;
        let (code, text) = whoami(&person, &[]).await;
        assert_eq!(code, expected, "{text}");
        for part in says {
            assert!(text.contains(part), "{part}: {text}");
        }
        assert!(text.contains("Authorization server:  https://login.example.com\n"), "{text}");
        let (also, json) = whoami(&person, &["-o", "json"]).await;
        assert_eq!(also, expected);
        assert!(!text.contains("canary") && !json.contains("canary"), "{text}{json}");
    }
}

#[tokio::test]
async fn json_says_the_same_to_programs() {
    let person = Person::new().await;
    let login = tokens("a", "r", 3600);
    person.store(&login).await;
    let json: Value = serde_json::from_str(&whoami(&person, &["-o", "json"]).await.1).unwrap();
    let expected = json!({
        "context": "sandbox",
        "namespace": person.namespace,
        "secret": SECRET,
        "authorizationServer": "https://login.example.com",
        "state": "valid",
        "loginRequired": false,
        "refreshable": true,
        "obtainedAt": login.obtained_at,
        "expiresAt": login.expires_at,
        "refresh": null,
    });
    assert_eq!(json, expected);
}
