//! How findings look.

use crate::check::fixture::{Check, operator};

#[tokio::test]
async fn people_get_one_line_each_and_no_colours_where_there_is_no_terminal() {
    let check = Check::as_whom(&operator().await).await;
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
async fn a_terminal_gets_colours_and_scripts_do_not() {
    let kubeconfig = operator().await;
    // What anstream takes for a terminal, where there is none.
    let check = Check::as_whom(&kubeconfig).await.env("CLICOLOR_FORCE", "1");
    let text = String::from_utf8(check.run().await.stdout).unwrap();
    assert!(text.lines().all(|line| line.starts_with("\x1b[32mok")), "{text}");
    let json = check.flag("--output=json").run().await.stdout;
    assert!(!String::from_utf8(json).unwrap().contains('\x1b'));
}

#[tokio::test]
async fn bad_flags_end_with_code_2_and_a_sentence() {
    let output = Check::as_whom(&operator().await).await.flag("--output=xml").run().await;
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(output.stdout, b"");
    assert!(String::from_utf8(output.stderr).unwrap().contains("text, json"));
}
