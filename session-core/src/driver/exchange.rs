//! One request and its response, as an adapter goes through them.

use std::{
    fmt,
    future::poll_fn,
    pin::{Pin, pin},
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU8, Ordering},
    },
};

use tracing::Span;

use crate::{
    driver::session::Session,
    driver::sessions::Sessions,
    error::{EndError, Error},
    request::RequestInfo,
};

/// An exchange: what an adapter keeps with a request until the response goes out. Cheap to clone.
///
/// An adapter begins it ([`Sessions::exchange`]), lets the handler reach it, asks for the [`session`](Self::session) when the
/// handler does (or immediately, when [`Sessions::reads_on_arrival`]), and at the [`end`](Self::end) appends the headers that
/// it gets. Dropped without an end, the request was given up: for handles that are still held it is as after a response that
/// carried no cookie.
#[derive(Clone)]
pub struct Exchange(Arc<Inner>);

struct Inner {
    sessions: Sessions,
    session: OnceLock<Option<Session>>,
    /// Exactly one of two decides whether the end of the request deals with the session: who asked for it, or the end.
    found: AtomicU8,
    span: Span,
}

/// Nobody has asked for the session, and the request has not ended.
const OPEN: u8 = 0;
/// Somebody has it: the end will deal with it.
const ASKED: u8 = 1;
/// The request ended without it.
const ENDED: u8 = 2;

impl Sessions {
    /// Begins an exchange: one request and its response. Nothing is parsed or read yet.
    #[must_use]
    pub fn exchange(&self) -> Exchange {
        let span = tracing::debug_span!("session");
        Exchange(Arc::new(Inner {
            sessions: self.clone(),
            session: OnceLock::new(),
            found: AtomicU8::new(OPEN),
            span,
        }))
    }
}

impl Exchange {
    /// The session of this request: loaded when it is asked for first, the same one ever after. `None`: the request's path
    /// is outside the cookie's, so that there is no session. After the end it is one that no cookie can tell the client of:
    /// a new one is not saved any more ([`Error::ResponseOut`]).
    ///
    /// # Errors
    /// The store failed, or holds a record that cannot be read: the log was told ([`Error::log`]). Asking again tries again.
    pub fn session(
        &self,
        request: &RequestInfo<'_>,
    ) -> impl Future<Output = Result<Option<Session>, Error>> + Send + use<> {
        let exchange = Arc::clone(&self.0);
        let begun = match exchange.session.get() {
            Some(_) => Ok(None),
            None => within(&exchange.span, || exchange.sessions.begin(request)),
        };
        async move {
            if let Some(session) = exchange.session.get() {
                return Ok(exchange.hand_out(session));
            }
            let loaded = match begun {
                Ok(None) => Ok(None),
                Ok(Some(begun)) => {
                    poll_within(&exchange.span, pin!(exchange.sessions.load(begun))).await.map(Some)
                }
                Err(error) => Err(error),
            };
            // Also where the handler, or the framework's `Option`, takes no notice.
            let session = loaded.inspect_err(|error| within(&exchange.span, || error.log()))?;
            // Of two who asked at the same time, the slower takes the other's.
            Ok(exchange.hand_out(exchange.session.get_or_init(|| session)))
        }
    }

    /// Whether anybody has the session.
    #[must_use]
    pub fn is_asked(&self) -> bool {
        self.0.session.get().is_some()
    }

    /// The request has ended, if nobody had asked for its session until now: then [`end`](Self::end) has nothing to wait for, and
    /// whoever asks from now on comes late. Answers whether it is so.
    #[must_use]
    pub fn ends_unasked(&self) -> bool {
        let found = &self.0.found;
        found.compare_exchange(OPEN, ENDED, Ordering::SeqCst, Ordering::SeqCst) != Err(ASKED)
    }

    /// Writes what is to be written, and answers the values of the `Set-Cookie` headers to append to the response, after
    /// those that are there. To be awaited before the response head goes out.
    ///
    /// # Errors
    /// The session could not be saved ([`SaveError::Fail`](crate::SaveError::Fail)). The client shall get an empty response with the
    /// [status](Error::status) of the error and its own [`cookies`](EndError::cookies), and the log the cause ([`Error::log`]).
    /// Asking again tries again.
    pub async fn end(&self) -> Result<Vec<String>, EndError> {
        let session = match (self.ends_unasked(), self.0.session.get()) {
            (false, Some(Some(session))) => session,
            _ => return Ok(Vec::new()),
        };
        let (cookie, error) = poll_within(&self.0.span, pin!(session.end())).await;
        let cookies = cookie.into_iter().collect();
        match error {
            None => Ok(cookies),
            Some(error) => Err(EndError { cookies, error }),
        }
    }

    /// What [`end`](Self::end) has answered reaches no client: an adapter says so where there is no response to carry cookies.
    /// A new session that nobody can come back to is not saved any more ([`Error::ResponseOut`](crate::Error::ResponseOut)). Where
    /// a cookie was to go out, a warning is logged.
    pub fn cookies_are_lost(&self) {
        if let Some(Some(session)) = self.0.session.get()
            && session.cookie_is_lost()
        {
            within(&self.0.span, || {
                tracing::warn!(
                    "the session's cookie is lost: the service below answered an error, not a response"
                );
            });
        }
    }
}

impl Inner {
    /// The session to whoever asked for it, whether the request has ended meanwhile or not.
    fn hand_out(&self, session: &Option<Session>) -> Option<Session> {
        let found = self.found.compare_exchange(OPEN, ASKED, Ordering::SeqCst, Ordering::SeqCst);
        if let (Some(session), Err(ENDED)) = (session, found) {
            session.came_late();
        }
        session.clone()
    }
}

/// Nobody is left to end it.
impl Drop for Inner {
    fn drop(&mut self) {
        if let Some(Some(session)) = self.session.get() {
            session.came_late();
        }
    }
}

/// What is done in a span that nobody listens to costs nothing.
fn within<T>(span: &Span, work: impl FnOnce() -> T) -> T {
    if span.is_disabled() { work() } else { span.in_scope(work) }
}

fn poll_within<F: Future>(span: &Span, mut future: Pin<&mut F>) -> impl Future<Output = F::Output> {
    poll_fn(move |context| within(span, || future.as_mut().poll(context)))
}

impl fmt::Debug for Exchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Exchange").field("asked", &self.is_asked()).finish_non_exhaustive()
    }
}
