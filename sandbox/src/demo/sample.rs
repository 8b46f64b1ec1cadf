//! The samples in `deploy/samples`: the connector and the fault that each one needs, and its expected result.

use cde_sandbox::cde::{Connector, CutPoint, Fault, Operation, Version};
use uuid::{Uuid, uuid};

/// One file of `deploy/samples`.
pub(crate) struct Sample {
    /// The name of the object.
    pub(crate) name: &'static str,
    /// The kind of the object.
    pub(crate) kind: Kind,
    /// The connector that the request names. No two samples share one.
    pub(crate) connector: Uuid,
    /// The expected reason of the condition Ready.
    pub(crate) reason: &'static str,
    /// The expected number of changes to the connector.
    pub(crate) effects: usize,
    /// The connector in the sandbox, or `None` where the sandbox has none.
    seed: Option<fn(Connector) -> Connector>,
    /// The fault that the changing calls meet.
    fault: Option<fn(Fault) -> Fault>,
}

/// The operator's kinds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    /// `ConnectorRestore`
    Restore,
    /// `MigrationRollback`
    Rollback,
}

impl Kind {
    /// Returns the kind as in manifests.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Restore => "ConnectorRestore",
            Self::Rollback => "MigrationRollback",
        }
    }

    /// Returns the plural as in URL paths.
    pub(crate) const fn plural(self) -> &'static str {
        match self {
            Self::Restore => "connectorrestores",
            Self::Rollback => "migrationrollbacks",
        }
    }

    /// Returns the short name for kubectl.
    pub(crate) const fn short(self) -> &'static str {
        match self {
            Self::Restore => "crst",
            Self::Rollback => "mrb",
        }
    }
}

/// The sample that the demo describes in detail.
pub(crate) const LOST_ANSWER: &str = "media-library-lost-answer";
/// The sample that the demo retries after the refresh of the token.
pub(crate) const MISTYPED: &str = "mistyped-connector";

/// All samples.
pub(crate) static SAMPLES: [Sample; 14] = [
    restore("spring-catalogue", uuid!("8f14e45f-ceea-467f-a8d5-91b2c0a7d301"), "Restored", 1)
        .seeded(|one| Connector { in_bin: true, ..one.version(released("2.0.0", 41, 40)).main(2) }),
    restore("order-import", uuid!("45c48cce-2e2d-4fbd-aa1a-fc51c7c6ad02"), "AlreadyRestored", 0)
        .seeded(|one| one.version(released("1.0.0", 25, 24))),
    restore(MISTYPED, uuid!("d3d94468-02a4-4259-b55d-38e6d163e803"), "NotFound", 0),
    restore("partner-erp", uuid!("6512bd43-d9ca-4a6e-82c9-90b0a82652a4"), "AccessDenied", 0)
        .seeded(|one| one.version(released("1.0.0", 25, 24)).forbidden()),
    rollback("omdb-back-to-legacy", uuid!("c20ad4d7-6fe9-4775-9aa2-7a0c99bff605"), "RolledBack", 1)
        .seeded(|one| one.version(released("1.0.0", 25, 24))),
    rollback("product-feed-main", uuid!("c51ce410-c124-410e-8db5-e4b97fc2af06"), "RolledBack", 1).seeded(
        |one| one.version(released("2.3.0", 52, 51)).version(Version::new("3.0.0").state("built")).main(2),
    ),
    rollback("stock-sync-latest", uuid!("aab32389-22bc-425a-af60-6eb525ffdc07"), "RolledBack", 1).seeded(
        |one| {
            let abandoned = Version::new("4.0.0").state("created").deleted();
            one.version(released("2.0.0", 61, 60))
                .version(released("3.0.1", 63, 62))
                .version(abandoned)
                .main(2)
        },
    ),
    rollback(
        "price-export-never-released",
        uuid!("9bf31c7f-f062-436a-96d3-c8bd1f8f2f08"),
        "OperationNotAllowed",
        0,
    )
    .seeded(|one| one.version(Version::new("1.0.0").state("synchronized-to-dev").development(70, 7))),
    rollback("review-import-guarded", uuid!("c74d97b0-1eae-457e-84aa-9d5bade97b09"), "RolledBack", 1)
        .seeded(|one| one.version(released("1.4.0", 25, 24))),
    rollback(
        "returns-export-guarded",
        uuid!("70efdf2e-c9b0-4607-b950-5ed36b6d1b10"),
        "PreconditionFailed",
        0,
    )
    .seeded(|one| one.version(released("1.5.0", 31, 25))),
    rollback("loyalty-feed-on-a-bad-day", uuid!("6f4922f4-5568-461a-8cdf-4ad2299f6d11"), "RolledBack", 1)
        .seeded(|one| one.version(released("1.0.0", 82, 81)))
        .met_by(|fault| fault.answer(503).html().times(2)),
    rollback(LOST_ANSWER, uuid!("1f0e3dad-9990-4345-b743-9f8ffabdff12"), "RolledBack", 1)
        .seeded(|one| one.version(released("1.2.0", 92, 91)))
        .met_by(|fault| fault.after_effect().cut(CutPoint::BeforeHeaders)),
    rollback("voucher-feed-on-hold", uuid!("98f13708-2101-44c4-9f15-6cd8a4b2c613"), "Suspended", 0)
        .seeded(|one| one.version(released("1.0.0", 25, 24))),
    rollback("newsletter-of-last-year", uuid!("3c59dc04-8e88-4024-b5be-8079a5c74d14"), "Skipped", 0)
        .seeded(|one| one.version(released("1.0.0", 25, 24))),
];

