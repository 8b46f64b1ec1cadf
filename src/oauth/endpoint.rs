//! The client of the token endpoint and of the revocation endpoint. Each call sends at most one HTTP request.

use std::path::{Path, PathBuf};

use http::header::{ACCEPT, CONTENT_TYPE};
use jiff::Timestamp;
use reqwest::RequestBuilder;
use secrecy::{ExposeSecret, SecretString};

use crate::http_client::{self, ConfigError, Options, read_body, retry_at, root_cause};

use super::answer::{Answer, Failure, classify};
use super::url::EndpointUrl;

/// A larger body (in bytes) is not one of a token endpoint.
const MAX_BODY: usize = 256 * 1024;

/// How the client identifies itself (RFC 6749, section 2.3).
#[derive(Clone, Debug)]
pub struct ClientCredentials {
    /// The client ID.
    pub id: String,
    /// A file with the secret of a confidential client, read for each call; `None` for a public client.
    pub secret_file: Option<PathBuf>,
}

/// The token endpoint of an authorization server.
#[derive(Clone, Debug)]
pub struct TokenEndpoint {
    http: reqwest::Client,
    url: EndpointUrl,
    client: ClientCredentials,
}

impl TokenEndpoint {
    /// Creates a client without contacting anything.
    ///
    /// # Errors
    /// Fails if HTTPS cannot be set up, or if the file with the client secret is unusable.
    pub fn new(url: EndpointUrl, client: ClientCredentials, options: &Options) -> Result<Self, ConfigError> {
        let http = http_client::build(url.url(), options)?;
        if let Some(path) = &client.secret_file {
            read_secret(path)?;
        }
        Ok(Self { http, url, client })
    }

    /// Exchanges a refresh token for new tokens. `scopes` are separated by spaces; none keeps those of the login.
    /// `now` is when the call is made.
    pub async fn refresh(
        &self,
        refresh_token: &SecretString,
        scopes: Option<&str>,
        now: Timestamp,
    ) -> Answer {
        let mut form =
            vec![("grant_type", "refresh_token"), ("refresh_token", refresh_token.expose_secret())];
        form.extend(scopes.map(|scopes| ("scope", scopes)));
        self.post(&form, &[refresh_token], now).await
    }

    /// Exchanges an authorization code and its PKCE verifier (RFC 7636) for tokens.
    pub async fn exchange(
        &self,
        code: &SecretString,
        verifier: &SecretString,
        redirect_uri: &str,
        now: Timestamp,
    ) -> Answer {
        let form = [
            ("grant_type", "authorization_code"),
            ("code", code.expose_secret()),
            ("code_verifier", verifier.expose_secret()),
            ("redirect_uri", redirect_uri),
        ];
        self.post(&form, &[code, verifier], now).await
    }

    /// Revokes a refresh token (RFC 7009), which ends its access tokens, too.
    ///
    /// # Errors
    /// Says why the token may still be valid, without credentials.
    pub async fn revoke(&self, revocation_url: &EndpointUrl, token: &SecretString) -> Result<(), String> {
        let form = [("token", token.expose_secret()), ("token_type_hint", "refresh_token")];
        let request = self.request(revocation_url, &form).map_err(|error| error.to_string())?;
        let answer = request.send().await.map_err(|error| root_cause(&error.without_url()))?;
        let code = answer.status();
        if code.is_success() {
            Ok(())
        } else {
            Err(format!("the revocation endpoint answered {}", code.as_u16()))
        }
    }

    async fn post(&self, form: &[(&str, &str)], secrets: &[&SecretString], now: Timestamp) -> Answer {
        let unsent = |why: String| Answer::Failed(Failure::Unreachable(why));
        let request = match self.request(&self.url, form) {
            Ok(request) => request,
            Err(error) => return unsent(error.to_string()),
        };
        let mut response = match request.send().await {
            Ok(response) => response,
            Err(error) => return no_response(error),
        };
        let (code, retry_at) = (response.status().as_u16(), retry_at(response.headers(), now));
        match read_body(&mut response, MAX_BODY).await {
            Ok(body) => classify(code, &body, retry_at, &|text| redact(text, secrets)),
            // The code alone shows what happened, unless it may have been a grant.
            Err(why) if (200..300).contains(&code) => Answer::Failed(Failure::Unknown(format!(
                "the response of the token endpoint was lost: {why}"
            ))),
            Err(_) => classify(code, b"", retry_at, &str::to_owned),
        }
    }

    fn request(&self, url: &EndpointUrl, form: &[(&str, &str)]) -> Result<RequestBuilder, ConfigError> {
        let mut request = self
            .http
            .post(url.url().clone())
            .header(ACCEPT, "application/json")
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded");
        let mut body = form_urlencoded::Serializer::new(String::new());
        body.extend_pairs(form);
        match &self.client.secret_file {
            None => {
                body.append_pair("client_id", &self.client.id);
            }
            // The encoding of both is that of a form (RFC 6749, section 2.3.1).
            Some(path) => {
                let secret = read_secret(path)?;
                request = request.basic_auth(encoded(&self.client.id), Some(encoded(secret.expose_secret())));
            }
        }
        Ok(request.body(body.finish()))
    }
}

fn no_response(error: reqwest::Error) -> Answer {
    let error = error.without_url();
    let why = root_cause(&error);
    Answer::Failed(if error.is_builder() || error.is_connect() {
        Failure::Unreachable(format!("cannot connect to the token endpoint; nothing was sent: {why}"))
    } else if error.is_timeout() {
        Failure::Unknown("the token endpoint did not answer in time".to_owned())
    } else {
        Failure::Unknown(format!("the connection to the token endpoint was cut: {why}"))
    })
}

