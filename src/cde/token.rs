//! Reads the bearer token from a file that may be replaced at any time.
//!
//! - The file is polled, because Kubernetes replaces a mounted Secret by renaming a symbolic link, which a watch of the
//!   file does not notice.
//! - Every new token has another generation number, so that a caller whose token was rejected knows whether it changed.
//! - The last usable token stays in use if the file becomes unusable.
//! - The token appears in no error and no `Debug` output.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http::HeaderValue;
use http::header::InvalidHeaderValue;
use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::watch;

use crate::runtime::clock;

use super::ConfigError;

/// A larger file (in bytes) is rejected.
const MAX_BYTES: u64 = 64 * 1024;

/// A bearer token. Cheap to clone; its `Debug` output does not show it.
#[derive(Clone, Debug)]
pub struct Token {
    /// `None` before there is a token.
    text: Option<Arc<SecretString>>,
    generation: u64,
}

/// Why a token cannot be sent.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unsendable {
    #[error("there is no token yet")]
    Absent,
    #[error("the token is not a valid header value")]
    Invalid(#[from] InvalidHeaderValue),
}

impl Token {
    /// Returns the token with this number.
    #[must_use]
    pub fn new(text: SecretString, generation: u64) -> Self {
        Self { text: Some(Arc::new(text)), generation }
    }

    /// Returns a placeholder with the number 0. A call with it fails before anything is sent.
    #[must_use]
    pub fn absent() -> Self {
        Self { text: None, generation: 0 }
    }

    /// Returns whether this is the placeholder.
    #[must_use]
    pub fn is_absent(&self) -> bool {
        self.text.is_none()
    }

    /// Returns the number of this token: 1 for the first that was read, then one more for each replacement.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// Returns the value of an `Authorization` header, marked as sensitive.
    pub(super) fn authorization(&self) -> Result<HeaderValue, Unsendable> {
        let text = self.text.as_ref().ok_or(Unsendable::Absent)?;
        let mut value = HeaderValue::try_from(format!("Bearer {}", text.expose_secret()))?;
        value.set_sensitive(true);
        Ok(value)
    }

    /// Returns whether the token occurs in `text`.
    pub(super) fn is_in(&self, text: &str) -> bool {
        self.text.as_ref().is_some_and(|token| {
            let token = token.expose_secret();
            // A search prepares itself for the token, which costs more than most texts.
            text.len() >= token.len() && text.contains(token)
        })
    }

    /// Returns `text` with `[redacted]` in place of every occurrence of the token.
    pub(super) fn redact(&self, text: &str) -> String {
        match &self.text {
            Some(token) => text.replace(token.expose_secret(), "[redacted]"),
            None => text.to_owned(),
        }
    }

    /// Returns whether this is the token with this text.
    #[must_use]
    pub fn is(&self, text: &SecretString) -> bool {
        self.text.as_ref().is_some_and(|own| own.expose_secret() == text.expose_secret())
    }

    #[cfg(test)]
    pub(super) fn fixed(text: &str) -> Self {
        Self::new(text.into(), 1)
    }
}

/// What calls may use.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Access {
    /// The number of the token: one more for each replacement.
    pub generation: u64,
    /// Why there is no usable token and what to do, if a person must act.
    pub login_required: Option<Arc<str>>,
}

/// A token file and the last usable token that was read from it.
#[derive(Debug)]
pub struct TokenFile {
    path: PathBuf,
    state: Mutex<State>,
    access: watch::Sender<Access>,
}

#[derive(Debug)]
struct State {
    token: Token,
    /// When `token` was first read.
    since: Timestamp,
    /// Why the file was unusable when it was last read; each problem is logged once.
    problem: Option<ConfigError>,
}

