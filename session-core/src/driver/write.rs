//! The driver's writes: everything that a session does to the store.

use std::sync::Arc;

use serde::{Serialize, de::DeserializeOwned};

use crate::{
    driver::session::{Held, Session, read, text_of},
    error::Error,
    life::decide::{Presence, SetCookie, Write, decide},
    life::merge::difference,
    options::policy::{ExplicitSave, SaveError},
    record::cookie::Cookie,
    store::{Expect, Set, Stored, Touched},
    wire::set_cookie,
    wire::sid::Sid,
};

/// Conflicts come from other processes only, and each means that one of those got its write through.
const ATTEMPTS: usize = 32;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Written,
    /// Somebody ended the session: it is not written again.
    Gone,
}

/// What talks to the store at once.
impl Session {
    /// An atomic read-modify-write of one key: `change` gets the value that is there (`None` when there is none) and gives
    /// the new one, and is called again when another request was faster. Answers the value that is in the store, with
    /// everything else that this request changed.
    ///
    /// ```
    /// # async fn handler(session: session_core::Session) -> Result<u64, session_core::Error> {
    /// session.update("views", |views: Option<u64>| views.unwrap_or(0) + 1).await
    /// # }
    /// ```
    ///
    /// # Errors
    /// Those of [`insert`](Self::insert), [`get`](Self::get) and [`save`](Self::save). The key is then as it was before.
    pub async fn update<T>(&self, key: &str, mut change: impl FnMut(Option<T>) -> T) -> Result<T, Error>
    where
        T: Serialize + DeserializeOwned,
    {
        let sid = self.id();
        let _queue = self.0.sessions.lock(&sid).await;
        for _ in 0..ATTEMPTS {
            let (before, value) = {
                let mut state = self.present()?;
                let before: Option<Box<str>> = state.now.get(key).map(Into::into);
                let value = change(read(before.as_deref(), key)?);
                let json = text_of(key, &value)?;
                state.data_mut().insert(key, json);
                (before, value)
            };
            let missed = match self.try_set().await {
                Ok(Some(Set::Written(_))) => return Ok(value),
                missed => missed,
            };
            self.put_back(key, before);
            if missed?.is_none() || self.catch_up().await? == Outcome::Gone {
                return Err(Error::Gone);
            }
        }
        Err(Error::Contended(ATTEMPTS))
    }

    /// Saves the session now. Needed only for work that goes on after the response, or when somebody else is to read the
    /// session before it. What other requests changed meanwhile is kept, and from then on seen here. Node: `save()`.
    ///
    /// # Errors
    /// [`Error::Gone`] when the session was ended elsewhere, [`Error::Contended`] and [`Error::IdInUse`] when it could not be
    /// written, [`Error::Store`] when the store failed, [`Error::Destroyed`] when it is no more.
    pub async fn save(&self) -> Result<(), Error> {
        let sid = self.present()?.sid.clone();
        let _queue = self.0.sessions.lock(&sid).await;
        match self.write().await? {
            Outcome::Written => Ok(()),
            Outcome::Gone => Err(Error::Gone),
        }
    }

    /// Reads the session from the store again; unsaved changes are dropped. Node: `reload()`.
    ///
    /// # Errors
    /// [`Error::NotStored`] when the store has none, and then the session stays as it is; [`Error::Store`] when the store
    /// failed; [`Error::Destroyed`] when it is no more.
    pub async fn reload(&self) -> Result<(), Error> {
        let sid = self.present()?.sid.clone();
        let read = self.0.sessions.store().get(&sid).await?.ok_or(Error::NotStored)?;
        self.take_over(read);
        Ok(())
    }

    /// Destroys the session and begins another under a new id, without the data. Node: `regenerate()`. To keep the data, as
    /// after a login, see [`renew_id`](Self::renew_id).
    ///
    /// # Errors
    /// [`Error::Store`] when the old one could not be destroyed; the new one has begun all the same.
    /// [`Error::Destroyed`] when the session is no more.
    pub async fn regenerate(&self) -> Result<(), Error> {
        let sid = self.present()?.sid.clone();
        let destroyed = self.destroy_record(&sid).await;
        self.start_over(self.new_sid());
        tracing::debug!("session regenerated");
        destroyed
    }

    /// Moves the session to a new id and keeps its data: what every login needs, so that an id that somebody knew before is
    /// worth nothing after. The old id is gone from the store when this returns; what other requests wrote to it until then
    /// has come along.
    ///
    /// # Errors
    /// Those of [`save`](Self::save).
    pub async fn renew_id(&self) -> Result<(), Error> {
        let old = self.present()?.sid.clone();
        let new = self.new_sid();
        let _queue = self.0.sessions.lock(&old).await;
        if matches!(self.state().held, Held::Nothing) {
            self.state().sid = new;
            return Ok(());
        }
        self.move_to(&old, &new).await
    }

