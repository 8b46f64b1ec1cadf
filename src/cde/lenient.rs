//! JSON objects of which a malformed field does not spoil the others.
//!
//! A body is decoded [`Strict`] first, in one pass. Only if something in it is malformed, it is decoded [`Lenient`], which
//! takes a pass for each level of nesting.

use std::borrow::Cow;
use std::marker::PhantomData;

use serde::Deserialize;
use serde::de::Deserializer;
use serde_json::value::RawValue;

use super::model::Field;

/// What a malformed value does.
pub(super) trait Mode {
    fn decode<'de, T: Deserialize<'de>, D: Deserializer<'de>>(value: D) -> Result<Field<T>, D::Error>;
}

/// A malformed value is an error.
pub(super) struct Strict;

impl Mode for Strict {
    fn decode<'de, T: Deserialize<'de>, D: Deserializer<'de>>(value: D) -> Result<Field<T>, D::Error> {
        Option::deserialize(value).map(Field::from)
    }
}

/// A malformed value is missing.
pub(super) struct Lenient;

impl Mode for Lenient {
    fn decode<'de, T: Deserialize<'de>, D: Deserializer<'de>>(value: D) -> Result<Field<T>, D::Error> {
        let text = <&RawValue>::deserialize(value)?.get();
        Ok(serde_json::from_str::<Option<T>>(text).map_or(Field::Missing, Field::from))
    }
}

/// A field that is decoded in the mode `M`.
pub(super) struct Decoded<M, T>(pub(super) Field<T>, PhantomData<M>);

impl<M, T> Default for Decoded<M, T> {
    fn default() -> Self {
        Self(Field::Missing, PhantomData)
    }
}

impl<'de, M: Mode, T: Deserialize<'de>> Deserialize<'de> for Decoded<M, T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        M::decode(deserializer).map(|field| Self(field, PhantomData))
    }
}

/// The key of a field.
pub(super) struct Key<'a>(pub(super) Cow<'a, str>);

impl<'de> Deserialize<'de> for Key<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <&RawValue>::deserialize(deserializer)?.get();
        // Decoding fails for a key that is not valid Unicode, which is none of those that are read.
        Ok(Self(match text.strip_prefix('"').and_then(|text| text.strip_suffix('"')) {
            Some(key) if !key.contains('\\') => key.into(),
            _ => serde_json::from_str::<String>(text).unwrap_or_default().into(),
        }))
    }
}

/// Declares objects by the fields that are read; of a key that occurs twice, the last value counts.
macro_rules! objects {
    ($($object:ident { $($field:ident: $type:ty = $key:literal,)+ })+) => {$(
        struct $object<M> {
            $($field: Decoded<M, $type>,)+
        }

        impl<'de, M: Mode> Deserialize<'de> for $object<M> {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Fields<M>(PhantomData<M>);

                impl<'de, M: Mode> Visitor<'de> for Fields<M> {
                    type Value = $object<M>;

                    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                        f.write_str("an object")
                    }

                    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                        let mut object = $object { $($field: Decoded::default(),)+ };
                        while let Some(Key(key)) = map.next_key()? {
                            match key.as_ref() {
                                $($key => object.$field = map.next_value()?,)+
                                _ => map.next_value::<IgnoredAny>().map(drop)?,
                            }
                        }
                        Ok(object)
                    }
                }

                deserializer.deserialize_map(Fields(PhantomData))
            }
        }
    )+};
}
pub(super) use objects;
