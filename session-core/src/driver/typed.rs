//! What a session holds, as one type of the application's own.

use std::{any::type_name, collections::BTreeSet, fmt, marker::PhantomData, sync::Arc};

use serde::{Serialize, de::DeserializeOwned};

use crate::{
    driver::{draft::Draft, session::SessionHandle},
    error::Error,
    life::limits::Limits,
    record::{
        data::Data,
        value::{members_of, read, read_object, same_members, text_of},
    },
};

/// A type of the application's own that a session holds: under one key, or as the whole of its data.
///
/// ```
/// use serde::{Deserialize, Serialize};
/// use session_core::SessionData;
///
/// #[derive(Default, Serialize, Deserialize)]
/// struct Cart {
///     items: Vec<String>,
/// }
///
/// impl SessionData for Cart {
///     const KEY: Option<&'static str> = Some("cart");
/// }
///
/// /// What Express has as `req.session.views` and `req.session.user`.
/// #[derive(Default, Serialize, Deserialize)]
/// struct Visit {
///     #[serde(default)]
///     views: u32,
///     #[serde(skip_serializing_if = "Option::is_none")]
///     user: Option<String>,
/// }
///
/// impl SessionData for Visit {}
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not say where in a session it stands",
    note = "implement `SessionData` for it, with `const KEY: Option<&'static str> = Some(\"cart\");` for a place under that key; without, it is \
            the session's data as a whole"
)]
pub trait SessionData: Serialize + DeserializeOwned {
    /// The key under which it stands. `None`, the default: it is the session's data as a whole, and each of its fields is a key.
    /// Keys that it does not have stay as they are: an Express app beside, or another type, may have put them there.
    ///
    /// As a whole a type must be read of whatever stands in a session: its fields are optional or have `#[serde(default)]`, and it denies no
    /// unknown ones. What is written otherwise than it is read needs a key: fields with an `alias`, enums. So does a flattened `Option` of a
    /// group: where each of its fields may be missing, it is read as `Some` of an empty group and never as `None`; where several are
    /// required, parallel requests may leave half of them. A list whose order is another each time (`HashSet`) counts as changed each time:
    /// take `BTreeSet`.
    const KEY: Option<&'static str> = None;
}

/// A session, seen as one value of the application's own: [`SessionHandle::typed`]. Every adapter's `TypedSession` is this behind
/// `Deref`.
///
/// ```
/// # use serde::{Deserialize, Serialize};
/// # use session_core::{Error, SessionData, SessionHandle};
/// # #[derive(Default, Serialize, Deserialize)]
/// # struct Cart { items: Vec<String> }
/// # impl SessionData for Cart { const KEY: Option<&'static str> = Some("cart"); }
/// # async fn handler(session: SessionHandle) -> Result<(), Error> {
/// let one_more = |cart: Option<Cart>| {
///     let mut cart = cart.unwrap_or_default();
///     cart.items.push("a book".into());
///     cart
/// };
/// let cart = session.typed::<Cart>();
/// cart.modify(one_more)?;
/// // Where requests run in parallel, none of which shall take back what another has put in:
/// cart.update(one_more).await?;
/// assert!(cart.get()?.is_some_and(|cart| cart.items.len() >= 2));
/// # Ok(())
/// # }
/// ```
pub struct TypedHandle<T> {
    session: SessionHandle,
    data: PhantomData<fn() -> T>,
}

impl SessionHandle {
    /// This session, seen as one value of the application's own.
    #[must_use]
    pub fn typed<T: SessionData>(&self) -> TypedHandle<T> {
        TypedHandle { session: self.clone(), data: PhantomData }
    }
}

impl<T> TypedHandle<T> {
    /// The session itself: its id, its lifetime, its end.
    #[must_use]
    pub fn session(&self) -> &SessionHandle {
        &self.session
    }
}

impl<T: SessionData> TypedHandle<T> {
    /// The value. `None` when there is none under the key; of the whole data, when the session has none.
    ///
    /// # Errors
    /// [`Error::Deserialize`] when what is there is not of this type, and [`Error::DeserializeData`] of the whole data.
    pub fn get(&self) -> Result<Option<T>, Error> {
        value_of(&self.session.data())
    }

