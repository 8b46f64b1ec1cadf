//! The rules of a [`MigrationRollback`]. It is not idempotent, so it is repeated only if a read shows that the earlier
//! attempt had no effect.

use jiff::SignedDuration;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use semver::Version as Semver;
use uuid::Uuid;

use crate::api::{
    ConnectorName, Evidence, Executables, MigrationRollback, PlatformConnectors, Preconditions, Reason,
    ResolvedVersion, RollbackResult, Status, TEXT, VersionFacts,
};
use crate::cde::model::{Call, Connector, Data, Field, Version};
use crate::text::clean;

use super::{Comparison, Operation, Preflight, RequestSpec};

/// States in which nothing is in progress. Any other state may be a transition.
const SETTLED: [&str; 5] = ["created", "updated", "built", "synchronized-to-dev", "synchronized-to-prod"];

impl Operation for MigrationRollback {
    type Result = RollbackResult;

    const KIND: &'static str = "MigrationRollback";
    const ACTION: &'static str = "RollBack";
    const SUCCESS: Reason = Reason::RolledBack;
    const RANK: u8 = 1;
    const READS_FIRST: bool = true;

    fn metadata(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn status(&self) -> Option<&Status<RollbackResult>> {
        self.status.as_ref()
    }

    fn request_spec(&self) -> RequestSpec {
        RequestSpec {
            connector: self.spec.connector_id,
            not_after: Some(self.spec.not_after.0),
            active_deadline: self.spec.deadline_seconds.map(SignedDuration::from_secs),
            suspend: self.spec.suspend.unwrap_or_default(),
        }
    }

    fn call(&self, result: &RollbackResult) -> Call {
        let pinned = result.resolved_version.as_ref().map(|resolved| resolved.major.to_string());
        Call::RollBackMigration {
            connector: self.spec.connector_id.to_string(),
            version: pinned.unwrap_or_else(|| self.spec.version.clone()),
        }
    }

    fn preflight(&self, status: &mut Status<RollbackResult>, connector: &Connector) -> Preflight {
        status.result.connector = Some(ConnectorName { name: text(&connector.name) });
        if status.operation.as_ref().is_none_or(|operation| operation.attempts == 0) {
            // The version that a preview resolved does not bind an attempt.
            status.result.resolved_version = None;
        }
        let version = match self.find(&status.result, connector) {
            Found::Version(version) => version,
            Found::None(what) => {
                return Preflight::Stop(Reason::NotFound, what);
            }
            Found::Incomplete(what) => return Preflight::Incomplete(what),
        };
        if let Some(what) = missing(version) {
            return Preflight::Incomplete(what);
        }
        let seen = facts(version);
        if let Some(differs) = self.spec.preconditions.as_ref().and_then(|wanted| mismatch(wanted, &seen)) {
            note_version(status, version);
            let why = format!("spec.preconditions are not met: {differs}");
            return Preflight::Stop(Reason::PreconditionFailed, why);
        }
        let unknown = status.operation.as_ref().map_or(0, |operation| operation.unknown_attempts);
        // While an attempt may have had an effect, reads are compared with the one before it.
        if unknown == 0 {
            status.result.before = Some(seen);
            pin(status, version);
        }
        note_version(status, version);
        Preflight::Ready
    }

    fn preflight_unreadable(&self, status: &mut Status<RollbackResult>) -> Preflight {
        if self.spec.preconditions.is_some() {
            let why = "spec.preconditions cannot be checked, because reading the connector is refused";
            return Preflight::Stop(Reason::PreconditionFailed, why.to_owned());
        }
        status.result.before = None;
        Preflight::Ready
    }

    fn preview(&self, status: &mut Status<RollbackResult>, connector: &Connector) -> Option<String> {
        match self.preflight(status, connector) {
            Preflight::Incomplete(_) => None,
            Preflight::Stop(_, why) => Some(format!("Would be refused: {why}.")),
            Preflight::Ready => {
                let result = &status.result;
                let version = result.resolved_version.as_ref().and_then(|it| it.version.as_deref());
                let name = result.connector.as_ref().and_then(|connector| connector.name.as_deref());
                let executables = result.executables.clone().unwrap_or_default();
                let number = |id: Option<i64>| id.map_or_else(|| "none".to_owned(), |id| id.to_string());
                Some(format!(
                    "Would roll back version {} of {} (production executable {}, legacy {}).",
                    version.unwrap_or(&self.spec.version),
                    name.unwrap_or("the connector"),
                    number(executables.production),
                    number(executables.legacy)
                ))
            }
        }
    }

    fn compare(&self, result: &RollbackResult, connector: &Connector) -> Comparison {
        let Some(before) = &result.before else {
            return Comparison::Ambiguous("the connector was not read before the attempt".to_owned());
        };
        let now = match self.find(result, connector) {
            Found::Version(version) => version,
            Found::None(_) => return Comparison::Ambiguous("the version no longer exists".to_owned()),
            Found::Incomplete(what) => return Comparison::Incomplete(what),
        };
        let pinned = result.resolved_version.as_ref().and_then(|resolved| resolved.version.as_ref());
        if text(&now.version).as_ref() != pinned {
            return Comparison::Ambiguous("another version has the same major number".to_owned());
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
        Comparison::Ambiguous(format!("only the state changed, from {was} to {state}"))
    }

    fn compare_unreadable(&self) -> Comparison {
        Comparison::Ambiguous("reading the connector is refused".to_owned())
    }

    fn note_response(&self, status: &mut Status<RollbackResult>, data: &Data) {
        if let Data::Version(version) = data {
            note_version(status, version);
            if status.result.resolved_version.is_none() {
                pin(status, version);
            }
        } else {
            note_version(status, &Version::default());
        }
    }

    fn note_reading(&self, status: &mut Status<RollbackResult>, connector: &Connector) {
        if let Found::Version(version) = self.find(&status.result, connector) {
            status.result.connector = Some(ConnectorName { name: text(&connector.name) });
            note_version(status, version);
        }
    }

    fn success_message(&self, _: Reason, status: &Status<RollbackResult>) -> String {
        let version = status
            .result
            .resolved_version
            .as_ref()
            .map(|resolved| resolved.version.clone().unwrap_or_else(|| resolved.major.to_string()));
        let version = version.unwrap_or_else(|| self.spec.version.clone());
        let before = status.result.before.as_ref().and_then(|before| before.executables.production);
        let after = status.result.executables.as_ref().and_then(|executables| executables.production);
        match (before, after) {
            (Some(before), Some(after)) => {
                format!("Rolled back version {version}: production executable {before} → {after}.")
            }
            _ => format!("Rolled back version {version}."),
        }
    }
}

enum Found<'a> {
    Version(&'a Version),
    None(String),
    Incomplete(String),
}

impl MigrationRollback {
    /// Finds the pinned version, otherwise the one that `spec.version` stands for now.
    fn find<'a>(&self, result: &RollbackResult, connector: &'a Connector) -> Found<'a> {
        if !is_about(connector, self.spec.connector_id) {
            return Found::Incomplete("the response is not about this connector".to_owned());
        }
        let Some(versions) = Versions::of(connector) else {
            return Found::Incomplete("its versions cannot be read".to_owned());
        };
        let pinned = result.resolved_version.as_ref().map(|resolved| resolved.major);
        match (pinned, self.spec.version.as_str()) {
            (Some(major), _) => versions.with_major(major),
            (None, "main") => match &connector.main_version_number {
                Field::Value(major) => versions.with_major(*major),
                Field::Null => Found::None("the connector has no main version".to_owned()),
                Field::Missing => Found::Incomplete("its main version number is missing".to_owned()),
            },
            (None, "latest") => versions.latest(),
            (None, number) => match number.parse() {
                Ok(major) => versions.with_major(major),
                Err(_) => Found::None(format!("{number} is not a version")),
            },
        }
    }
}

