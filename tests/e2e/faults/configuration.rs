//! Bad configuration ends the program before it contacts anything. Every flag has an environment variable.

use std::net::TcpListener;
use std::process::{Command, Output};

use cde_sandbox::process::{ScratchDir, scratch_dir};
use serde_json::json;

use crate::faults::request::ended;
use cde_harness::command;

/// Servers that nothing must contact, and files to use in flags.
pub(crate) struct Nowhere {
    scratch: ScratchDir,
    api_server: TcpListener,
    cde: TcpListener,
}

impl Nowhere {
    pub(crate) fn new() -> Self {
        let scratch = scratch_dir().unwrap();
        let silent = || {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            listener.set_nonblocking(true).unwrap();
            listener
        };
        let nowhere = Self { scratch, api_server: silent(), cde: silent() };
        nowhere.file("token", "canary-token");
        nowhere.file("empty", " \n");
        nowhere
    }

    fn file(&self, name: &str, content: &str) -> String {
        let path = self.scratch.path().join(name);
        std::fs::write(&path, content).unwrap();
        path.to_str().unwrap().to_owned()
    }

    fn path(&self, name: &str) -> String {
        self.scratch.path().join(name).to_str().unwrap().to_owned()
    }

    /// Returns `cde-operator run` with a valid configuration.
    pub(crate) fn run(&self) -> Command {
        let server = format!("http://{}", self.api_server.local_addr().unwrap());
        let kubeconfig = json!({
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "nowhere", "cluster": {"server": server}}],
            "users": [{"name": "nowhere", "user": {"token": "canary-kubernetes"}}],
            "contexts": [{"name": "nowhere", "context": {"cluster": "nowhere", "user": "nowhere"}}],
            "current-context": "nowhere",
        });
        let mut command = command(self.file("kubeconfig", &kubeconfig.to_string()).as_ref());
        command
            .arg("run")
            .env("CDE_URL", format!("http://{}", self.cde.local_addr().unwrap()))
            .env("CDE_TOKEN_FILE", self.path("token"))
            .env("CDE_LISTEN", "127.0.0.1:0");
        command
    }

    /// Checks that it exits with code 2 and one line, which has these words, and has contacted no server.
    pub(crate) async fn refuses(&self, command: Command, what: &str, words: &[&str]) {
        let Output { status, stdout, stderr } = ended(command).await;
        let said = String::from_utf8(stderr).unwrap();
        assert_eq!(status.code(), Some(2), "{what}: {said}");
        assert!(stdout.is_empty(), "{what}");
        assert_eq!(said.lines().count(), 1, "{what}: {said}");
        assert!(said.starts_with("cde-operator: ") && !said.contains("canary"), "{what}: {said}");
        assert!(said.matches("--help").count() <= 1, "{what}: {said}");
        for word in words {
            assert!(said.contains(word), "{what} does not say {word:?}: {said}");
        }
        for server in [&self.api_server, &self.cde] {
            assert!(server.accept().is_err(), "{what}: a server was contacted");
        }
    }
}

#[tokio::test]
async fn invalid_flags_exit_with_code_2_and_one_sentence_that_names_them() {
    let nowhere = Nowhere::new();
    let taken = nowhere.cde.local_addr().unwrap().to_string();
    let (missing, empty) = (nowhere.path("missing"), nowhere.path("empty"));
    for (args, words) in [
        (vec!["--url", "http://cde.example.com"], vec!["--url", "http", "--allow-http"]),
        (vec!["--url", "ftp://cde.example.com"], vec!["--url"]),
        (vec!["--url", "cde.example.com"], vec!["--url"]),
        (vec!["--url", ""], vec!["--url"]),
        (vec!["--url", "https://user:canary@cde.example.com"], vec!["--url"]),
        (vec!["--token-file", &missing], vec!["--token-file", &missing]),
        (vec!["--token-file", &empty], vec!["--token-file", "empty"]),
        (vec!["--token-file", "/"], vec!["--token-file"]),
        (vec!["--ca-file", &missing], vec!["--ca-file", &missing]),
        (vec!["--ca-file", &empty], vec!["--ca-file", "certificate"]),
        (vec!["--timeout", "soon"], vec!["--timeout", "soon"]),
        (vec!["--timeout", "0s"], vec!["--timeout"]),
        (vec!["--timeout", "2h"], vec!["--timeout"]),
        (vec!["--retry-min", "1"], vec!["--retry-min"]),
        (vec!["--retry-max=-1s"], vec!["--retry-max"]),
        (vec!["--retry-min", "2m", "--retry-max", "1m"], vec!["--retry-min", "--retry-max"]),
        (vec!["--retry-min", "0s", "--retry-max", "0s"], vec!["--retry-max"]),
        (vec!["--deadline", "tomorrow"], vec!["--deadline", "tomorrow"]),
        (vec!["--rate", "many"], vec!["--rate", "many"]),
        (vec!["--concurrency", "0"], vec!["--concurrency"]),
        (vec!["--namespaces", ""], vec!["--namespaces"]),
        (vec!["--namespaces", "a,,b"], vec!["--namespaces"]),
        (vec!["--leader-election=perhaps"], vec!["--leader-election", "perhaps"]),
        (vec!["--listen", "8080"], vec!["--listen", "8080"]),
        (vec!["--listen", &taken], vec!["--listen", &taken]),
        (vec!["--log-format", "xml"], vec!["--log-format", "xml", "cde-operator run --help"]),
        (vec!["--log-level", "loud"], vec!["--log-level", "loud", "debug"]),
        (vec!["--otlp-endpoint", "collector:4318"], vec!["--otlp-endpoint", "http://"]),
        (vec!["--otlp-endpoint", "http://a:canary@collector:4318"], vec!["--otlp-endpoint", "password"]),
        (vec!["--otlp-endpoint", "http://collector:4318/?key=canary"], vec!["--otlp-endpoint", "?"]),
        (vec!["--unheard-of"], vec!["--unheard-of"]),
        (vec!["stray"], vec!["stray"]),
    ] {
        let mut command = nowhere.run();
        // Where these are flags, the environment variables must not be set too.
        for flag in args.iter().filter(|arg| arg.starts_with("--")) {
            command.env_remove(variable(flag));
        }
        command.args(&args);
        nowhere.refuses(command, &args.join(" "), &words).await;
    }
}

