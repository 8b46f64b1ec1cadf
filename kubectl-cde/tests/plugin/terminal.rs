//! What a person sees and types on a terminal.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::process::Stdio;

use cde_operator::oauth::key;
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

use super::fixture::{LIMIT, Person, tokens};

/// A pseudo-terminal: what the person types into, and what a program gets.
fn terminal() -> (File, File) {
    let person = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&person).unwrap();
    unlockpt(&person).unwrap();
    let name = ptsname(&person, Vec::new()).unwrap().into_string().unwrap();
    let program = File::options().read(true).write(true).open(name).unwrap();
    (File::from(person), program)
}

#[tokio::test]
async fn tokens_are_not_printed_to_a_terminal() {
    let person = Person::new().await;
    let (_person, program) = terminal();
    let mut command = person.login(&["--print"]);
    command.stdin(Stdio::null()).stdout(program).stderr(Stdio::piped());
    let child = tokio::process::Command::from(command).kill_on_drop(true).spawn().unwrap();
    let ended = tokio::time::timeout(LIMIT, child.wait_with_output()).await.expect("it ends").unwrap();
    assert_eq!(ended.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&ended.stderr).contains("does not write to a terminal"), "{ended:?}");
}

#[tokio::test]
async fn a_live_login_is_replaced_only_after_a_yes() {
    let person = Person::new().await;
    for (answer, is_replaced) in [("n", false), ("", false), ("Y", true)] {
        person.store(&tokens("access-1", "refresh-1", 60)).await;
        let (mut hands, program) = terminal();
        let mut command = person.login(&[]);
        command.stdin(program.try_clone().unwrap()).stdout(Stdio::null()).stderr(program);
        let mut child = tokio::process::Command::from(command).kill_on_drop(true).spawn().unwrap();
        let mut seen = until(&mut hands, "Replace it? [y/N] ").await;
        writeln!(hands, "{answer}").unwrap();
        if is_replaced {
            seen += &until(&mut hands, "paste the whole address here:").await;
            let url = seen.lines().find_map(|line| line.trim_end().strip_prefix("  ")).unwrap();
            let redirect = person.server.log_in(&url.parse().unwrap()).await.unwrap();
            writeln!(hands, "{redirect}").unwrap();
        }
        let status = child.wait().await.unwrap();
        assert_eq!(status.code(), Some(i32::from(!is_replaced)), "{seen}");
        assert_eq!(person.stored().await[key::ACCESS_TOKEN] == "access-1", !is_replaced);
    }
}

/// Reads the terminal until it shows `text`.
async fn until(hands: &mut File, text: &'static str) -> String {
    let mut hands = hands.try_clone().unwrap();
    let reading = tokio::task::spawn_blocking(move || {
        let mut seen = String::new();
        while !seen.contains(text) {
            let mut part = [0; 1024];
            let length = hands.read(&mut part).unwrap();
            seen.push_str(std::str::from_utf8(&part[..length]).unwrap());
        }
        seen
    });
    tokio::time::timeout(LIMIT, reading).await.expect("the terminal shows it").unwrap()
}
