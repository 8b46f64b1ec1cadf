//! How findings look.

use crate::fixture::{Check, operator};

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
async fn bad_flags_end_with_code_2_and_a_sentence() {
    let output = Check::as_whom(&operator().await).await.flag("--output=xml").run().await;
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(output.stdout, b"");
    assert!(String::from_utf8(output.stderr).unwrap().contains("text, json"));
}