#[tokio::test]
async fn missing_required_flags_are_named() {
    let nowhere = Nowhere::new();
    for (variable, flag) in [("CDE_URL", "--url"), ("CDE_TOKEN_FILE", "--token-file")] {
        let mut command = nowhere.run();
        command.env_remove(variable);
        nowhere.refuses(command, flag, &[flag]).await;
    }
    let mut command = nowhere.run();
    command.env("KUBECONFIG", nowhere.path("missing")).env("HOME", nowhere.path(""));
    nowhere.refuses(command, "a kubeconfig", &["Kubernetes", "KUBECONFIG"]).await;
}

#[tokio::test]
async fn no_subcommand_prints_the_help_and_a_usage_error_names_the_right_help() {
    let Output { status, stdout, stderr } = ended(command("/missing".as_ref())).await;
    let help = String::from_utf8([stdout, stderr].concat()).unwrap();
    assert_eq!(status.code(), Some(2), "{help}");
    for subcommand in ["run", "check", "crds"] {
        assert!(help.contains(subcommand), "{help}");
    }
    let nowhere = Nowhere::new();
    for (args, named) in [
        (vec!["check", "--unheard-of"], "(see cde-operator check --help)"),
        (vec!["crds", "stray"], "(see cde-operator crds --help)"),
        (vec!["run", "--timeout", "soon"], "(see cde-operator run --help)"),
        (vec!["unheard-of"], "(see cde-operator --help)"),
    ] {
        let mut command = command("/missing".as_ref());
        command.args(&args);
        nowhere.refuses(command, &args.join(" "), &[named]).await;
    }
}

/// The documented flags, with an invalid value for each; `None` where any value is accepted at first.
const FLAGS: [(&str, &str); 26] = [
    ("--url", "nonsense"),
    ("--token-file", "/missing"),
    ("--ca-file", "/missing"),
    ("--timeout", "nonsense"),
    ("--rate", "nonsense"),
    ("--concurrency", "nonsense"),
    ("--retry-min", "nonsense"),
    ("--retry-max", "nonsense"),
    ("--deadline", "nonsense"),
    ("--namespaces", "a,,b"),
    ("--selector", ""),
    ("--leader-election", "nonsense"),
    ("--listen", "nonsense"),
    ("--log-format", "nonsense"),
    ("--log-level", "nonsense"),
    ("--otlp-endpoint", "nonsense"),
    ("--allow-http", "nonsense"),
    // Each of these is refused beside --token-file.
    ("--oauth-secret", "cde-login"),
    ("--oauth-client-id", "operator"),
    ("--oauth-token-url", "https://login.example.com/token"),
    ("--oauth-authorization-url", "https://login.example.com/authorize"),
    ("--oauth-revocation-url", "https://login.example.com/revoke"),
    ("--oauth-client-secret-file", "/missing"),
    ("--oauth-scopes", "connectors"),
    ("--oauth-assume-lifetime", "nonsense"),
    ("--help", ""),
];

fn variable(flag: &str) -> String {
    let name = flag.split('=').next().unwrap_or(flag).trim_start_matches("--");
    format!("CDE_{}", name.replace('-', "_").to_uppercase())
}

#[tokio::test]
async fn every_flag_can_be_set_by_its_environment_variable() {
    let nowhere = Nowhere::new();
    for (flag, bad) in FLAGS.into_iter().filter(|(_, bad)| !bad.is_empty()) {
        let mut command = nowhere.run();
        command.env(variable(flag), bad);
        nowhere.refuses(command, flag, &[flag]).await;
    }
}

#[tokio::test]
async fn the_help_lists_exactly_the_documented_flags_with_their_variables() {
    let mut command = command("/missing".as_ref());
    command.args(["run", "--help"]);
    let help = String::from_utf8(ended(command).await.stdout).unwrap();
    let words = || help.split(|c: char| !(c.is_alphanumeric() || matches!(c, '-' | '_')));
    let mut flags: Vec<&str> = help
        .lines()
        .map(str::trim)
        .filter_map(|line| line.strip_prefix("-h, ").or(Some(line)))
        .filter(|line| line.starts_with("--"))
        .filter_map(|line| line.split(['=', ' ', '[']).next())
        .collect();
    flags.retain(|flag| *flag != "--version");
    let mut expected: Vec<&str> = FLAGS.map(|(flag, _)| flag).to_vec();
    flags.sort_unstable();
    expected.sort_unstable();
    assert_eq!(flags, expected, "{help}");
    for flag in expected.into_iter().filter(|flag| *flag != "--help") {
        assert!(words().any(|word| word == variable(flag)), "{} is not in {help}", variable(flag));
    }
    for default in ["30s", "10", "16", "1s", "5m", "24h", "false", "text"] {
        assert!(help.contains(&format!("[default: {default}]")), "{default} in {help}");
    }
    assert!(help.contains("default: `[::]:8080`, or 0.0.0.0:8080 on hosts without IPv6"), "{help}");
}
