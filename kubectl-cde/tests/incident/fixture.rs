//! A person with the documented permissions, in a namespace with a running operator.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use cde_harness::{Flags, Kind, LIMIT, Operator, Request, TestEnv};
use cde_sandbox::cde::{Connector, Fault, Operation, new_id};
use cde_sandbox::process::scratch_dir;
use cde_sandbox::program::{Profile, build};
use serde_json::{Value, json};
use tokio::sync::OnceCell;
use uuid::Uuid;

static PROGRAM: OnceCell<PathBuf> = OnceCell::const_new();

pub(crate) struct Incident {
    pub(crate) env: TestEnv,
    pub(crate) kubeconfig: PathBuf,
    /// Keeps the operator alive.
    pub(crate) operator: Option<Operator>,
}

/// How a command ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Incident {
    /// Returns an incident with a running operator that retries soon.
    pub(crate) async fn new() -> Self {
        let mut incident = Self::without_operator().await;
        incident.start_operator(&["--retry-min", "100ms", "--retry-max", "100ms"]).await;
        incident
    }

    /// Returns an incident whose requests stay as they are.
    pub(crate) async fn without_operator() -> Self {
        let env = TestEnv::new().await;
        let mut incident = Self { env, kubeconfig: PathBuf::new(), operator: None };
        incident.kubeconfig = incident.account("person", "cde-operator-requester").await;
        incident
    }

    /// Returns the kubeconfig of another account with this cluster role.
    pub(crate) async fn account(&self, name: &str, role: &str) -> PathBuf {
        let account = json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name}});
        self.env.kubectl(&["create", "-f", "-"], &account.to_string()).await;
        let (role, subject) =
            (format!("--clusterrole={role}"), format!("--serviceaccount={}:{name}", self.env.namespace));
        self.env.kubectl(&["create", "rolebinding", name, &role, &subject], "").await;
        // The authorizer of the API server learns this from a watch.
        let user = format!("system:serviceaccount:{}:{name}", self.env.namespace);
        let can = ["auth", "can-i", "list", "connectorrestores.cde.productsup.com", "--as", &user];
        while self.env.try_kubectl(&can, "").await.is_err() {}
        self.env.control_plane.service_account(&self.env.namespace, name, None).await.unwrap()
    }

    /// Starts an operator with `more` flags.
    pub(crate) async fn start_operator(&mut self, more: &[&str]) {
        let program = PROGRAM
            .get_or_init(async || {
                build("cde-operator", Profile::Dev, scratch_dir().unwrap().path()).await.unwrap()
            })
            .await;
        let args = [&["--timeout", "20s", "--rate", "0"], more].concat();
        let flags = Flags {
            args: args.into_iter().map(str::to_owned).collect(),
            env: Vec::new(),
            program: program.clone(),
            token_file: true,
            wait_ready: true,
        };
        self.operator = Some(self.env.start(flags).await);
    }

    /// Returns the plugin with `args`, as the person runs it.
    pub(crate) fn plugin(&self, args: &[&str]) -> Command {
        self.plugin_as(&self.kubeconfig, args)
    }

    /// Returns the plugin with `args` and another kubeconfig.
    pub(crate) fn plugin_as(&self, kubeconfig: &Path, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_kubectl-cde"));
        for (name, _) in std::env::vars_os() {
            let text = name.to_string_lossy().to_lowercase();
            if text.starts_with("cde_") || text.ends_with("_proxy") {
                command.env_remove(&name);
            }
        }
        command.env("KUBECONFIG", kubeconfig).env("HOME", self.env.scratch.path());
        command.args(args).args(["-n", &self.env.namespace]);
        command
    }

    /// Runs the plugin to its end.
    pub(crate) async fn run(&self, args: &[&str]) -> Ended {
        run(self.plugin(args), "").await
    }

    /// Runs the plugin with this standard input.
    pub(crate) async fn run_with(&self, args: &[&str], stdin: &str) -> Ended {
        run(self.plugin(args), stdin).await
    }

    /// Runs the plugin, which must succeed, and returns its standard output.
    pub(crate) async fn ok(&self, args: &[&str]) -> String {
        let ended = self.run(args).await;
        assert_eq!(ended.code, 0, "{args:?}: {ended:?}");
        ended.stdout
    }

    /// Returns all requests of both kinds as JSON.
    pub(crate) async fn stored(&self) -> Vec<Value> {
        let text = self.env.kubectl(&["get", "cde", "-o", "json"], "").await;
        let list: Value = serde_json::from_str(&text).unwrap();
        list["items"].as_array().cloned().unwrap_or_default()
    }

    /// Applies a rollback whose outcome is unknown in the end, and returns its name.
    pub(crate) async fn unknown(&self) -> String {
        let request = Request::new(Kind::Rollback, "unknown");
        self.env.sandbox.put(request.ready_connector());
        let on = |operation| Fault::on(operation).connector(request.id);
        self.env.sandbox.inject(on(Operation::Changing).answer(500));
        self.env.sandbox.inject(on(Operation::Changing).answer(403).always());
        self.env.sandbox.inject(on(Operation::Read).skip(1).answer(403).always());
        self.env.apply(&request.manifest()).await;
        self.env.wait_for(&request, "OutcomeUnknown").await;
        request.name
    }

    /// Applies a rollback of a connector that does not exist, waits until it has failed, and returns it.
    pub(crate) async fn failed(&self) -> Request {
        let request = Request::new(Kind::Rollback, "failed");
        self.env.apply(&request.manifest()).await;
        self.env.wait_for(&request, "NotFound").await;
        request
    }

    /// Puts a connector into the CDE whose migration can be rolled back.
    pub(crate) fn migrated(&self, name: &str) -> Uuid {
        let id = new_id();
        self.env.sandbox.put(Connector::migrated(id).name(name));
        id
    }
}

/// Runs a command to its end with this standard input.
pub(crate) async fn run(command: Command, stdin: &str) -> Ended {
    let running = cde_sandbox::process::output(command, stdin.as_bytes());
    let Output { status, stdout, stderr } =
        tokio::time::timeout(LIMIT, running).await.expect("the program ends").unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Ended { code: status.code().unwrap(), stdout: text(stdout), stderr: text(stderr) }
}
