//! The redirect, pasted by a person whose browser runs on another machine.

use std::io::BufRead as _;

use secrecy::SecretString;
use tokio::sync::mpsc;
use url::Url;

use super::redirect::{Expected, Redirect};
use crate::command::note;
use crate::error::Error;

/// Reads lines of standard input until one is a redirect of this login. If the input ends before, it waits on, because the
/// browser may still reach the listener through a forwarded port.
pub(super) async fn answer(expected: &Expected) -> Result<SecretString, Error> {
    let mut lines = lines();
    while let Some(line) = lines.recv().await {
        let line = line.trim();
        if line.is_empty() {
            continue;
        }
        let url = Url::parse(line).ok();
        match url.as_ref().and_then(Url::query).map(|query| expected.read(query)) {
            Some(Redirect::Answer(answer)) => return answer,
            Some(Redirect::Foreign) => {
                note("This address belongs to another login. Paste the one of this login:");
            }
            None => note("This is not the whole address. Paste everything in the browser's address bar:"),
        }
    }
    std::future::pending().await
}

/// Reads standard input on a thread of its own, because a read cannot be canceled and must not keep the program from ending.
fn lines() -> mpsc::UnboundedReceiver<String> {
    let (send, lines) = mpsc::unbounded_channel();
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines().map_while(Result::ok) {
            if send.send(line).is_err() {
                return;
            }
        }
    });
    lines
}
