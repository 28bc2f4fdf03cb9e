//! A session handed over to an application of another origin: by a code that works once, and for seconds.

use std::time::Duration;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use sha2::{Digest, Sha256};

use crate::{
    driver::{session::SessionHandle, sessions::Sessions},
    error::Error,
    record::{Record, cookie::Cookie, data::Data, value::read},
    store::{Destroyed, Expect, Set},
    wire::{date::Millis, sid::Sid},
};

/// In milliseconds: no redirect takes as long.
const LONGEST: Millis = 60_000;

/// Of the ids of such records.
const PREFIX: &str = "hand-over:";

/// The key under which the record has the session's id.
const SESSION: &str = "session";

impl SessionHandle {
    /// A code by which an application of another origin gets this session once: for the URL to which the browser is sent, where a cookie
    /// does not reach and a [token](Self::token) would stay in histories, logs and `Referer`. Whoever shares the store
    /// [redeems](Sessions::redeem) it within `lifetime`, which is a minute at most. What was changed until now is [saved](Self::save)
    /// first. A session that is ended or gets another id meanwhile takes the code with it.
    ///
    /// **The code is a credential while it works**, for whoever comes first with it: send it by a redirect, to an origin of your own, with
    /// `Referrer-Policy: no-referrer`, and redirect once more where it was redeemed, so that it stands in no history.
    ///
    /// # Errors
    /// Those of [`save`](Self::save); [`Error::NoStore`] where the client keeps the session.
    pub async fn hand_over(&self, lifetime: Duration) -> Result<String, Error> {
        self.sessions().needs_a_store("hand_over")?;
        self.save().await?;
        let sid = self.id()?;
        // As many random bits as an id has.
        let code = Sid::random().as_str().to_owned();
        let lifetime = Millis::try_from(lifetime.as_millis()).unwrap_or(LONGEST).min(LONGEST);
        let mut cookie = Cookie::plain();
        cookie.live_for(Some(lifetime), self.options().clock.millis());
        let mut data = Data::new();
        data.insert(SESSION, serde_json::Value::from(sid.as_str()).to_string().into());
        match self
            .sessions()
            .store()
            .set(&key_of(&code), &Record::new(cookie, data), &Expect::Nothing)
            .await?
        {
            Set::Conflict => Err(Error::IdInUse),
            // One without a lifetime never works.
            Set::Written(_) | Set::Expired => {
                tracing::debug!("session to be handed over");
                Ok(code)
            }
        }
    }
}

impl Sessions {
    /// The session that a [code](SessionHandle::hand_over) hands over: for the first who comes with it, and within its lifetime. `None`: it
    /// is no such code, or was redeemed, or is too late, or the session has ended. It is as one that was [loaded](Self::load); what a
    /// request is to keep of it goes into the request's own session, under an id of its own and, with that, into a cookie of this origin:
    ///
    /// ```
    /// # use session_core::{Error, SessionHandle, Sessions};
    /// /// `GET /arrive?code=…`; afterwards the browser is sent to a URL without the code.
    /// async fn arrive(sessions: &Sessions, session: &SessionHandle, code: &str) -> Result<bool, Error> {
    ///     let Some(there) = sessions.redeem(code).await? else { return Ok(false) };
    ///     // Nobody who knew the id before is logged in.
    ///     session.regenerate().await?;
    ///     session.insert("user", there.get::<String>("user")?)?;
    ///     Ok(true)
    /// }
    /// ```
    ///
    /// **A code logs in whoever opens its URL**, also somebody to whom another has sent theirs (login CSRF). Begin at the side that
    /// receives: it puts a random state into its own session, sends it along to the other side, and takes a code only where the same state
    /// comes back. Ask before a login takes the place of another, and show who is logged in.
    ///
    /// What begins so is a session with limits of its own: it lives as long as one that begins now, and when the one that was handed over
    /// ends, by a logout too, it lives on.
    ///
    /// # Errors
    /// Those of [`load`](Self::load). Where the store's answer is lost, the code may be used up.
    pub async fn redeem(&self, code: &str) -> Result<Option<SessionHandle>, Error> {
        self.needs_a_store("redeem")?;
        let refused = |why| tracing::debug!(why, "hand-over code refused");
        // Anybody may send anything.
        if !is_code(code) {
            refused("it has not the form of a code");
            return Ok(None);
        }
        let key = key_of(code);
        let Some(stored) = self.get(&key).await? else {
            refused("unknown to the store, redeemed, or expired");
            return Ok(None);
        };
        // Of two who come at the same time one destroys it.
        match self.store().destroy(&key, &Expect::Version(stored.version)).await? {
            Destroyed::Destroyed => {}
            Destroyed::Conflict | Destroyed::Unknown => {
                refused("another request was faster");
                return Ok(None);
            }
        }
        // Not every store ends what it holds to the second.
        let now = self.options().clock.millis();
        if stored.record.cookie.expires_at().is_none_or(|ends| ends <= now) {
            refused("it has expired");
            return Ok(None);
        }
        match read::<String>(stored.record.data.get(SESSION), SESSION)? {
            Some(sid) => self.load(&Sid::from(sid)).await,
            None => Ok(None),
        }
    }
}

/// What a store has under it is no session, whoever has signed it.
pub(super) fn is_key(sid: &str) -> bool {
    sid.starts_with(PREFIX)
}

/// A code is what a random id is.
fn is_code(code: &str) -> bool {
    code.len() == 32 && code.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
}

/// The store does not see the code: who can read it redeems none.
fn key_of(code: &str) -> Sid {
    format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(Sha256::digest(code))).into()
}
