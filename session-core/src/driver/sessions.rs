//! The sessions of an application: what one driver shares.

use std::{fmt, sync::Arc};

use crate::{
    client::{options::ClientSide, sealed::Sealing},
    driver::{load::path_matches, turns::Turns, warnings::Warned},
    error::{Error, OptionsError},
    options::{Options, carrier::Carrier, cookie_options::CookieOptions, policy::StoreRead},
    store::Store,
};

/// The sessions of an application: the options, checked, and the driver that adapters use. Cheap to clone; give one to each
/// adapter that shall share a store: writers of one session then take turns after a conflict.
#[derive(Clone)]
pub struct Sessions(Arc<Inner>);

struct Inner {
    options: Options,
    turns: Turns,
    warned: Warned,
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
        Ok(Sessions(Arc::new(Inner { options: self, turns: Turns::default(), warned: Warned::default() })))
    }
}

impl TryFrom<Options> for Sessions {
    type Error = OptionsError;

    fn try_from(options: Options) -> Result<Self, OptionsError> {
        options.build()
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
        // One that the client keeps is there for every path.
        let is_everywhere = one.client.is_some() || two.client.is_some();
        let overlap = is_everywhere
            || path_matches(paths[1], paths[0], one.path_match)
            || path_matches(paths[0], paths[1], two.path_match);
        // One that the client keeps has several cookies.
        let has_beside = |options: &Options, name: &str| {
            let suffix = name.strip_prefix(&*options.name);
            let has = |client: &Arc<ClientSide>| suffix.is_some_and(|suffix| client.has_beside(suffix));
            options.client.as_ref().is_some_and(has)
        };
        let share_a_name = one.name == two.name || has_beside(one, &two.name) || has_beside(two, &one.name);
        let has_cookies = |options: &Options| options.carriers.contains(&Carrier::Cookie);
        share_a_name && is_known && overlap && has_cookies(one) && has_cookies(two)
    }

    /// By which a request may bring a session of either, or a response take it back.
    pub(crate) fn header_in_common_with(&self, other: &Self) -> Option<String> {
        self.headers().find(|one| other.headers().any(|theirs| theirs == *one)).map(Into::into)
    }

    fn headers(&self) -> impl Iterator<Item = &str> {
        let carriers = self.options().carriers.iter().filter(|by| **by != Carrier::Cookie);
        carriers.flat_map(|by| by.asked_by().into_iter().chain(by.answered_by()))
    }

    /// What is asked for is a store's.
    pub(super) fn needs_a_store(&self, call: &'static str) -> Result<(), Error> {
        if self.options().client.is_none() { Ok(()) } else { Err(Error::NoStore(call)) }
    }

    /// What is asked for is that of a session that has an id.
    pub(super) fn needs_an_id(&self, call: &'static str) -> Result<(), Error> {
        if self.sealing().is_some() { Ok(()) } else { self.needs_a_store(call) }
    }

    /// By which sessions are sealed into their clients' cookies.
    pub(super) fn sealing(&self) -> Option<&Sealing> {
        self.options().client.as_ref()?.sealing.as_deref()
    }

    /// The store. Where the clients keep their sessions, one of which each verb fails.
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

    /// What the log was told of once.
    pub(super) fn warned(&self) -> &Warned {
        &self.0.warned
    }

    pub(crate) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl fmt::Debug for Sessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Sessions").field(self.options()).finish()
    }
}
