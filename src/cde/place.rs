//! Reading JSON that may hold anything: what is of another type than expected passes by without being
//! stored, and only broken JSON is an error.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{Deserialize, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// Longer lists are not believed.
const MAX_ITEMS: usize = 10_000;

/// What stands in one place of an answer; reading it fails only where the JSON itself is broken.
#[derive(Default)]
pub(super) enum Place<T> {
    #[default]
    Missing,
    Null,
    Odd,
    Is(T),
}

/// A type that a place should have: it takes what it knows and lets the rest pass by as odd.
pub(super) trait Expected: Sized {
    fn integer(_: i64) -> Option<Self> {
        None
    }
    fn text(_: &str) -> Option<Self> {
        None
    }
    fn object<'de, A: MapAccess<'de>>(mut map: A) -> Result<Option<Self>, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(None)
    }
    fn list<'de, A: SeqAccess<'de>>(mut list: A) -> Result<Option<Self>, A::Error> {
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(None)
    }
}

impl Expected for i64 {
    fn integer(number: i64) -> Option<Self> {
        Some(number)
    }
}

impl Expected for String {
    fn text(text: &str) -> Option<Self> {
        Some(text.to_owned())
    }
}

impl<T: Expected> Expected for Vec<Place<T>> {
    fn list<'de, A: SeqAccess<'de>>(mut list: A) -> Result<Option<Self>, A::Error> {
        let mut items = Self::new();
        while let Some(item) = list.next_element()? {
            if items.len() == MAX_ITEMS {
                return Err(A::Error::custom(format_args!("more than {MAX_ITEMS} items in a list")));
            }
            items.push(item);
        }
        Ok(Some(items))
    }
}

impl<T> Place<T> {
    /// What every field within an object that is not there is: null where the object is null.
    pub(super) fn nothing<U>(self) -> Place<U> {
        match self {
            Self::Null => Place::Null,
            Self::Missing | Self::Odd | Self::Is(_) => Place::Odd,
        }
    }
}

impl<'de, T: Expected> Deserialize<'de> for Place<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(PlaceVisitor(PhantomData))
    }
}

struct PlaceVisitor<T>(PhantomData<T>);

impl<T> From<Option<T>> for Place<T> {
    fn from(known: Option<T>) -> Self {
        known.map_or(Self::Odd, Self::Is)
    }
}

impl<'de, T: Expected> Visitor<'de> for PlaceVisitor<T> {
    type Value = Place<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON value")
    }
    fn visit_unit<E>(self) -> Result<Place<T>, E> {
        Ok(Place::Null)
    }
    fn visit_bool<E>(self, _: bool) -> Result<Place<T>, E> {
        Ok(Place::Odd)
    }
    fn visit_i64<E>(self, number: i64) -> Result<Place<T>, E> {
        Ok(T::integer(number).into())
    }
    fn visit_u64<E>(self, number: u64) -> Result<Place<T>, E> {
        Ok(i64::try_from(number).ok().and_then(T::integer).into())
    }
    fn visit_f64<E>(self, _: f64) -> Result<Place<T>, E> {
        Ok(Place::Odd)
    }
    fn visit_str<E>(self, text: &str) -> Result<Place<T>, E> {
        Ok(T::text(text).into())
    }
    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Place<T>, A::Error> {
        T::object(map).map(Into::into)
    }
    fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<Place<T>, A::Error> {
        T::list(list).map(Into::into)
    }
}
