//! Input from those who mean no good, and from those who do not know better: answers of any shape over a real socket,
//! objects of any shape from an API server without a schema.
//!
//! What is drawn is drawn by proptest. A case that fails is shrunk, printed, and kept in a file
//! `tests/client/hostile/….regressions`, from which the next run takes it first; `PROPTEST_CASES=100000 cargo test --test
//! client hostile::` draws more.

mod answers;
mod draw;
mod endless;
mod passes;
mod reference;
mod rules;
mod server;
mod stored;
mod story;

use proptest::test_runner::{Config, FileFailurePersistence};

/// So many cases, unless the environment asks for another number.
fn cases(usually: u32) -> Config {
    let asked = std::env::var_os("PROPTEST_CASES").is_some();
    let default = Config::default();
    Config {
        cases: if asked { default.cases } else { usually },
        failure_persistence: Some(Box::new(FileFailurePersistence::WithSource("regressions"))),
        ..default
    }
}
