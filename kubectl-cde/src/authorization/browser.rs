//! Opens the browser of the person.

use std::process::Stdio;

use tokio::process::Command;
use url::Url;

use crate::command::note;

/// Opens `url` in the browser without waiting. If that fails, the person has the URL.
///
/// `BROWSER` names another program, with arguments separated by spaces.
pub(super) fn open(url: &Url) {
    let chosen = std::env::var("BROWSER").unwrap_or_default();
    let mut words = chosen.split_whitespace();
    let (program, args): (&str, Vec<&str>) = match words.next() {
        Some(program) => (program, words.collect()),
        None if cfg!(target_os = "macos") => ("open", vec![]),
        // Unlike `start`, it does not interpret the URL as a shell does.
        None if cfg!(target_os = "windows") => ("rundll32", vec!["url.dll,FileProtocolHandler"]),
        None => ("xdg-open", vec![]),
    };
    let mut command = Command::new(program);
    command.args(args).arg(url.as_str());
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let program = program.to_owned();
    let failed = move |why: String| {
        note(format_args!("Cannot open a browser ({program}: {why}). Open the URL yourself."));
    };
    match command.spawn() {
        Err(error) => failed(error.to_string()),
        Ok(mut child) => {
            tokio::spawn(async move {
                match child.wait().await {
                    Ok(status) if !status.success() => failed(status.to_string()),
                    Ok(_) | Err(_) => {}
                }
            });
        }
    }
}
