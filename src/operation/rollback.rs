//! The rules of a [`MigrationRollback`]: not idempotent, so nothing is repeated without evidence that the earlier
//! attempt had no effect.

use jiff::SignedDuration;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use semver::Version as Semver;

use crate::api::{
    Evidence, Executables, MigrationRollback, PlatformConnectors, Preconditions, Reason, ResolvedVersion,
    RollbackResult, Status, TEXT, VersionFacts,
};
use crate::cde::model::{Call, Connector, Data, Field, Version};
use crate::text::clean;

use super::{Comparison, Operation, Prepared, Wish};

/// States in which nothing is under way. The set of states is open: any other may be a passing one.
const SETTLED: [&str; 5] = ["created", "updated", "built", "synchronized-to-dev", "synchronized-to-prod"];

impl Operation for MigrationRollback {
    type Result = RollbackResult;

    const SUCCESS: Reason = Reason::RolledBack;
    const KIND: &'static str = "MigrationRollback";
    const RANK: u8 = 1;
    const READS_FIRST: bool = true;

    fn metadata(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn status(&self) -> Option<&Status<RollbackResult>> {
        self.status.as_ref()
    }

    fn wish(&self) -> Wish<'_> {
        Wish {
            connector: &self.spec.connector_id,
            not_after: Some(self.spec.not_after.0),
            active_deadline: self.spec.active_deadline_seconds.map(SignedDuration::from_secs),
            suspend: self.spec.suspend.unwrap_or_default(),
        }
    }

    fn call(&self, result: &RollbackResult) -> Call {
        let pinned = result.resolved_version.as_ref().map(|resolved| resolved.major.to_string());
        Call::RollBackMigration {
            connector: self.spec.connector_id.clone(),
            version: pinned.unwrap_or_else(|| self.spec.version.clone()),
        }
    }

    fn prepare(&self, status: &mut Status<RollbackResult>, connector: &Connector) -> Prepared {
        let version = match self.find(&status.result, connector) {
            Found::Version(version) => version,
            Found::None(what) => {
                return Prepared::Stop(Reason::NotFound, format!("{what} Nothing was called."));
            }
            Found::Incomplete(what) => return Prepared::Incomplete(what),
        };
        if let Some(what) = missing(version) {
            return Prepared::Incomplete(what);
        }
        let seen = facts(version);
        if let Some(differs) = self.spec.preconditions.as_ref().and_then(|wanted| mismatch(wanted, &seen)) {
            let message = format!("Nothing was called: spec.preconditions do not hold: {differs}.");
            take_version(status, version);
            return Prepared::Stop(Reason::PreconditionFailed, message);
        }
        let unknown = status.operation.as_ref().map_or(0, |operation| operation.unknown_attempts);
        // While an attempt may have had an effect, what was seen before it stays what a read is compared with.
        if unknown == 0 {
            status.result.before = Some(seen);
            pin(status, version);
        }
        take_version(status, version);
        Prepared::Ready
    }

    fn prepare_unseen(&self, status: &mut Status<RollbackResult>) -> Prepared {
        if self.spec.preconditions.is_some() {
            let message = "Nothing was called: spec.preconditions cannot be checked, because reading the connector is refused.";
            return Prepared::Stop(Reason::PreconditionFailed, message.to_owned());
        }
        status.result.before = None;
        Prepared::Ready
    }

    fn compare(&self, result: &RollbackResult, connector: &Connector) -> Comparison {
        let Some(before) = &result.before else {
            return Comparison::Ambiguous("the connector was not read before the attempt".to_owned());
        };
        let now = match self.find(result, connector) {
            Found::Version(version) => version,
            Found::None(_) => return Comparison::Ambiguous("the version is gone".to_owned()),
            Found::Incomplete(what) => return Comparison::Incomplete(what),
        };
        let pinned = result.resolved_version.as_ref().and_then(|resolved| resolved.version.as_ref());
        if text(&now.version).as_ref() != pinned {
            return Comparison::Ambiguous("another version has the same major number now".to_owned());
        }
        let compared = [
            (before.executables.production, &now.production_executable),
            (before.platform_connectors.production, &now.production_platform_connector),
            (before.executables.legacy, &now.legacy_executable),
        ];
        if compared.iter().any(|(before, now)| now.known().is_some_and(|now| now.copied() != *before)) {
            return Comparison::Effect(Evidence::ObservedChange);
        }
        if let Some(what) = missing(now) {
            return Comparison::Incomplete(what);
        }
        let state = text(&now.state).unwrap_or_default();
        if !SETTLED.contains(&state.as_str()) {
            return Comparison::Moving(format!("the connector is in the state {state}"));
        }
        if before.state.as_ref() == Some(&state) {
            return Comparison::Unchanged;
        }
        let was = before.state.as_deref().unwrap_or("unknown");
        Comparison::Ambiguous(format!("the state changed from {was} to {state}, and nothing else did"))
    }

    fn compare_unseen(&self) -> Comparison {
        Comparison::Ambiguous("reading the connector is refused".to_owned())
    }

    fn doubts(&self, _: Reason) -> bool {
        false
    }

    fn already(&self) -> Reason {
        Reason::RolledBack
    }

    fn take_answer(&self, status: &mut Status<RollbackResult>, data: &Data) {
        if let Data::Version(version) = data {
            take_version(status, version);
            if status.result.resolved_version.is_none() {
                pin(status, version);
            }
        } else {
            take_version(status, &Version::default());
        }
    }

    fn take_reading(&self, status: &mut Status<RollbackResult>, connector: &Connector) {
        if let Found::Version(version) = self.find(&status.result, connector) {
            take_version(status, version);
        }
    }

