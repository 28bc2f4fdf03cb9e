//! The end of a session that its client keeps: what goes out, and what is written down of sealed ones that have ended.

use std::sync::{Arc, MutexGuard, atomic::Ordering};

use crate::{
    client::{
        self, Came, Sending, Sent,
        options::ClientSide,
        sealed::{self, Front},
    },
    driver::session::SessionHandle,
    error::{CookieError, Error, StoreError},
    life::{Context, Life, decide::Presence},
    options::policy::{CookieChange, SaveError},
    record::{Record, cookie::Cookie, data::Data},
    store::{Expect, Set, Store},
    wire::sid::Sid,
};

/// What an end has found out of the session that came.
#[derive(Default)]
struct Found {
    /// Whether it could be asked if it still stands, once it was.
    asked: Option<Result<(), Error>>,
    /// Why it could not be written down that it has ended.
    unwritten: Option<Error>,
}

/// What an end has to do next.
enum Next {
    /// Whether the session that came still stands.
    Ask,
    /// That it has ended.
    Write,
    Done(Vec<String>, Option<Error>),
}

/// What the response is to set, as it is now.
struct Outlook {
    ended: Result<Sent, Error>,
    /// Where that is an error.
    instead: Sent,
    cookie: Cookie,
    /// Its id, where the one that came is to be left.
    renewed: Option<Sid>,
}

impl SessionHandle {
    /// The end of a request whose client keeps the session. Answers the cookies to send, and why the request fails.
    ///
    /// While the store is asked, clones of this handle go on: what is done next is decided anew each time, and goes by what they did. The store is
    /// asked once, and no more after it has failed.
    pub(super) async fn ends_on_the_client(&self, client: &ClientSide) -> (Vec<String>, Option<Error>) {
        let Some(came) = self.came() else { return (Vec::new(), None) };
        let mut found = Found::default();
        loop {
            match self.goes_to_the_client(client, came, &mut found) {
                Next::Ask => {
                    let asked = self.sessions().is_revoked(came).await;
                    found.asked = Some(asked.map(|is_revoked| {
                        // Unless a clone of this handle has done that, or is about to.
                        if is_revoked && !came.has_begun_to_revoke() {
                            came.goes();
                        }
                    }));
                }
                Next::Write => found.unwritten = self.revoke().await.err(),
                Next::Done(cookies, error) => return (cookies, error),
            }
        }
    }

    /// The end of a request whose client keeps the session.
    fn goes_to_the_client(&self, client: &ClientSide, came: &Came, found: &mut Found) -> Next {
        let Some((outlook, mut life)) = self.outlook(client, came) else {
            // The response has gone out, and what its end could not write down is tried again.
            let owes = self.can_revoke() && came.is_to_end() && came.owes_a_revocation();
            return match found.unwritten.take() {
                None if owes => Next::Write,
                unwritten => self.fails(Vec::new(), unwritten.filter(|_| owes)),
            };
        };
        let Outlook { ended, instead, cookie, renewed } = outlook;
        let is_removal = ended.as_ref().is_ok_and(|sent| sent.is_removal);
        // What has expired by itself is no logout of what came beside it.
        if is_removal && !ended.as_ref().is_ok_and(|sent| sent.is_expiry) {
            came.ends();
        }
        // Marked under the lock under which it was seen: what comes in between is not lost.
        let instead = if self.is_refused(&cookie) && !instead.is_removal { Sent::default() } else { instead };
        let going = ended.as_ref().unwrap_or(&instead);
        // Nothing can go out under another id: it keeps its own. A renewal that was begun may have been written down, whatever became of it:
        // where something can, it is.
        let stays = renewed.is_some() && !is_removal && (going.front.is_none() || self.is_refused(&cookie));
        let is_renewed = renewed.is_some() && !is_removal && !stays;
        let owes = self.can_revoke() && came.owes_a_revocation() && !stays;
        if owes && found.unwritten.is_none() {
            return Next::Write;
        }
        // Of what a clone has written down since, nobody needs to hear.
        let unwritten = found.unwritten.take().filter(|_| owes);
        if came.is_gone() {
            tells_that_it_is_gone(life);
            return self.fails(Vec::new(), unwritten);
        }
        if is_renewed && unwritten.is_some() {
            return self.fails_without(life, unwritten);
        }
        let has_its_id = |front: &Front| came.front.is_some_and(|came| came.sid() == front.sid());
        if let Ok(sent) = &ended
            && self.can_revoke()
            && sent.front.as_ref().is_some_and(has_its_id)
        {
            match found.asked.take() {
                None => return Next::Ask,
                // It is renewed another time.
                Some(Err(error)) if sent.can_be_left_out() => {
                    life.came_late();
                    drop(life);
                    let error = &error as &dyn std::error::Error;
                    tracing::warn!(error, "no cookie sent: whether the session has ended could not be asked");
                    return Next::Done(Vec::new(), None);
                }
                Some(Err(error)) => return self.fails_without(life, Some(error)),
                Some(Ok(())) => {}
            }
        }
        let sent_front = going.front.filter(|_| !stays);
        if let Some(sid) = renewed.filter(|_| is_renewed) {
            life.is_renamed_on_the_client(sid);
        }
        match &ended {
            Ok(sent) => {
                if sent.is_withheld {
                    life.came_late();
                } else {
                    let is_refused = !sent.is_removal && self.is_refused(&cookie);
                    life.goes_to_the_client(!sent.cookies.is_empty() && !is_refused);
                }
            }
            Err(_) => {
                life.is_told();
                if self.options().save_error == SaveError::Log {
                    life.came_late();
                }
            }
        }
        sent_front.into_iter().for_each(|front| _ = came.sent.set(front));
        drop(life);
        let cookies = match ended {
            Ok(sent) if sent.is_withheld => {
                self.sessions().warn_insecure();
                sent.cookies
            }
            // What is to be forgotten is told whatever browsers make of it: an attribute less is none that they refuse.
            Ok(sent) if sent.cookies.is_empty() || sent.is_removal => sent.cookies,
            Ok(_) if self.would_be_refused(&cookie) => Vec::new(),
            Ok(sent) => {
                self.warn_foreign_domain(&cookie);
                sent.cookies
            }
            // What could not be written down is told first.
            Err(error) => return self.fails(instead.cookies, unwritten.or(Some(error))),
        };
        self.fails(cookies, unwritten)
    }

