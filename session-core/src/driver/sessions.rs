//! The sessions of an application: what one driver shares.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use crate::{
    driver::{load::path_matches, turns::Turns},
    error::OptionsError,
    options::{Options, cookie_options::CookieOptions, policy::StoreRead},
    request::RequestInfo,
    store::Store,
};

/// The sessions of an application: the options, checked, and the driver that adapters use. Cheap to clone; give one to each
/// adapter that shall share a store: writers of one session then take turns after a conflict.
#[derive(Clone)]
pub struct Sessions(Arc<Inner>);

struct Inner {
    options: Options,
    turns: Turns,
    warned_insecure: AtomicBool,
    warned_proxy: AtomicBool,
    warned_duplicates: AtomicBool,
    warned_name: AtomicBool,
    warned_peer: AtomicBool,
    warned_refused: AtomicBool,
}

impl Options {
    /// Checks the options and makes the driver that adapters take.
    ///
    /// # Errors
    /// What cannot work, with the name of the option: an empty secret, a name or attribute that no cookie can carry, and
    /// under [`BrowserRules::Enforce`](crate::BrowserRules::Enforce) attributes that browsers refuse.
    pub fn build(mut self) -> Result<Sessions, OptionsError> {
        self.choose_name();
        self.check()?;
        if let Some(store) = &self.default_store {
            store.is_used();
        }
        Ok(Sessions(Arc::new(Inner {
            options: self,
            turns: Turns::default(),
            warned_insecure: AtomicBool::new(false),
            warned_proxy: AtomicBool::new(false),
            warned_duplicates: AtomicBool::new(false),
            warned_name: AtomicBool::new(false),
            warned_peer: AtomicBool::new(false),
            warned_refused: AtomicBool::new(false),
        })))
    }
}

impl Sessions {
    /// Whether an adapter shall ask for the session as soon as the request arrives ([`StoreRead::OnArrival`]).
    #[must_use]
    pub fn reads_on_arrival(&self) -> bool {
        self.options().store_read == StoreRead::OnArrival
    }

    /// The name of their cookie: the [option](Options::name), or what the profile made of it.
    #[must_use]
    pub fn cookie_name(&self) -> &str {
        &self.options().name
    }

    /// Whether a request may be of both, under one cookie name.
    pub(crate) fn collides_with(&self, other: &Self) -> bool {
        let [one, two] = [self, other].map(Self::options);
        let paths = [&one.cookie, &two.cookie].map(CookieOptions::match_path);
        let is_known = one.cookie_of.is_none() && two.cookie_of.is_none();
        let overlap = path_matches(paths[1], paths[0], one.path_match)
            || path_matches(paths[0], paths[1], two.path_match);
        one.name == two.name && is_known && overlap
    }

    /// The store.
    #[must_use]
    pub fn store(&self) -> &dyn Store {
        &*self.options().store
    }

    pub(crate) fn options(&self) -> &Options {
        &self.0.options
    }

    /// The turns of writers that were in each other's way, within this process.
    pub(super) fn turns(&self) -> &Turns {
        &self.0.turns
    }

    pub(crate) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// Peers are trusted by addresses that nobody knows: said aloud once.
    pub(crate) fn warn_unknown_peer(&self) {
        let warned = &self.0.warned_peer;
        if !warned.load(Ordering::Relaxed) && !warned.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                "the option proxy names peers, and the address that this connection comes from is not known: nobody is trusted. \
                 With axum, serve with into_make_service_with_connect_info::<SocketAddr>()"
            );
        }
    }

    /// Each of two layers side by side would take the other's cookie for a foreign one: said aloud once.
    pub(crate) fn warn_same_name(&self) {
        if !self.0.warned_name.swap(true, Ordering::Relaxed) {
            tracing::error!(
                name = self.cookie_name(),
                "two session layers side by side have one cookie name, and lose each other's sessions: give each a name of its own"
            );
        }
    }

    /// *Auto* that comes out insecure though somebody says that the client's connection was not: said aloud once.
    pub(crate) fn warn_untrusted_proxy(&self, request: &RequestInfo<'_>) {
        let warned = &self.0.warned_proxy;
        if !warned.load(Ordering::Relaxed) && request.claims_https() && !warned.swap(true, Ordering::Relaxed)
        {
            tracing::warn!(
                "X-Forwarded-Proto says https, and whom it comes from is not trusted to say so: the session cookie is not \
                 secure. Behind a proxy that ends TLS, name it by the option proxy"
            );
        }
    }

    /// Which of several cookies counts is the client's order, and who set them is not known: said aloud once.
    pub(crate) fn warn_duplicates(&self) {
        if !self.0.warned_duplicates.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                name = self.cookie_name(),
                "a request brought several cookies of this name: another application, or another path or domain, sets it too. \
                 Give each a name of its own; one that begins with __Host- no other host can set"
            );
        }
    }

    /// What the connection, the attributes of a request or the handler made of the cookie is sent, as Express does: said aloud once.
    pub(crate) fn warn_refused(&self, option: &str, reason: &str) {
        if !self.0.warned_refused.swap(true, Ordering::Relaxed) {
            tracing::warn!(option, reason, "a session cookie was sent that browsers refuse");
        }
    }

    /// A secure cookie over an insecure connection is most often a proxy that nobody told us of: said aloud once.
    pub(crate) fn warn_insecure(&self) {
        if !self.0.warned_insecure.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                "the session cookie is for secure connections and this one is not: it was not sent. Behind a proxy that \
                 ends TLS, let it set X-Forwarded-Proto and set the option proxy; without TLS, cookie.secure to auto"
            );
        }
    }
}

impl fmt::Debug for Sessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Sessions").field(self.options()).finish()
    }
}
