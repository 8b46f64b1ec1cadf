//! Questions to the person.

use std::io::{BufRead as _, IsTerminal as _, Write as _};

use crate::error::Error;

/// Asks a question; an error if the answer is not yes. Without a terminal, `--yes` must answer.
pub(crate) fn confirm(question: &str, yes: bool) -> Result<(), Error> {
    if yes {
        return Ok(());
    }
    let stdin = std::io::stdin();
    if !stdin.is_terminal() {
        return Err(Error::Usage(format!("{question} There is no terminal to ask on: say so with --yes")));
    }
    let _ = write!(std::io::stderr(), "{question} [y/N] ");
    let mut answer = String::new();
    let read = stdin.lock().read_line(&mut answer);
    if read.is_ok() && ["y", "yes"].contains(&answer.trim().to_lowercase().as_str()) {
        return Ok(());
    }
    Err(Error::NotDone("nothing was changed".to_owned()))
}
