//! The krew manifest and its archives, as `krew/package` writes them, with the real krew.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use axum::Router;
use axum::extract::Path as Name;
use axum::routing::get;
use cde_sandbox::process::scratch_dir;
use cde_sandbox::program::workspace;
use cde_sandbox::tools;
use regex::Regex;
use serde::Deserialize;
use tokio::net::TcpListener;

use super::fixture::{Incident, run};

const TARGETS: [&str; 3] = ["x86_64-unknown-linux-musl", "aarch64-apple-darwin", "x86_64-pc-windows-gnu"];

/// The manifest in krew's version v1alpha2. An unknown field is a mistake.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Manifest {
    api_version: String,
    kind: String,
    metadata: BTreeMap<String, String>,
    spec: Spec,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Spec {
    version: String,
    short_description: String,
    description: String,
    caveats: String,
    platforms: Vec<Platform>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Platform {
    selector: BTreeMap<String, BTreeMap<String, String>>,
    uri: String,
    sha256: String,
    bin: String,
}

/// Runs `krew/package` with these programs for the targets.
async fn package(dir: &Path, url: &str, programs: [&Path; 3]) {
    let mut command = Command::new("bash");
    command.arg(workspace().join("kubectl-cde/krew/package"));
    command.args(["--version", "1.2.3", "--url", url, "--dir"]).arg(dir);
    for (target, program) in TARGETS.into_iter().zip(programs) {
        command.arg(format!("{target}={}", program.display()));
    }
    let ended = run(command, "").await;
    assert_eq!(ended.code, 0, "{ended:?}");
}

/// Writes a small file in place of a program, which takes a while to pack.
fn small(dir: &Path) -> PathBuf {
    let file = dir.join("small");
    std::fs::write(&file, "#!/bin/sh\n").unwrap();
    file
}

/// Serves the files of a directory, and returns where.
async fn serve(dir: PathBuf) -> String {
    let file = |Name(name): Name<String>| async move { std::fs::read(dir.join(name)).unwrap() };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let app = Router::new().route("/{name}", get(file));
    tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    url
}

#[tokio::test]
async fn the_manifest_names_the_archives_and_their_checksums() {
    let scratch = scratch_dir().unwrap();
    package(scratch.path(), "https://example.com/v1.2.3/", [&small(scratch.path()); 3]).await;
    let text = std::fs::read_to_string(scratch.path().join("cde.yaml")).unwrap();
    let manifest: Manifest = serde_saphyr::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
    assert_eq!(manifest.api_version, "krew.googlecontainertools.github.com/v1alpha2");
    assert_eq!((manifest.kind.as_str(), manifest.metadata["name"].as_str()), ("Plugin", "cde"));
    let spec = manifest.spec;
    assert_eq!(spec.version, "v1.2.3");
    assert!(!spec.short_description.ends_with('.') && spec.short_description.len() <= 50);
    assert!(spec.description.lines().chain(spec.caveats.lines()).all(|line| line.len() <= 80));
    let hash = Regex::new("^[0-9a-f]{64}$").unwrap();
    for (platform, os, files) in [
        (0, "linux", "./\n./LICENSE\n./THIRD-PARTY-NOTICES.txt\n./kubectl-cde\n./kubectl_complete-cde\n"),
        (1, "darwin", "./\n./LICENSE\n./THIRD-PARTY-NOTICES.txt\n./kubectl-cde\n./kubectl_complete-cde\n"),
        (2, "windows", "./\n./LICENSE\n./THIRD-PARTY-NOTICES.txt\n./kubectl-cde.exe\n"),
    ]
    .map(|(index, os, files)| (&spec.platforms[index], os, files))
    {
        assert_eq!(platform.selector["matchLabels"]["os"], os);
        assert!(hash.is_match(&platform.sha256), "{platform:?}");
        let file = platform.uri.strip_prefix("https://example.com/v1.2.3/").unwrap();
        let mut sum = Command::new("sha256sum");
        sum.arg(scratch.path().join(file));
        assert!(run(sum, "").await.stdout.starts_with(&platform.sha256), "{platform:?}");
        let mut list = Command::new("tar");
        list.arg("-tzf").arg(scratch.path().join(file));
        let found = run(list, "").await.stdout;
        assert_eq!(found, files);
        assert!(files.contains(&format!("./{}\n", platform.bin)), "{platform:?}");
    }
}

#[tokio::test]
async fn the_same_program_gives_the_same_archive() {
    let [one, two] = [(), ()].map(|()| scratch_dir().unwrap());
    for scratch in [&one, &two] {
        package(scratch.path(), "https://example.com", [&small(scratch.path()); 3]).await;
    }
    let manifest = |dir: &Path| std::fs::read_to_string(dir.join("cde.yaml")).unwrap();
    assert_eq!(manifest(one.path()), manifest(two.path()), "it has the checksums");
}

#[tokio::test]
async fn krew_accepts_the_manifest_and_kubectl_runs_what_krew_installs() {
    let incident = Incident::without_operator().await;
    let scratch = scratch_dir().unwrap();
    let [archives, root] = ["archives", "krew"].map(|name| scratch.path().join(name));
    let (plugin, small) = (Path::new(env!("CARGO_BIN_EXE_kubectl-cde")), small(scratch.path()));
    package(&archives, &serve(archives.clone()).await, [plugin, &small, &small]).await;
    let manifest = archives.join("cde.yaml");

    let krew = tokio::task::spawn_blocking(tools::krew).await.unwrap().unwrap();
    let kubectl = PathBuf::from(incident.env.control_plane.kubectl().get_program());
    let programs = [krew.parent().unwrap(), kubectl.parent().unwrap(), &root.join("bin")].map(Path::to_owned);
    let system = std::env::var_os("PATH").unwrap();
    let path = std::env::join_paths(programs.into_iter().chain(std::env::split_paths(&system))).unwrap();
    let with = |program: &Path, args: &[&str]| {
        let mut command = Command::new(program);
        command.env("PATH", &path).env("KREW_ROOT", &root).env("HOME", scratch.path()).args(args);
        command.env("KUBECONFIG", &incident.kubeconfig);
        command
    };
    let manifest = manifest.to_str().unwrap();

    // It also installs the archive of every platform.
    let validator = krew.with_file_name("validate-krew-manifest");
    let valid = run(with(&validator, &["-manifest", manifest]), "").await;
    assert!(valid.code == 0 && valid.stderr.contains("all 3 spec.platforms installed fine"), "{valid:?}");

    let installed = run(with(&kubectl, &["krew", "install", "--manifest", manifest]), "").await;
    assert!(installed.code == 0 && installed.stderr.contains("Installed plugin: cde"), "{installed:?}");
    let version = run(with(&kubectl, &["cde", "version", "--client"]), "").await;
    assert!(version.code == 0 && version.stdout.contains(env!("CARGO_PKG_VERSION")), "{version:?}");
}
