//! Names in the URL: a DNS server that does not answer for IPv6 addresses is as good as one that has none.

use std::os::unix::fs::MetadataExt as _;
use std::process::Command;

use cde_harness::operator_program;
use cde_sandbox::process::{self, scratch_dir};
use cde_sandbox::program::{Profile, build};

use crate::check::fixture::{Finding, message};

/// With the libc of this machine. `deploy/image/verify` does the same with the image, whose libc is musl.
#[tokio::test]
async fn a_name_resolves_although_the_dns_server_fails_for_ipv6_addresses() {
    if std::fs::metadata("/proc/self").unwrap().uid() != 0 {
        eprintln!("skipped the test of names, which needs root for a network of its own");
        return;
    }
    let scratch = scratch_dir().unwrap();
    let nameserver = build("nameserver", Profile::Dev, scratch.path()).await.unwrap();
    let token = scratch.path().join("token");
    std::fs::write(&token, "canary-token").unwrap();
    let run = |more: &[&str], host: &str| {
        let mut command = Command::new(&nameserver);
        command
            .args(more)
            .arg(operator_program())
            .args(["check", "--output=json", "--timeout=20s", "--url", &format!("https://{host}:9")])
            .arg("--token-file")
            .arg(&token)
            .env("KUBECONFIG", "/missing");
        process::output(command, b"")
    };
    let failing = ["plain", "formerr", "servfail", "nxdomain", "notimp", "refused", "silent"];
    let names = failing.map(|failure| (vec![], format!("{failure}.cde.test")));
    let domains = ["refused.search", "servfail.search"]
        .map(|domain| (vec!["--search", domain], "plain.cde.test".to_owned()));
    for (more, host) in names.into_iter().chain(domains) {
        let checked = run(&more, &host).await.unwrap();
        let findings: Vec<Finding> = serde_json::from_slice(&checked.stdout)
            .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&checked.stderr)));
        let said = message(&findings, "cde");
        assert!(said.ends_with("Connection refused (os error 111)"), "{host} {more:?}: {said}");
    }
}