/// The versions of a connector, with their numbers.
struct Versions<'a> {
    numbered: Vec<(Semver, &'a Version)>,
    /// The major numbers, as far as they can be read, of versions without a semantic version.
    malformed: Vec<Option<i64>>,
}

impl<'a> Versions<'a> {
    /// Returns `None` if the connector has no list of versions.
    fn of(connector: &'a Connector) -> Option<Self> {
        let mut versions = Self { numbered: Vec::new(), malformed: Vec::new() };
        for version in connector.versions.value()? {
            let text = version.version.value().map_or("", String::as_str);
            if let Ok(number) = Semver::parse(text) {
                versions.numbered.push((number, version));
            } else {
                let major = text.split('.').next().and_then(|major| major.parse().ok());
                versions.malformed.push(major);
            }
        }
        Some(versions)
    }

    /// Finds the version with this major number. A malformed version of another major does not matter.
    fn with_major(self, major: i64) -> Found<'a> {
        if self.malformed.contains(&Some(major)) {
            return Found::Incomplete(format!("a version {major} has no semantic version number"));
        }
        // A deleted version counts only if no other one has this major number.
        let found =
            self.numbered.into_iter().filter(|(number, _)| i64::try_from(number.major) == Ok(major)).max_by(
                |(one, version), (other, rival)| {
                    let deleted = |version: &Version| version.deleted_at.value().is_some();
                    deleted(rival).cmp(&deleted(version)).then_with(|| one.cmp(other))
                },
            );
        match found {
            Some((_, version)) => Found::Version(version),
            None if self.malformed.contains(&None) => {
                Found::Incomplete(format!("version {major} may be one that has no readable number"))
            }
            None => Found::None(format!("the connector has no version {major}")),
        }
    }

    fn latest(self) -> Found<'a> {
        if !self.malformed.is_empty() {
            return Found::Incomplete("a version has no semantic version number".to_owned());
        }
        if self.numbered.iter().any(|(_, version)| version.deleted_at == Field::Missing) {
            return Found::Incomplete("a version does not say whether it is deleted".to_owned());
        }
        self.numbered
            .into_iter()
            .filter(|(_, version)| version.deleted_at == Field::Null)
            .max_by(|(one, _), (other, _)| one.cmp(other))
            .map_or_else(
                || Found::None("the connector has no version that is not deleted".to_owned()),
                |(_, version)| Found::Version(version),
            )
    }
}

/// Whether a read is about this connector.
pub(super) fn is_about(connector: &Connector, id: Uuid) -> bool {
    connector.id.value().and_then(|text| Uuid::parse_str(text).ok()) == Some(id)
}

/// Returns the first field that a read lacks, of those that reads are compared by.
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
    lacks.into_iter().find(|(lacks, _)| *lacks).map(|(_, field)| format!("the response lacks {field}"))
}

/// Returns the first difference between `wanted` and `seen`.
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

fn note_version(status: &mut Status<RollbackResult>, version: &Version) {
    let VersionFacts { state, executables, platform_connectors } = facts(version);
    status.state = state;
    status.result.executables = Some(executables);
    status.result.platform_connectors = Some(platform_connectors);
}

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

/// A text of the CDE, cleaned and bounded for a status.
pub(super) fn text(field: &Field<String>) -> Option<String> {
    field.value().map(|text| clean(text, TEXT))
}
