//! The options, and the two profiles of their defaults.

pub(crate) mod carrier;
pub(crate) mod cookie_options;
pub(crate) mod id_renewal;
pub(crate) mod lifetimes;
pub(crate) mod policy;
pub(crate) mod proxy;
pub(crate) mod secret;

use std::{fmt, sync::Arc, time::Duration};

use crate::{
    client::options::ClientSide,
    clock::Clock,
    error::OptionsError,
    life::{decide::Policies, limits::Limits},
    options::carrier::Carrier,
    options::cookie_options::{CookieOptions, Secure},
    options::id_renewal::IdRenewal,
    options::lifetimes::{Lifetimes, Limits as LifetimeLimits, millis},
    options::policy::{
        Attributes, BrowserRules, CacheHeaders, CookieChange, CookieExpiry, CookieRenewal, CorruptRecord,
        DuplicateCookies, ExplicitSave, OnDisconnect, PathMatch, RemovalCookie, SaveError, StoreRead, Touch,
        Unset,
    },
    options::proxy::{Proxy, ProxyHeader},
    options::secret::Secrets,
    record::{cookie::SameSite, value::Reserved},
    request::RequestInfo,
    store::Store,
    store::default::DefaultStore,
    store::memory::MemoryStore,
    store::none::NoStore,
    wire::set_cookie,
    wire::sid::Sid,
};

/// The options, every one by express-session's own name. [`build`](Self::build) checks them and makes the driver.
///
/// There are two **profiles**, full sets of defaults from which each setter departs:
///
/// | option | [`express`](Self::express) | [`new`](Self::new) |
/// |---|---|---|
/// | `name` | `connect.sid` | `sid`, or `__Host-sid` |
/// | `resave` | true | false |
/// | `save_uninitialized` | true | false |
/// | `rolling` | false | false |
/// | `unset` | keep | keep |
/// | `proxy` | never | never |
/// | `proxy_header` | `X-Forwarded-Proto` | `X-Forwarded-Proto` |
/// | `cookie.secure` | not set | auto |
/// | `cookie.same_site` | not set | Lax |
/// | `carriers` | the cookie | the cookie |
/// | `store_read` | on arrival | when asked |
/// | `path_match` | prefix | RFC 6265 |
/// | `duplicate_cookies` | first | first verified |
/// | `removal_cookie` | never | on destroy |
/// | `attributes` | stored | current |
/// | `cookie_change` | ignored | counts |
/// | `explicit_save` | forgotten | counts |
/// | `cookie_renewal` | on change | with the record |
/// | `touch` | every request | after 20 percent |
/// | `idle` | none | none |
/// | `absolute` | none | 30 days |
/// | `corrupt_record` | fail | treat as missing |
/// | `cache_headers` | never | where used |
/// | `cookie_expiry` | as the record | within 400 days |
/// | `browser_rules` | warn | enforce |
/// | `save_error` | fail | fail |
/// | `on_disconnect` | finish | cancel |
/// | `max_key_length` | none | 1 KiB |
/// | `max_record_size` | none | 1 MiB |
/// | a secret is warned about below | 8 bytes | 32 bytes |
///
/// ```
/// use std::time::Duration;
///
/// use session_core::{CookieOptions, MemoryStore, Options};
///
/// let sessions = Options::new("keyboard cat")
///     .store(MemoryStore::new())
///     .cookie(CookieOptions::new().max_age(Duration::from_secs(3600)))
///     .build()?;
///
/// let error = Options::new("").build().unwrap_err();
/// assert_eq!(error.to_string(), "option secret: it is empty; give one secret, or several of which the first signs");
/// # Ok::<(), session_core::OptionsError>(())
/// ```
#[derive(Clone)]
pub struct Options {
    pub(crate) name: String,
    /// Nobody has chosen the name, and it may get a prefix.
    is_name_open: bool,
    pub(crate) secrets: Secrets,
    pub(crate) cookie: CookieOptions,
    pub(crate) cookie_of: Option<CookieOf>,
    pub(crate) genid: Option<Genid>,
    pub(crate) store: Arc<dyn Store>,
    /// Where nobody has chosen the store.
    pub(crate) default_store: Option<Arc<DefaultStore>>,
    pub(crate) clock: Clock,
    pub(crate) proxy: Proxy,
    pub(crate) proxy_header: ProxyHeader,
    pub(crate) carriers: Arc<[Carrier]>,
    pub(crate) resave: bool,
    pub(crate) store_read: StoreRead,
    pub(crate) path_match: PathMatch,
    pub(crate) duplicates: DuplicateCookies,
    pub(crate) attributes: Attributes,
    pub(crate) touch: Touch,
    /// How long sessions live on the server.
    pub(crate) lifetimes: LifetimeLimits,
    /// `None`: an id stays until somebody asks for another.
    pub(crate) renewal: Option<IdRenewal>,
    pub(crate) corrupt: CorruptRecord,
    pub(crate) save_error: SaveError,
    pub(crate) on_disconnect: OnDisconnect,
    pub(crate) browser_rules: BrowserRules,
    pub(crate) cache_headers: CacheHeaders,
    pub(crate) cookie_expiry: CookieExpiry,
    /// Of a secret that is not warned about, in bytes.
    shortest_secret: usize,
    pub(crate) limits: Limits,
    /// The client keeps its session.
    pub(crate) client: Option<Arc<ClientSide>>,
    /// What `decide` goes by.
    pub(crate) policies: Policies,
}