    /// Nothing is sent.
    fn fails_without(&self, mut life: MutexGuard<'_, Life>, error: Option<Error>) -> Next {
        life.is_told();
        if self.options().save_error == SaveError::Log {
            life.came_late();
        }
        drop(life);
        self.fails(Vec::new(), error)
    }

    /// With an error, if there is one and it is not only logged.
    fn fails(&self, cookies: Vec<String>, error: Option<Error>) -> Next {
        match (error, self.options().save_error) {
            (Some(error), SaveError::Log) => {
                let is_store = matches!(error, Error::Store(_));
                let error = &error as &dyn std::error::Error;
                if is_store {
                    tracing::error!(error, "what sessions have ended could not be asked or written down");
                } else {
                    tracing::error!(error, "the session was not saved");
                }
                Next::Done(cookies, None)
            }
            (error, _) => Next::Done(cookies, error),
        }
    }

    /// Of a sealed session: that another request has ended it was told.
    pub(super) fn is_not_gone(&self) -> Result<(), Error> {
        if self.came().is_some_and(Came::is_gone) { Err(Error::Gone) } else { Ok(()) }
    }

    /// No response can tell the client: of what it has then, no copy opens any more.
    pub(super) async fn ends_after_the_response(&self, came: &Came) -> Result<(), Error> {
        let store = self.sessions().sealing().and_then(|sealing| sealing.revocations.as_deref());
        let is_present = self.life().presence() == Presence::Present;
        let sent = came.sent.get();
        let (Some(store), true) = (store, sent.or(came.front.as_ref()).is_some()) else {
            return Err(if is_present { Error::ResponseOut } else { Error::Destroyed });
        };
        let is_done = sent.is_none() && came.is_revoked.load(Ordering::Relaxed) && !came.owes_a_revocation();
        if is_done || came.has_ended_late.load(Ordering::Relaxed) {
            return Err(Error::Destroyed);
        }
        // First what is true from now on, whatever becomes of this.
        came.is_to_end_late.store(true, Ordering::Relaxed);
        self.life().ends_on_the_client();
        came.logs_out();
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
    fn outlook(&self, client: &ClientSide, came: &Came) -> Option<(Outlook, MutexGuard<'_, Life>)> {
        let context = self.context();
        let life = self.life();
        if life.is_response_out() {
            return None;
        }
        let is_present = life.presence() == Presence::Present;
        // Somebody has begun to renew its id, or it was to end and does not any more: nothing goes out under the old one.
        let has_old_id = came.front.is_some_and(|front| front.sid() == life.sid().as_str());
        let renewed =
            (is_present && has_old_id && came.has_begun_to_revoke()).then(|| Sid::from(sealed::new_sid()));
        let cookie = cookie_of(&life, came, &context);
        let counts = context.options.policies.cookie_change == CookieChange::Counts;
        let sending = Sending {
            name: &context.options.name,
            client,
            came,
            data: is_present.then(|| &**life.data()),
            is_new: life.is_new(),
            sid: renewed.as_ref().unwrap_or(life.sid()).as_str(),
            now: context.now,
            cookie: &cookie,
            is_dated: came.is_dated.load(Ordering::Relaxed),
            has_own_lifetime: life.has_set_lifetime(),
            cookie_changed: renewed.is_some() || (counts && life.has_set_cookie()),
            secure: context.secure,
        };
        let ended = client::ends(&sending);
        let instead = if ended.is_err() { client::ends_instead(&sending) } else { Sent::default() };
        Some((Outlook { ended, instead, cookie, renewed }, life))
    }

    /// From now on the end of the request brings it under another id, if it is faster. `data` can be sent under that.
    pub(super) fn is_about_to_leave_its_id(
        &self,
        came: &Came,
        sid: &Sid,
        data: Arc<Data>,
    ) -> Result<(), Error> {
        // The clock may be the application's: it is asked before anything is locked.
        let context = self.context();
        let life = self.is_to_be_sent()?;
        if self.can_revoke() {
            // Its old id would open no more, and nobody have the new one.
            let cookie = cookie_of(&life, came, &context);
            if cookie.secure() && !context.secure {
                return Err(CookieError::Refused(NOT_SECURE).into());
            }
            self.refusal(&cookie).map_or(Ok(()), |reason| Err(CookieError::Refused(reason)))?;
        }
        came.revokes();
        if life.sid() == sid {
            came.keeps(Some(data));
        }
        Ok(())
    }

    /// It goes on under another id, unless somebody has given it one since.
    pub(super) fn leaves_its_id(&self, sid: &Sid) -> Result<(), Error> {
        let mut life = self.life();
        if life.sid() == sid {
            is_to_be_sent(&life)?;
            life.is_renamed_on_the_client(sealed::new_sid().into());
        }
        Ok(())
    }

    /// Of a session that the client keeps: the response is to take it there.
    pub(super) fn is_to_be_sent(&self) -> Result<MutexGuard<'_, Life>, Error> {
        let life = self.life();
        is_to_be_sent(&life).map(|()| life)
    }

