//! One request and its response, as an adapter goes through them.

use std::{
    any::TypeId,
    fmt,
    future::poll_fn,
    pin::{Pin, pin},
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicBool, AtomicU8, Ordering},
    },
};

use tracing::Span;

use crate::{
    driver::line,
    driver::outgoing::{Given, Outgoing},
    driver::session::SessionHandle,
    driver::sessions::Sessions,
    error::{EndError, Error, Failure},
    options::{cookie_options::CookieOptions, policy::OnDisconnect},
    request::RequestInfo,
};

/// An exchange: what an adapter keeps with a request until the response goes out. Cheap to clone.
///
/// An adapter begins it ([`Sessions::exchange`]), lets the handler reach it, asks for the [`session`](Self::session) when the
/// handler does (or immediately, when [`Sessions::reads_on_arrival`]), and at the end [finishes](Self::finish) it and applies what it
/// gets to the response's headers. Dropped without an end, the request was given up: for handles that are still held it is as after a response that
/// carried no cookie.
#[derive(Clone)]
pub struct Exchange(Arc<Inner>);

struct Inner {
    sessions: Sessions,
    /// By which the session is found where there are several.
    marker: TypeId,
    /// Of the layer around.
    outer: Option<Exchange>,
    /// Of the outermost one: another layer is below it.
    has_inner: AtomicBool,
    /// By which the outermost one knows it.
    number: u64,
    /// Of the outermost one: what each of them has given to the response.
    sent: Mutex<Vec<Sent>>,
    session: OnceLock<Option<SessionHandle>>,
    /// Computed for this request, and by nobody again: of an application's function.
    attributes: OnceLock<Arc<CookieOptions>>,
    /// Whether anybody has begun to ask.
    awaited: AtomicBool,
    /// What the response says may depend on the session: somebody has begun to ask this one for it.
    used: AtomicBool,
    /// Whether the log knows that the session cannot be read.
    told: AtomicBool,
    has_ended: AtomicBool,
    /// Exactly one of two decides whether the end of the request deals with the session: who asked for it, or the end.
    found: AtomicU8,
    span: Span,
}

