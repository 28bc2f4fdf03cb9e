//! What the log is told of once: what is most often a mistake in the options, and comes again with every request.

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use crate::{
    driver::{session::SessionHandle, sessions::Sessions},
    error::Error,
    record::cookie::Cookie,
    request::RequestInfo,
    wire::{date::Millis, set_cookie},
};

#[derive(Default)]
pub(super) struct Warned {
    insecure: Once,
    proxy: Once,
    duplicates: Once,
    name: Once,
    header: Once,
    peer: Once,
    refused: Once,
    domain: Once,
    conflict: Once,
    lost: Once,
    /// When that was said last.
    lost_at: AtomicI64,
    /// And that a former id was used, and that it has ended its session.
    former_at: [AtomicI64; 2],
}

/// Where a part of a store fails, it is lost and found with every request.
const QUIET: Millis = 60_000;

#[derive(Default)]
struct Once(AtomicBool);

impl Once {
    fn is_said(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// And is not the next time. Every request may ask: most of them only read.
    fn is_first(&self) -> bool {
        !self.is_said() && !self.0.swap(true, Ordering::Relaxed)
    }

    /// The next one will be the first again; answers whether it was said.
    fn is_over(&self) -> bool {
        self.is_said() && self.0.swap(false, Ordering::Relaxed)
    }
}

impl Sessions {
    /// A session that could not be had. What anybody can send again and again is said aloud once.
    pub(super) fn tell_failed(&self, error: &Error) {
        if matches!(error, Error::ConflictingIds) && !self.warned().conflict.is_first() {
            tracing::debug!(
                error = error as &dyn std::error::Error,
                "the request fails because of its session"
            );
        } else {
            error.log();
        }
    }

    /// A former id was used after its grace, and perhaps the session has ended with that. Said aloud once a minute: who has one can use it
    /// again and again.
    pub(super) fn warn_former_id(&self, ends: bool) {
        let why = "it is that of a session that was given another one, and its grace is over";
        let (now, at) = (self.options().clock.millis(), &self.warned().former_at[usize::from(ends)]);
        let last = at.load(Ordering::Relaxed);
        let is_quiet = last != 0 && (last..last.saturating_add(QUIET)).contains(&now);
        if is_quiet || at.compare_exchange(last, now, Ordering::Relaxed, Ordering::Relaxed).is_err() {
            tracing::debug!(why, ends, "former session id used");
        } else {
            tracing::warn!(why, ends, "former session id used: somebody may have a copy of it");
        }
    }

    /// Peers are trusted by addresses that nobody knows: said aloud once.
    pub(crate) fn warn_unknown_peer(&self) {
        if self.warned().peer.is_first() {
            tracing::warn!(
                "the option proxy names peers, and the address that this connection comes from is not known: nobody is trusted. \
                 With axum, serve with into_make_service_with_connect_info::<SocketAddr>()"
            );
        }
    }

    /// Each of two layers side by side would take the other's cookie for a foreign one: said aloud once.
    pub(crate) fn warn_same_name(&self) {
        if self.warned().name.is_first() {
            tracing::error!(
                name = self.cookie_name(),
                "two session layers side by side have a cookie name in common, and lose each other's sessions: give each a name of its own"
            );
        }
    }

    /// And the other's token.
    pub(crate) fn warn_same_header(&self, header: &str) {
        if self.warned().header.is_first() {
            tracing::error!(
                header,
                "two session layers side by side have a carrier in common, and lose each other's sessions: give each a header of its own"
            );
        }
    }

    /// *Auto* that comes out insecure though somebody says that the client's connection was not: said aloud once.
    pub(crate) fn warn_untrusted_proxy(&self, request: &RequestInfo<'_>) {
        let warned = &self.warned().proxy;
        if !warned.is_said() && request.claims_https() && warned.is_first() {
            tracing::warn!(
                "X-Forwarded-Proto says https, and whom it comes from is not trusted to say so: the session cookie is not \
                 secure. Behind a proxy that ends TLS, name it by the option proxy"
            );
        }
    }

    /// Which of several cookies counts is the client's order, and who set them is not known: said aloud once.
    pub(crate) fn warn_duplicates(&self) {
        if self.warned().duplicates.is_first() {
            tracing::warn!(
                name = self.cookie_name(),
                "a request brought several cookies of this name: another application, or another path or domain, sets it too. \
                 Give each a name of its own; one that begins with __Host- no other host can set"
            );
        }
    }

    /// A cookie that browsers refuse is sent, as Express does, whoever made it such: said aloud once.
    pub(crate) fn warn_refused(&self, option: &str, reason: &str) {
        if self.warned().refused.is_first() {
            tracing::warn!(option, reason, "a session cookie was sent that browsers refuse");
        }
    }

    /// Where a cookie's domain is of interest.
    pub(crate) fn has_warned_of_the_domain(&self) -> bool {
        self.warned().domain.is_said()
    }

    /// A store cannot be read: said aloud once, until it is found again, and once a minute at most; why, each request says.
    /// express-session: `disconnect`.
    pub(crate) fn warn_lost(&self, store: &str) {
        let (warned, now) = (self.warned(), self.options().clock.millis());
        let is_quiet = (0..QUIET).contains(&now.saturating_sub(warned.lost_at.load(Ordering::Relaxed)));
        if !is_quiet && warned.lost.is_first() {
            warned.lost_at.store(now, Ordering::Relaxed);
            tracing::warn!(store, "the store is lost: a session could not be read");
        }
    }

    /// One could be read again. express-session: `connect`.
    pub(crate) fn tell_found(&self) {
        if self.warned().lost.is_over() {
            tracing::info!("the store is found again");
        }
    }

    /// A secure cookie over an insecure connection is most often a proxy that nobody told us of: said aloud once.
    pub(crate) fn warn_insecure(&self) {
        if self.warned().insecure.is_first() {
            tracing::warn!(
                "the session cookie is for secure connections and this one is not: it was not sent. Behind a proxy that \
                 ends TLS, let it set X-Forwarded-Proto and set the option proxy; without TLS, cookie.secure to auto"
            );
        }
    }
}

impl SessionHandle {
    /// A cookie goes out for a domain that is not the one that was asked, so that browsers will not keep it: said aloud once.
    pub(super) fn warn_foreign_domain(&self, cookie: &Cookie) {
        let (Some(domain), Some(host)) = (cookie.domain().filter(|domain| !domain.is_empty()), self.host())
        else {
            return;
        };
        if !set_cookie::domain_matches(host, domain) && self.sessions().warned().domain.is_first() {
            tracing::warn!(
                domain,
                host,
                "a request to a host that the option cookie.domain does not cover was answered with the session cookie, which its browser \
                 does not keep. Where users come by that host, it is one for cookie.domain; behind a proxy that sends another host on, let \
                 it send the client's (Host)"
            );
        }
    }
}
