//! Connectors and their versions, as a test or a seed file describes them.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Returns an ID that no other connector has.
#[must_use]
pub fn new_id() -> Uuid {
    Uuid::new_v4()
}

/// What a rollback does to the version. The API reference does not say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RollbackEffect {
    /// The production and the legacy executable are swapped.
    #[default]
    Swap,
    /// The legacy executable becomes the production one, and no legacy executable is left.
    ToLegacy,
    /// Only `state` changes, to `synchronized-to-dev`.
    StateOnly,
    /// The ledger counts an effect, but no readable field changes except `updated-at`.
    Invisible,
    /// `state` is `resynchronizing-to-prod` until the connector is settled, which then swaps the executables.
    Moving,
}

/// The response to a rollback of a version that was already rolled back. The real API's is not known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RepeatedRollback {
    /// 200, and another effect in the ledger, so that a duplicate shows.
    #[default]
    AnotherEffect,
    /// 400, as for a version that was never synchronized to production.
    Refused,
}

/// Who may access a connector.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Access {
    /// Everything is allowed.
    #[default]
    Open,
    /// Reading answers 403, because only the owner sees the connector. Everything else works.
    ReadingForbidden,
    /// Everything answers 403.
    Forbidden,
}

/// A connector and how it behaves.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default, deny_unknown_fields)]
pub struct Connector {
    /// The public ID.
    pub id: Uuid,
    /// `type` in responses. `export` gives versions an export configuration, anything else a data source.
    #[serde(rename = "type")]
    pub kind: String,
    /// A text for people.
    pub name: String,
    /// A text for people.
    pub description: String,
    /// `flow` in responses.
    pub flow: String,
    /// `main-version-number`: the major number to which `main` resolves.
    pub main: Option<u64>,
    /// The owner.
    pub owner: Uuid,
    /// The integrator.
    pub integrator: Uuid,
    /// In any order.
    pub versions: Vec<Version>,
    /// Whether it is in the bin. Every version then has a `deleted-at`.
    pub in_bin: bool,
    /// Whether reading it while it is in the bin answers 200 instead of 404.
    pub readable_in_bin: bool,
    /// Whether moving it to the bin is rejected.
    pub in_use: bool,
    /// Who may do what.
    pub access: Access,
    /// What a rollback does.
    pub rollback: RollbackEffect,
    /// The response to a repeated rollback.
    pub repeated_rollback: RepeatedRollback,
}

impl Connector {
    /// Returns a connector without versions that is not in the bin.
    #[must_use]
    pub fn live(id: Uuid) -> Self {
        let owner = Uuid::from_u128(0x019e_16f4_abbc_7ae5_b6af_9045_5419_9980);
        Self {
            id,
            kind: "datasource".into(),
            name: "Name".into(),
            description: "Description".into(),
            flow: "default".into(),
            main: None,
            owner,
            integrator: owner,
            versions: Vec::new(),
            in_bin: false,
            readable_in_bin: false,
            in_use: false,
            access: Access::default(),
            rollback: RollbackEffect::default(),
            repeated_rollback: RepeatedRollback::default(),
        }
    }

    /// Returns a connector in the bin, without versions.
    #[must_use]
    pub fn in_bin(id: Uuid) -> Self {
        Self { in_bin: true, ..Self::live(id) }
    }

    /// Returns a live connector whose migration can be rolled back: main version 1.0.0, synchronized to production,
    /// legacy executable 24, production executable 25 of platform connector 5.
    #[must_use]
    pub fn migrated(id: Uuid) -> Self {
        let version = Version::new("1.0.0").state("synchronized-to-prod").production(25, 5).legacy(24);
        Self::live(id).version(version).main(1)
    }

    /// Adds a version.
    #[must_use]
    pub fn version(mut self, version: Version) -> Self {
        self.versions.push(version);
        self
    }

    /// Sets the major number to which `main` resolves.
    #[must_use]
    pub fn main(mut self, major: u64) -> Self {
        self.main = Some(major);
        self
    }

    /// Sets the name.
    #[must_use]
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// Sets `type`, such as `export`.
    #[must_use]
    pub fn kind(mut self, kind: impl Into<String>) -> Self {
        self.kind = kind.into();
        self
    }

