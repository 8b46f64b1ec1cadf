//! What every test shows beside its own outcome: no operator told its token to a log, and none panicked. A test
//! that fails says how to run it again.

use std::fs;
use std::path::PathBuf;
use std::thread;

use super::World;

impl Drop for World {
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

impl World {
    /// What each operator of this world has printed.
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
    eprintln!("replay: cargo test --test {} -- --exact {test} --nocapture", env!("CARGO_CRATE_NAME"));
}
