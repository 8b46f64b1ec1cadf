//! Third-party programs, each built once from a pinned Go module into the user's [cache](crate::cache).
//!
//! The result depends only on the module's text and flags.

mod build;

use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::cache::{self, Build};

/// A Go module that pins the versions of programs.
#[derive(Clone, Copy, Debug, Hash)]
pub(crate) struct Module {
    /// The name in messages and in the cache, and the directory under `sandbox/tools`.
    pub(crate) name: &'static str,
    pub(crate) go_mod: &'static str,
    pub(crate) go_sum: &'static str,
    /// The module's own `main.go`, where it has one.
    pub(crate) main: Option<&'static str>,
    pub(crate) programs: &'static [Program],
    /// Comma-separated, as `go build -tags` takes them.
    pub(crate) tags: &'static str,
    /// Variables that the linker sets to the version of a module, from which programs know their own version.
    pub(crate) versions: &'static [Version],
    /// What a user can do instead of a build. Errors end with it.
    pub(crate) instead: &'static str,
}

/// One program of a module.
#[derive(Clone, Copy, Debug, Hash)]
pub(crate) struct Program {
    pub(crate) name: &'static str,
    pub(crate) package: &'static str,
}

/// Which `variables` of a Go package hold which part of the version of `module`.
#[derive(Clone, Copy, Debug, Hash)]
pub(crate) struct Version {
    pub(crate) module: &'static str,
    /// Templates: `{version}`, `{major}` and `{minor}` are replaced.
    pub(crate) variables: &'static [&'static str],
}

impl Module {
    /// Returns the directory with the programs, in the user's cache. Blocks, for minutes if it has to build.
    ///
    /// # Errors
    /// If no cache directory is known, or the build fails.
    pub(crate) fn find_or_build(&self) -> Result<PathBuf> {
        let cache = cache::dir_of(self.name, self.instead)?;
        let programs = self.programs.iter().map(|program| program.name).collect();
        let build = Build { name: self.name, fingerprint: self.fingerprint(), programs };
        build.find_or_build(&cache, |scratch| build::build(self, scratch))
    }

    /// Returns where go keeps the source of a module that this one requires, for its files that are not Go.
    ///
    /// # Errors
    /// If go cannot be started or cannot fetch it.
    pub(crate) fn source_dir(&self, dependency: &str) -> Result<PathBuf> {
        build::source_dir(self, dependency)
    }

    /// Returns the first program that is not in `dir`.
    pub(crate) fn missing_in(&self, dir: &Path) -> Option<&'static str> {
        self.programs.iter().map(|program| program.name).find(|name| !dir.join(name).is_file())
    }

    /// Returns the version of `module` that go.mod requires, such as `1.36.3`.
    pub(crate) fn version_of(&self, module: &str) -> Result<&'static str> {
        self.go_mod
            .lines()
            .find_map(|line| {
                line.trim().trim_start_matches("require ").strip_prefix(module)?.strip_prefix(" v")
            })
            .map(|rest| rest.split(' ').next().unwrap_or(rest))
            .with_context(|| format!("go.mod of {} requires no version of {module}", self.name))
    }

    /// Returns a name for what was built from which source. A hash that changes with the Rust release only costs a
    /// build.
    fn fingerprint(&self) -> String {
        let mut hasher = DefaultHasher::new();
        (self, std::env::consts::OS, std::env::consts::ARCH).hash(&mut hasher);
        format!("{:016x}", hasher.finish())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests panic on unexpected results")]

    use super::*;

    const MODULE: Module = Module {
        name: "example",
        go_mod: "module example\n\ngo 1.26.0\n\nrequire example.com/one v1.2.3\n\nrequire (\n\texample.com/two v4.5.6 // indirect\n)\n",
        go_sum: "",
        main: None,
        programs: &[Program { name: "one", package: "example.com/one" }],
        tags: "",
        versions: &[],
        instead: "or do without",
    };

    #[test]
    fn the_pinned_versions_are_read_from_go_mod() {
        assert_eq!(MODULE.version_of("example.com/one").unwrap(), "1.2.3");
        assert_eq!(MODULE.version_of("example.com/two").unwrap(), "4.5.6");
        assert!(
            MODULE.version_of("example.com/none").unwrap_err().to_string().contains("requires no version")
        );
    }

    #[test]
    fn another_flag_leads_to_another_directory() {
        let tagged = Module { tags: "netgo", ..MODULE };
        assert_ne!(tagged.fingerprint(), MODULE.fingerprint());
    }
}
