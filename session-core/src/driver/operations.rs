//! What of a session talks to the store, immediately: the shell around the life of a session.

use serde::{Serialize, de::DeserializeOwned};
use std::{
    borrow::Cow,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

use crate::{
    client::{self, sealed},
    driver::{
        draft::Draft,
        line::Run,
        outgoing::{Given, Token},
        session::{SessionHandle, Way},
        sessions::Sessions,
    },
    error::Error,
    life::{
        ATTEMPTS, Answer, Ask, Changed, Done, Ended, Operation, Step,
        decide::{Presence, SetCookie},
    },
    options::policy::{BrowserRules, CookieExpiry, SaveError},
    record::{cookie::Cookie, data::Data},
    store::{Destroyed, Set},
    wire::{date, set_cookie, token},
};

/// What talks to the store immediately. Each may be dropped at any time: what was known before is still true, and what was
/// under way is found out by the next operation.
impl SessionHandle {
    /// An atomic read-modify-write of one key: `change` gets the value that is there (`None` when there is none, or
    /// JavaScript's `null`) and gives the new one. It is called again when another request was faster, on what that one
    /// wrote: clone what it would move. Answers the value that is then in the store, with everything else that this request changed.
    ///
    /// ```
    /// # async fn handler(session: session_core::SessionHandle) -> Result<u64, session_core::Error> {
    /// session.update("views", |views: Option<u64>| views.unwrap_or(0) + 1).await
    /// # }
    /// ```
    ///
    /// # Errors
    /// Those of [`insert`](Self::insert), [`get`](Self::get) and [`save`](Self::save). The key is then, for this request, as
    /// it was before. After [`Error::Store`] the store may have the new value or not: a second call reads first.
    pub async fn update<T>(&self, key: &str, mut change: impl FnMut(Option<T>) -> T) -> Result<T, Error>
    where
        T: Serialize + DeserializeOwned,
    {
        self.transaction(|draft| {
            let value = change(draft.get(key)?);
            draft.insert(key, &value)?;
            Ok(value)
        })
        .await
    }

    /// [`update`](Self::update) with a change that may refuse with an error of the application's own (`Err`, and nothing is
    /// written) or remove the key (`Ok(None)`). Answers what `change` gave. Where the compiler cannot tell which error,
    /// say it: `Ok::<_, Refused>(…)`.
    ///
    /// ```
    /// use session_core::{Error, SessionHandle};
    ///
    /// #[derive(Debug)]
    /// enum Refused { SoldOut, Session(Error) }
    ///
    /// impl From<Error> for Refused {
    ///     fn from(error: Error) -> Self { Self::Session(error) }
    /// }
    ///
    /// async fn reserve(session: SessionHandle) -> Result<Option<u32>, Refused> {
    ///     session.try_update("seats", |seats: Option<u32>| match seats {
    ///         None | Some(0) => Err(Refused::SoldOut),
    ///         Some(1) => Ok(None),
    ///         Some(seats) => Ok(Some(seats - 1)),
    ///     }).await
    /// }
    /// ```
    ///
    /// # Errors
    /// Those of `change`, and of [`update`](Self::update).
    pub async fn try_update<T, E>(
        &self,
        key: &str,
        mut change: impl FnMut(Option<T>) -> Result<Option<T>, E>,
    ) -> Result<Option<T>, E>
    where
        T: Serialize + DeserializeOwned,
        E: From<Error>,
    {
        self.try_transaction(|draft| {
            let value = change(draft.get(key)?)?;
            match &value {
                Some(value) => draft.insert(key, value)?,
                None => _ = draft.remove(key),
            }
            Ok(value)
        })
        .await
    }

    /// Several keys changed at once: what `change` does to its copy of the data is stored as a whole, or not at all. It is
    /// called again when another request was faster, and nothing of the session is locked while it runs. Without a change
    /// nothing is written, and the answer is about the data as this request knows them (after the response they may be read first).
    ///
    /// ```
    /// # async fn handler(session: session_core::SessionHandle) -> Result<u32, session_core::Error> {
    /// session.transaction(|draft| {
    ///     let points: u32 = draft.get("points")?.unwrap_or(0);
    ///     draft.insert("points", 0)?;
    ///     draft.insert("redeemed", points)?;
    ///     Ok(points)
    /// }).await
    /// # }
    /// ```
    ///
    /// # Errors
    /// Those of `change`, and of [`update`](Self::update).
    pub async fn transaction<R>(
        &self,
        change: impl FnMut(&mut Draft) -> Result<R, Error>,
    ) -> Result<R, Error> {
        self.try_transaction(change).await
    }

    /// [`transaction`](Self::transaction) with a change that may refuse with an error of the application's own: nothing is
    /// written then.
    ///
    /// ```
    /// # use session_core::{Error, SessionHandle};
    /// # #[derive(Debug)]
    /// # enum Refused { TooPoor, Session(Error) }
    /// # impl From<Error> for Refused { fn from(error: Error) -> Self { Self::Session(error) } }
    /// async fn redeem(session: SessionHandle) -> Result<u32, Refused> {
    ///     session.try_transaction(|draft| {
    ///         let points: u32 = draft.get("points")?.unwrap_or(0);
    ///         let left = points.checked_sub(100).ok_or(Refused::TooPoor)?;
    ///         draft.insert("points", left)?;
    ///         draft.insert("redeemed", true)?;
    ///         Ok(left)
    ///     }).await
    /// }
    /// ```
    ///
    /// # Errors
    /// Those of `change`, and of [`update`](Self::update).
    pub async fn try_transaction<R, E: From<Error>>(
        &self,
        mut change: impl FnMut(&mut Draft) -> Result<R, E>,
    ) -> Result<R, E> {
        let limits = self.options().limits;
        let mut outcome = None;
        if let Some(came) = self.came() {
            return self.changes_here(&came.changes, change);
        }
        let done = self
            .run(Operation::change(), |seen| {
                let mut draft = Draft::new((**seen).clone(), limits);
                let changed = change(&mut draft);
                let failed = changed.is_err();
                outcome = Some(changed);
                let data = draft.into_data();
                if failed { Changed::NotAtAll } else { Changed::To(data) }
            })
            .await;
        match (done, outcome) {
            (Ok(_), Some(outcome)) => outcome,
            (Err(error), _) => Err(error.into()),
            // Nobody asked for a change: there is no session to change.
            (Ok(_), None) => Err(Error::Destroyed.into()),
        }
    }

    /// Of a session that the client keeps: nobody else writes to it.
    fn changes_here<R, E: From<Error>>(
        &self,
        changes: &AtomicU32,
        mut change: impl FnMut(&mut Draft) -> Result<R, E>,
    ) -> Result<R, E> {
        for _ in 0..ATTEMPTS {
            let (seen, number) = {
                self.is_not_gone()?;
                let life = self.is_to_be_sent()?;
                (Arc::clone(life.data()), changes.load(Ordering::Relaxed))
            };
            let mut draft = Draft::new((*seen).clone(), self.options().limits);
            let changed = change(&mut draft)?;
            let made = Arc::new(draft.into_data());
            // Another handle of the same session may have been faster, or have ended it.
            let mut life = self.is_to_be_sent()?;
            if changes.load(Ordering::Relaxed) == number {
                changes.fetch_add(1, Ordering::Relaxed);
                life.takes(&seen, made);
                return Ok(changed);
            }
        }
        Err(Error::Contended(ATTEMPTS.into()).into())
    }

    /// Takes a value out, for exactly one of the requests that try: flash messages. `None` when there is none, or
    /// JavaScript's `null`, as this request sees it.
    ///
    /// ```
    /// # async fn handler(session: session_core::SessionHandle) -> Result<Option<String>, session_core::Error> {
    /// session.take("flash").await
    /// # }
    /// ```
    ///
    /// # Errors
    /// Those of [`update`](Self::update). A value of another type stays.
    pub async fn take<T: DeserializeOwned>(&self, key: &str) -> Result<Option<T>, Error> {
        self.transaction(|draft| {
            let value = draft.get(key)?;
            draft.remove(key);
            Ok(value)
        })
        .await
    }

    /// Saves the session now. Needed only for work that goes on after the response, or when somebody else is to read the
    /// session before it. What other requests changed meanwhile is kept, and from then on seen here. In the express profile the
    /// session has its whole lifetime again. In the new one its lifetime is renewed together with the cookie, which only a
    /// response can bring: by the end of the request, or after it by the next request, once a touch is due
    /// ([`Options::touch`](crate::Options::touch)). Where the client keeps the session, the response takes it there, and this tells
    /// whether it can. Node: `save()`, which stores the expiry that was read.
    ///
    /// # Errors
    /// [`Error::Gone`] when the session was ended elsewhere, [`Error::Contended`] and [`Error::IdInUse`] when it could not be
    /// written, [`Error::Store`] when the store failed: it may then be written or not. [`Error::Destroyed`] when it is no
    /// more, [`Error::ResponseOut`] when nobody could find what is saved, [`Error::TooLarge`] above the bound,
    /// [`Error::CookieTooLarge`] and [`Error::TooDeep`] where the client keeps the session.
    pub async fn save(&self) -> Result<(), Error> {
        if let (Some(client), Some(_)) = (&self.options().client, self.came()) {
            let data = Arc::clone(self.is_to_be_sent()?.data());
            self.is_not_gone()?;
            return client::check(&self.options().name, client, &data);
        }
        self.run_plain(Operation::save()).await
    }

    /// Reads the session from the store again; unsaved changes are dropped. Node: `reload()`.
    ///
    /// # Errors
    /// [`Error::NotStored`] when the store has none, and then the session stays as it is; [`Error::Store`] when the store
    /// failed; [`Error::Destroyed`] when it is no more.
    pub async fn reload(&self) -> Result<(), Error> {
        self.sessions().needs_a_store("reload")?;
        self.run_plain(Operation::reload()).await
    }

    /// Destroys the session and begins another under a new id, without the data. Node: `regenerate()`. To keep the data, as
    /// after a login, see [`renew_id`](Self::renew_id).
    ///
    /// # Errors
    /// [`Error::Store`] when the old one could not be destroyed: the new one has begun all the same, and the end of the
    /// request tries again to destroy the old one (so with [`Error::Contended`], when others kept writing to it).
    /// [`Error::Destroyed`] when the session is no more,
    /// [`Error::ResponseOut`] when no cookie can carry the new id any more.
    pub async fn regenerate(&self) -> Result<(), Error> {
        if let Some(came) = self.came() {
            // The clock may be the application's: it is asked before anything is locked.
            let context = self.context();
            {
                let mut life = self.is_to_be_sent()?;
                life.begins_anew_on_the_client(sealed::new_sid().into(), &context);
                came.is_another(true);
                came.is_dated.store(context.cookie.is_dated(), Ordering::Relaxed);
            }
            return self.revoke().await.map(drop);
        }
        self.run_plain(Operation::regenerate(self.new_sid())).await?;
        tracing::debug!("session regenerated");
        Ok(())
    }

    /// Moves the session to a new id and keeps its data: what every login needs, so that an id that somebody knew before is
    /// worth nothing after. The old id is gone from the store when this returns; what other requests wrote to it until then
    /// has come along.
    ///
    /// Of two at once (a double click) one finds the session [gone](Error::Gone): it may begin anew.
    ///
    /// ```
    /// # use session_core::{Error, SessionHandle};
    /// async fn log_in(session: &SessionHandle, user: &str) -> Result<(), Error> {
    ///     match session.renew_id().await {
    ///         Err(Error::Gone) => session.regenerate().await?,
    ///         renewed => renewed?,
    ///     }
    ///     session.insert("user", user)
    /// }
    /// ```
    ///
    /// # Errors
    /// Those of [`save`](Self::save). The session then has its old id still, and this may be called again. (Where it is sealed into its
    /// client's cookie, and the old id could not be written down, the end of the request tries that again, and if it cannot, nothing of the
    /// session is sent. If data are set after this was begun that do not fit, it goes out as it was here, with the error. And where no
    /// cookie would go out, since it is for secure connections and this one is not, or browsers would refuse it, this is [`Error::Cookie`] and
    /// nothing is done.) Where the
    /// store's answer to the last step was lost and the old record turns out to be gone, that may have been somebody's
    /// logout: the session is then over, which the next call tells by [`Error::Gone`]. So it is after [`Error::ResponseOut`] where
    /// the client has left while the old record was on its way out.
    pub async fn renew_id(&self) -> Result<(), Error> {
        self.sessions().needs_an_id("renew_id")?;
        if let (Some(client), Some(came)) = (&self.options().client, self.came()) {
            let (data, sid) = {
                let life = self.is_to_be_sent()?;
                (Arc::clone(life.data()), life.sid().clone())
            };
            self.is_not_gone()?;
            // What does not fit would end with its old id.
            client::check(&self.options().name, client, &data)?;
            self.is_about_to_leave_its_id(came, &sid, data)?;
            if !self.revoke().await? {
                return Err(Error::Gone);
            }
            return self.leaves_its_id(&sid);
        }
        self.run_plain(Operation::renew(self.new_sid())).await?;
        tracing::debug!("session id renewed");
        Ok(())
    }

    /// Destroys the session, record and all. Requests that are under way with it cannot bring it back. Node: `destroy()`.
    ///
    /// As in Express, the session is no more for this request as soon as this is awaited. Dropped or failed, it may be
    /// called again, and if it is not, the end of the request does it.
    ///
    /// # Errors
    /// [`Error::Store`] when the store failed: the record may be gone or not. [`Error::ResponseOut`] after the response where the client keeps the
    /// session, unless its end can be [written down](crate::SealedSessionOptions::revocations). [`Error::Gone`] when there was none under
    /// this id any more: another request ended the session, or it expired, or it was renewed and lives on under an id that
    /// only its client knows. [`Error::Destroyed`] the second time.
    pub async fn destroy(&self) -> Result<(), Error> {
        if let Some(came) = self.came() {
            let ended = {
                let mut life = self.life();
                match life.presence() {
                    // The client keeps its cookie, which does not open any more.
                    _ if life.is_response_out() || came.sent.get().is_some() => Err(Error::ResponseOut),
                    Presence::Present => {
                        came.ends();
                        life.ends_on_the_client();
                        Ok(())
                    }
                    _ => Err(Error::Destroyed),
                }
            };
            match ended {
                Err(Error::ResponseOut) => return self.ends_after_the_response(came).await,
                // One that was not written down may be called again.
                Err(Error::Destroyed) if self.owed_revocation().is_some() => {}
                ended => ended?,
            }
            return if self.revoke().await? { Ok(()) } else { Err(Error::Gone) };
        }
        // Even while another operation is under way, and if nobody waits until that is done.
        let was_there = self.life().begins_to_end();
        self.run_plain(Operation::destroy(was_there)).await
    }
}

impl SessionHandle {
    /// The end of the request. Answers what the client is given, and why the request fails.
    pub(super) async fn end(&self) -> (Given, Option<Error>) {
        if let Some(client) = &self.options().client {
            let (cookies, error) = self.ends_on_the_client(client).await;
            return (Given { cookies, ..Given::default() }, error);
        }
        let ended = match self.run(Operation::end(), |_| Changed::NotAtAll).await {
            Ok(Done::Ended(ended)) => ended,
            Ok(Done::Ok) => return (Given::default(), None),
            Err(error) => return (Given::default(), Some(error)),
        };
        if ended.gone {
            tracing::debug!("session gone: another request ended it, or it expired");
        }
        if ended.dropped > 0 {
            tracing::warn!(
                changes = ended.dropped,
                "changes are dropped: another request ended the session, or it expired"
            );
        }
        if let Some(error) = ended.unconfirmed.as_deref() {
            let error = error as &dyn std::error::Error;
            tracing::warn!(error, "the session is stored, but whether it still was could not be asked");
        }
        if ended.leaves_over {
            tracing::warn!(
                "the store failed, and a record that this request may have stored, and nobody has the id of, lives until it \
                 expires"
            );
        }
        let (headers, others): (Vec<&Way>, Vec<&Way>) =
            self.ways().iter().partition(|way| way.by.answered_by().is_some());
        let tokens = headers.iter().filter_map(|way| self.set_token(&ended, way)).collect();
        let cookies: Vec<String> =
            if others.is_empty() { None } else { self.set_cookie(&ended) }.into_iter().collect();
        // By a header it goes out in any case.
        if headers.is_empty() && cookies.is_empty() && ended.set_cookie == SetCookie::Send {
            self.life().cookie_was_refused();
        }
        let given = Given { cookies, tokens, ..Given::default() };
        match (ended.error, self.options().save_error) {
            (Some(error), SaveError::Log) => {
                let error = &error as &dyn std::error::Error;
                tracing::error!(error, "the session was not saved");
                (given, None)
            }
            (error, _) => (given, error),
        }
    }

    /// Browsers would not keep it, and it is not sent.
    pub(super) fn is_refused(&self, cookie: &Cookie) -> bool {
        self.refusal(cookie).is_some()
    }

    /// And why.
    pub(super) fn refusal(&self, cookie: &Cookie) -> Option<&'static str> {
        let is_enforced = self.options().browser_rules == BrowserRules::Enforce;
        let refusal = is_enforced.then(|| set_cookie::browser_refusal(&self.options().name, cookie));
        refusal.flatten().map(|(_, reason)| reason)
    }

    /// Browsers would not keep it: the log is told, and under [`BrowserRules::Enforce`] it is not sent.
    pub(super) fn would_be_refused(&self, cookie: &Cookie) -> bool {
        let options = self.options();
        match (set_cookie::browser_refusal(&options.name, cookie), options.browser_rules) {
            (None, _) => false,
            (Some((option, reason)), BrowserRules::Warn) => {
                self.sessions().warn_refused(option, reason);
                false
            }
            (Some((option, reason)), BrowserRules::Enforce) => {
                tracing::error!(
                    option,
                    reason,
                    secure_connection = self.is_secure(),
                    "no cookie sent: browsers would refuse it"
                );
                true
            }
        }
    }

    /// What was to go out cannot. Answers whether a cookie was.
    pub(crate) fn cookie_is_lost(&self) -> bool {
        self.life().cookie_was_refused()
    }

    /// For a client that brings the session by a header: it keeps the token that it has until it is given another.
    fn set_token(&self, ended: &Ended, way: &Way) -> Option<Token> {
        let now = self.options().clock.millis();
        let is_over = ended.cookie.expires_at().is_some_and(|at| at <= now);
        let value = match ended.set_cookie {
            // A browser drops what has expired; a token has no date.
            SetCookie::Send if is_over && self.has_come() => String::new(),
            SetCookie::Send if is_over => return None,
            SetCookie::Send if way.has.as_ref() != Some(&ended.sid) => {
                token::of(&self.options().secrets, ended.sid.as_str())
            }
            SetCookie::Remove => String::new(),
            SetCookie::Withheld => {
                self.sessions().warn_insecure();
                return None;
            }
            SetCookie::Nothing => self.token_instead_of_an_old(ended, way)?,
            SetCookie::Send => return None,
        };
        Some(Token { by: way.by.clone(), value })
    }

    /// The client has one that an older secret has signed, and nothing else would bring it another.
    fn token_instead_of_an_old(&self, ended: &Ended, way: &Way) -> Option<String> {
        let may_be_sent = self.is_secure() || !ended.cookie.secure();
        let is_old = self.has_come() && way.has.is_none();
        if is_old && may_be_sent && !ended.gone && ended.error.is_none() { self.token().ok()? } else { None }
    }

    fn set_cookie(&self, ended: &Ended) -> Option<String> {
        let options = self.options();
        let header = match ended.set_cookie {
            SetCookie::Nothing => return None,
            SetCookie::Withheld => {
                self.sessions().warn_insecure();
                return None;
            }
            SetCookie::Send => {
                if self.would_be_refused(&ended.cookie) {
                    return None;
                }
                self.warn_foreign_domain(&ended.cookie);
                let cookie = self.as_sent(&ended.cookie);
                set_cookie::serialize(&options.name, &options.secrets.seal(ended.sid.as_str()), &cookie)
            }
            SetCookie::Remove => set_cookie::removal(&options.name, &ended.cookie),
        };
        let header = header
            .inspect_err(|error| tracing::error!(error = error as &dyn std::error::Error, "no cookie sent"));
        header.ok()
    }

    /// What a cookie says of its end, which may be earlier than the record's.
    fn as_sent<'a>(&self, cookie: &'a Cookie) -> Cow<'a, Cookie> {
        let latest = date::latest_of_a_cookie(self.options().clock.millis());
        let is_later = cookie.expires_at().is_some_and(|at| at > latest);
        if !is_later || self.options().cookie_expiry == CookieExpiry::AsTheRecord {
            return Cow::Borrowed(cookie);
        }
        let mut cookie = cookie.clone();
        cookie.ends_at(latest);
        Cow::Owned(cookie)
    }

    async fn run_plain(&self, operation: Operation) -> Result<(), Error> {
        self.run(operation, |_| Changed::NotAtAll).await.map(|_| ())
    }

    async fn run(
        &self,
        operation: Operation,
        change: impl FnMut(&Arc<Data>) -> Changed,
    ) -> Result<Done, Error> {
        let done = Run::new(self, operation, change).await;
        if let Err(Error::Gone) = &done {
            tracing::debug!("session gone: another request ended it, or it expired");
        }
        done
    }

    /// One step, and the session locked for no longer.
    pub(super) fn step(&self, operation: &mut Operation, answer: Option<Answer>) -> Step {
        // The clock may be the application's: it is asked before anything is locked.
        let context = self.context();
        operation.step(&mut self.life(), &context, answer)
    }
}

impl Sessions {
    /// Asks the store.
    pub(super) async fn call(self, ask: Ask) -> Answer {
        let store = self.store();
        let answer = match ask {
            Ask::Get(sid) => self.get(&sid).await.map(Answer::Got),
            Ask::Set { sid, record, expect } => store.set(&sid, &record, &expect).await.map(Answer::Set),
            Ask::Touch { sid, cookie, expect } => {
                store.touch(&sid, &cookie, &expect).await.map(Answer::Touched)
            }
            Ask::Destroy { sid, expect } => store.destroy(&sid, &expect).await.map(Answer::Destroyed),
            Ask::Turn(_) | Ask::Change(_) | Ask::NewSid => Ok(Answer::Again),
        };
        match &answer {
            Ok(Answer::Set(Set::Written(_))) => tracing::debug!("session saved"),
            Ok(Answer::Set(Set::Conflict) | Answer::Destroyed(Destroyed::Conflict)) => {
                tracing::debug!("conflict: another request wrote the session first");
            }
            Ok(Answer::Destroyed(Destroyed::Destroyed)) => tracing::debug!("session destroyed"),
            _ => {}
        }
        answer.unwrap_or_else(Answer::Failed)
    }
}
