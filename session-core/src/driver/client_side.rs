//! The end of a session that its client keeps: what goes out, and what is written down of sealed ones that have ended.

use std::sync::{MutexGuard, atomic::Ordering};

use crate::{
    client::{
        self, Came, Sending,
        options::ClientSide,
        sealed::{self, Front},
    },
    driver::session::SessionHandle,
    error::{Error, StoreError},
    life::{Life, decide::Presence},
    options::policy::{CookieChange, SaveError},
    record::{Record, cookie::Cookie, data::Data},
    store::{Expect, Set, Store},
};

impl SessionHandle {
    /// The end of a request whose client keeps the session. Answers the cookies to send, and why the request fails.
    pub(super) async fn ends_on_the_client(&self, client: &ClientSide) -> (Vec<String>, Option<Error>) {
        let Err(error) = self.settle(client).await else { return self.goes_to_the_client(client) };
        let is_logged = self.options().save_error == SaveError::Log;
        if is_logged {
            let error = &error as &dyn std::error::Error;
            tracing::error!(error, "what sessions have ended could not be asked or written down");
        }
        // What was to end is to be forgotten all the same; what was to live on may have ended.
        let cookies = if self.is_to_be_forgotten() {
            self.goes_to_the_client(client).0
        } else {
            if is_logged {
                let mut life = self.life();
                life.is_told();
                life.came_late();
            }
            Vec::new()
        };
        (cookies, (!is_logged).then_some(error))
    }

    /// Before the end of a request whose client keeps the session sealed: what is to be written down of its end is, and what is to live on is
    /// asked for once more.
    async fn settle(&self, client: &ClientSide) -> Result<(), Error> {
        let (Some(came), true) = (self.came(), self.can_revoke()) else { return Ok(()) };
        let sent = self.outlook(client, |sending, _| client::ends(&sending)).and_then(|(sent, _)| sent.ok());
        if sent.as_ref().is_some_and(|sent| sent.is_removal) {
            came.revokes();
        }
        let is_same = |front: Front| came.front.is_some_and(|came| came.sid() == front.sid());
        if !came.owes_a_revocation()
            && let Some(sent) = sent.filter(|sent| sent.front.is_some_and(is_same))
        {
            match self.sessions().is_revoked(came).await {
                Ok(false) => {}
                // Unless a clone of this handle is about to do that.
                Ok(true) if came.has_begun_to_revoke() => {}
                Ok(true) => came.goes(),
                // It is renewed another time.
                Err(error) if sent.can_be_left_out() => {
                    let error = &error as &dyn std::error::Error;
                    tracing::warn!(error, "no cookie sent: whether the session has ended could not be asked");
                    came.is_silent.store(true, Ordering::Relaxed);
                }
                Err(error) => return Err(error),
            }
        }
        // Also where somebody has begun that meanwhile, or it was given up.
        if came.owes_a_revocation() {
            self.leaves_its_id(came);
            if !self.revoke().await? {
                came.goes();
            }
        }
        Ok(())
    }

    /// A renewal that was given up half way: nothing goes out under the old id any more.
    fn leaves_its_id(&self, came: &Came) {
        let mut life = self.life();
        let has_old_id = came.front.is_some_and(|front| front.sid() == life.sid().as_str());
        if has_old_id && life.presence() == Presence::Present && !life.is_response_out() {
            life.is_renamed_on_the_client(sealed::new_sid().into());
        }
    }

    /// Of a sealed session: that another request has ended it was told.
    pub(super) fn is_not_gone(&self) -> Result<(), Error> {
        if self.came().is_some_and(Came::is_gone) { Err(Error::Gone) } else { Ok(()) }
    }

    /// What came is not to live on.
    fn is_to_be_forgotten(&self) -> bool {
        let is_another = self.came().is_some_and(Came::is_another_one);
        is_another || self.life().presence() != Presence::Present
    }

    /// No response can tell the client: of what it has then, no copy opens any more.
    pub(super) async fn ends_after_the_response(&self, came: &Came) -> Result<(), Error> {
        let store = self.sessions().sealing().and_then(|sealing| sealing.revocations.as_deref());
        let is_present = self.life().presence() == Presence::Present;
        let sent = came.sent.get();
        let (Some(store), true) = (store, sent.or(came.front.as_ref()).is_some()) else {
            return Err(if is_present { Error::ResponseOut } else { Error::Destroyed });
        };
        let is_done = sent.is_none() && came.is_revoked.load(Ordering::Relaxed);
        if is_done || came.has_ended_late.load(Ordering::Relaxed) {
            return Err(Error::Destroyed);
        }
        // First what is true from now on, whatever becomes of this.
        came.is_to_end_late.store(true, Ordering::Relaxed);
        self.life().ends_on_the_client();
        if sent.is_none() {
            came.revokes();
        }
        let came_is_ours = self.revoke().await?;
        let is_ours = match sent {
            Some(front) => self.write_down(store, front, came.token).await?,
            None => came_is_ours,
        };
        came.has_ended_late.store(true, Ordering::Relaxed);
        if is_ours { Ok(()) } else { Err(Error::Gone) }
    }

