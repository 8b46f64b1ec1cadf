//! What each operation does to a connector, and when it is rejected. No I/O and no access rules.

use jiff::{SignedDuration, Timestamp};

use super::connector::{Connector, RepeatedRollback, RollbackEffect, Version};

/// The state in which no transition is allowed.
const RESYNCHRONIZING: &str = "resynchronizing-to-prod";
const SYNCHRONIZED: &str = "synchronized-to-prod";

/// A refusal: the status and the message of the API.
pub(super) type Refusal = (u16, &'static str);

pub(super) const UNAUTHORIZED: Refusal = (401, "You have to be authorized to access this resource.");
pub(super) const DENIED: Refusal = (403, "Access denied for user.");
pub(super) const NO_CONNECTOR: Refusal = (404, "Connector not found.");
pub(super) const NO_VERSION: Refusal = (404, "Connector does not have specified version.");
const IN_USE: Refusal = (400, "Connector is actively used on the platform.");
const IN_TRANSITION: Refusal = (400, "Transition is not allowed, entity is resynchronizing-to-prod.");
const NEVER_SYNCHRONIZED: Refusal =
    (400, "Operation is only allowed for connectors that were previously synchronized to production");

/// Takes the connector out of the bin.
pub(super) fn restore(connector: &mut Connector, now: Timestamp) -> Result<(), Refusal> {
    if !connector.in_bin {
        return Err(NO_CONNECTOR);
    }
    connector.in_bin = false;
    for version in &mut connector.versions {
        version.deleted_at = None;
        touch(version, now);
    }
    Ok(())
}

/// Puts the connector into the bin.
pub(super) fn move_to_bin(connector: &mut Connector, now: Timestamp) -> Result<(), Refusal> {
    if connector.in_bin {
        return Err(NO_CONNECTOR);
    }
    if connector.in_use {
        return Err(IN_USE);
    }
    connector.in_bin = true;
    for version in &mut connector.versions {
        version.deleted_at = Some(now);
        touch(version, now);
    }
    Ok(())
}

/// Rolls back the migration of the version that `word` names, and returns that version.
pub(super) fn roll_back(connector: &mut Connector, word: &str, now: Timestamp) -> Result<Version, Refusal> {
    let (effect, repeated) = (connector.rollback, connector.repeated_rollback);
    let version = resolve(connector, word).ok_or(NO_VERSION)?;
    if version.state == RESYNCHRONIZING {
        return Err(IN_TRANSITION);
    }
    let allowed = if version.rolled_back > 0 {
        repeated == RepeatedRollback::AnotherEffect
    } else {
        version.production.is_some() && version.legacy.is_some()
    };
    if !allowed {
        return Err(NEVER_SYNCHRONIZED);
    }
    match effect {
        RollbackEffect::Swap => swap(version),
        RollbackEffect::ToLegacy => {
            if let Some(legacy) = version.legacy.take() {
                version.production = Some(legacy);
            }
        }
        RollbackEffect::StateOnly => "synchronized-to-dev".clone_into(&mut version.state),
        RollbackEffect::Invisible => {}
        RollbackEffect::Moving => {
            version.moving_from = Some(std::mem::replace(&mut version.state, RESYNCHRONIZING.to_owned()));
        }
    }
    version.rolled_back += 1;
    touch(version, now);
    Ok(version.clone())
}

/// Ends every transition. A transition that a rollback started then shows its effect.
pub(super) fn settle(connector: &mut Connector, now: Timestamp) {
    for version in connector.versions.iter_mut().filter(|version| version.state == RESYNCHRONIZING) {
        match version.moving_from.take() {
            Some(state) => {
                version.state = state;
                swap(version);
            }
            None => SYNCHRONIZED.clone_into(&mut version.state),
        }
        touch(version, now);
    }
}

/// Returns the version with the major number to which `main` resolves.
pub(super) fn main_version(connector: &Connector) -> Option<&Version> {
    let main = connector.main?;
    connector
        .versions
        .iter()
        .filter(|version| number(version).0 == main)
        .max_by_key(|version| number(version))
}

fn resolve<'a>(connector: &'a mut Connector, word: &str) -> Option<&'a mut Version> {
    if connector.in_bin {
        return None;
    }
    let major = match word {
        "latest" => None,
        "main" => Some(connector.main?),
        digits => Some(digits.parse().ok()?),
    };
    connector
        .versions
        .iter_mut()
        .filter(|version| match major {
            Some(major) => number(version).0 == major,
            None => version.deleted_at.is_none(),
        })
        .max_by_key(|version| number(version))
}

/// Returns major, minor and patch. Anything that is not a number counts as 0.
fn number(version: &Version) -> (u64, u64, u64) {
    let mut parts = version.version.split('.').map(|part| part.parse().unwrap_or(0));
    let mut next = || parts.next().unwrap_or(0);
    (next(), next(), next())
}

fn swap(version: &mut Version) {
    std::mem::swap(&mut version.production, &mut version.legacy);
}

/// Responses have whole seconds, so two effects within one second must still differ.
fn touch(version: &mut Version, now: Timestamp) {
    let next = version.updated_at.saturating_add(SignedDuration::from_secs(1)).unwrap_or(now);
    version.updated_at = now.max(next);
}
