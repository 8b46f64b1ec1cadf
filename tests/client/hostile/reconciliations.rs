//! Generators for what one reconciliation meets, as values that the client returns.

use cde_operator::cde::model::{Connector, Data, Failure, FailureKind, Field, Version};
use jiff::SignedDuration;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

use crate::hostile::draw::{CONNECTOR, code, text};
use crate::hostile::life::{Reconciliation, start_time};

fn field<T: Clone + std::fmt::Debug + 'static>(
    value: impl Strategy<Value = T> + 'static,
) -> BoxedStrategy<Field<T>> {
    prop_oneof![1 => Just(Field::Missing), 1 => Just(Field::Null), 4 => value.prop_map(Field::Value)].boxed()
}

fn id() -> BoxedStrategy<i64> {
    prop_oneof![3 => select(vec![0, 1, 5, 24, 25]), 1 => any::<i64>()].boxed()
}

fn word(usual: &'static [&'static str]) -> BoxedStrategy<String> {
    prop_oneof![4 => select(usual.to_vec()).prop_map(str::to_owned), 1 => text()].boxed()
}

fn version() -> BoxedStrategy<Version> {
    let states = word(&["created", "built", "synchronized-to-prod", "resynchronizing-to-prod"]);
    let numbers = word(&["1.0.0", "1.0.1", "2.0.0"]);
    let ids = [field(id()), field(id()), field(id()), field(id()), field(id())];
    (field(numbers), field(states), field(word(&["2026-11-01T00:00:00Z"])), ids)
        .prop_map(|(version, state, deleted_at, [legacy, production, platform, development, other])| {
            Version {
                version,
                state,
                deleted_at,
                legacy_executable: legacy,
                production_executable: production,
                production_platform_connector: platform,
                development_executable: development,
                development_platform_connector: other,
            }
        })
        .boxed()
}

fn connector() -> BoxedStrategy<Connector> {
    let texts = [field(text()), field(text()), field(text()), field(text()), field(text())];
    (field(word(&[CONNECTOR])), texts, field(id()), field(vec(version(), 0..4).boxed()))
        .prop_map(|(id, [kind, name, flow, owner, integrator], main_version_number, versions)| Connector {
            id,
            r#type: kind,
            name,
            flow,
            main_version_number,
            owner,
            integrator,
            versions,
        })
        .boxed()
}

fn failure() -> BoxedStrategy<Failure> {
    let kind = prop_oneof![
        Just(FailureKind::NotSent),
        Just(FailureKind::NoAnswer),
        (200..300_u16).prop_map(|code| FailureKind::Unreadable { code }),
        (code(), any::<bool>()).prop_map(|(code, from_api)| FailureKind::Status { code, from_api }),
    ];
    let message = text().prop_map(|text| cde_operator::text::clean(&text, 512));
    let retry_at = option::of((0..90_000_i64).prop_map(|off| start_time() + SignedDuration::from_secs(off)));
    (kind, message, retry_at)
        .prop_map(|(kind, message, retry_at)| Failure { kind, message, retry_at })
        .boxed()
}

fn data() -> BoxedStrategy<Data> {
    prop_oneof![
        connector().prop_map(|connector| Data::Connector(Box::new(connector))),
        version().prop_map(|version| Data::Version(Box::new(version))),
    ]
    .boxed()
}

/// Generates what one reconciliation meets.
pub(crate) fn reconciliation() -> impl Strategy<Value = Reconciliation> {
    let clocks = (select(vec![0, 1, 5, 60, 4000, 90_000]), select(vec![0, 1, 36, 4000, u32::MAX]));
    let flags = [0.1, 0.1, 0.3, 0.5].map(proptest::bool::weighted);
    let reading = prop_oneof![2 => connector().prop_map(Ok), 1 => failure().prop_map(Err)];
    let answer = prop_oneof![1 => data().prop_map(Ok), 2 => failure().prop_map(Err)];
    (clocks, flags, reading, option::weighted(0.9, answer)).prop_map(
        |((later, seen_for), [calls_held, waits, token_changed, refusal_confirmed], reading, answer)| {
            Reconciliation {
                later,
                seen_for,
                calls_held,
                waits,
                refusal_confirmed,
                token_changed,
                reading,
                answer,
            }
        },
    )
}
