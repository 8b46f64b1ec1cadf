//! The rules of a [`ConnectorRestore`]. It is idempotent, so it reads only to verify a response.

use jiff::SignedDuration;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use semver::Version as Semver;
use uuid::Uuid;

use crate::api::{
    ConnectorRestore, ConnectorSummary, Evidence, Reason, RestoreResult, RestoredVersion, Status,
};
use crate::cde::model::{Call, Connector, Data, Version};

use super::rollback::{facts, is_about, text};
use super::{Comparison, Operation, RequestSpec};

impl Operation for ConnectorRestore {
    type Result = RestoreResult;

    const KIND: &'static str = "ConnectorRestore";
    const ACTION: &'static str = "Restore";
    const SUCCESS: Reason = Reason::Restored;
    const NOOP: Reason = Reason::AlreadyRestored;
    const RANK: u8 = 0;
    const READS_FIRST: bool = false;

    fn metadata(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn status(&self) -> Option<&Status<RestoreResult>> {
        self.status.as_ref()
    }

    fn request_spec(&self) -> RequestSpec {
        RequestSpec {
            connector: self.spec.connector_id,
            not_after: self.spec.not_after.as_ref().map(|time| time.0),
            active_deadline: self.spec.deadline_seconds.map(SignedDuration::from_secs),
            suspend: self.spec.suspend.unwrap_or_default(),
        }
    }

    fn call(&self, _: &RestoreResult) -> Call {
        Call::RestoreFromBin { connector: self.spec.connector_id.to_string() }
    }

    fn preview(&self, status: &mut Status<RestoreResult>, connector: &Connector) -> Option<String> {
        let deleted = deletions(connector, self.spec.connector_id).ok()?;
        self.note_reading(status, connector);
        let name = name(status);
        let live = !deleted.is_empty() && !deleted.contains(&true);
        Some(if live {
            format!("Would do nothing: the connector{name} is not in the bin.")
        } else {
            format!("Would restore the connector{name} from the bin.")
        })
    }

    /// A connector is live if it has at least one version, none of which is deleted.
    fn compare(&self, _: &RestoreResult, connector: &Connector) -> Comparison {
        match deletions(connector, self.spec.connector_id) {
            Err(what) => Comparison::Incomplete(what.to_owned()),
            Ok(deleted) if !deleted.is_empty() && !deleted.contains(&true) => {
                Comparison::Effect(Evidence::ObservedLive)
            }
            Ok(_) => Comparison::Unchanged,
        }
    }

    /// The next attempt decides, because restoring is idempotent.
    fn compare_unreadable(&self) -> Comparison {
        Comparison::Unchanged
    }

    /// "Connector not found." may mean that the connector is no longer in the bin.
    fn must_verify(&self, reason: Reason) -> bool {
        reason == Reason::NotFound
    }

    fn note_response(&self, status: &mut Status<RestoreResult>, data: &Data) {
        match data {
            Data::Connector(connector) => self.note_reading(status, connector),
            Data::Version(_) => {
                status.state = None;
                status.result = RestoreResult::default();
            }
        }
    }

    fn note_reading(&self, status: &mut Status<RestoreResult>, connector: &Connector) {
        let mut versions: Vec<&Version> = connector.versions.value().into_iter().flatten().collect();
        versions.sort_by_cached_key(|version| std::cmp::Reverse(number(version)));
        let main = connector.main_version_number.value().and_then(|major| {
            versions
                .iter()
                .find(|version| number(version).is_some_and(|n| i64::try_from(n.major) == Ok(*major)))
        });
        status.state = main.or(versions.first()).and_then(|version| text(&version.state));
        let main = main.copied();
        let older = versions.iter().skip(RestoredVersion::MAX);
        if main.is_some_and(|main| older.clone().any(|version| std::ptr::eq(*version, main))) {
            // The main version is always shown.
            versions.truncate(RestoredVersion::MAX - 1);
            versions.extend(main);
        }
        status.result = RestoreResult {
            connector: Some(summary(connector)),
            versions: versions
                .into_iter()
                .filter_map(|version| {
                    Some(RestoredVersion { version: text(&version.version)?, facts: facts(version) })
                })
                .take(RestoredVersion::MAX)
                .collect(),
        };
    }

    fn success_message(&self, reason: Reason, status: &Status<RestoreResult>) -> String {
        let name = name(status);
        match reason {
            Reason::AlreadyRestored => {
                format!("Nothing to do: the connector{name} is not in the bin.")
            }
            _ => format!("Restored the connector{name} from the bin."),
        }
    }
}

/// Returns whether each version of the connector `id` is deleted, or what the response lacks.
pub(super) fn deletions(connector: &Connector, id: Uuid) -> Result<Vec<bool>, &'static str> {
    if !is_about(connector, id) {
        return Err("the response is not about this connector");
    }
    let versions = connector.versions.value().ok_or("the response has no list of versions")?;
    let deleted = versions.iter().map(|version| version.deleted_at.known().map(|at| at.is_some()));
    deleted.collect::<Option<_>>().ok_or("a version does not say whether it is deleted")
}

/// The connector's name with a space before it, or an empty string if it is not known.
fn name(status: &Status<RestoreResult>) -> String {
    let name = status.result.connector.as_ref().and_then(|connector| connector.name.as_deref());
    name.map(|name| format!(" {name}")).unwrap_or_default()
}

pub(super) fn summary(connector: &Connector) -> ConnectorSummary {
    ConnectorSummary {
        name: text(&connector.name),
        type_: text(&connector.r#type),
        flow: text(&connector.flow),
        main_version_number: connector.main_version_number.value().copied(),
        owner: text(&connector.owner),
        integrator: text(&connector.integrator),
    }
}

/// The semantic version. Versions without one sort last.
fn number(version: &Version) -> Option<Semver> {
    version.version.value().and_then(|text| Semver::parse(text).ok())
}
