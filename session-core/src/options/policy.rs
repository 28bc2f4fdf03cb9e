//! The rules of which express-session's choice is not the best one, as words: each profile takes its own.

/// When the store is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StoreRead {
    /// As soon as the request arrives, as in Express: also for routes that never ask for the session.
    OnArrival,
    /// When the handler asks for the session. A route that never asks costs nothing.
    WhenAsked,
}

/// Which request paths a session's cookie path covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PathMatch {
    /// A plain prefix, as in Express 1.19: `/admin` covers `/administrator` too.
    Prefix,
    /// RFC 6265 §5.1.4, whole segments: what browsers go by.
    Rfc6265,
}

/// Which cookie counts when a request carries several of the name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DuplicateCookies {
    /// The first, as in Express, even when only a later one is signed by us.
    First,
    /// The first whose signature is ours.
    FirstVerified,
}

/// What the client is told when its session was destroyed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RemovalCookie {
    /// Nothing, as in Express: the browser goes on sending the cookie of a session that is gone.
    Never,
    /// To forget the cookie.
    OnDestroy,
}

/// What a response tells caches, so that none gives one visitor's answer or cookie to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CacheHeaders {
    /// Nothing, as in Express: that is the application's matter.
    Never,
    /// `Vary: Cookie` where the request's session was asked for, since the answer may depend on it (RFC 9110 §12.5.5), and
    /// `Cache-Control: no-cache="Set-Cookie"` where a cookie is set or removed (RFC 9111 §5.2.2.4), with `private` before it where the response
    /// has no `Cache-Control` at all. Both are added to what the handler has put there: nothing to `Vary: *`, nor to `no-store`, `no-cache` or
    /// `private`, which say more.
    ///
    /// A layer that sets a header only where there is none (a default of `no-store` for all responses) goes *below* the session layer: above it
    /// finds ours, and adds nothing. What a session does that is asked for after the response has begun comes too late for any header; and
    /// `CDN-Cache-Control` and `Surrogate-Control`, which some caches go by instead, are the application's alone.
    WhereUsed,
}

/// How late an `Expires` a session's cookie is sent with. What the record in the store says is another matter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CookieExpiry {
    /// When the record ends, however late that is, as in Express. Browsers keep the cookie for 400 days all the same.
    AsTheRecord,
    /// In 400 days at most: what browsers keep (RFC 6265bis §5.5), said as it is. A session that lives longer is sent again with a
    /// [touch](Touch).
    Within400Days,
}

/// Where the cookie attributes of a stored session come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Attributes {
    /// From the record, as in Express: a new configuration does not reach the sessions that exist.
    Stored,
    /// From the configuration of today; only the lifetime is the session's own.
    Current,
}

/// What a handler's change of the session's cookie settings, and of nothing else, comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CookieChange {
    /// Nothing by itself, as in Express: it is stored with the next change of data.
    Ignored,
    /// A change: it is stored, and the cookie is sent.
    Counts,
}

/// When the cookie of a session that the client has is sent again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CookieRenewal {
    /// After a change, and with `rolling` always, as in Express: in the browser a session that is only read ends a lifetime
    /// after its last change, however long the store holds it.
    OnChange,
    /// Also whenever the record's expiry has moved: the cookie ends when the record does.
    WithRecord,
}

/// What an explicit `save` of a new or regenerated session counts for at the end of the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ExplicitSave {
    /// As in Express: a regenerated session is written a second time, and a new one without data gets no cookie.
    Forgotten,
    /// The record that exists is known to exist: written once, and its cookie is sent.
    Counts,
}

/// When a request that changed nothing moves the session's expiry in the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Touch {
    /// At the end of every request, as in Express.
    EveryRequest,
    /// Once this part of the lifetime has passed, in percent (0 to 100).
    AfterPercent(u8),
}

/// What a failed save does to the response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SaveError {
    /// The client gets an opaque 503 or 500 instead of an answer that claims what was not stored.
    Fail,
    /// The response goes out as the handler made it; the error is logged. Nearest to Express.
    Log,
}

/// What a stored record that cannot be read comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CorruptRecord {
    /// An error, as in Express: the visitor gets 500 until the record is gone.
    Fail,
    /// A new session under a new id. The record is left alone for somebody to look at.
    TreatAsMissing,
}

/// What becomes of cookie attributes that browsers refuse: `SameSite=None` or `Partitioned` without secure, a name with
/// `__Host-` or `__Secure-` that its attributes do not honour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BrowserRules {
    /// Allowed, as in Express, and warned about once: when the options are built, and when such a cookie is sent.
    Warn,
    /// Refused when the options are built, and where the handler sets them. One that only the request's connection makes such a cookie
    /// (`__Host-` over plain HTTP) is not sent, and the log says so.
    Enforce,
}

/// What becomes of a handler whose client has gone before it got the response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum OnDisconnect {
    /// It runs to its end, in a task of its own, and its session is saved, as in Express; but only once the session was asked for.
    Finish,
    /// The server decides: where it drops the handler, what was acknowledged (an `update` that had returned) is kept, and what was only
    /// set is not, which a warning says. hyper does so as soon as it sees that the client has gone, actix-web where the connection
    /// broke (or was closed, with `HttpServer::h1_allow_half_closed(false)`), Rocket never.
    Cancel,
}

/// The `unset` option: what dropping the session from the request (`req.session = null`, here
/// [`SessionHandle::unset`](crate::SessionHandle::unset)) does to the record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Unset {
    /// The record stays, without the changes of this request. express-session's default.
    Keep,
    /// The record is destroyed.
    Destroy,
}