impl TokenFile {
    /// Reads the token from the file at `path` and trims white space around it.
    ///
    /// # Errors
    /// Fails if the file is missing, unreadable, empty, larger than 64 KiB or not a regular file, or if its content
    /// cannot be a bearer token. The error does not quote the content.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self, ConfigError> {
        let path = path.into();
        let token = Token::new(read(&path)?, 1);
        let access = watch::Sender::new(Access { generation: token.generation, login_required: None });
        Ok(Self { path, state: Mutex::new(State { token, since: clock::now(), problem: None }), access })
    }

    /// Returns the last usable token.
    #[must_use]
    pub fn current(&self) -> Token {
        self.state().token.clone()
    }

    /// Reads the file again; returns whether the token has changed. If the file is unusable, the last token stays in use.
    pub fn reload(&self) -> bool {
        let content = read(&self.path);
        let mut state = self.state();
        match content {
            Ok(text) => {
                if state.problem.take().is_some() {
                    tracing::info!("the token file is usable again");
                }
                if state.token.is(&text) {
                    return false;
                }
                let generation = state.token.generation + 1;
                state.token = Token::new(text, generation);
                state.since = clock::now();
                self.access.send_replace(Access { generation, login_required: None });
                tracing::info!(generation, "the token was replaced");
                true
            }
            Err(problem) => {
                if state.problem.as_ref() != Some(&problem) {
                    tracing::warn!("{problem}; the last token stays in use");
                    state.problem = Some(problem);
                }
                false
            }
        }
    }

    /// Returns when the current token was first read, and whether the file was usable when it was last read.
    #[must_use]
    pub fn condition(&self) -> (Timestamp, bool) {
        let state = self.state();
        (state.since, state.problem.is_none())
    }

    /// Reads the file again every `interval`. Never returns.
    pub async fn watch(&self, interval: Duration) {
        loop {
            tokio::time::sleep(interval).await;
            self.reload();
        }
    }

    /// Returns a receiver that is notified of each replacement.
    #[must_use]
    pub fn access(&self) -> watch::Receiver<Access> {
        self.access.subscribe()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn read(path: &Path) -> Result<SecretString, ConfigError> {
    let refuse = |why: String| ConfigError(format!("--token-file {} {why}", path.display()));
    let unreadable = |why| refuse(format!("cannot be read ({why}); write the bearer token to it"));
    let metadata = std::fs::metadata(path).map_err(unreadable)?;
    if !metadata.is_file() {
        return Err(refuse("is not a regular file; it is read repeatedly, so it must be one".into()));
    }
    let mut bytes = Vec::new();
    File::open(path).and_then(|file| file.take(MAX_BYTES + 1).read_to_end(&mut bytes)).map_err(unreadable)?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(refuse("is larger than 64 KiB; it must contain only the bearer token".into()));
    }
    let token = bytes.trim_ascii();
    if token.is_empty() {
        return Err(refuse("is empty; write the bearer token to it".into()));
    }
    let printable = std::str::from_utf8(token).ok().filter(|text| text.bytes().all(|b| b.is_ascii_graphic()));
    printable.map(SecretString::from).ok_or_else(|| {
        refuse(
            "does not contain a valid bearer token (it has inner white space, control or non-ASCII characters); \
                write the bare token to it, without `Bearer`"
                .into(),
        )
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    fn file(content: impl AsRef<[u8]>) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), content).unwrap();
        file
    }

    fn header(token: &Token) -> String {
        token.authorization().unwrap().to_str().unwrap().to_owned()
    }

    #[test]
    fn white_space_around_the_token_is_trimmed() {
        let file = file(" \t\r\ncanary-token\n\n");
        assert_eq!(header(&TokenFile::open(file.path()).unwrap().current()), "Bearer canary-token");
    }

    #[test]
    fn a_file_without_a_usable_token_is_rejected_without_quoting_it() {
        for (content, says) in [
            (Vec::new(), "is empty"),
            (b" \n".to_vec(), "is empty"),
            (b"Bearer hunter2".to_vec(), "without `Bearer`"),
            (b"hunter2\nhunter3".to_vec(), "valid bearer token"),
            (b"hunter2\0".to_vec(), "valid bearer token"),
            ("hunter2ü".into(), "valid bearer token"),
            (b"hunter2\xff".to_vec(), "valid bearer token"),
            ("hunter2".repeat(10_000).into(), "larger than 64 KiB"),
        ] {
            let file = file(content);
            let error = TokenFile::open(file.path()).unwrap_err().to_string();
            assert!(error.starts_with("--token-file /") && error.contains(says), "{error}");
            assert!(!error.contains("hunter"), "{error}");
        }
        let error = TokenFile::open("/no/such/file").unwrap_err().to_string();
        assert!(error.contains("/no/such/file cannot be read"), "{error}");
        let error = TokenFile::open("/").unwrap_err().to_string();
        assert!(error.contains("not a regular file"), "{error}");
    }

    #[test]
    fn a_token_file_has_at_most_64_kib() {
        let of_size = |bytes: usize| file(format!("token{}", "\n".repeat(bytes - 5)));
        let accepted = TokenFile::open(of_size(64 * 1024).path()).unwrap();
        assert_eq!(header(&accepted.current()), "Bearer token");
        let refused = TokenFile::open(of_size(64 * 1024 + 1).path()).unwrap_err().to_string();
        assert!(refused.contains("larger than 64 KiB"), "{refused}");
    }

    #[test]
    fn a_new_token_has_the_next_generation_and_wakes_waiters() {
        let file = file("first");
        let tokens = TokenFile::open(file.path()).unwrap();
        let mut generations = tokens.access();
        assert!(!tokens.reload(), "the same content is no change");
        std::fs::write(file.path(), "first\n").unwrap();
        assert!(!tokens.reload(), "white space is no change");
        assert!(!generations.has_changed().unwrap());

        std::fs::write(file.path(), "second").unwrap();
        assert!(tokens.reload());
        assert_eq!((header(&tokens.current()), tokens.current().generation()), ("Bearer second".into(), 2));
        assert_eq!(generations.borrow_and_update().generation, 2);
    }

    #[test]
    fn the_time_of_a_token_changes_only_when_it_is_replaced() {
        let file = file("first");
        let before = Timestamp::now();
        let tokens = TokenFile::open(file.path()).unwrap();
        let (first, usable) = tokens.condition();
        assert!(usable && (before..=Timestamp::now()).contains(&first), "{first}");
        assert!(!tokens.reload());
        assert_eq!(tokens.condition(), (first, true));

        let before = Timestamp::now();
        std::fs::write(file.path(), "second").unwrap();
        assert!(tokens.reload());
        let (second, usable) = tokens.condition();
        assert!(usable && (before..=Timestamp::now()).contains(&second), "{second}");
        std::fs::write(file.path(), "").unwrap();
        tokens.reload();
        assert_eq!(tokens.condition(), (second, false));
        std::fs::write(file.path(), "second").unwrap();
        tokens.reload();
        assert_eq!(tokens.condition(), (second, true));
    }

    #[test]
    fn an_unusable_file_leaves_the_last_token_in_use() {
        let file = file("first");
        let path = file.path().to_owned();
        let tokens = TokenFile::open(&path).unwrap();
        std::fs::write(&path, "").unwrap();
        assert!(!tokens.reload());
        drop(file);
        assert!(!tokens.reload());
        assert!(!tokens.condition().1, "the metrics report it");
        assert_eq!((header(&tokens.current()), tokens.current().generation()), ("Bearer first".into(), 1));
    }

    #[cfg(unix)]
    #[test]
    fn a_secret_update_by_kubernetes_is_noticed() {
        use std::os::unix::fs::symlink;
        let dir = tempfile::tempdir().unwrap();
        for (version, content) in [("v1", "first"), ("v2", "second")] {
            std::fs::create_dir(dir.path().join(version)).unwrap();
            std::fs::write(dir.path().join(version).join("token"), content).unwrap();
        }
        symlink("v1", dir.path().join("..data")).unwrap();
        symlink("..data/token", dir.path().join("token")).unwrap();
        let tokens = TokenFile::open(dir.path().join("token")).unwrap();

        symlink("v2", dir.path().join("..data_tmp")).unwrap();
        std::fs::rename(dir.path().join("..data_tmp"), dir.path().join("..data")).unwrap();
        assert!(tokens.reload());
        assert_eq!(header(&tokens.current()), "Bearer second");
    }

    #[tokio::test]
    async fn a_watched_file_is_reread() {
        let file = file("first");
        let tokens = Arc::new(TokenFile::open(file.path()).unwrap());
        let mut generations = tokens.access();
        let watched = tokens.clone();
        let watch = tokio::spawn(async move { watched.watch(Duration::from_millis(1)).await });
        std::fs::write(file.path(), "second").unwrap();
        tokio::time::timeout(Duration::from_secs(10), generations.changed()).await.unwrap().unwrap();
        assert_eq!(tokens.current().generation(), 2);
        watch.abort();
    }

    #[test]
    fn no_debug_output_shows_the_token() {
        let file = file("canary-token");
        let tokens = TokenFile::open(file.path()).unwrap();
        let shown = format!("{tokens:?} {:?} {:?}", tokens.current(), tokens.current().authorization());
        assert!(!shown.contains("canary"), "{shown}");
    }
}
