//! JSON values of which a malformed one does not spoil the others.

use std::borrow::Cow;
use std::marker::PhantomData;

use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, de};
use serde_json::value::RawValue;

use super::model::Field;

/// A value as text, which is decoded on demand, so that a malformed one does not hide the others.
#[derive(Clone, Copy, Default)]
pub(super) struct Raw<'a>(Option<&'a RawValue>);

impl<'de> Deserialize<'de> for Raw<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        <&RawValue>::deserialize(deserializer).map(|json| Self(Some(json)))
    }
}

impl<'a> Raw<'a> {
    /// Decodes the value; a malformed one is missing.
    pub(super) fn decode<T: Deserialize<'a>>(self) -> Field<T> {
        match self.0.map(|json| serde_json::from_str(json.get())) {
            Some(Ok(Some(value))) => Field::Value(value),
            Some(Ok(None)) => Field::Null,
            Some(Err(_)) | None => Field::Missing,
        }
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
    ($($object:ident<$lifetime:lifetime> { $($field:ident: $type:ty = $key:literal,)+ })+) => {$(
        struct $object<$lifetime> {
            $($field: $type,)+
        }

        impl<$lifetime> Deserialize<$lifetime> for $object<$lifetime> {
            fn deserialize<D: Deserializer<$lifetime>>(deserializer: D) -> Result<Self, D::Error> {
                struct Fields;

                impl<$lifetime> Visitor<$lifetime> for Fields {
                    type Value = $object<$lifetime>;

                    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        f.write_str("an object")
                    }

                    fn visit_map<A: MapAccess<$lifetime>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                        let mut object = $object { $($field: Default::default(),)+ };
                        while let Some(Key(key)) = map.next_key()? {
                            match key.as_ref() {
                                $($key => object.$field = map.next_value()?,)+
                                _ => map.next_value::<IgnoredAny>().map(drop)?,
                            }
                        }
                        Ok(object)
                    }
                }

                deserializer.deserialize_map(Fields)
            }
        }
    )+};
}
pub(super) use objects;

/// An object, or `None` in place of a value of another type.
pub(super) struct Object<T>(pub(super) Option<T>);

impl<T> Default for Object<T> {
    fn default() -> Self {
        Self(None)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(OrNone(PhantomData))
    }
}

struct OrNone<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for OrNone<T> {
    type Value = Object<T>;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a value")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        T::deserialize(de::value::MapAccessDeserializer::new(map)).map(|object| Object(Some(object)))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Object(None))
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Object(None))
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
        Ok(Object(None))
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
        Ok(Object(None))
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> {
        Ok(Object(None))
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
        Ok(Object(None))
    }

    fn visit_str<E>(self, _: &str) -> Result<Self::Value, E> {
        Ok(Object(None))
    }
}