    /// Destroys the session, record and all. Requests that are under way with it cannot bring it back. Node: `destroy()`.
    ///
    /// # Errors
    /// [`Error::Store`] when the store failed: the session is then as it was. [`Error::Destroyed`] the second time.
    pub async fn destroy(&self) -> Result<(), Error> {
        let sid = {
            let mut state = self.present()?;
            state.presence = Presence::Destroyed;
            state.sid.clone()
        };
        let destroyed = self.destroy_record(&sid).await;
        if destroyed.is_err() {
            self.state().presence = Presence::Present;
        }
        destroyed
    }
}

impl Session {
    /// The end of the request: gathers the facts, asks `decide`, does what it says. Answers the cookie to send.
    pub(crate) async fn end(&self) -> Result<Option<String>, Error> {
        let (decision, sid, cookie) = {
            let mut state = self.state();
            if state.presence == Presence::Present {
                state.cookie.touch(self.options().clock.millis());
            }
            let facts = state.facts(self.connection_secure(), self.options());
            let decision = decide(&facts, &self.options().policies);
            if (decision.write, decision.cookie) == (Write::Nothing, SetCookie::Nothing) {
                return Ok(None);
            }
            (decision, state.sid.clone(), Box::new(state.cookie.clone()))
        };
        let written = match decision.write {
            Write::Nothing => Ok(Outcome::Written),
            Write::Destroy => self.destroy_record(&sid).await.map(|()| Outcome::Written),
            Write::Touch => self.touch_record(&sid, &cookie).await,
            Write::Set => {
                let _queue = self.0.sessions.lock(&sid).await;
                self.write().await
            }
        };
        match (written, self.options().save_error) {
            (Ok(Outcome::Written), _) => Ok(self.set_cookie(decision.cookie, &sid, &cookie)),
            (Ok(Outcome::Gone), _) => Ok(None),
            (Err(error), SaveError::Fail) => Err(error),
            (Err(error), SaveError::Log) => {
                tracing::error!(error = &error as &dyn std::error::Error, "the session was not saved");
                Ok(None)
            }
        }
    }

    fn set_cookie(&self, decision: SetCookie, sid: &Sid, cookie: &Cookie) -> Option<String> {
        let name = &self.options().name;
        let header = match decision {
            SetCookie::Nothing => return None,
            SetCookie::Withheld => {
                self.0.sessions.warn_insecure();
                return None;
            }
            SetCookie::Send => {
                set_cookie::serialize(name, &self.options().secrets.seal(sid.as_str()), cookie)
            }
            SetCookie::Remove => set_cookie::removal(name, cookie),
        };
        header
            .inspect_err(|error| tracing::error!(error = error as &dyn std::error::Error, "no cookie sent"))
            .ok()
    }

    /// Writes until it is written or the session turns out to be gone. The caller holds the queue's lock.
    async fn write(&self) -> Result<Outcome, Error> {
        for _ in 0..ATTEMPTS {
            match self.try_set().await? {
                None => return Ok(self.gone()),
                Some(Set::Written(_)) => {
                    tracing::debug!("session saved");
                    return Ok(Outcome::Written);
                }
                Some(Set::Conflict | Set::Expired) => {
                    if self.catch_up().await? == Outcome::Gone {
                        return Ok(Outcome::Gone);
                    }
                    if let Some((sid, cookie)) = self.nothing_to_add() {
                        return self.touch_record(&sid, &cookie).await;
                    }
                }
            }
        }
        Err(Error::Contended(ATTEMPTS))
    }

    /// Undoes an update that was not stored.
    fn put_back(&self, key: &str, before: Option<Box<str>>) {
        let mut state = self.state();
        match before {
            Some(json) => state.data_mut().insert(key, json),
            None => _ = state.data_mut().remove(key),
        }
    }