    /// What the response is to set, and the life to go on with; `None`: it has gone out.
    fn outlook<T>(
        &self,
        client: &ClientSide,
        look: impl FnOnce(Sending<'_>, &Cookie) -> T,
    ) -> Option<(T, MutexGuard<'_, Life>)> {
        let context = self.context();
        let life = self.life();
        let came = self.came().filter(|_| !life.is_response_out())?;
        let fresh = context.cookie.cookie(context.secure, context.now);
        let is_dated = came.is_dated.load(Ordering::Relaxed);
        let is_own = came.front.is_some_and(|front| front.own_lifetime().is_some()) && !came.is_another_one();
        let cookie = life.cookie_for_the_client(fresh, (is_dated, is_own), context.now);
        let counts = context.options.policies.cookie_change == CookieChange::Counts;
        let sending = Sending {
            name: &context.options.name,
            client,
            came,
            data: (life.presence() == Presence::Present).then(|| &**life.data()),
            is_new: life.is_new(),
            sid: life.sid().as_str(),
            now: context.now,
            cookie: &cookie,
            is_dated,
            has_own_lifetime: life.has_set_lifetime(),
            cookie_changed: counts && life.has_set_cookie(),
            secure: context.secure,
        };
        let seen = look(sending, &cookie);
        Some((seen, life))
    }

    /// The end of a request whose client keeps the session.
    fn goes_to_the_client(&self, client: &ClientSide) -> (Vec<String>, Option<Error>) {
        let Some(came) = self.came() else { return (Vec::new(), None) };
        if came.is_silent.load(Ordering::Relaxed) {
            self.life().came_late();
            return (Vec::new(), None);
        }
        if came.is_gone() {
            tracing::debug!("session gone: another request ended it, or renewed its id");
            let mut life = self.life();
            let changes = life.unreported();
            let is_present = life.presence() == Presence::Present;
            life.is_told();
            life.came_late();
            drop(life);
            if changes > 0 {
                tracing::warn!(changes, "changes are dropped: another request ended the session");
            }
            if !is_present {
                tracing::warn!(
                    "a session was to be ended, and another request was faster: it may live on under another id"
                );
            }
            return (Vec::new(), None);
        }
        let outlook = self.outlook(client, |sending, cookie| (client::ends(&sending), cookie.clone()));
        // Marked under the lock under which it was seen: what comes in between is not lost.
        let Some(((ended, cookie), mut life)) = outlook else { return (Vec::new(), None) };
        match &ended {
            Ok(sent) if sent.is_withheld => life.came_late(),
            Ok(sent) => {
                let is_refused = !sent.is_removal && self.is_refused(&cookie);
                life.goes_to_the_client(!sent.cookies.is_empty() && !is_refused);
                sent.front.into_iter().for_each(|front| _ = came.sent.set(front));
            }
            Err(_) => {
                life.is_told();
                if self.options().save_error == SaveError::Log {
                    life.came_late();
                }
            }
        }
        drop(life);
        match ended {
            Ok(sent) if sent.is_withheld => {
                self.sessions().warn_insecure();
                (sent.cookies, None)
            }
            // What is to be forgotten is told whatever browsers make of it: an attribute less is none that they refuse.
            Ok(sent) if sent.cookies.is_empty() || sent.is_removal => (sent.cookies, None),
            Ok(_) if self.would_be_refused(&cookie) => (Vec::new(), None),
            Ok(sent) => (sent.cookies, None),
            Err(error) => match self.options().save_error {
                SaveError::Log => {
                    tracing::error!(error = &error as &dyn std::error::Error, "the session was not saved");
                    (Vec::new(), None)
                }
                SaveError::Fail => (Vec::new(), Some(error)),
            },
        }
    }

    /// Writes down that the session that came has ended, if that is to be done, and was not. Answers whether nobody else was faster.
    pub(super) async fn revoke(&self) -> Result<bool, Error> {
        let Some((store, came, front)) = self.owed_revocation() else {
            return Ok(self.came().is_none_or(|came| !came.is_gone()));
        };
        let is_ours = self.write_down(store, &front, came.token).await?;
        came.is_revoked.store(true, Ordering::Relaxed);
        if !is_ours {
            came.goes();
        }
        Ok(is_ours)
    }

    /// That no copy of this session opens any more. Answers whether this request was the first to write it down.
    async fn write_down(&self, store: &dyn Store, front: &Front, token: u64) -> Result<bool, Error> {
        let mut cookie = Cookie::plain();
        cookie.live_until(Some(front.last_copy_ends()), self.options().clock.millis());
        // As text: not every database has such numbers.
        let (sid, token) = (sealed::revocation_of(front).into(), format!("\"{token:016x}\""));
        let mut data = Data::new();
        data.insert("by", token.clone().into());
        let record = Record::new(cookie, data);
        let is_ours = match store.set(&sid, &record, &Expect::Nothing).await? {
            Set::Written(_) | Set::Expired => true,
            // Where its answer was lost it is our own.
            Set::Conflict => match store.get(&sid).await {
                Ok(Some(stored)) => stored.record.data.get("by") == Some(token.as_str()),
                // It is not there any more, and must be.
                Ok(None) => {
                    store.set(&sid, &record, &Expect::Anything).await?;
                    true
                }
                Err(StoreError::Corrupt { .. }) => false,
                Err(error) => return Err(error.into()),
            },
        };
        tracing::debug!("session revoked");
        Ok(is_ours)
    }

    /// Sessions that have ended are written down, and this one came sealed.
    fn can_revoke(&self) -> bool {
        let is_written_down = self.sessions().sealing().is_some_and(|sealing| sealing.revocations.is_some());
        is_written_down && self.came().is_some_and(|came| came.front.is_some())
    }

    /// Where that is to be written down, and of what.
    pub(super) fn owed_revocation(&self) -> Option<(&dyn Store, &Came, Front)> {
        let store = self.sessions().sealing()?.revocations.as_deref()?;
        let came = self.came().filter(|came| came.owes_a_revocation())?;
        Some((store, came, came.front?))
    }
}