    /// Writes down that the session that came has ended, if that is to be done, and was not; and what came beside it. Answers whether nobody
    /// else was faster.
    pub(super) async fn revoke(&self) -> Result<bool, Error> {
        let is_not_gone = || self.came().is_none_or(|came| !came.is_gone());
        let Some((store, came, front)) = self.owed_revocation() else { return Ok(is_not_gone()) };
        let mut is_ours = is_not_gone();
        if came.owes_its_own_revocation() {
            is_ours = self.write_down(store, &front, came.token).await?;
            came.is_revoked.store(true, Ordering::Relaxed);
            if !is_ours {
                came.goes();
            }
        }
        if came.owes_those_beside() {
            // Whoever ends them.
            for front in &came.beside {
                self.write_down(store, front, came.token).await?;
            }
            came.beside_is_revoked.store(true, Ordering::Relaxed);
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

const NOT_SECURE: &str =
    "it is for secure connections, and this one is not; behind a proxy that ends TLS, set the option proxy";

/// What the response would send it with.
fn cookie_of(life: &Life, came: &Came, context: &Context<'_>) -> Cookie {
    let fresh = context.cookie.cookie(context.secure, context.now);
    let is_dated = came.is_dated.load(Ordering::Relaxed);
    let is_own = came.front.is_some_and(|front| front.own_lifetime().is_some()) && !came.is_another_one();
    life.cookie_for_the_client(fresh, (is_dated, is_own), context.now)
}

fn is_to_be_sent(life: &Life) -> Result<(), Error> {
    match life.presence() {
        Presence::Present if life.is_response_out() => Err(Error::ResponseOut),
        Presence::Present => Ok(()),
        _ => Err(Error::Destroyed),
    }
}

/// And of what is lost by that.
fn tells_that_it_is_gone(mut life: MutexGuard<'_, Life>) {
    let changes = life.unreported();
    let is_present = life.presence() == Presence::Present;
    life.is_told();
    life.came_late();
    drop(life);
    tracing::debug!("session gone: another request ended it, or renewed its id");
    if changes > 0 {
        tracing::warn!(changes, "changes are dropped: another request ended the session");
    }
    if !is_present {
        tracing::warn!(
            "a session was to be ended, and another request was faster: it may live on under another id"
        );
    }
}