    fn success_message(&self, _: Reason, status: &Status<RollbackResult>) -> String {
        let version = status
            .result
            .resolved_version
            .as_ref()
            .map(|resolved| resolved.version.clone().unwrap_or_else(|| resolved.major.to_string()));
        let version = version.unwrap_or_else(|| self.spec.version.clone());
        format!("Version {version} of the connector uses its old executable again.")
    }
}

/// What was looked for in a connector.
enum Found<'a> {
    Version(&'a Version),
    None(String),
    Incomplete(String),
}

impl MigrationRollback {
    /// The version that is meant: the pinned one, else what `spec.version` stands for now.
    fn find<'a>(&self, result: &RollbackResult, connector: &'a Connector) -> Found<'a> {
        if connector.id.value() != Some(&self.spec.connector_id) {
            return Found::Incomplete("the answer is not about this connector".to_owned());
        }
        let Some(numbered) = numbered(connector) else {
            return Found::Incomplete("its versions cannot be read".to_owned());
        };
        let pinned = result.resolved_version.as_ref().map(|resolved| resolved.major);
        let major = match (pinned, self.spec.version.as_str()) {
            (Some(major), _) => major,
            (None, "main") => match &connector.main_version_number {
                Field::Value(major) => *major,
                Field::Null => return Found::None("The connector has no main version.".to_owned()),
                Field::Missing => return Found::Incomplete("its main version number is missing".to_owned()),
            },
            (None, "latest") => return latest(numbered),
            (None, number) => match number.parse() {
                Ok(major) => major,
                Err(_) => return Found::None(format!("{number} is no version.")),
            },
        };
        // A deleted one counts only where no other has this major number.
        numbered
            .into_iter()
            .filter(|(number, _)| i64::try_from(number.major) == Ok(major))
            .max_by(|(one, version), (other, rival)| {
                let deleted = |version: &Version| version.deleted_at.value().is_some();
                deleted(rival).cmp(&deleted(version)).then_with(|| one.cmp(other))
            })
            .map_or_else(
                || Found::None(format!("The connector has no version {major}.")),
                |(_, version)| Found::Version(version),
            )
    }
}

/// All versions with their numbers; `None` where one cannot be read, for that may be the one that is meant.
fn numbered(connector: &Connector) -> Option<Vec<(Semver, &Version)>> {
    let number = |version: &Version| Semver::parse(version.version.value()?).ok();
    connector.versions.value()?.iter().map(|version| Some((number(version)?, version))).collect()
}

/// The highest version that is not deleted.
fn latest(numbered: Vec<(Semver, &Version)>) -> Found<'_> {
    if numbered.iter().any(|(_, version)| version.deleted_at == Field::Missing) {
        return Found::Incomplete("a version does not say whether it is deleted".to_owned());
    }
    numbered
        .into_iter()
        .filter(|(_, version)| version.deleted_at == Field::Null)
        .max_by(|(one, _), (other, _)| one.cmp(other))
        .map_or_else(
            || Found::None("The connector has no version that is not deleted.".to_owned()),
            |(_, version)| Found::Version(version),
        )
}

/// What a read must say before it counts: the fields that a later read is compared by.
fn missing(version: &Version) -> Option<String> {
    let lacks = [
        (version.state.value().is_none(), "state"),
        (version.production_executable.known().is_none(), "platform_prod_reference.executable"),
        (
            version.production_platform_connector.known().is_none(),
            "platform_prod_reference.platform-connector",
        ),
        (version.legacy_executable.known().is_none(), "config.migration.legacy-executable"),
    ];
    lacks.into_iter().find(|(lacks, _)| *lacks).map(|(_, field)| format!("the answer lacks {field}"))
}

/// What of `wanted` does not hold.
fn mismatch(wanted: &Preconditions, seen: &VersionFacts) -> Option<String> {
    let state = wanted
        .state
        .as_ref()
        .filter(|state| seen.state.as_ref() != Some(*state))
        .map(|state| format!("state is {}, not {state}", seen.state.as_deref().unwrap_or("absent")));
    let executables = wanted.executables.as_ref();
    let compare = |name: &str, wanted: Option<i64>, seen: Option<i64>| {
        wanted.filter(|id| seen != Some(*id)).map(|id| {
            let seen = seen.map_or_else(|| "absent".to_owned(), |id| id.to_string());
            format!("the {name} executable is {seen}, not {id}")
        })
    };
    state
        .or_else(|| compare("legacy", executables?.legacy, seen.executables.legacy))
        .or_else(|| compare("production", executables?.production, seen.executables.production))
        .or_else(|| compare("development", executables?.development, seen.executables.development))
}

fn pin(status: &mut Status<RollbackResult>, version: &Version) {
    let number = version.version.value().and_then(|text| Semver::parse(text).ok());
    if let Some(major) = number.and_then(|number| i64::try_from(number.major).ok()) {
        status.result.resolved_version = Some(ResolvedVersion { major, version: text(&version.version) });
    }
}

fn take_version(status: &mut Status<RollbackResult>, version: &Version) {
    let VersionFacts { state, executables, platform_connectors } = facts(version);
    status.state = state;
    status.result.executables = Some(executables);
    status.result.platform_connectors = Some(platform_connectors);
}

/// What a status tells of a version.
pub(super) fn facts(version: &Version) -> VersionFacts {
    VersionFacts {
        state: text(&version.state),
        executables: Executables {
            legacy: version.legacy_executable.value().copied(),
            production: version.production_executable.value().copied(),
            development: version.development_executable.value().copied(),
        },
        platform_connectors: PlatformConnectors {
            production: version.production_platform_connector.value().copied(),
            development: version.development_platform_connector.value().copied(),
        },
    }
}

/// A text of the CDE's, fit for a status.
pub(super) fn text(field: &Field<String>) -> Option<String> {
    field.value().map(|text| clean(text, TEXT))
}
