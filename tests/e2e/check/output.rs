//! The output formats of the findings.

use crate::check::fixture::{Check, operator};

#[tokio::test]
async fn text_output_has_one_line_per_finding_and_no_colors_without_a_terminal() {
    let check = Check::run_as(&operator().await).await;
    let text = String::from_utf8(check.run().await.stdout).unwrap();
    let (findings, _) = check.findings().await;
    assert_eq!(text.lines().count(), findings.len());
    for (line, finding) in text.lines().zip(findings) {
        assert!(line.starts_with(&finding.verdict) && line.contains(&finding.check), "{line}");
        assert!(line.ends_with(&finding.message), "{line}");
    }
    assert!(!text.contains('\x1b'), "{text}");
}

#[tokio::test]
async fn output_is_colored_on_a_terminal_and_never_as_json() {
    let kubeconfig = operator().await;
    // Makes anstream assume a terminal where there is none.
    let check = Check::run_as(&kubeconfig).await.env("CLICOLOR_FORCE", "1");
    let text = String::from_utf8(check.run().await.stdout).unwrap();
    assert!(text.lines().all(|line| line.starts_with("\x1b[32mok")), "{text}");
    let json = check.flag("--output=json").run().await.stdout;
    assert!(!String::from_utf8(json).unwrap().contains('\x1b'));
}

#[tokio::test]
async fn invalid_flags_exit_with_code_2_and_an_explanation() {
    let output = Check::run_as(&operator().await).await.flag("--output=xml").run().await;
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(output.stdout, b"");
    assert!(String::from_utf8(output.stderr).unwrap().contains("text, json"));
}
