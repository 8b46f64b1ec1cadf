//! Checks that the CDE API responds and accepts the token, by one read.

use uuid::Uuid;

use crate::cde::Token;
use crate::cde::model::{CallId, Connector, Failure, FailureKind};
use crate::runtime::clock;

use super::super::Cde;
use super::Finding;

/// Reads `connector`, or a connector that cannot exist. In that case, a refusal by the CDE API itself is a success.
pub(super) async fn finding(cde: &Cde, token: &Token, connector: Option<Uuid>) -> Finding {
    let id = CallId { operation: clock::unique().to_string(), attempt: 1 };
    let asked = connector.unwrap_or(Uuid::nil()).to_string();
    let answer = cde.client.connector(&asked, &id, token).await.map(|answer| answer.data);
    Finding::new("cde", judge(connector, answer))
}

fn judge(connector: Option<Uuid>, answer: Result<Connector, Failure>) -> Result<String, String> {
    let failure = match (answer, connector) {
        (Ok(_), Some(connector)) => return Ok(format!("responds, and the token can read {connector}")),
        (Ok(_), None) => return Ok("responds and accepts the token".to_owned()),
        (Err(failure), _) => failure,
    };
    let Failure { kind, message, .. } = failure;
    match (kind, connector) {
        (FailureKind::Status { code: 401, .. }, _) => Err(format!(
            "rejects the token (401: {message}); write a valid one to the token file, or run `kubectl cde login`"
        )),
        (FailureKind::Status { code: 403 | 404, from_api: true }, None) => {
            Ok("responds and accepts the token; to test a read, set --connector".to_owned())
        }
        (FailureKind::Status { code: code @ (403 | 404), from_api: true }, Some(connector)) => Err(format!(
            "does not let the token read {connector} ({code}: {message}); grant the permission or correct the ID"
        )),
        (FailureKind::Status { code, .. } | FailureKind::Unreadable { code }, _) => {
            Err(format!("gives no valid response ({code}: {message})"))
        }
        (FailureKind::NotSent | FailureKind::NoAnswer, _) => Err(message),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(code: u16, from_api: bool) -> Result<Connector, Failure> {
        let kind = FailureKind::Status { code, from_api };
        Err(Failure { kind, message: "said".to_owned(), retry_at: None })
    }

    #[test]
    fn a_404_for_the_nil_connector_shows_that_the_token_is_accepted() {
        assert!(judge(None, status(404, true)).is_ok());
        assert!(judge(None, status(403, true)).is_ok());
    }

    #[test]
    fn a_response_of_an_intermediary_is_not_one_of_the_cde_api() {
        for code in [403, 404, 503] {
            assert!(judge(None, status(code, false)).is_err(), "{code}");
        }
    }

    #[test]
    fn a_rejected_token_and_an_unreadable_connector_fail_the_check() {
        assert!(judge(None, status(401, true)).is_err());
        for code in [401, 403, 404] {
            assert!(judge(Some(Uuid::nil()), status(code, true)).is_err(), "{code}");
        }
    }
}