/// Returns a version in production with its production and legacy executables.
fn released(version: &str, production: u64, legacy: u64) -> Version {
    Version::new(version).state("synchronized-to-prod").production(production, 5).legacy(legacy)
}

const fn restore(name: &'static str, connector: Uuid, reason: &'static str, effects: usize) -> Sample {
    Sample { name, kind: Kind::Restore, connector, reason, effects, seed: None, fault: None }
}

const fn rollback(name: &'static str, connector: Uuid, reason: &'static str, effects: usize) -> Sample {
    Sample { name, kind: Kind::Rollback, connector, reason, effects, seed: None, fault: None }
}

impl Sample {
    const fn seeded(mut self, seed: fn(Connector) -> Connector) -> Self {
        self.seed = Some(seed);
        self
    }

    const fn met_by(mut self, fault: fn(Fault) -> Fault) -> Self {
        self.fault = Some(fault);
        self
    }
}

/// Returns the connectors of all samples. The main version is 1 unless the sample sets another.
pub(crate) fn connectors() -> Vec<Connector> {
    let seed = |sample: &Sample| {
        let seed = sample.seed?;
        Some(seed(Connector::live(sample.connector).name(sample.name).main(1)))
    };
    SAMPLES.iter().filter_map(seed).collect()
}

/// Returns the faults of all samples.
pub(crate) fn faults() -> Vec<Fault> {
    let fault = |sample: &Sample| {
        let fault = sample.fault?;
        Some(fault(Fault::on(Operation::Changing).connector(sample.connector)))
    };
    SAMPLES.iter().filter_map(fault).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests panic on unexpected results")]

    use super::*;
    use cde_sandbox::program::workspace;

    #[test]
    fn every_sample_has_one_file_that_names_the_same_result() {
        let files = std::fs::read_dir(workspace().join("deploy/samples")).unwrap();
        let files: Vec<String> =
            files.map(|file| std::fs::read_to_string(file.unwrap().path()).unwrap()).collect();
        assert_eq!(files.len(), SAMPLES.len());
        for sample in &SAMPLES {
            let name = format!("\n  name: {}\n", sample.name);
            let file = files.iter().find(|file| file.contains(&name)).unwrap_or(&files[0]);
            let promises = [
                name,
                format!("# {}", sample.reason),
                format!("\nkind: {}\n", sample.kind.name()),
                format!("\n  connectorID: {}\n", sample.connector),
            ];
            for promise in promises {
                assert!(file.contains(&promise), "no file of {} says {promise:?}", sample.name);
            }
        }
    }

    #[test]
    fn the_recording_in_the_readme_shows_every_sample_and_its_reason() {
        let svg = std::fs::read_to_string(workspace().join("docs/demo.svg")).unwrap();
        for sample in &SAMPLES {
            let shown =
                |line: &str| line.contains(&format!("  {} ", sample.name)) && line.contains(sample.reason);
            assert!(
                svg.lines().any(shown),
                "{} is not in docs/demo.svg: run cargo demo --svg docs/demo.svg",
                sample.name
            );
        }
    }

    #[test]
    fn no_two_samples_share_a_connector() {
        let mut ids: Vec<Uuid> = SAMPLES.iter().map(|sample| sample.connector).collect();
        ids.sort();
        ids.dedup();
        assert_eq!(ids.len(), SAMPLES.len());
    }
}
