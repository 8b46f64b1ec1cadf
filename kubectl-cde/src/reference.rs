//! The reference of the commands, generated from their definitions. `UPDATE_DOCS=1 cargo test -p kubectl-cde reference`
//! writes it.

use std::fmt::Write as _;
use std::path::Path;

use clap::{Arg, Command, CommandFactory as _};

use crate::cli::Cli;

const HEAD: &str = "# kubectl cde reference

This page lists every command and flag of `kubectl cde`, the plugin for people who restore connectors of Productsup's
Connector Development Environment (CDE) and roll back their migrations. It is generated from the command definitions.
[An incident with kubectl cde](incident.md) shows the commands at work.
";

fn page() -> String {
    let mut root = Cli::command();
    root.build();
    let mut text = HEAD.to_owned();
    let _ = writeln!(text, "\n## Flags of all commands\n");
    let global: Vec<&Arg> = root.get_arguments().filter(|arg| arg.is_global_set()).collect();
    flags(&mut text, &global);
    for command in
        root.get_subcommands().filter(|command| !command.is_hide_set() && command.get_name() != "help")
    {
        describe(&mut text, command);
    }
    text
}

fn describe(text: &mut String, command: &Command) {
    let _ = writeln!(text, "\n## {}\n", command.get_name());
    let _ =
        writeln!(text, "{}\n", sentence(&command.get_about().map(ToString::to_string).unwrap_or_default()));
    let usage = command.clone().render_usage().to_string();
    let _ = writeln!(text, "```text\n{}\n```", usage.trim_start_matches("Usage: "));
    let own = |arg: &&Arg| !arg.is_global_set() && !arg.is_hide_set() && arg.get_id() != "help";
    let (positional, named): (Vec<&Arg>, Vec<&Arg>) =
        command.get_arguments().filter(own).partition(|arg| arg.is_positional());
    if !positional.is_empty() {
        let _ = writeln!(text, "\n| Argument | Description |\n|---|---|");
        for arg in positional {
            let _ = writeln!(text, "| `{}` | {} |", names(arg), help(arg));
        }
    }
    if !named.is_empty() {
        text.push('\n');
        flags(text, &named);
    }
}

fn flags(text: &mut String, flags: &[&Arg]) {
    let _ = writeln!(text, "| Flag | Default | Description |\n|---|---|---|");
    for arg in flags {
        let default = arg.get_default_values().first().filter(|_| arg.get_action().takes_values());
        let default =
            default.map_or_else(|| "–".to_owned(), |value| format!("`{}`", value.to_string_lossy()));
        let default = if arg.is_hide_default_value_set() { "–".to_owned() } else { default };
        let _ = writeln!(text, "| `{}` | {default} | {} |", names(arg), help(arg));
    }
}

fn names(arg: &Arg) -> String {
    let value = arg.get_value_names().and_then(<[_]>::first).map(|name| name.to_string().replace('|', "\\|"));
    let value = value.filter(|_| arg.get_action().takes_values()).unwrap_or_default();
    let long = arg.get_long().map(|long| format!("--{long}"));
    let short = arg.get_short().map(|short| format!("-{short}"));
    let flags: Vec<String> = short.into_iter().chain(long).collect();
    format!("{} {value}", flags.join("`, `")).trim().to_owned()
}

fn help(arg: &Arg) -> String {
    let mut text = sentence(&arg.get_help().map(ToString::to_string).unwrap_or_default());
    let values: Vec<String> =
        arg.get_possible_values().iter().map(|value| format!("`{}`", value.get_name())).collect();
    if arg.get_action().takes_values() && !values.is_empty() && !arg.is_hide_possible_values_set() {
        let _ = write!(text, " One of {}.", values.join(", "));
    }
    if let Some(variable) = arg.get_env() {
        let _ = write!(text, " Environment variable: `{}`.", variable.to_string_lossy());
    }
    text.replace('|', "\\|")
}

/// Returns a text of the help as a sentence.
fn sentence(text: &str) -> String {
    let text = text.split("\n\n").next().unwrap_or_default().replace('\n', " ");
    if text.is_empty() || text.ends_with('.') { text } else { format!("{text}.") }
}

#[test]
fn the_reference_describes_the_commands_as_they_are() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/kubectl-cde-reference.md");
    let page = page();
    if std::env::var_os("UPDATE_DOCS").is_some() {
        assert!(std::fs::write(&path, &page).is_ok());
    }
    let stored = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(stored == page, "docs/kubectl-cde-reference.md is old: run this test with UPDATE_DOCS=1");
}
