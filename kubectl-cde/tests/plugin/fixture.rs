//! A person with a kubeconfig, a namespace and an authorization server.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use cde_operator::oauth::Login;
use cde_sandbox::authorization_server::{AuthorizationServer, CLIENT_ID};
use cde_sandbox::control_plane::ControlPlane;
use cde_sandbox::process::{ScratchDir, scratch_dir};
use k8s_openapi::api::core::v1::Secret;
use kube::api::{Patch, PatchParams};
use kube::{Api, Client};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::{Child, ChildStderr};
use url::Url;

/// Longer than anything takes on a busy machine.
pub(crate) const LIMIT: Duration = Duration::from_mins(1);
pub(crate) const SECRET: &str = "cde-operator-login";
/// The permissions that `docs/kubectl-cde.md` documents.
pub(crate) const VERBS: [&str; 3] = ["get", "create", "patch"];

pub(crate) struct Person {
    pub(crate) control_plane: &'static ControlPlane,
    pub(crate) server: AuthorizationServer,
    pub(crate) namespace: String,
    pub(crate) kubeconfig: PathBuf,
    /// The administrator's.
    pub(crate) client: Client,
    pub(crate) scratch: ScratchDir,
}

/// A login that waits for the browser.
pub(crate) struct Waiting {
    child: Child,
    stderr: BufReader<ChildStderr>,
    seen: String,
    /// What the browser is to open.
    pub(crate) url: Url,
}

/// How a command ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Person {
    /// Returns a person with the documented permissions.
    pub(crate) async fn new() -> Self {
        Self::with_verbs(&VERBS).await
    }

    /// Returns a person who may do this with the Secret of the login, and nothing else.
    pub(crate) async fn with_verbs(verbs: &[&str]) -> Self {
        let control_plane = ControlPlane::shared().await.unwrap();
        let id = uuid::Uuid::new_v4().simple().to_string();
        let namespace = format!("plugin-{}", &id[..10]);
        let rules =
            json!([{"apiGroups": [""], "resources": ["secrets"], "resourceNames": [SECRET], "verbs": verbs}]);
        let objects = [
            json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}),
            json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "person", "namespace": namespace}}),
            role(&namespace, "login", &rules),
            binding(&namespace, "login"),
        ];
        for object in objects {
            control_plane.kubectl_ok(&["create", "-f", "-"], &object.to_string()).await.unwrap();
        }
        if let Some(verb) = verbs.first() {
            while !may(control_plane, &namespace, verb, &format!("secrets/{SECRET}")).await {}
        }
        let kubeconfig = control_plane.service_account(&namespace, "person", None).await.unwrap();
        let (server, client) =
            (AuthorizationServer::start().await.unwrap(), control_plane.admin().await.unwrap());
        Self { control_plane, server, namespace, kubeconfig, client, scratch: scratch_dir().unwrap() }
    }

    /// Lets the person do more.
    pub(crate) async fn allow(&self, name: &str, rules: Value) {
        for object in [role(&self.namespace, name, &rules), binding(&self.namespace, name)] {
            self.control_plane.kubectl_ok(&["create", "-f", "-"], &object.to_string()).await.unwrap();
        }
        let first = |list: &str| rules[0][list][0].as_str().unwrap();
        let what = format!("{}.{}", first("resources"), first("apiGroups"));
        while !may(self.control_plane, &self.namespace, first("verbs"), what.trim_end_matches('.')).await {}
    }

    /// Takes all permissions away.
    pub(crate) async fn forbid(&self) {
        let delete = ["delete", "rolebinding", "login", "-n", &self.namespace];
        self.control_plane.kubectl_ok(&delete, "").await.unwrap();
        while may(self.control_plane, &self.namespace, "patch", &format!("secrets/{SECRET}")).await {}
    }

    /// Returns the plugin with `args`, in an environment without settings.
    pub(crate) fn plugin(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_kubectl-cde"));
        for (name, _) in std::env::vars_os() {
            let text = name.to_string_lossy().to_lowercase();
            if text.starts_with("cde_") || text.ends_with("_proxy") || text == "browser" {
                command.env_remove(&name);
            }
        }
        command.env("KUBECONFIG", &self.kubeconfig).env("HOME", self.scratch.path());
        command.args(args).args(["-n", &self.namespace]);
        command
    }

    /// Returns the flags that say who the authorization server is, without a revocation URL.
    pub(crate) fn flags(&self) -> Vec<String> {
        [
            "--secret".to_owned(),
            SECRET.to_owned(),
            "--client-id".to_owned(),
            CLIENT_ID.to_owned(),
            format!("--authorization-url={}", self.server.authorization_url()),
            format!("--token-url={}", self.server.token_url()),
        ]
        .to_vec()
    }

    /// Returns `login --no-browser` with all flags and `more`.
    pub(crate) fn login(&self, more: &[&str]) -> Command {
        let mut command = self.plugin(&["login", "--no-browser"]);
        command.args(self.flags()).args(more);
        command
    }

    /// Logs in with `more` flags by pasting the address.
    pub(crate) async fn logged_in(&self, more: &[&str]) -> Ended {
        let mut waiting = Waiting::start(self.login(more)).await;
        let redirect = self.server.log_in(&waiting.url).await.unwrap();
        waiting.paste(redirect.as_str()).await;
        waiting.end().await
    }

    pub(crate) fn secrets(&self) -> Api<Secret> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    /// Returns the Secret of the login, if it exists.
    pub(crate) async fn secret(&self) -> Option<Secret> {
        self.secrets().get_opt(SECRET).await.unwrap()
    }

    /// Returns the values in the Secret as text.
    pub(crate) async fn stored(&self) -> BTreeMap<String, String> {
        let data = self.secret().await.and_then(|secret| secret.data).unwrap_or_default();
        data.into_iter().map(|(key, value)| (key, String::from_utf8(value.0).unwrap())).collect()
    }

    /// Creates or changes the Secret of the login, as the operator or somebody else does.
    pub(crate) async fn store(&self, login: &Login) {
        let labels = json!({"app.kubernetes.io/managed-by": "cde-operator"});
        let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": SECRET, "labels": labels},
            "type": "Opaque", "data": login.data()});
        let params = PatchParams::apply("test").force();
        self.secrets().patch(SECRET, &params, &Patch::Apply(&secret)).await.unwrap();
    }
}