/// As long as the stores of databases hold a session whose cookie lives until the browser closes.
const A_DAY: Duration = Duration::from_secs(86_400);

pub(crate) type CookieOf = Arc<dyn Fn(&RequestInfo<'_>) -> CookieOptions + Send + Sync>;
pub(crate) type Genid = Arc<dyn Fn(&RequestInfo<'_>) -> Sid + Send + Sync>;

/// Shorter secrets are guessed by trying.
const GUESSED: usize = 8;
/// As many as a signature has: no secret is stronger than these (RFC 2104 §3).
pub(crate) const STRONG: usize = 32;

impl Options {
    /// The profile of a new application: nothing stored for a visitor without data, cookies as browsers want them today,
    /// and the better rule wherever express-session has one that is only old.
    pub fn new(secret: impl Into<Secrets>) -> Self {
        Self {
            name: "sid".into(),
            is_name_open: true,
            secrets: secret.into(),
            cookie: CookieOptions::new().same_site(SameSite::Lax).secure(Secure::Auto),
            cookie_of: None,
            genid: None,
            store: Arc::new(MemoryStore::new().ttl(A_DAY)),
            default_store: Some(Arc::default()),
            clock: Clock::system(),
            proxy: Proxy::Never,
            proxy_header: ProxyHeader::XForwardedProto,
            carriers: [Carrier::Cookie].into(),
            resave: false,
            store_read: StoreRead::WhenAsked,
            path_match: PathMatch::Rfc6265,
            duplicates: DuplicateCookies::FirstVerified,
            attributes: Attributes::Current,
            touch: Touch::AfterPercent(20),
            lifetimes: LifetimeLimits::by_profile(),
            renewal: None,
            corrupt: CorruptRecord::TreatAsMissing,
            save_error: SaveError::Fail,
            on_disconnect: OnDisconnect::Cancel,
            browser_rules: BrowserRules::Enforce,
            cache_headers: CacheHeaders::WhereUsed,
            cookie_expiry: CookieExpiry::Within400Days,
            shortest_secret: STRONG,
            limits: Limits { key: 1 << 10, record: 1 << 20, ..Limits::NONE },
            client: None,
            policies: Policies {
                save_uninitialized: false,
                rolling: false,
                unset: Unset::Keep,
                cookie_change: CookieChange::Counts,
                explicit_save: ExplicitSave::Counts,
                removal: RemovalCookie::OnDestroy,
                cookie_renewal: CookieRenewal::WithRecord,
            },
        }
    }

    /// The profile of express-session 1.19, every default as there: for serving the same users as an Express app.
    pub fn express(secret: impl Into<Secrets>) -> Self {
        Self {
            name: "connect.sid".into(),
            is_name_open: false,
            store: Arc::new(MemoryStore::new()),
            cookie: CookieOptions::new(),
            resave: true,
            store_read: StoreRead::OnArrival,
            path_match: PathMatch::Prefix,
            duplicates: DuplicateCookies::First,
            attributes: Attributes::Stored,
            touch: Touch::EveryRequest,
            lifetimes: LifetimeLimits::default(),
            corrupt: CorruptRecord::Fail,
            on_disconnect: OnDisconnect::Finish,
            browser_rules: BrowserRules::Warn,
            cache_headers: CacheHeaders::Never,
            cookie_expiry: CookieExpiry::AsTheRecord,
            shortest_secret: GUESSED,
            limits: Limits::NONE,
            policies: Policies {
                save_uninitialized: true,
                rolling: false,
                unset: Unset::Keep,
                cookie_change: CookieChange::Ignored,
                explicit_save: ExplicitSave::Forgotten,
                removal: RemovalCookie::Never,
                cookie_renewal: CookieRenewal::OnChange,
            },
            ..Self::new(secret)
        }
    }

    /// The cookie's name. Default: `connect.sid` in the express profile. In the new one `__Host-sid` where the cookie is always
    /// secure, has the path `/` and no domain, as browsers want it under that prefix: no other host can set it then, a sibling domain's
    /// neither; else, and under [`cookie_with`](Self::cookie_with), `sid`. Several applications on one host need different names. Node:
    /// `name`.
    ///
    /// ```
    /// use session_core::{CookieOptions, Options};
    ///
    /// let over_tls_only = Options::new("keyboard cat").cookie(CookieOptions::new().secure(true)).build()?;
    /// assert_eq!(over_tls_only.cookie_name(), "__Host-sid");
    /// assert_eq!(Options::new("keyboard cat").build()?.cookie_name(), "sid");
    /// # Ok::<(), session_core::OptionsError>(())
    /// ```
    #[must_use]
    pub fn name(self, name: impl Into<String>) -> Self {
        Self { name: name.into(), is_name_open: false, ..self }
    }

    /// Other secrets than the profile was made with: the first signs, all verify. To rotate, put the new one first, and
    /// drop the old one when its sessions are over. An empty one is refused. One of fewer than 32 bytes is warned about, in the express profile
    /// one of fewer than eight. Node: `secret`.
    #[must_use]
    pub fn secret(self, secret: impl Into<Secrets>) -> Self {
        Self { secrets: secret.into(), ..self }
    }

    /// The attributes that new sessions' cookies start with; what is not set in them stays as it was. Node: `cookie`.
    #[must_use]
    pub fn cookie(self, cookie: CookieOptions) -> Self {
        Self { cookie: cookie.or(&self.cookie), ..self }
    }

    /// The attributes computed for each request, for a domain or path per tenant, say; what is not set in them is as
    /// [`cookie`](Self::cookie) has it. Asked once a request, and *auto* works in it. Node: `cookie` as a function.
    #[must_use]
    pub fn cookie_with(
        self,
        cookie: impl Fn(&RequestInfo<'_>) -> CookieOptions + Send + Sync + 'static,
    ) -> Self {
        Self { cookie_of: Some(Arc::new(cookie)), ..self }
    }

    /// Makes the id of a new session. Default: [`Sid::random`], 192 random bits. What it makes must be unique and not to
    /// be guessed: an id in use is an error, never another's session. So nothing is destroyed under such an id but what is
    /// found to be this session's: a first write whose answer was lost may stay under its id until it expires. One request may
    /// ask for several ids, which must differ as well. Node: `genid`.
    #[must_use]
    pub fn genid(self, genid: impl Fn(&RequestInfo<'_>) -> Sid + Send + Sync + 'static) -> Self {
        Self { genid: Some(Arc::new(genid)), ..self }
    }

    /// Where records live. Default: a [`MemoryStore`] of this process, which forgets everything with it, and is no other options':
    /// a warning is logged where a second one is in use, and in a release build, as Node warns in production. Takes an `Arc` of a
    /// store as well. Node: `store`.
    #[must_use]
    pub fn store(self, store: impl Store) -> Self {
        Self { store: Arc::new(store), default_store: None, ..self }
    }

    /// Who is believed when a request says that it was encrypted on its way here: a secure cookie goes out over such a connection
    /// only, and *auto* follows it. Default [`Proxy::Never`]: the connection alone tells. `true` is [`Proxy::Always`]. Node: `proxy`,
    /// and where that is absent Express's `trust proxy`.
    ///
    /// ```
    /// use session_core::{Options, Proxy};
    ///
    /// let behind_one = Options::new("keyboard cat").proxy(Proxy::Hops(1));
    /// let in_the_cluster = Options::new("keyboard cat").proxy(Proxy::peers(["loopback", "10.0.0.0/8"]));
    /// # assert!(behind_one.build().is_ok() && in_the_cluster.build().is_ok());
    /// let error = Options::new("keyboard cat").proxy(Proxy::peers(["10.0.0.0/99"])).build().unwrap_err();
    /// assert!(error.to_string().starts_with("option proxy: "));
    /// ```
    #[must_use]
    pub fn proxy(self, proxy: impl Into<Proxy>) -> Self {
        Self { proxy: proxy.into(), ..self }
    }

    /// Which header a trusted proxy says it in. Default [`ProxyHeader::XForwardedProto`], as in Express. One alone is read: a proxy
    /// overwrites the header that it knows, and passes on what a client put into the other.
    #[must_use]
    pub fn proxy_header(self, proxy_header: ProxyHeader) -> Self {
        Self { proxy_header, ..self }
    }

    /// By what a request may bring the id of its session, in order. Default: [`Carrier::Cookie`] alone.
    ///
    /// A session goes back the way it came, and by each of them where several brought its id. A new one goes back by the carrier whose id has expired, else by the first of the list that the
    /// request has brought anything in that looks like ours (a cookie of the name, a header with the form of a token), and by the first
    /// of all where it has brought nothing such: a bearer of another system is none. By a header it goes back once, when the client
    /// does not have its [token](crate::SessionHandle::token) yet, with `Cache-Control: no-store` and `Vary` (what else is answered to a session that came by a
    /// header is `private`); and empty where the session
    /// was destroyed, under [`RemovalCookie::OnDestroy`] (Spring does so). Then no cookie is set.
    ///
    /// A request that brings different ids, each of them of a session that lives, is refused with status 400 and never chosen from
    /// ([`Error::ConflictingIds`](crate::Error::ConflictingIds)); the same one twice is fine, and of one whose session is no more no
    /// notice is taken. (Several *cookies* of the name, and
    /// nothing else, are as [`duplicate_cookies`](Self::duplicate_cookies) has it.)
    ///
    /// Paths, lifetimes and `secure` are the cookie's for every carrier: where [`cookie`](Self::cookie) says secure, no token goes out
    /// over a connection that is not.
    ///
    /// ```
    /// use session_core::{Carrier, Options};
    ///
    /// // Browsers have a cookie, apps a bearer token.
    /// let sessions = Options::new("keyboard cat").carriers([Carrier::Cookie, Carrier::bearer()]).build()?;
    ///
    /// let error = Options::new("keyboard cat").carriers([Carrier::header("cookie")]).build().unwrap_err();
    /// assert_eq!(error.option(), "carriers");
    /// # Ok::<(), session_core::OptionsError>(())
    /// ```
    #[must_use]
    pub fn carriers(self, carriers: impl IntoIterator<Item = Carrier>) -> Self {
        Self { carriers: carriers.into_iter().map(Carrier::in_small_letters).collect(), ..self }
    }

    /// Whether a session that nobody changed is written all the same. Default: `true` in the express profile, `false` in
    /// the new one. Only a store that cannot [`touch`](Store::touch) needs it. Node: `resave`.
    #[must_use]
    pub fn resave(self, resave: bool) -> Self {
        Self { resave, ..self }
    }

    /// Whether the cookie is sent with every response, so that it lives on in the browser as long as in the store.
    /// Default `false`. Never sends one for a session that is not stored. Node: `rolling`.
    #[must_use]
    pub fn rolling(mut self, rolling: bool) -> Self {
        self.policies.rolling = rolling;
        self
    }

    /// Whether a new session without data is stored and its cookie sent. Default: `true` in the express profile, `false`
    /// in the new one, where visitors without data leave nothing behind. Node: `saveUninitialized`.
    #[must_use]
    pub fn save_uninitialized(mut self, save_uninitialized: bool) -> Self {
        self.policies.save_uninitialized = save_uninitialized;
        self
    }

    /// What [`SessionHandle::unset`](crate::SessionHandle::unset) does to the record. Default: keep. Node: `unset`.
    #[must_use]
    pub fn unset(mut self, unset: Unset) -> Self {
        self.policies.unset = unset;
        self
    }

    /// When the store is read. Default: on arrival in the express profile, when asked in the new one.
    #[must_use]
    pub fn store_read(self, store_read: StoreRead) -> Self {
        Self { store_read, ..self }
    }

    /// Which request paths the cookie's path covers. Default: by prefix in the express profile, RFC 6265 in the new one.
    #[must_use]
    pub fn path_match(self, path_match: PathMatch) -> Self {
        Self { path_match, ..self }
    }

    /// Which of several cookies of the name counts. Default: the first in the express profile, the first verified in the
    /// new one.
    #[must_use]
    pub fn duplicate_cookies(self, duplicates: DuplicateCookies) -> Self {
        Self { duplicates, ..self }
    }

    /// Whether a destroyed session's cookie is removed from the browser. Default: never in the express profile, on
    /// destroy in the new one.
    #[must_use]
    pub fn removal_cookie(mut self, removal: RemovalCookie) -> Self {
        self.policies.removal = removal;
        self
    }

    /// Where the attributes of a stored session's cookie come from. Default: the record in the express profile, the
    /// configuration in the new one.
    #[must_use]
    pub fn attributes(self, attributes: Attributes) -> Self {
        Self { attributes, ..self }
    }

    /// Whether a change of the session's cookie settings is a change. Default: ignored in the express profile, counts in
    /// the new one.
    #[must_use]
    pub fn cookie_change(mut self, cookie_change: CookieChange) -> Self {
        self.policies.cookie_change = cookie_change;
        self
    }

    /// What an explicit save counts for at the end of the request. Default: forgotten in the express profile, counts in
    /// the new one.
    #[must_use]
    pub fn explicit_save(mut self, explicit_save: ExplicitSave) -> Self {
        self.policies.explicit_save = explicit_save;
        self
    }

    /// When the cookie is sent again to a client that has it. Default: on change in the express profile, with the record in
    /// the new one.
    #[must_use]
    pub fn cookie_renewal(mut self, cookie_renewal: CookieRenewal) -> Self {
        self.policies.cookie_renewal = cookie_renewal;
        self
    }

    /// How long a key may be, in bytes; a longer one is an error of [`SessionHandle::insert`](crate::SessionHandle::insert). Default:
    /// none in the express profile, 1 KiB in the new one.
    #[must_use]
    pub fn max_key_length(mut self, bytes: usize) -> Self {
        self.limits.key = bytes;
        self
    }

    /// How large a record may be, in bytes of its keys and values as JSON; a larger one is an error before the store is
    /// asked. Default: none in the express profile, 1 MiB in the new one.
    #[must_use]
    pub fn max_record_size(mut self, bytes: usize) -> Self {
        self.limits.record = bytes;
        self
    }

    /// When the expiry of a session is moved by a request whose end has nothing to write; in the new profile that of one that
    /// the handler saves or updates, too. Whoever was there last is so sure of the rest of the lifetime. Default: with every
    /// request in the express profile, after a fifth of the lifetime in the new one.
    #[must_use]
    pub fn touch(self, touch: Touch) -> Self {
        Self { touch, ..self }
    }

    /// How long a session may lie unused: it lives no longer after the last request that used it, whatever its cookie says. Default: none,
    /// and then a session lives as long as its cookie's [`max_age`](CookieOptions::max_age); where the cookie lives until the browser closes,
    /// which no browser can be relied upon to do, as long as the store holds it by itself (a day in most stores, 14 in MongoDB; in memory for
    /// ever, but a day in the store that the new profile has by itself). A session that a handler gives a longer life
    /// ([`set_max_age`](crate::SessionHandle::set_max_age), [`remember`](crate::SessionHandle::remember)) has that.
    ///
    /// What Express touches lives for its cookie's lifetime, or the store's own, again. A store that is told to hold all for ever (Redis:
    /// `disable_ttl`) knows of no such limit.
    #[must_use]
    pub fn idle(mut self, idle: impl Into<Option<Duration>>) -> Self {
        self.lifetimes.idle = idle.into().map(millis);
        self
    }

    /// How long a session lives at all, from when it began, however often it is used: record and cookie end then, and what is found later is
    /// refused. A new id ([`renew_id`](crate::SessionHandle::renew_id)) changes nothing of it; a new session
    /// ([`regenerate`](crate::SessionHandle::regenerate)) begins anew. Default: 30 days in the new profile (NIST SP 800-63B-4, AAL1), or
    /// twice the longest max age that the session had, or twice `idle`, where that is longer; none in the express profile. `None`: no limit, but for sessions that were
    /// [given one](crate::SessionHandle::set_absolute).
    ///
    /// When it began stands in the record ([`Record`](crate::Record)); of a session that has none there, because Express began it, it is when
    /// it was first seen, which is written with its next write or touch (while Express touches it all the time there is none, and each request
    /// sees it first). Express goes by no such limit, and leaves the key alone.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use session_core::Options;
    ///
    /// let half_a_day = Duration::from_secs(12 * 3600);
    /// let options = Options::express("keyboard cat").absolute(half_a_day);
    /// # assert!(options.build().is_ok());
    /// ```
    #[must_use]
    pub fn absolute(mut self, absolute: impl Into<Option<Duration>>) -> Self {
        self.lifetimes.chosen_absolute(absolute.into());
        self
    }

    /// [`idle`](Self::idle) and [`absolute`](Self::absolute), by a preset of OWASP or NIST, say.
    #[must_use]
    pub fn lifetimes(self, lifetimes: Lifetimes) -> Self {
        self.idle(lifetimes.idle()).absolute(lifetimes.absolute())
    }

    /// Gives a session a new id every so often, with its data and without a logout ([`IdRenewal`]). Default: none in either profile; an id then
    /// stays until [`renew_id`](crate::SessionHandle::renew_id).
    ///
    /// All instances that share the store should be given the same. To an Express server beside them both ids are logged in: until the first request
    /// that comes to one of ours after the grace. What it writes under the old one until then comes along (of a session of up to 256 keys), and a
    /// session that it destroys under either id has ended. What Express alone serves keeps both ids. With
    /// the ids of an application's own ([`genid`](Self::genid)) the function is asked for each.
    ///
    /// As long as the old id's record is there, a request costs one more read; a renewal three writes and a read, the first request with the new id a
    /// write, and the first after the grace three. An id that no store knows costs one more read.
    ///
    /// A handle that is kept for longer than its id lives (in a WebSocket) finds the session [gone](crate::Error::Gone): let such a client come again
    /// before that, or take an interval that is longer than its connections. Whoever destroys records one by one
    /// ([`AdminStore`](crate::AdminStore)) ends a session by that of its former id too. Former ids are told from any other for as long as the
    /// session would have lived when their grace was over, 30 days at most.
    #[must_use]
    pub fn renew_ids(mut self, renewal: impl Into<Option<IdRenewal>>) -> Self {
        self.renewal = renewal.into();
        self
    }

    /// What a stored record that cannot be read comes to. Default: an error in the express profile, a new session in the
    /// new one.
    #[must_use]
    pub fn corrupt_record(self, corrupt: CorruptRecord) -> Self {
        Self { corrupt, ..self }
    }

    /// What a failed save at the end of a request does to the response. Default: an opaque 503 or 500.
    #[must_use]
    pub fn save_error(self, save_error: SaveError) -> Self {
        Self { save_error, ..self }
    }

    /// What becomes of a handler whose client has gone. Default: it finishes in the express profile, and is dropped in the new one.
    /// Rocket tells nobody that a client has gone, and its handlers always finish.
    ///
    /// What finishes does so beside the server: a graceful shutdown does not wait for it, as in Node.
    #[must_use]
    pub fn on_disconnect(self, on_disconnect: OnDisconnect) -> Self {
        Self { on_disconnect, ..self }
    }

    /// What becomes of cookie attributes that browsers refuse. Default: a warning in the express profile, an error of
    /// [`build`](Self::build) in the new one.
    #[must_use]
    pub fn browser_rules(self, browser_rules: BrowserRules) -> Self {
        Self { browser_rules, ..self }
    }

    /// What a response tells caches of the session. Default: nothing in the express profile, `Vary: Cookie` and
    /// `Cache-Control: no-cache="Set-Cookie"` where they are due in the new one. Layers of default headers go
    /// [below](CacheHeaders::WhereUsed).
    ///
    /// ```
    /// use session_core::{CacheHeaders, Options};
    ///
    /// // All of the application is behind `Cache-Control: no-store` already.
    /// let options = Options::new("keyboard cat").cache_headers(CacheHeaders::Never);
    /// # assert!(options.build().is_ok());
    /// ```
    #[must_use]
    pub fn cache_headers(self, cache_headers: CacheHeaders) -> Self {
        Self { cache_headers, ..self }
    }

    /// How late an `Expires` the cookie is sent with. Default: as the record has it in the express profile, in 400 days at most in the
    /// new one.
    #[must_use]
    pub fn cookie_expiry(self, cookie_expiry: CookieExpiry) -> Self {
        Self { cookie_expiry, ..self }
    }

    /// The clock that expiry goes by, for tests. Default: the system's. A store has one of its own, the default store too: give
    /// both the same.
    #[must_use]
    pub fn clock(self, clock: Clock) -> Self {
        Self { clock, ..self }
    }

    /// Of a profile: the name that nobody has chosen.
    pub(crate) fn named_by_profile(self, name: &str) -> Self {
        Self { name: name.into(), ..self }
    }

    /// Sessions without a store: the client keeps its own.
    pub(crate) fn on_the_client(mut self, client: ClientSide) -> Self {
        // How large it may be is the cookie's matter.
        self.limits = Limits { reserved: Reserved::CookieSession, ..Limits::NONE };
        Self {
            client: Some(Arc::new(client)),
            store: Arc::new(NoStore),
            default_store: None,
            store_read: StoreRead::WhenAsked,
            ..self
        }
    }

    /// Once all is set: the name that nobody has chosen.
    pub(crate) fn choose_name(&mut self) {
        if self.would_be_prefixed() {
            self.name = format!("__Host-{}", self.name);
        }
        self.is_name_open = false;
    }

    /// Whether nobody has chosen it, and it will be another one.
    pub(crate) fn would_be_prefixed(&self) -> bool {
        self.is_name_open && self.cookie_of.is_none() && self.cookie.is_of_one_host()
    }

    /// Once that is done.
    pub(crate) fn chosen_name(&self) -> &str {
        &self.name
    }

    pub(crate) fn check(&self) -> Result<(), OptionsError> {
        if self.client.is_none() && !self.secrets.is_usable() {
            return refuse("secret", "it is empty; give one secret, or several of which the first signs");
        }
        if set_cookie::check_name(&self.name).is_err() {
            return refuse("name", "a cookie name is a token: letters, digits and !#$%&'*+-.^_`|~");
        }
        if let Err(peer) = self.proxy.check() {
            let reason = format!(
                "{peer:?} is no address, no network such as 10.0.0.0/8 (everybody is Proxy::Always), and none of loopback, linklocal and \
                 uniquelocal"
            );
            return Err(OptionsError { option: "proxy", reason });
        }
        for (option, time) in [("idle", self.lifetimes.idle), ("absolute", self.lifetimes.absolute)] {
            if time == Some(0) {
                return refuse(option, "no session would live; give a time");
            }
        }
        if let (Some(idle), Some(absolute), false) =
            (self.lifetimes.idle, self.lifetimes.absolute, self.lifetimes.is_by_profile)
            && idle > absolute
        {
            return refuse("idle", "it is longer than absolute, which is how long a session lives at all");
        }
        if let Some(reason) = self.renewal.as_ref().and_then(IdRenewal::refusal) {
            return refuse("renew_ids", reason);
        }
        if let Some(reason) = carrier::refusal(&self.carriers) {
            return Err(OptionsError { option: "carriers", reason });
        }
        if self.client.is_some() && *self.carriers != [Carrier::Cookie] {
            return refuse(
                "carriers",
                "the client keeps this session in its cookie, and nothing else carries it",
            );
        }
        if let Touch::AfterPercent(101..) = self.touch {
            return refuse("touch", "a part of the lifetime is at most 100 percent");
        }
        let shortest = self.shortest_secret;
        if self.client.is_none() && self.secrets.has_shorter_than(shortest) {
            tracing::warn!(
                "a session secret has fewer than {shortest} bytes: whoever guesses it can forge cookies; take {STRONG} random ones"
            );
        }
        self.check_attributes(&self.cookie)?;
        match (set_cookie::browser_refusal(&self.name, &self.cookie.cookie(true, 0)), self.browser_rules) {
            (Some((option, reason)), BrowserRules::Enforce) => refuse(option, reason),
            (Some((option, reason)), BrowserRules::Warn) => {
                tracing::warn!(option, reason, "browsers will refuse the session cookie");
                Ok(())
            }
            (None, _) => Ok(()),
        }
    }

    fn check_attributes(&self, cookie: &CookieOptions) -> Result<(), OptionsError> {
        use crate::error::CookieError;
        if cookie.cookie(true, 0).domain().is_some_and(set_cookie::has_one_label) {
            tracing::warn!(
                "cookie.domain has one label: browsers take no cookie for a top-level domain such as \"com\""
            );
        }
        match set_cookie::check_attributes(&cookie.cookie(true, 0)) {
            Err(CookieError::Domain) => refuse("cookie.domain", "it is not a host name"),
            Err(_) => refuse("cookie.path", "it has a character that would end the attribute"),
            Ok(())
                if !cookie.match_path().starts_with('/') && self.browser_rules == BrowserRules::Enforce =>
            {
                refuse("cookie.path", "it must begin with /")
            }
            Ok(()) => Ok(()),
        }
    }
}

fn refuse(option: &'static str, reason: &str) -> Result<(), OptionsError> {
    Err(OptionsError { option, reason: reason.into() })
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("name", &self.name)
            .field("cookie", &self.cookie)
            .field("store", &self.store)
            .field("resave", &self.resave)
            .field("policies", &self.policies)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(options: Options) -> String {
        options.build().unwrap_err().to_string()
    }

    #[test]
    fn what_cannot_work_is_refused_by_name() {
        let new = || Options::new("keyboard cat");
        let with = |cookie| new().cookie(cookie);
        let none = || CookieOptions::new().same_site(SameSite::None);
        let cases = [
            ("secret", Options::new("")),
            ("secret", Options::new(["good", ""])),
            ("secret", Options::new(Vec::<String>::new())),
            ("secret", Options::express("")),
            ("name", new().name("")),
            ("name", new().name("my sid")),
            ("name", new().name("__Host-sid").cookie(CookieOptions::new().secure(false))),
            ("name", new().name("__Secure-sid").cookie(CookieOptions::new().secure(false))),
            ("touch", new().touch(Touch::AfterPercent(101))),
            ("idle", new().idle(Duration::ZERO)),
            ("absolute", new().absolute(Duration::ZERO)),
            ("idle", new().lifetimes(Lifetimes::new(A_DAY, A_DAY / 2))),
            ("carriers", new().carriers([])),
            ("carriers", new().carriers([Carrier::Application])),
            ("carriers", new().carriers([Carrier::Cookie, Carrier::bearer(), Carrier::Cookie])),
            ("carriers", new().carriers([Carrier::header("X-A"), Carrier::header("x-a")])),
            ("carriers", new().carriers([Carrier::header("")])),
            ("carriers", new().carriers([Carrier::header("x session")])),
            ("carriers", new().carriers([Carrier::header("x-séssion")])),
            ("carriers", new().carriers([Carrier::header("Set-Cookie")])),
            ("carriers", new().carriers([Carrier::header("authorization")])),
            ("cookie.domain", with(CookieOptions::new().domain("a b"))),
            ("cookie.domain", with(CookieOptions::new().domain(format!("{}com", "a.".repeat(126))))),
            ("cookie.domain", new().name("__Host-sid").cookie(CookieOptions::new().domain("example.com"))),
            ("cookie.path", with(CookieOptions::new().path("/a;b"))),
            ("cookie.path", with(CookieOptions::new().path("a"))),
            ("cookie.path", new().name("__Host-sid").cookie(CookieOptions::new().path("/a"))),
            ("cookie.same_site", with(none().secure(false))),
            ("cookie.partitioned", with(CookieOptions::new().partitioned(true).secure(false))),
        ];
        for (option, options) in cases {
            let error = refused(options);
            assert!(error.starts_with(&format!("option {option}: ")), "{option}: {error}");
        }
    }

    #[test]
    fn the_name_that_nobody_has_chosen_is_bound_to_the_host_where_browsers_take_that() {
        let name = |options: Options| options.build().unwrap().cookie_name().to_owned();
        let always = || CookieOptions::new().secure(true);
        let with = |cookie| name(Options::new("keyboard cat").cookie(cookie));
        assert_eq!(with(always()), "__Host-sid");
        assert_eq!(with(always().path("/")), "__Host-sid");
        assert_eq!(with(always().path("/admin")), "sid");
        assert_eq!(with(always().path("")), "sid");
        assert_eq!(with(always().domain("example.com")), "sid");
        assert_eq!(with(CookieOptions::new().secure(Secure::Auto)), "sid");
        assert_eq!(with(CookieOptions::new().secure(false)), "sid");
        let new = || Options::new("keyboard cat").cookie(always());
        assert_eq!(name(new().name("sid")), "sid");
        assert_eq!(name(Options::new("keyboard cat").name("sid").cookie(always())), "sid");
        assert_eq!(name(new().cookie_with(|_| CookieOptions::new())), "sid");
        assert_eq!(name(Options::express("keyboard cat").cookie(always())), "connect.sid");
    }

    #[test]
    fn what_express_accepts_the_express_profile_accepts() {
        let cookie = CookieOptions::new().same_site(SameSite::None).partitioned(true).secure(false);
        assert!(Options::express("keyboard cat").cookie(cookie).name("__Host-sid").build().is_ok());
    }

    #[test]
    fn secrets_are_not_shown() {
        let options = Options::new(["hunter2", "hunter3"]);
        assert!(!format!("{options:?} {:?}", options.secrets).contains("hunter"));
    }
}