    /// Sets the value, at the end of the request. Of the whole data each field is set that differs from the session as it is now (while an
    /// update is in doubt whose answer was lost, each), and one that is not written any more is removed; what the type does not have
    /// stays. A field that is not there, and has the value that is read then, is no change, nor is the order of a map: so a value that is
    /// all defaults begins no session.
    ///
    /// A value that was read before an `await` may take back what another request did meanwhile, and `await` brought along:
    /// [`modify`](Self::modify) it instead.
    ///
    /// # Errors
    /// [`Error::NoObject`] when the whole data would be something else than an object; [`Error::DeserializeData`] when they could not be
    /// read again, or what the value has none of would be read as something (a `None` whose default is `Some`); those of [`SessionHandle::insert`]. Then nothing is changed.
    pub fn insert(&self, value: &T) -> Result<(), Error> {
        self.set(&self.session.data(), value)
    }

    /// Sets the value to what `change` makes of the one that is there, at the end of the request. Answers it. What `change` itself does to
    /// the session stays beside it.
    ///
    /// # Errors
    /// Those of [`get`](Self::get) and [`insert`](Self::insert).
    pub fn modify(&self, change: impl FnOnce(Option<T>) -> T) -> Result<T, Error> {
        let data = self.session.data();
        let value = change(value_of(&data)?);
        self.set(&data, &value)?;
        Ok(value)
    }

    /// The type's own code runs where nothing is locked.
    fn set(&self, data: &Data, value: &T) -> Result<(), Error> {
        self.session.change(&Change::to(data, &self.session.made(), value)?)
    }

    /// Removes the value: its key, or of the whole data the keys that the value has. What it does not have stays, also what it reads as
    /// nothing; [`SessionHandle::clear`] removes all.
    ///
    /// # Errors
    /// [`Error::DeserializeData`] when the whole data are not of this type; [`Error::Destroyed`] when the session is no more.
    pub fn remove(&self) -> Result<(), Error> {
        self.session.change(&Change::to_none::<T>(&self.session.data(), &self.session.made())?)
    }

    /// Sets the value to what `change` makes of the one that is there, atomically in the store: as [`SessionHandle::update`].
    ///
    /// # Errors
    /// Those of [`SessionHandle::update`], [`get`](Self::get) and [`insert`](Self::insert).
    pub async fn update(&self, mut change: impl FnMut(Option<T>) -> T) -> Result<T, Error> {
        let set = |draft: &mut Draft| {
            let value = change(value_of(draft.data())?);
            draft.change(&Change::to(draft.data(), &[], &value)?)?;
            Ok(value)
        };
        self.session.transaction(set).await
    }

    /// [`update`](Self::update) with a change that may refuse, or answer `None` for no value any more: as
    /// [`SessionHandle::try_update`].
    ///
    /// # Errors
    /// Those of `change`, and of [`update`](Self::update).
    pub async fn try_update<E: From<Error>>(
        &self,
        mut change: impl FnMut(Option<T>) -> Result<Option<T>, E>,
    ) -> Result<Option<T>, E> {
        let set = |draft: &mut Draft| {
            let value = change(value_of(draft.data())?)?;
            let change = match &value {
                Some(value) => Change::to(draft.data(), &[], value)?,
                None => Change::to_none::<T>(draft.data(), &[])?,
            };
            draft.change(&change)?;
            Ok(value)
        };
        self.session.try_transaction(set).await
    }
}

impl<T> Clone for TypedHandle<T> {
    fn clone(&self) -> Self {
        Self { session: self.session.clone(), data: PhantomData }
    }
}

/// Shows neither id nor data.
impl<T> fmt::Debug for TypedHandle<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.session.fmt(f)
    }
}

fn value_of<T: SessionData>(data: &Data) -> Result<Option<T>, Error> {
    match T::KEY {
        Some(key) => read(data.get(key), key),
        None if data.is_empty() => Ok(None),
        None => read_object(data).map(Some),
    }
}

/// What becomes of the data, key by key; no key stands twice.
#[derive(Default)]
pub(super) struct Change {
    pub(super) removed: Vec<String>,
    pub(super) put: Vec<(String, Box<str>)>,
    /// Of the whole data what is there as it was: not for this request to say, another one may be changing it.
    pub(super) same: Vec<(String, Box<str>)>,
}