struct Sent {
    /// The number of the exchange.
    by: u64,
    sessions: Sessions,
    given: Given,
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
        self.exchange_below::<()>(None)
    }

    /// Begins one below that of another layer around, and under a marker: a type of the application's own, by which it is
    /// [found](Exchange::marked) where several sessions stand side by side; `()` where there is one.
    #[must_use]
    pub fn exchange_below<M: 'static>(&self, outer: Option<&Exchange>) -> Exchange {
        if let Some(outer) = outer {
            let outermost = outer.outermost();
            outermost.has_inner.store(true, Ordering::Relaxed);
            // Their response was thrown away by whoever calls this layer again.
            outermost.sent().retain(|sent| !sent.sessions.is(self));
            let collides = |other: &Exchange| {
                other.0.marker != TypeId::of::<M>() && other.0.sessions.collides_with(self)
            };
            if outer.outwards().any(collides) {
                self.warn_same_name();
            }
            let shared = |other: &Exchange| {
                let is_beside = other.0.marker != TypeId::of::<M>();
                if is_beside { self.header_in_common_with(&other.0.sessions) } else { None }
            };
            if let Some(header) = outer.outwards().find_map(shared) {
                self.warn_same_header(&header);
            }
        }
        let span = tracing::debug_span!("session");
        Exchange(Arc::new(Inner {
            sessions: self.clone(),
            marker: TypeId::of::<M>(),
            outer: outer.cloned(),
            has_inner: AtomicBool::new(false),
            number: line::ticket(),
            sent: Mutex::default(),
            session: OnceLock::new(),
            attributes: OnceLock::new(),
            awaited: AtomicBool::new(false),
            used: AtomicBool::new(false),
            told: AtomicBool::new(false),
            has_ended: AtomicBool::new(false),
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
    /// The store failed, or holds a record that cannot be read: the log was told ([`Error::log`]), of one request once. Asking
    /// again tries again.
    pub fn session(
        &self,
        request: &RequestInfo<'_>,
    ) -> impl Future<Output = Result<Option<SessionHandle>, Error>> + Send + use<> {
        let exchange = Arc::clone(&self.0);
        let begun = match exchange.session.get() {
            Some(_) => Ok(None),
            None => within(&exchange.span, || exchange.sessions.begin(request, self.attributes(request))),
        };
        if !matches!(begun, Ok(None)) {
            exchange.used.store(true, Ordering::Relaxed);
            self.outwards().for_each(|exchange| exchange.0.awaited.store(true, Ordering::Relaxed));
        }
        async move {
            if let Some(session) = exchange.session.get() {
                return Ok(exchange.hand_out(session));
            }
            let loaded = match begun {
                Ok(None) => Ok(None),
                Ok(Some(begun)) => {
                    poll_within(&exchange.span, pin!(exchange.sessions.load_begun(begun))).await.map(Some)
                }
                Err(error) => Err(error),
            };
            // Also where the handler, or the framework's `Option`, takes no notice.
            let session = loaded.inspect_err(|error| {
                if !exchange.told.swap(true, Ordering::Relaxed) {
                    within(&exchange.span, || exchange.sessions.tell_failed(error));
                }
            })?;
            // Of two who asked at the same time, the slower takes the other's.
            Ok(exchange.hand_out(exchange.session.get_or_init(|| session)))
        }
    }

    /// Whether the request's path is in the cookie's, so that there is a session. Then a layer below another of its kind has
    /// nothing to do; else it serves what the outer one leaves alone, as in Express.
    #[must_use]
    pub fn serves(&self, request: &RequestInfo<'_>) -> bool {
        match self.0.session.get() {
            // However a layer between has rewritten the path.
            Some(session) => session.is_some(),
            None => self.0.sessions.covers(request, self.attributes(request)),
        }
    }

    /// Whether this one, or one of the layers around, under this marker and still under way, [serves](Self::serves) the request: what an
    /// adapter asks before it begins another.
    #[must_use]
    pub fn is_served<M: 'static>(&self, request: &RequestInfo<'_>) -> bool {
        let is_marked = |exchange: &&Self| exchange.0.marker == TypeId::of::<M>() && !exchange.has_ended();
        self.outwards().find(is_marked).is_some_and(|exchange| exchange.serves(request))
    }

    fn attributes(&self, request: &RequestInfo<'_>) -> Option<&Arc<CookieOptions>> {
        let cookie_of = self.0.sessions.options().cookie_of.as_ref()?;
        let of_request = || Arc::new(cookie_of(request).or(&self.0.sessions.options().cookie));
        Some(self.0.attributes.get_or_init(of_request))
    }

    /// The one under this marker: this, or of the layers around the next that has it.
    #[must_use]
    pub fn marked<M: 'static>(&self) -> Option<&Self> {
        self.outwards().find(|exchange| exchange.0.marker == TypeId::of::<M>())
    }

    /// The one of these sessions and this marker: this, or one of the layers around.
    #[must_use]
    pub fn begun_by<M: 'static>(&self, sessions: &Sessions) -> Option<&Self> {
        let marker = TypeId::of::<M>();
        self.outwards().find(|exchange| exchange.0.marker == marker && exchange.0.sessions.is(sessions))
    }

    fn outwards(&self) -> impl Iterator<Item = &Self> {
        std::iter::successors(Some(self), |exchange| exchange.0.outer.as_ref())
    }

    fn outermost(&self) -> &Inner {
        self.outwards().last().map_or(&*self.0, |exchange| &exchange.0)
    }

    /// Whether there may be something left to do when the client goes: an adapter then keeps the request's future where it can be
    /// handed on ([`Lasting`](crate::Lasting)).
    #[must_use]
    pub fn may_outlive_client(&self) -> bool {
        self.0.sessions.options().on_disconnect == OnDisconnect::Finish
    }

    /// Whether what is left of the request is to be done though its client has gone ([`OnDisconnect::Finish`]): its session was asked
    /// for, or was about to be.
    #[must_use]
    pub fn outlives_client(&self) -> bool {
        let is_outside = self.0.session.get().is_some_and(Option::is_none);
        let on_arrival = self.0.sessions.reads_on_arrival() && !is_outside;
        self.may_outlive_client() && (on_arrival || self.0.awaited.load(Ordering::Relaxed))
    }

    /// The request has ended, if nobody has its session until now: then [`finish`](Self::finish) has nothing to wait for, and
    /// whoever gets it from now on comes late. Answers whether it is so.
    #[must_use]
    pub fn ends_unasked(&self) -> bool {
        let found = &self.0.found;
        let is_unasked =
            found.compare_exchange(OPEN, ENDED, Ordering::SeqCst, Ordering::SeqCst) != Err(ASKED);
        self.0.has_ended.fetch_or(is_unasked, Ordering::Relaxed);
        is_unasked
    }

    /// Whether what the response says may depend on the session: somebody has begun to ask for it, whether they got it or not. Of one
    /// that is not used and [ends unasked](Self::ends_unasked) there is nothing to [finish](Self::finish).
    #[must_use]
    pub fn is_used(&self) -> bool {
        self.0.used.load(Ordering::Relaxed)
    }

    /// Whether [`finish`](Self::finish) has answered: for an adapter whose framework may come by twice.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.0.has_ended.load(Ordering::Relaxed)
    }

    /// Writes what is to be written, and answers what is to be [applied](Outgoing::apply) to the response's headers, and whether that
    /// response stands. To be awaited before the response head goes out.
    ///
    /// It does not stand where the session could not be saved ([`SaveError::Fail`](crate::SaveError::Fail)): then the client shall get
    /// an empty response with the status that the [`Failure`] tells, and that has what is answered here applied, among it the cookies
    /// that other session layers have given to the response that it replaces. Asking again tries again: the cookies of a try that
    /// failed are to be kept then.
    pub async fn finish(&self) -> (Outgoing, Result<(), Failure>) {
        let (given, error) = self.write().await;
        let outgoing = Outgoing { sessions: self.0.sessions.clone(), given };
        (outgoing, error.map_or(Ok(()), |error| Err(error.into())))
    }

    /// As [`finish`](Self::finish), and answers the values of the `Set-Cookie` headers alone: for who has no response, and no carrier but
    /// the cookie.
    ///
    /// # Errors
    /// The session could not be saved ([`SaveError::Fail`](crate::SaveError::Fail)): the status, the cause, and the
    /// [`cookies`](EndError::cookies) that the client shall get all the same.
    pub async fn end(&self) -> Result<Vec<String>, EndError> {
        match self.write().await {
            (given, None) => Ok(given.cookies),
            (given, Some(error)) => Err(EndError { cookies: given.cookies, error }),
        }
    }

    /// Answers what the client is given, with an error by all session layers around the request.
    async fn write(&self) -> (Given, Option<Error>) {
        let (given, error) = match (self.ends_unasked(), self.0.session.get()) {
            (false, Some(Some(session))) => poll_within(&self.0.span, pin!(session.end())).await,
            _ => (Given::default(), None),
        };
        self.0.has_ended.store(true, Ordering::Relaxed);
        let session = self.0.session.get().and_then(Option::as_ref);
        let came_by_header = session.is_some_and(SessionHandle::came_by_header);
        let given = given.told(&self.0.sessions, self.is_used(), came_by_header);
        match (self.gave(&given), &error) {
            (Some(all), Some(_)) => (all, error),
            _ => (given, error),
        }
    }

    /// To the response, and nothing that it gave before. Answers what all of the session layers around the request have given, if there
    /// are several.
    fn gave(&self, given: &Given) -> Option<Given> {
        let outermost = self.outermost();
        if !outermost.has_inner.load(Ordering::Relaxed) {
            return None;
        }
        let (by, sessions, given) = (self.0.number, self.0.sessions.clone(), given.clone());
        let mut all = outermost.sent();
        all.retain(|sent| sent.by != by);
        all.push(Sent { by, sessions, given });
        Some(all.iter().fold(Given::default(), |all, sent| all.and(&sent.given)))
    }

    /// What [`finish`](Self::finish) has answered reaches no client: an adapter says so where there is no response to carry cookies.
    /// A new session that nobody can come back to is not saved any more ([`Error::ResponseOut`](crate::Error::ResponseOut)). Where
    /// a cookie was to go out, a warning is logged.
    pub fn cookies_are_lost(&self) {
        self.gave(&Given::default());
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
    fn sent(&self) -> MutexGuard<'_, Vec<Sent>> {
        self.sent.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The session to whoever asked for it, whether the request has ended meanwhile or not.
    fn hand_out(&self, session: &Option<SessionHandle>) -> Option<SessionHandle> {
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
pub(super) fn within<T>(span: &Span, work: impl FnOnce() -> T) -> T {
    if span.is_disabled() { work() } else { span.in_scope(work) }
}

fn poll_within<F: Future>(span: &Span, mut future: Pin<&mut F>) -> impl Future<Output = F::Output> {
    poll_fn(move |context| within(span, || future.as_mut().poll(context)))
}

impl fmt::Debug for Exchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Exchange").field("asked", &self.0.session.get().is_some()).finish_non_exhaustive()
    }
}
