//! `kubectl cde completion`: completion for shells, and for kubectl.
//!
//! A shell's script completes `kubectl-cde`. kubectl completes `kubectl cde` by the program `kubectl_complete-cde`, which
//! calls the hidden command `__complete`. It answers as kubectl's own commands do: a candidate per line, with a
//! description after a tab, and a last line that says whether files are candidates, too.

use std::fmt::Write as _;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Arg, ArgAction, Command, CommandFactory as _};
use clap_complete::Shell;

use super::print;
use crate::cli::selection::SelectArgs;
use crate::cli::{Cli, KubernetesArgs};
use crate::cluster::Cluster;
use crate::error::Error;
use crate::request::select::select;

/// Nobody waits longer for names.
const LIMIT: Duration = Duration::from_secs(3);
/// Commands whose arguments are names of requests.
const WITH_NAMES: [&str; 8] =
    ["status", "describe", "preview", "confirm", "retry", "suspend", "resume", "wait"];
/// Flags whose values are files.
const FILES: [&str; 5] = ["filename", "kubeconfig", "output-dir", "client-secret-file", "ca-file"];
/// What else completes the word: files, or nothing.
const WITH_FILES: &str = ":0\n";
const WITHOUT_FILES: &str = ":4\n";

/// Prints the script of a shell.
pub(super) fn script(shell: Shell) -> Result<ExitCode, Error> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "kubectl-cde", &mut script);
    print(String::from_utf8_lossy(&script))?;
    Ok(ExitCode::SUCCESS)
}

/// Prints the candidates for the last word.
pub(super) async fn candidates(kubernetes: &KubernetesArgs, words: &[String]) -> Result<ExitCode, Error> {
    let mut root = Cli::command();
    root.build();
    let (last, before) = words.split_last().map_or(("", &[][..]), |(last, before)| (last.as_str(), before));
    let command = before.iter().find_map(|word| root.find_subcommand(word)).unwrap_or(&root);
    let previous = before.last().and_then(|word| flag(command, word)).filter(|flag| takes_value(flag));
    let (found, end) = match (previous, last.starts_with('-')) {
        (Some(flag), _) if FILES.contains(&flag.get_id().as_str().replace('_', "-").as_str()) => {
            (Vec::new(), WITH_FILES)
        }
        (Some(flag), _) => (values(flag), WITHOUT_FILES),
        (None, true) => (flags(command), WITHOUT_FILES),
        (None, false) if std::ptr::eq(command, &raw const root) => (commands(&root), WITHOUT_FILES),
        (None, false) if WITH_NAMES.contains(&command.get_name()) => {
            (names(kubernetes, &root, before).await, WITHOUT_FILES)
        }
        (None, false) => {
            let positional = command.get_positionals().next();
            (positional.map(values).unwrap_or_default(), WITHOUT_FILES)
        }
    };
    let mut text = String::new();
    for (word, help) in found.iter().filter(|(word, _)| word.starts_with(last)) {
        let _ = if help.is_empty() { writeln!(text, "{word}") } else { writeln!(text, "{word}\t{help}") };
    }
    print(text + end)?;
    Ok(ExitCode::SUCCESS)
}

fn commands(root: &Command) -> Vec<(String, String)> {
    let shown = root.get_subcommands().filter(|command| !command.is_hide_set());
    shown.map(|command| (command.get_name().to_owned(), help(command.get_about()))).collect()
}

fn flags(command: &Command) -> Vec<(String, String)> {
    let shown = command.get_arguments().filter(|flag| !flag.is_hide_set());
    shown.filter_map(|flag| Some((format!("--{}", flag.get_long()?), help(flag.get_help())))).collect()
}

fn values(flag: &Arg) -> Vec<(String, String)> {
    let values = flag.get_possible_values();
    values.iter().map(|value| (value.get_name().to_owned(), help(value.get_help()))).collect()
}

fn help(text: Option<&clap::builder::StyledStr>) -> String {
    let text = text.map(ToString::to_string).unwrap_or_default();
    text.lines().next().unwrap_or_default().to_owned()
}

fn flag<'a>(command: &'a Command, word: &str) -> Option<&'a Arg> {
    command.get_arguments().find(|flag| match word.strip_prefix("--") {
        Some(long) => flag.get_long() == Some(long),
        None => flag.get_short().is_some_and(|short| word == format!("-{short}")),
    })
}

fn takes_value(flag: &Arg) -> bool {
    matches!(flag.get_action(), ArgAction::Set | ArgAction::Append)
}

/// Returns the names of the requests in the namespace that the words name; none if the cluster does not answer.
async fn names(kubernetes: &KubernetesArgs, root: &Command, words: &[String]) -> Vec<(String, String)> {
    let value = |id: &str| {
        let is_flag = |word: &String| flag(root, word).is_some_and(|flag| flag.get_id() == id);
        words.iter().position(is_flag).and_then(|at| words.get(at + 1)).cloned()
    };
    let kubernetes = KubernetesArgs {
        namespace: value("namespace"),
        context: value("context"),
        kubeconfig: value("kubeconfig").map(Into::into),
        as_user: value("as_user"),
        request_timeout: kubernetes.request_timeout.min(LIMIT),
    };
    let listing = async {
        let cluster = Cluster::new(&kubernetes).await?;
        select(&cluster, &SelectArgs::default()).await
    };
    let Ok(Ok(requests)) = tokio::time::timeout(LIMIT, listing).await else { return Vec::new() };
    requests.iter().map(|request| (request.name().to_owned(), request.reason().to_owned())).collect()
}
