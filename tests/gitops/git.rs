//! A Git repository that is served over HTTP: `git http-backend` behind the few lines of a CGI server.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use axum::Router;
use axum::body::{self, Body};
use axum::extract::{Request, State};
use axum::response::Response;
use cde_sandbox::process::{self, ScratchDir, scratch_dir};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

const NAME: &str = "connectors";

/// A repository with a work tree; its server ends with it.
#[derive(Debug)]
pub(crate) struct Repository {
    pub(crate) url: String,
    server: JoinHandle<()>,
    scratch: ScratchDir,
}

impl Repository {
    /// Makes one with an empty commit.
    pub(crate) async fn new() -> Self {
        let scratch = scratch_dir().expect("a scratch directory");
        fs::create_dir(scratch.path().join(NAME)).expect("a work tree");
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}/{NAME}", listener.local_addr().expect("an address"));
        let app = Router::new().fallback(serve).with_state(scratch.path().to_owned());
        let server = tokio::spawn(async move { axum::serve(listener, app).await.expect("a Git server") });
        let repository = Self { url, server, scratch };
        repository.git(&["init", "--quiet", "--initial-branch=main"]).await;
        repository.commit("Begin").await;
        repository
    }

    /// Writes a file of the work tree.
    pub(crate) fn write(&self, path: &str, content: &str) {
        let file = self.work_tree().join(path);
        fs::create_dir_all(file.parent().expect("a directory")).expect("a directory");
        fs::write(file, content).expect("a file");
    }

    /// Removes a file of the work tree.
    pub(crate) fn remove(&self, path: &str) {
        fs::remove_file(self.work_tree().join(path)).expect("the file is there");
    }

    /// Moves a file of the work tree.
    pub(crate) fn rename(&self, from: &str, to: &str) {
        let to = self.work_tree().join(to);
        fs::create_dir_all(to.parent().expect("a directory")).expect("a directory");
        fs::rename(self.work_tree().join(from), to).expect("the file is there");
    }

    /// Commits the work tree to `main` and returns the commit's hash.
    pub(crate) async fn commit(&self, message: &str) -> String {
        self.git(&["add", "--all"]).await;
        self.git(&["commit", "--quiet", "--allow-empty", "-m", message]).await;
        self.git(&["rev-parse", "HEAD"]).await.trim().to_owned()
    }

    fn work_tree(&self) -> PathBuf {
        self.scratch.path().join(NAME)
    }

    async fn git(&self, args: &[&str]) -> String {
        let mut command = git(self.scratch.path());
        command.arg("-C").arg(self.work_tree()).args(args);
        let output = process::output(command, b"").await.expect("git");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "git {args:?}: {said}");
        String::from_utf8(output.stdout).expect("text")
    }
}

impl Drop for Repository {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// A git that reads no configuration but its own.
fn git(home: &Path) -> Command {
    let mut command = Command::new("git");
    command.env("HOME", home).env("GIT_CONFIG_NOSYSTEM", "1").env_remove("XDG_CONFIG_HOME");
    for who in ["AUTHOR", "COMMITTER"] {
        command.env(format!("GIT_{who}_NAME"), "test").env(format!("GIT_{who}_EMAIL"), "test@example.com");
    }
    command
}

/// Answers one request by `git http-backend`, as CGI has it (RFC 3875).
async fn serve(State(root): State<PathBuf>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let header = |name| head.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let body = body::to_bytes(body, usize::MAX).await.expect("a body");
    let mut backend = git(&root);
    backend
        .arg("http-backend")
        .env("GIT_PROJECT_ROOT", &root)
        .env("GIT_HTTP_EXPORT_ALL", "1")
        .env("REQUEST_METHOD", head.method.as_str())
        .env("PATH_INFO", head.uri.path())
        .env("QUERY_STRING", head.uri.query().unwrap_or_default())
        .env("CONTENT_LENGTH", body.len().to_string())
        .env("CONTENT_TYPE", header("content-type"))
        .env("HTTP_CONTENT_ENCODING", header("content-encoding"))
        .env("GIT_PROTOCOL", header("git-protocol"));
    let output = process::output(backend, &body).await.expect("git http-backend");
    let end = output.stdout.windows(4).position(|four| four == b"\r\n\r\n").expect("the end of the headers");
    let mut response = Response::builder();
    for line in String::from_utf8_lossy(&output.stdout[..end]).lines() {
        let (name, value) = line.split_once(": ").expect("a header");
        response = match name {
            "Status" => response.status(value.split(' ').next().expect("a code")),
            _ => response.header(name, value),
        };
    }
    response.body(Body::from(output.stdout[end + 4..].to_vec())).expect("an answer")
}
