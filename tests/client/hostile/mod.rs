//! Malicious or careless input: responses of any shape over a real socket, and objects of any shape from an API server
//! without a schema.
//!
//! proptest generates the input. A case that fails is shrunk, printed, and kept in a file
//! `tests/client/hostile/….regressions`, from which the next run takes it first. `PROPTEST_CASES=100000 cargo test
//! --test client hostile::` generates more cases.

mod answers;
mod draw;
mod endless;
mod life;
mod reconciliations;
mod reference;
mod rules;
mod server;
mod stored;

use proptest::test_runner::{Config, FileFailurePersistence};

/// Returns a configuration with this many cases, unless the environment sets another number.
fn cases(usually: u32) -> Config {
    let asked = std::env::var_os("PROPTEST_CASES").is_some();
    let default = Config::default();
    Config {
        cases: if asked { default.cases } else { usually },
        failure_persistence: Some(Box::new(FileFailurePersistence::WithSource("regressions"))),
        ..default
    }
}
