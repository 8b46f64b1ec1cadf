//! Checks after every test that no operator wrote its token to a log or panicked, and prints the command that repeats
//! a failed test.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::thread;

use super::TestEnv;

impl Drop for TestEnv {
    fn drop(&mut self) {
        if thread::panicking() {
            replay();
            return;
        }
        let token = self.sandbox.token();
        for log in self.logs() {
            let log = fs::read_to_string(log).expect("a log");
            let line = log.lines().find(|line| line.contains(&token) || line.contains("panicked at"));
            assert!(line.is_none(), "a token or a panic in an operator's log: {line:?}");
        }
    }
}

impl TestEnv {
    /// Returns the log of each operator of this environment.
    fn logs(&self) -> Vec<PathBuf> {
        let files = fs::read_dir(self.scratch.path()).expect("the scratch directory");
        let paths = files.map(|file| file.expect("a file").path());
        paths.filter(|path| path.extension().is_some_and(|extension| extension == "log")).collect()
    }
}

/// Prints the command that runs the test of this thread again.
fn replay() {
    let thread = thread::current();
    // Where tests run one after the other they share the main thread, which does not know their names.
    let test = thread.name().filter(|name| *name != "main").unwrap_or("THE_TEST_ABOVE");
    let program = env::args_os().next().unwrap_or_default();
    // Cargo appends a hash: `target/debug/deps/e2e-0123456789abcdef`.
    let stem = Path::new(&program).file_stem().unwrap_or_default().to_string_lossy();
    let name = stem.rsplit_once('-').map_or(&*stem, |(name, _)| name);
    eprintln!("replay: cargo test --test {name} -- --exact {test} --nocapture");
}