    /// One conditional write. `None`: there is nothing to write to any more.
    async fn try_set(&self) -> Result<Option<Set>, Error> {
        let (sid, record, snapshot, expect) = {
            let state = self.state();
            let Some(expect) = state.expectation() else { return Ok(None) };
            (state.sid.clone(), state.record(), Arc::clone(&state.now), expect)
        };
        let set = self.0.sessions.store().set(&sid, &record, &expect).await?;
        match &set {
            Set::Written(version) => {
                let over = record.expires().is_some_and(|at| at <= self.options().clock.now());
                let mut state = self.state();
                state.held = if over { Held::Nothing } else { Held::Version(version.clone()) };
                state.stored = Arc::clone(&snapshot);
                state.cookie_unsaved = false;
                state.left = state.lifetime;
                if self.options().policies.explicit_save == ExplicitSave::Counts {
                    state.same_id = true;
                }
                // Express forgets what was saved of a regenerated session.
                if state.same_id {
                    state.saved = Some(snapshot);
                }
            }
            Set::Expired => {
                self.0.sessions.store().destroy(&sid, &expect).await?;
                let mut state = self.state();
                state.held = Held::Nothing;
                state.stored = Arc::clone(&snapshot);
                state.saved = Some(snapshot);
                return Ok(Some(Set::Written(crate::store::Version::from_number(0))));
            }
            Set::Conflict if expect == Expect::Nothing => return Err(Error::IdInUse),
            Set::Conflict => tracing::debug!("conflict: another request wrote the session first"),
        }
        Ok(Some(set))
    }

    /// After a conflict: what the store has now, with what this request changed.
    async fn catch_up(&self) -> Result<Outcome, Error> {
        let sid = self.id();
        match self.0.sessions.store().get(&sid).await? {
            Some(latest) => {
                self.rebase(latest);
                Ok(Outcome::Written)
            }
            None => Ok(self.gone()),
        }
    }

    fn rebase(&self, latest: Stored) {
        let mut state = self.state();
        let mut merged = latest.record.data.clone();
        difference(&state.stored, &state.now).apply(&mut merged);
        if !state.cookie_unsaved {
            state.cookie = self.current_cookie(latest.record.cookie);
            state.cookie.touch(self.options().clock.millis());
        }
        state.stored = Arc::new(latest.record.data);
        state.now = Arc::new(merged);
        state.held = Held::Version(latest.version);
    }

    /// After a merge that changed nothing: only the expiry is left to be moved.
    fn nothing_to_add(&self) -> Option<(Sid, Cookie)> {
        let mut state = self.state();
        let nothing = difference(&state.stored, &state.now).is_empty() && !state.cookie_unsaved;
        nothing.then(|| {
            state.saved = Some(Arc::clone(&state.now));
            (state.sid.clone(), state.cookie.clone())
        })
    }

    async fn touch_record(&self, sid: &Sid, cookie: &Cookie) -> Result<Outcome, Error> {
        if matches!(self.state().held, Held::Gone) {
            return Ok(Outcome::Gone);
        }
        match self.0.sessions.store().touch(sid, cookie).await? {
            Touched::Moved => Ok(Outcome::Written),
            Touched::Unknown => Ok(self.gone()),
            Touched::Expired => {
                self.0.sessions.store().destroy(sid, &Expect::Anything).await?;
                Ok(Outcome::Written)
            }
        }
    }

    async fn destroy_record(&self, sid: &Sid) -> Result<(), Error> {
        let _queue = self.0.sessions.lock(sid).await;
        self.0.sessions.store().destroy(sid, &Expect::Anything).await?;
        tracing::debug!("session destroyed");
        Ok(())
    }

    fn gone(&self) -> Outcome {
        self.state().held = Held::Gone;
        tracing::debug!("session gone: another request ended it, or it expired");
        Outcome::Gone
    }

    /// The record under the new id first, then the end of the old one, on the condition that nobody wrote to it in
    /// between: a record that is over already destroys what it is written over.
    async fn move_to(&self, old: &Sid, new: &Sid) -> Result<(), Error> {
        let store = self.0.sessions.store();
        let mut expect = Expect::Nothing;
        for _ in 0..ATTEMPTS {
            if self.catch_up().await? == Outcome::Gone {
                if expect != Expect::Nothing {
                    store.destroy(new, &Expect::Anything).await?;
                }
                return Err(Error::Gone);
            }
            let (record, snapshot, held) = {
                let state = self.state();
                (state.record(), Arc::clone(&state.now), state.expectation().unwrap_or(Expect::Nothing))
            };
            let version = match store.set(new, &record, &expect).await? {
                Set::Written(version) => version,
                Set::Conflict | Set::Expired => return Err(Error::IdInUse),
            };
            expect = Expect::Version(version.clone());
            if store.destroy(old, &held).await? == crate::store::Destroyed::Conflict {
                continue;
            }
            let mut state = self.state();
            state.sid = new.clone();
            state.held = Held::Version(version);
            state.stored = Arc::clone(&snapshot);
            state.saved = Some(snapshot);
            state.cookie_unsaved = false;
            state.same_id = self.options().policies.explicit_save == ExplicitSave::Counts;
            tracing::debug!("session id renewed");
            return Ok(());
        }
        Err(Error::Contended(ATTEMPTS))
    }
}
