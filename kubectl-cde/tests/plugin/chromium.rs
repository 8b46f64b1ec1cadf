//! A login in a real browser: a headless Chromium that the plugin itself opens.
//!
//! The test installs what it needs: playwright-core with npm, and Chromium with apt where it may. Without them, it says why
//! in one line, and fails where `CI` is set.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use cde_operator::oauth::key;
use cde_sandbox::authorization_server::{PASSWORD, USER};
use serde_json::Value;

use super::fixture::{Person, Waiting};
use super::web::{content, executable};

const CHROMIUM: &str = "chromium";
const INSTALL: &str = "apt-get install --yes --no-install-recommends chromium";
/// A first start of Chromium on a busy machine takes longer than anything else here.
const LIMIT: Duration = Duration::from_mins(3);

#[tokio::test]
async fn a_person_logs_in_with_chromium() {
    let modules = match tools().await {
        Ok(modules) => modules,
        Err(why) => {
            let is_ci = std::env::var_os("CI").is_some_and(|value| !value.is_empty());
            assert!(!is_ci, "the test in Chromium cannot run: {why}");
            eprintln!("skipped the test in Chromium: {why}");
            return;
        }
    };
    let person = Person::new().await;
    let page = person.scratch.path().join("page");
    let browser = browser(&person, &modules, &page);
    let mut command = person.plugin(&["login", "--login-timeout", "3m"]);
    command
        .args(person.flags())
        .env("BROWSER", browser)
        .env("LOGIN_USER", USER)
        .env("LOGIN_PASSWORD", PASSWORD);
    let ended = Waiting::start(command).await.end_within(LIMIT).await;
    assert_eq!(ended.code, 0, "{ended:?}");
    let stored = person.stored().await;
    assert!(person.server.is_active(&stored[key::ACCESS_TOKEN]).await.unwrap());

    // The page is written after the login is complete, by a program that the plugin does not wait for.
    let page: Value = serde_json::from_str(&content(&page).await).unwrap();
    assert_eq!(page["title"], "Return to the terminal");
    assert_eq!(page["scripts"], 0);
    // A browser asks for a favicon by itself, and reports that there is none.
    let problems = page["problems"].as_array().unwrap();
    assert!(problems.iter().all(|problem| problem.as_str().unwrap().contains("404")), "{problems:?}");
    let html = page["html"].as_str().unwrap();
    assert!(!html.contains(&stored[key::ACCESS_TOKEN]) && !html.contains("code="), "{html}");
}

/// Returns a program that logs in with Chromium and writes what it sees to `page`.
fn browser(person: &Person, modules: &Path, page: &Path) -> PathBuf {
    let (program, script) = (person.scratch.path().join("browser"), modules.join("login.mjs"));
    let profile = person.scratch.path().join("tmp");
    std::fs::create_dir(&profile).unwrap();
    let line = format!(
        "#!/bin/sh\nexec 2>'{0}.log'\nexport TMPDIR='{1}'\nnode '{2}' \"$(command -v {CHROMIUM})\" \"$1\" >'{0}.new' \
         && mv '{0}.new' '{0}'\n",
        page.display(),
        profile.display(),
        script.display(),
    );
    executable(&program, &line);
    program
}

/// Returns the directory with the script and its modules, after installing what is missing.
async fn tools() -> Result<PathBuf, String> {
    if !is_there("npm").await || !is_there("node").await {
        return Err("it needs node and npm, which are missing".to_owned());
    }
    if !is_there(CHROMIUM).await {
        let install = format!("{INSTALL} || {{ apt-get update && {INSTALL}; }}");
        let mut shell = Command::new("sh");
        shell.args(["-c", &install]).env("DEBIAN_FRONTEND", "noninteractive");
        done(shell)
            .await
            .map_err(|why| format!("it needs {CHROMIUM}, and apt-get cannot install it: {why}"))?;
    }
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/chromium");
    let modules = Path::new(env!("CARGO_TARGET_TMPDIR")).join("chromium");
    std::fs::create_dir_all(&modules).map_err(|error| error.to_string())?;
    for file in ["package.json", "package-lock.json", "login.mjs"] {
        std::fs::copy(source.join(file), modules.join(file)).map_err(|error| error.to_string())?;
    }
    let mut npm = Command::new("npm");
    npm.args(["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline"]).current_dir(&modules);
    done(npm).await.map_err(|why| format!("npm cannot install playwright-core: {why}"))?;
    Ok(modules)
}

async fn is_there(program: &str) -> bool {
    let mut command = Command::new(program);
    command.arg("--version");
    done(command).await.is_ok()
}

/// Runs a command; fails with its last line.
async fn done(command: Command) -> Result<(), String> {
    let output = cde_sandbox::process::output(command, b"").await.map_err(|error| error.to_string())?;
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    if output.status.success() { Ok(()) } else { Err(text.lines().last().unwrap_or("it failed").to_owned()) }
}
