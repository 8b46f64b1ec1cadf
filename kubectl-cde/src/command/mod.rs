//! The commands: one file each.

mod completion;
mod confirm;
mod create;
mod describe;
mod login;
mod logout;
mod preview;
mod resume;
mod retry;
mod status;
mod status_watch;
mod suspend;
mod version;
mod wait;
mod whoami;

use std::fmt::Display;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use cde_operator::http_client;
use cde_operator::oauth::{ClientCredentials, EndpointUrl, TokenEndpoint};

use crate::cli::{Cli, ClientArgs, Command};
use crate::error::Error;
use crate::request::Kind;
use crate::settings::configuration;

use self::create::Start;
pub(crate) use self::create::read_file;

/// The timeout of one call to the authorization server.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Runs a command.
pub(crate) async fn run(cli: Cli) -> Result<ExitCode, Error> {
    match cli.command {
        Command::Rollback(args) => {
            let start = Start { pin: args.pin.then_some(args.preview_timeout), yes: args.yes };
            create::run(&cli.kubernetes, Kind::Rollback, &args.version, start, &args.create).await
        }
        Command::Restore(args) => {
            create::run(&cli.kubernetes, Kind::Restore, "main", Start::default(), &args).await
        }
        Command::Status(args) => status::run(&cli.kubernetes, &args).await,
        Command::Describe(args) => describe::run(&cli.kubernetes, &args).await,
        Command::Preview(args) => preview::run(&cli.kubernetes, &args).await,
        Command::Confirm(args) => confirm::run(&cli.kubernetes, &args).await,
        Command::Retry(args) => retry::run(&cli.kubernetes, &args).await,
        Command::Suspend(args) => suspend::run(&cli.kubernetes, &args).await,
        Command::Resume(args) => resume::run(&cli.kubernetes, &args).await,
        Command::Wait(args) => Ok(wait::run(&cli.kubernetes, &args).await),
        Command::Login(args) => login::run(&cli.kubernetes, &args).await,
        Command::Logout(args) => logout::run(&cli.kubernetes, &args).await,
        Command::Whoami(args) => whoami::run(&cli.kubernetes, &args).await,
        Command::Version(args) => version::run(&cli.kubernetes, &args).await,
        Command::Completion { shell } => completion::script(shell),
        Command::Complete { words } => completion::candidates(&cli.kubernetes, &words).await,
    }
}

/// Writes a line for the person to standard error.
pub(crate) fn note(line: impl Display) {
    let _ = writeln!(anstream::stderr(), "{line}");
}

/// Writes the result to standard output.
pub(crate) fn print(text: impl Display) -> Result<(), Error> {
    let mut out = anstream::stdout().lock();
    let written = write!(out, "{text}").and_then(|()| out.flush());
    written.map_err(|error| Error::Usage(format!("cannot write to standard output: {error}")))
}

/// Returns the client of the authorization server.
fn endpoint(url: EndpointUrl, id: &str, args: &ClientArgs) -> Result<TokenEndpoint, Error> {
    let secret_file: Option<PathBuf> = args.client_secret_file.clone();
    let options = http_client::Options {
        timeout: TIMEOUT,
        ca_file: args.ca_file.clone(),
        user_agent: format!("kubectl-cde/{}", cde_operator::VERSION),
    };
    let client = ClientCredentials { id: id.to_owned(), secret_file };
    TokenEndpoint::new(url, client, &options).map_err(|error| configuration(&error.to_string()))
}