impl Waiting {
    /// Starts a login and waits until it prints the URL.
    pub(crate) async fn start(command: Command) -> Self {
        let mut command = tokio::process::Command::from(command);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().unwrap();
        let mut stderr = BufReader::new(child.stderr.take().unwrap());
        let mut seen = String::new();
        let reading = async {
            loop {
                let begin = seen.len();
                assert!(stderr.read_line(&mut seen).await.unwrap() > 0, "there is no URL: {seen}");
                if let Some(url) = seen[begin..].trim_end().strip_prefix("  http") {
                    return format!("http{url}").parse().unwrap();
                }
            }
        };
        let url = tokio::time::timeout(LIMIT, reading).await.expect("the URL is printed");
        Self { child, stderr, seen, url }
    }

    /// Returns the redirect URI of this login.
    pub(crate) fn redirect_uri(&self) -> Url {
        self.parameter("redirect_uri").parse().unwrap()
    }

    /// Returns a parameter of the authorization request.
    pub(crate) fn parameter(&self, name: &str) -> String {
        let value = self.url.query_pairs().find(|(key, _)| key == name);
        value.unwrap_or_else(|| panic!("{} has no {name}", self.url)).1.into_owned()
    }

    /// Types a line.
    pub(crate) async fn paste(&mut self, line: &str) {
        let stdin = self.child.stdin.as_mut().unwrap();
        stdin.write_all(format!("{line}\n").as_bytes()).await.unwrap();
    }

    /// Waits until standard error contains `text`.
    pub(crate) async fn until(&mut self, text: &str) {
        let reading = async {
            while !self.seen.contains(text) {
                assert!(
                    self.stderr.read_line(&mut self.seen).await.unwrap() > 0,
                    "no {text:?} in {}",
                    self.seen
                );
            }
        };
        tokio::time::timeout(LIMIT, reading).await.expect("the text is printed");
    }

    /// Waits until the program ends. Its standard input stays open.
    pub(crate) async fn end(self) -> Ended {
        self.end_within(LIMIT).await
    }

    /// As [`Self::end`], with another limit.
    pub(crate) async fn end_within(mut self, limit: Duration) -> Ended {
        let mut stdout = self.child.stdout.take().unwrap();
        let mut result = String::new();
        let ending = async {
            tokio::try_join!(
                stdout.read_to_string(&mut result),
                self.stderr.read_to_string(&mut self.seen),
                async { self.child.wait().await }
            )
        };
        let (_, _, status) = tokio::time::timeout(limit, ending).await.expect("the program ends").unwrap();
        Ended { code: status.code().unwrap(), stdout: result, stderr: self.seen }
    }
}

/// Runs a command to its end, without standard input.
pub(crate) async fn run(command: Command) -> Ended {
    run_with(command, "").await
}

/// Runs a command to its end with this standard input.
pub(crate) async fn run_with(command: Command, stdin: &str) -> Ended {
    let running = cde_sandbox::process::output(command, stdin.as_bytes());
    let Output { status, stdout, stderr } =
        tokio::time::timeout(LIMIT, running).await.expect("the program ends").unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Ended { code: status.code().unwrap(), stdout: text(stdout), stderr: text(stderr) }
}

/// Returns whether the API server lets the person do this. Its authorizer learns of a binding from a watch.
async fn may(control_plane: &ControlPlane, namespace: &str, verb: &str, what: &str) -> bool {
    let user = format!("system:serviceaccount:{namespace}:person");
    let can = ["auth", "can-i", verb, what, "-n", namespace, "--as", &user];
    control_plane.kubectl_ok(&can, "").await.is_ok()
}

fn role(namespace: &str, name: &str, rules: &Value) -> Value {
    let metadata = json!({"name": name, "namespace": namespace});
    json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": metadata, "rules": rules})
}

fn binding(namespace: &str, name: &str) -> Value {
    json!({
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "RoleBinding",
        "metadata": {"name": name, "namespace": namespace},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name},
        "subjects": [{"kind": "ServiceAccount", "name": "person"}],
    })
}

/// A login with these tokens that expires in `seconds`.
pub(crate) fn tokens(access: &str, refresh: &str, seconds: i64) -> Login {
    let now = jiff::Timestamp::now();
    Login {
        access_token: Some(access.into()),
        refresh_token: Some(refresh.into()),
        expires_at: Some(now + jiff::SignedDuration::from_secs(seconds)),
        obtained_at: Some(now - jiff::SignedDuration::from_secs(60)),
        claim: None,
    }
}