impl Change {
    /// `made`: what atomic changes may have stored of which no answer came. A key that these have is taken out where the value has
    /// none.
    fn to<T: SessionData>(data: &Data, made: &[Arc<Data>], value: &T) -> Result<Self, Error> {
        if let Some(key) = T::KEY {
            return Ok(Self { put: vec![(key.into(), text_of(key, value)?)], ..Self::default() });
        }
        let (members, held) = (members_of(value)?, held_by::<T>(data)?);
        let made = keys_of::<T>(made)?;
        let (mut before, mut there) = (held.lookup(), data.lookup());
        let mut change = Self::default();
        let mut removed: BTreeSet<String> = held.keys().map(Into::into).collect();
        removed.extend(made.iter().cloned());
        for (key, json) in members.iter() {
            let is_same = before.get(key).is_some_and(|held| same_members(json, held));
            match there.get(key) {
                Some(text) if is_same => change.same.push((key.to_owned(), text.into())),
                // It is not there, and that is read as what it is.
                None if is_same && made.contains(key) => continue,
                None if is_same => {}
                _ => change.put.push((key.to_owned(), json.into())),
            }
            removed.remove(key);
        }
        change.removed = removed.iter().cloned().collect();
        // What could not be read again would be an error with every request: two spellings of one field, say. And of data that could not be
        // read before, what the type has is known only now.
        let mut after = members_of(&change.read_after::<T>(data)?)?;
        let mut new = members.lookup();
        let left: Vec<String> = after.keys().filter(|key| new.get(key).is_none()).map(Into::into).collect();
        if !left.is_empty() {
            removed.extend(left);
            change.removed = removed.into_iter().collect();
            after = members_of(&change.read_after::<T>(data)?)?;
        }
        // What is nothing, or left out, and is read as a default which is something; or the other way round.
        let (mut read, mut new) = (after.lookup(), members.lookup());
        let is_nothing = |json: Option<&str>| json.is_none_or(|json| json == "null");
        let stays = |(key, json): &(String, Box<str>)| match &**json {
            "null" => is_nothing(read.get(key)),
            _ => read.get(key).is_some(),
        };
        let is_known = |(key, json): (&str, &str)| json == "null" || new.get(key).is_some();
        if change.put.iter().all(stays) && after.iter().all(is_known) {
            Ok(change)
        } else {
            let reason =
                "what it has none of would be read as a default that is something, or the reverse".into();
            Err(Error::DeserializeData { expected: type_name::<T>(), reason })
        }
    }

    fn read_after<T: SessionData>(&self, data: &Data) -> Result<T, Error> {
        let mut after = data.clone();
        self.make(&mut after);
        read_object(&after)
    }

    fn to_none<T: SessionData>(data: &Data, made: &[Arc<Data>]) -> Result<Self, Error> {
        let removed = match T::KEY {
            Some(key) => vec![key.into()],
            None => {
                let held = if data.is_empty() { Data::new() } else { members_of(&read_object::<T>(data)?)? };
                let mut keys = keys_of::<T>(made)?;
                keys.extend(held.keys().map(Into::into));
                keys.into_iter().collect()
            }
        };
        Ok(Self { removed, ..Self::default() })
    }

    pub(super) fn make(&self, data: &mut Data) {
        let removed: Vec<&str> = self.removed.iter().map(String::as_str).collect();
        let put: Vec<(&str, &str)> = self.put.iter().map(|(key, json)| (&**key, &**json)).collect();
        data.change(&removed, &put);
    }

    pub(super) fn check(&self, data: &Data, limits: Limits) -> Result<(), Error> {
        if self.put.is_empty() {
            return Ok(());
        }
        self.put.iter().try_for_each(|(key, _)| limits.check_key(key))?;
        let mut after = data.clone();
        self.make(&mut after);
        limits.check(&after)
    }
}

/// What of the data the type has; of what it cannot read, nothing is known.
fn held_by<T: SessionData>(data: &Data) -> Result<Data, Error> {
    read_object::<T>(data).map_or_else(|_| Ok(Data::new()), |held| members_of(&held))
}

/// The keys that the type has in any of these.
fn keys_of<T: SessionData>(all: &[Arc<Data>]) -> Result<BTreeSet<String>, Error> {
    let held = all.iter().map(|data| held_by::<T>(data)).collect::<Result<Vec<_>, _>>()?;
    Ok(held.iter().flat_map(Data::keys).map(Into::into).collect())
}
