//! The sandbox of the CDE API as a program, for people who want to try manifests without access to the CDE.

use std::io::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use cde_sandbox::cde::{Call, Connector, Sandbox, Version};
use clap::Parser;
use url::Url;
use uuid::Uuid;

const CONTROL: &str = "\
Control endpoints (JSON, no token):
  curl $URL/_sandbox/connectors
  curl -X PUT $URL/_sandbox/connectors -d '{\"id\": \"…\", \"main\": 1, \"versions\": [{\"version\": \"1.0.0\",
       \"state\": \"synchronized-to-prod\", \"production\": 25, \"legacy\": 24}]}'
  curl -X DELETE $URL/_sandbox/connectors/$ID
  curl -X POST $URL/_sandbox/connectors/$ID/settle
  curl -X POST $URL/_sandbox/faults -d '{\"operation\": \"rollback\", \"times\": 2, \"status\": 503,
       \"headers\": [[\"retry-after\", \"1\"]]}'
  curl -X POST $URL/_sandbox/faults -d '{\"wire\": {\"cut\": \"within-body\"}, \"after-effect\": true}'
  curl $URL/_sandbox/faults
  curl -X DELETE $URL/_sandbox/faults
  curl $URL/_sandbox/ledger

More fields of a connector: name, type, in-bin, readable-in-bin, in-use,
  access: open | reading-forbidden | forbidden
  rollback: swap | to-legacy | state-only | invisible | moving
  repeated-rollback: another-effect | refused
Fields of a fault:
  operation: restore | rollback | read | list-bin | move-to-bin | changing | any
  connector, skip, times (null: always), after-effect, delay-ms, status, headers
  body: {\"text\": \"…\"} | html | empty | truncated-json | broken-utf8 | {\"huge\": BYTES}
  edits: [{\"pointer\": \"/data/state\", \"value\": 7}]   (without a value: remove the member)
  wire: whole | {\"cut\": before-headers | after-headers | within-body} | hang | {\"drip-ms\": N} | {\"crawl-ms\": N}";

/// Run a simulated CDE API with the documented responses, a ledger of all calls, and faults on demand.
#[derive(Parser)]
#[command(version, after_long_help = CONTROL)]
struct Args {
    /// Address to listen on; port 0 means any free port.
    #[arg(long, default_value = "127.0.0.1:8089")]
    listen: SocketAddr,
    /// Token to accept [default: random].
    #[arg(long)]
    token: Option<String>,
    /// Introspection endpoint (RFC 7662) of an authorization server whose tokens are accepted, too. The URL may
    /// contain the ID and the secret of a client.
    #[arg(long, value_name = "URL")]
    introspection: Option<Url>,
    /// Serve TLS, with a certificate authority created for this run.
    #[arg(long)]
    tls: bool,
    /// File to write the authority's certificate to (PEM).
    #[arg(long, value_name = "FILE", requires = "tls")]
    ca_out: Option<PathBuf>,
    /// Initial connectors instead of the samples: a JSON list as for `PUT /_sandbox/connectors`.
    #[arg(long, value_name = "FILE")]
    seed: Option<PathBuf>,
    /// Allow an address that other machines can reach. Anyone there can change everything.
    #[arg(long)]
    allow_remote: bool,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    if !args.listen.ip().is_loopback() && !args.allow_remote {
        bail!("{} is not a loopback address; use 127.0.0.1, or add --allow-remote", args.listen.ip());
    }
    let connectors = match &args.seed {
        Some(file) => read_seed(file)?,
        None => samples(),
    };
    let mut builder = Sandbox::builder().listen(args.listen).on_call(log);
    if let Some(token) = args.token {
        builder = builder.token(token);
    }
    if let Some(url) = args.introspection {
        builder = builder.introspection(url);
    }
    if args.tls {
        builder = builder.tls();
    }
    let sandbox = builder.start().await?;
    if let (Some(file), Some(pem)) = (&args.ca_out, sandbox.ca_pem()) {
        std::fs::write(file, pem).with_context(|| format!("cannot write {}", file.display()))?;
    }
    say(&format!("CDE sandbox on {}, token {}\n", sandbox.url(), sandbox.token()));
    for connector in connectors {
        say(&describe(&connector));
        sandbox.put(connector);
    }
    say("\nPress Ctrl-C to stop. Calls:");
    tokio::signal::ctrl_c().await?;
    sandbox.down().await;
    Ok(())
}

fn read_seed(file: &Path) -> anyhow::Result<Vec<Connector>> {
    let text = std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    serde_json::from_str(&text)
        .with_context(|| format!("{} is not a JSON list of connectors; see --help", file.display()))
}

/// Returns one connector for each behavior, with IDs that manifests can name.
fn samples() -> Vec<Connector> {
    let id = |last: u128| Uuid::from_u128(0x0c0f_fee0_0000_4000_8000_0000_0000_0000 + last);
    let created = || Version::new("1.0.0");
    vec![
        Connector::migrated(id(1)).name("can be rolled back"),
        Connector::in_bin(id(2)).name("in the bin").version(created()).version(Version::new("2.0.0")),
        Connector::live(id(3)).name("never synchronized to production").version(created()).main(1),
        Connector::live(id(4)).name("no main version").version(created()),
        Connector::migrated(id(5)).name("reading is forbidden").reading_forbidden(),
        Connector::migrated(id(6)).name("everything is forbidden").forbidden(),
    ]
}

fn describe(connector: &Connector) -> String {
    let versions: Vec<&str> = connector.versions.iter().map(|version| version.version.as_str()).collect();
    let bin = if connector.in_bin { ", in the bin" } else { "" };
    format!("  {}  {} (versions {}{bin})", connector.id, connector.name, versions.join(", "))
}

fn log(call: &Call) {
    say(&call.to_string());
}

/// A closed standard output does not end the sandbox.
fn say(line: &str) {
    drop(writeln!(std::io::stdout(), "{line}"));
}