/// Removes what this client sent from a text of the server.
fn redact(text: &str, secrets: &[&SecretString]) -> String {
    secrets.iter().fold(text.to_owned(), |text, secret| text.replace(secret.expose_secret(), "[redacted]"))
}

fn encoded(text: &str) -> String {
    form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

fn read_secret(path: &Path) -> Result<SecretString, ConfigError> {
    let refuse = |why: String| ConfigError(format!("--oauth-client-secret-file {} {why}", path.display()));
    let text = std::fs::read_to_string(path)
        .map_err(|why| refuse(format!("cannot be read ({why}); write the client secret to it")))?;
    match text.trim() {
        "" => Err(refuse("is empty; write the client secret to it".to_owned())),
        secret => Ok(secret.into()),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic, reason = "a test may panic")]
mod tests {
    use std::io::Write as _;
    use std::time::Duration;

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    use super::*;

    fn endpoint(url: &str, secret_file: Option<PathBuf>) -> TokenEndpoint {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let options =
            Options { timeout: Duration::from_secs(5), ca_file: None, user_agent: "test".to_owned() };
        let url = EndpointUrl::parse("--oauth-token-url", url).unwrap();
        TokenEndpoint::new(url, ClientCredentials { id: "c:1".to_owned(), secret_file }, &options).unwrap()
    }

    /// Answers one request with `answer`, and returns the request.
    async fn served(answer: &'static str, secret_file: Option<PathBuf>) -> (Answer, String) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = endpoint(&format!("http://{}/token", listener.local_addr().unwrap()), secret_file);
        let server = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = Vec::new();
            while !String::from_utf8_lossy(&request).contains("grant_type") {
                let mut part = [0; 4096];
                let length = stream.read(&mut part).await.unwrap();
                request.extend_from_slice(&part[..length]);
            }
            stream.write_all(answer.as_bytes()).await.unwrap();
            String::from_utf8(request).unwrap()
        };
        let token = "canary+r".into();
        tokio::join!(endpoint.refresh(&token, Some("a b"), Timestamp::UNIX_EPOCH), server)
    }

    #[tokio::test]
    async fn a_public_client_sends_its_id_in_the_body_and_a_confidential_one_uses_basic_authentication() {
        let answer = "HTTP/1.1 200 OK\r\ncontent-length: 20\r\n\r\n{\"access_token\":\"a\"}";
        let (granted, request) = served(answer, None).await;
        assert!(matches!(granted, Answer::Granted(_)), "{granted:?}");
        let form = "grant_type=refresh_token&refresh_token=canary%2Br&scope=a+b";
        assert!(request.ends_with(&format!("{form}&client_id=c%3A1")), "{request}");
        assert!(!request.to_lowercase().contains("authorization:"), "{request}");

        let mut file = tempfile::NamedTempFile::new().unwrap();
        writeln!(file, "p:w").unwrap();
        let (_, request) = served(answer, Some(file.path().to_owned())).await;
        assert!(request.ends_with(form), "{request}");
        assert!(request.contains("Basic YyUzQTE6cCUzQXc="), "{request}");
    }

    #[tokio::test]
    async fn a_response_that_ends_early_leaves_it_unknown_whether_the_token_was_spent() {
        for answer in ["", "HTTP/1.1 200 OK\r\ncontent-length: 20\r\n\r\n{\"acc"] {
            let (answer, _) = served(answer, None).await;
            assert!(matches!(&answer, Answer::Failed(Failure::Unknown(_))), "{answer:?}");
        }
        let (answer, _) = served("HTTP/1.1 404 Not Found\r\ncontent-length: 20\r\n\r\n<ht", None).await;
        assert!(matches!(&answer, Answer::Failed(Failure::Configuration(_))), "{answer:?}");
    }

    #[tokio::test]
    async fn nothing_was_sent_if_no_connection_could_be_made() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/token", listener.local_addr().unwrap());
        drop(listener);
        let answer = endpoint(&url, None).refresh(&"r".into(), None, Timestamp::UNIX_EPOCH).await;
        assert!(matches!(&answer, Answer::Failed(Failure::Unreachable(_))), "{answer:?}");
    }

    #[tokio::test]
    async fn an_echoed_refresh_token_is_redacted() {
        let answer = "HTTP/1.1 400 Bad Request\r\nconnection: close\r\n\r\n\
            {\"error\":\"invalid_grant\",\"error_description\":\"no canary+r!! \"}";
        let (answer, _) = served(answer, None).await;
        let Answer::Failed(Failure::InvalidGrant(why)) = &answer else { panic!("{answer:?}") };
        assert!(why.contains("no [redacted]!!") && !why.contains("canary"), "{why}");
    }

    #[test]
    fn an_unusable_file_with_the_client_secret_is_reported_at_the_start() {
        let url = EndpointUrl::parse("--oauth-token-url", "http://127.0.0.1/token").unwrap();
        let _ = rustls::crypto::ring::default_provider().install_default();
        let options =
            Options { timeout: Duration::from_secs(5), ca_file: None, user_agent: "test".to_owned() };
        let empty = tempfile::NamedTempFile::new().unwrap();
        for (path, says) in [(Path::new("/no/such/file"), "cannot be read"), (empty.path(), "is empty")] {
            let client = ClientCredentials { id: "c".to_owned(), secret_file: Some(path.to_owned()) };
            let error = TokenEndpoint::new(url.clone(), client, &options).map(|_| ()).unwrap_err();
            assert!(error.to_string().contains(says), "{error}");
        }
    }
}
