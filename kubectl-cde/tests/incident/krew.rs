//! The krew manifest, as `krew/package` writes it.

use std::collections::BTreeMap;
use std::process::Command;

use cde_sandbox::process::scratch_dir;
use cde_sandbox::program::workspace;
use regex::Regex;
use serde::Deserialize;

use super::fixture::run;

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

#[tokio::test]
async fn the_manifest_names_the_archives_and_their_checksums() {
    let scratch = scratch_dir().unwrap();
    let dir = scratch.path().display().to_string();
    let program = env!("CARGO_BIN_EXE_kubectl-cde");
    let mut command = Command::new("bash");
    command.arg(workspace().join("kubectl-cde/krew/package"));
    command.args(["--version", "1.2.3", "--url", "https://example.com/v1.2.3/", "--dir", &dir]);
    for target in ["x86_64-unknown-linux-musl", "aarch64-apple-darwin", "x86_64-pc-windows-gnu"] {
        command.arg(format!("{target}={program}"));
    }
    let ended = run(command, "").await;
    assert_eq!(ended.code, 0, "{ended:?}");

    let text = std::fs::read_to_string(scratch.path().join("cde.yaml")).unwrap();
    let manifest: Manifest = serde_saphyr::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
    assert_eq!(manifest.api_version, "krew.googlecontainertools.github.com/v1alpha2");
    assert_eq!((manifest.kind.as_str(), manifest.metadata["name"].as_str()), ("Plugin", "cde"));
    let spec = manifest.spec;
    assert_eq!(spec.version, "v1.2.3");
    assert!(!spec.short_description.ends_with('.') && spec.short_description.len() <= 50);
    assert!(spec.description.lines().chain(spec.caveats.lines()).all(|line| line.len() <= 80));
    let hash = Regex::new("^[0-9a-f]{64}$").unwrap();
    for (platform, os, bin) in
        [(0, "linux", "kubectl-cde"), (1, "darwin", "kubectl-cde"), (2, "windows", "kubectl-cde.exe")]
            .map(|(index, os, bin)| (&spec.platforms[index], os, bin))
    {
        assert_eq!((platform.selector["matchLabels"]["os"].as_str(), platform.bin.as_str()), (os, bin));
        assert!(hash.is_match(&platform.sha256), "{platform:?}");
        let file = platform.uri.strip_prefix("https://example.com/v1.2.3/").unwrap();
        let mut sum = Command::new("sha256sum");
        sum.arg(scratch.path().join(file));
        assert!(run(sum, "").await.stdout.starts_with(&platform.sha256), "{platform:?}");
        let mut list = Command::new("tar");
        list.arg("-tzf").arg(scratch.path().join(file));
        let files = run(list, "").await.stdout;
        assert_eq!(files, format!("./\n./{bin}\n./kubectl_complete-cde\n"), "{files}");
    }
}