    /// Makes reading answer 403. Everything else works.
    #[must_use]
    pub fn reading_forbidden(mut self) -> Self {
        self.access = Access::ReadingForbidden;
        self
    }

    /// Makes everything answer 403.
    #[must_use]
    pub fn forbidden(mut self) -> Self {
        self.access = Access::Forbidden;
        self
    }

    /// Makes reading answer 200, with `deleted-at` set, while the connector is in the bin.
    #[must_use]
    pub fn readable_in_bin(mut self) -> Self {
        self.readable_in_bin = true;
        self
    }

    /// Makes moving it to the bin answer 400.
    #[must_use]
    pub fn in_use(mut self) -> Self {
        self.in_use = true;
        self
    }

    /// Sets what a rollback does.
    #[must_use]
    pub fn on_rollback(mut self, effect: RollbackEffect) -> Self {
        self.rollback = effect;
        self
    }

    /// Sets the response to a repeated rollback.
    #[must_use]
    pub fn on_repeated_rollback(mut self, answer: RepeatedRollback) -> Self {
        self.repeated_rollback = answer;
        self
    }
}

/// Returns a live connector with a new ID.
impl Default for Connector {
    fn default() -> Self {
        Self::live(new_id())
    }
}

/// A version of a connector.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default, deny_unknown_fields)]
pub struct Version {
    /// Semantic version, such as `1.0.0`.
    pub version: String,
    /// A text for people.
    pub name: String,
    /// Lifecycle state, such as `created` or `synchronized-to-prod`.
    pub state: String,
    /// `config.migration.legacy-executable`
    pub legacy: Option<u64>,
    /// `platform_prod_reference.executable`
    pub production: Option<u64>,
    /// `platform_prod_reference.platform-connector`
    pub production_platform_connector: Option<u64>,
    /// `platform_dev_reference.executable`
    pub development: Option<u64>,
    /// `platform_dev_reference.platform-connector`
    pub development_platform_connector: Option<u64>,
    /// `created-at`; whole seconds in responses.
    pub created_at: Timestamp,
    /// `updated-at`; each effect moves it by at least a second.
    pub updated_at: Timestamp,
    /// `deleted-at`; set while in the bin.
    pub deleted_at: Option<Timestamp>,
    /// How many rollbacks took effect.
    pub rolled_back: u32,
    /// The state to return to, while a rollback with the effect [`RollbackEffect::Moving`] is under way.
    pub moving_from: Option<String>,
}

impl Version {
    /// Returns a version in the state `created` that does not run anywhere.
    #[must_use]
    pub fn new(version: impl Into<String>) -> Self {
        let now = Timestamp::now();
        Self {
            version: version.into(),
            name: "Name".into(),
            state: "created".into(),
            legacy: None,
            production: None,
            production_platform_connector: None,
            development: None,
            development_platform_connector: None,
            created_at: now,
            updated_at: now,
            deleted_at: None,
            rolled_back: 0,
            moving_from: None,
        }
    }

    /// Sets the lifecycle state.
    #[must_use]
    pub fn state(mut self, state: impl Into<String>) -> Self {
        self.state = state.into();
        self
    }

    /// Sets the legacy executable.
    #[must_use]
    pub fn legacy(mut self, executable: u64) -> Self {
        self.legacy = Some(executable);
        self
    }

    /// Sets the executable in production and its platform connector.
    #[must_use]
    pub fn production(mut self, executable: u64, platform_connector: u64) -> Self {
        self.production = Some(executable);
        self.production_platform_connector = Some(platform_connector);
        self
    }

    /// Sets the executable in development and its platform connector.
    #[must_use]
    pub fn development(mut self, executable: u64, platform_connector: u64) -> Self {
        self.development = Some(executable);
        self.development_platform_connector = Some(platform_connector);
        self
    }

    /// Marks only this version as deleted.
    #[must_use]
    pub fn deleted(mut self) -> Self {
        self.deleted_at = Some(self.updated_at);
        self
    }
}

/// Returns version 1.0.0 in the state `created`.
impl Default for Version {
    fn default() -> Self {
        Self::new("1.0.0")
    }
}
