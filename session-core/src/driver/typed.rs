//! What a session holds, as one type of the application's own.

use std::{any::type_name, fmt, marker::PhantomData};

use serde::{Serialize, de::DeserializeOwned};

use crate::{
    driver::{draft::Draft, session::SessionHandle},
    error::Error,
    record::{
        data::Data,
        value::{members_of, read, read_all, text_of},
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
/// let cart = session.typed::<Cart>();
/// let mut held = cart.get()?.unwrap_or_default();
/// held.items.push("a book".into());
/// cart.insert(&held)?;
///
/// // Where requests run in parallel, none of which shall take back what another has put in:
/// cart.update(|cart| {
///     let mut cart = cart.unwrap_or_default();
///     cart.items.push("a book".into());
///     cart
/// })
/// .await?;
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

    /// Sets the value. Of the whole data each field that has changed is set, and one that is not written any more is removed; what the
    /// type does not have stays.
    ///
    /// # Errors
    /// [`Error::NoObject`] when the whole data would be something else than an object; those of [`SessionHandle::insert`]. Then
    /// nothing is changed.
    pub fn insert(&self, value: &T) -> Result<(), Error> {
        // The type's own code runs where nothing is locked.
        let change = Change::to(&self.session.data(), value)?;
        self.session.change(&change)
    }

    /// Removes the value: its key, or of the whole data every key.
    ///
    /// # Errors
    /// [`Error::Destroyed`] when the session is no more.
    pub fn remove(&self) -> Result<(), Error> {
        match T::KEY {
            Some(key) => self.session.remove(key).map(drop),
            None => self.session.clear(),
        }
    }

    /// Sets the value to what `change` makes of the one that is there, atomically in the store: as [`SessionHandle::update`].
    ///
    /// # Errors
    /// Those of [`SessionHandle::update`], [`get`](Self::get) and [`insert`](Self::insert).
    pub async fn update(&self, mut change: impl FnMut(Option<T>) -> T) -> Result<T, Error> {
        let set = |draft: &mut Draft| {
            let value = change(value_of(draft.data())?);
            draft.change(&Change::to(draft.data(), &value)?)?;
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
                Some(value) => Change::to(draft.data(), value)?,
                None => Change::to_none::<T>(draft.data()),
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
        None => read_all(data),
    }
}

/// What becomes of the data, key by key.
pub(super) struct Change {
    pub(super) removed: Vec<String>,
    pub(super) put: Vec<(String, Box<str>)>,
}

impl Change {
    fn to<T: SessionData>(data: &Data, value: &T) -> Result<Self, Error> {
        if let Some(key) = T::KEY {
            return Ok(Self { removed: Vec::new(), put: vec![(key.into(), text_of(key, value)?)] });
        }
        let members = |value: &T| members_of(value, type_name::<T>());
        let mut put = members(value)?;
        // Of an older form of the type nothing is known: what it had more stays.
        let held =
            read_all::<T>(data).ok().flatten().map(|held| members(&held)).transpose()?.unwrap_or_default();
        let is_left_out = |key: &String| !put.iter().any(|(new, _)| new == key);
        let removed = held.iter().map(|(key, _)| key).filter(|key| is_left_out(key)).cloned().collect();
        // What is as it was is not this request's to say: another one may be changing it.
        put.retain(|member| !data.contains(&member.0) || !held.contains(member));
        Ok(Self { removed, put })
    }

    fn to_none<T: SessionData>(data: &Data) -> Self {
        let all = || data.keys().map(Into::into).collect();
        Self { removed: T::KEY.map_or_else(all, |key| vec![key.into()]), put: Vec::new() }
    }
}
