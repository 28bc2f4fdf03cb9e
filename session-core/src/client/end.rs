//! What the response sets: cookie-session's rules, and where these fail its users the new profile's.

use std::sync::atomic::Ordering;

use super::{
    chunks, json,
    options::{ClientSide, EmptySession, Reissue},
    read::{Came, LONGEST, Signature},
    sealed::{self, Front, Sealing},
};
use crate::{
    error::Error,
    record::cookie::{Cookie, SameSite},
    record::data::Data,
    wire::{
        date::{self, Millis},
        keygrip::cookie_session_value,
    },
};

/// What there is at the end of a request.
pub(crate) struct Sending<'a> {
    pub(crate) name: &'a str,
    pub(crate) client: &'a ClientSide,
    pub(crate) came: &'a Came,
    /// `None`: it was unset.
    pub(crate) data: Option<&'a Data>,
    pub(crate) is_new: bool,
    pub(crate) sid: &'a str,
    pub(crate) now: Millis,
    pub(crate) cookie: &'a Cookie,
    /// It ends on a date, and not after a time.
    pub(crate) is_dated: bool,
    /// The handler has set it.
    pub(crate) has_own_lifetime: bool,
    /// The handler has set attributes, and that is a change.
    pub(crate) cookie_changed: bool,
    /// The connection is.
    pub(crate) secure: bool,
}

/// The values of the `Set-Cookie` headers. `is_withheld`: the session's own are not among them, since they are for secure connections
/// only.
#[derive(Default)]
pub(crate) struct Sent {
    pub(crate) cookies: Vec<String>,
    pub(crate) is_withheld: bool,
    /// The client is told to forget it.
    pub(crate) is_removal: bool,
    /// Since its time is over, and not because a handler has ended it.
    pub(crate) is_expiry: bool,
    /// Of a sealed one: what is in front of its data, and whether the client does not have these yet.
    pub(crate) front: Option<Front>,
    pub(super) is_change: bool,
}

impl Sent {
    /// The client has what it needs without it.
    pub(crate) fn can_be_left_out(&self) -> bool {
        self.front.is_some() && !self.is_change
    }
}

enum Write {
    Nothing,
    /// `is_change`: the client does not have this yet.
    Value {
        value: String,
        is_change: bool,
    },
    Removal,
}

/// The values of the `Set-Cookie` headers, in order.
///
/// # Errors
/// [`Error::CookieTooLarge`], [`Error::TooDeep`]; nothing is set then.
pub(crate) fn ends(sending: &Sending<'_>) -> Result<Sent, Error> {
    let Sending { client, came, .. } = sending;
    if let Some(sealing) = &client.sealing {
        return sealed::ends(sending, sealing);
    }
    let mut sent = Sent::default();
    let signature = format!("{}.sig", sending.name);
    match (&came.signature, &client.keys, &came.value) {
        (Signature::Forged, ..) if client.is_node => {
            sent.cookies.push(sending.plain(&format!("{signature}="), true));
        }
        // It may be another instance's, which has a newer key already.
        (Signature::Forged, ..) => {}
        (Signature::Old, Some(keys), Some(value))
            if client.reissue == Reissue::SignatureOnly && (client.is_node || !sending.is_withheld()) =>
        {
            let signed = keys.sign(&format!("{}={value}", sending.name));
            sent.cookies.push(sending.plain(&format!("{signature}={signed}"), false));
        }
        _ => {}
    }
    let (value, is_change) = match sending.write() {
        Write::Nothing => return Ok(sent),
        Write::Removal => {
            sent.is_removal = true;
            (String::new(), true)
        }
        Write::Value { value, is_change } => (value, is_change),
    };
    if sending.is_withheld() {
        sent.is_withheld = true;
        return Ok(sent);
    }
    if let Some(data) = sending.data.filter(|_| !sent.is_removal) {
        match fits(sending.name, value.len(), data, client) {
            // The client has it, and keeps it.
            Err(_) if !is_change => return Ok(sent),
            fits => fits?,
        }
    }
    let pair = format!("{}={value}", sending.name);
    let mut set = |pair: &str| {
        let name = pair.split_inclusive('=').next().unwrap_or_default();
        if client.overwrite {
            sent.cookies.retain(|cookie| !cookie.starts_with(name));
        }
        sent.cookies.push(sending.with_attributes(pair, value.is_empty()));
    };
    set(&pair);
    if let Some(keys) = &client.keys {
        set(&format!("{signature}={}", keys.sign(&pair)));
    }
    Ok(sent)
}

/// What goes out where the session cannot: what it was when its id was renewed, since the old one opens no more; or where another was to be in
/// its place, that what came is to be forgotten.
pub(crate) fn ends_instead(sending: &Sending<'_>) -> Sent {
    let came = sending.came;
    let kept = came.kept();
    let is_to_be_forgotten = came.is_another_one() && came.is_to_end() && came.has_any();
    if kept.is_none() && !is_to_be_forgotten {
        return Sent::default();
    }
    ends(&Sending { data: kept.as_deref(), ..*sending }).unwrap_or_default()
}

/// Whether these data could be sent.
///
/// # Errors
/// [`Error::CookieTooLarge`], [`Error::TooDeep`].
pub(crate) fn check(name: &str, client: &ClientSide, data: &Data) -> Result<(), Error> {
    match &client.sealing {
        Some(sealing) => sealed::check(name, client, sealing, data).map(drop),
        None => fits(name, value_of(data).len(), data, client),
    }
}

/// Whether browsers keep it, and it would be read again.
pub(super) fn fits(name: &str, value: usize, data: &Data, client: &ClientSide) -> Result<(), Error> {
    if !client.is_node && data.iter().any(|(_, value)| json::is_too_deep(value)) {
        return Err(Error::TooDeep { limit: json::DEEPEST });
    }
    let size = name.len() + value;
    let readable = if client.is_node { usize::MAX } else { name.len() + LONGEST };
    let limit = client.max_size.map_or(readable, |limit| limit.min(readable));
    if size > limit {
        return Err(Error::CookieTooLarge { size, limit });
    }
    Ok(())
}

/// The value of the cookie of these data.
fn value_of(data: &Data) -> String {
    cookie_session_value(&json::stringify(data))
}

impl Sending<'_> {
    fn write(&self) -> Write {
        let clears = self.client.empty == EmptySession::Removed;
        let Some(data) = self.data else {
            return if clears && self.came.value.is_none() { Write::Nothing } else { Write::Removal };
        };
        if self.is_new && data.is_empty() {
            let ends = clears || self.came.has_ended.load(Ordering::Relaxed);
            return if ends && self.came.is_read { Write::Removal } else { Write::Nothing };
        }
        // Whatever the client's clock says.
        if !self.client.is_node && self.cookie.lifetime().is_some_and(|left| left <= 0) {
            return if self.came.value.is_some() { Write::Removal } else { Write::Nothing };
        }
        let value = value_of(data);
        let is_to_reissue = self.came.signature == Signature::Old && self.client.reissue == Reissue::Both;
        let is_change = self.is_new || self.cookie_changed || self.came.value.as_ref() != Some(&value);
        if is_change || is_to_reissue { Write::Value { value, is_change } } else { Write::Nothing }
    }

    /// The cookie is for secure connections only.
    pub(super) fn is_withheld(&self) -> bool {
        self.cookie.secure() && !self.secure
    }

    /// What the client has beside a sealed session: the signature of one that was signed before; and where it may go into chunks, these from
    /// this one on, whether they came or not.
    pub(super) fn forgotten(&self, from: usize, sealing: &Sealing) -> Vec<String> {
        let signature = self.came.was_signed.then(|| format!("{}.sig", self.name));
        let end = if sealing.chunks { chunks::MOST } else { from };
        let chunks = (from..end).map(|number| chunks::name_of(self.name, number));
        signature
            .into_iter()
            .chain(chunks)
            .map(|name| self.with_attributes(&format!("{name}="), true))
            .collect()
    }

    /// With the attributes that `cookies` gives where none are named.
    fn plain(&self, pair: &str, is_removal: bool) -> String {
        let mut header = format!("{pair}; path=/");
        if is_removal {
            header.push_str("; expires=");
            header.push_str(&date::http(0));
        }
        header.push_str(if self.secure { "; secure; httponly" } else { "; httponly" });
        header
    }

    /// In the order of `cookies` 0.9, and in its case; never `Max-Age`.
    pub(super) fn with_attributes(&self, pair: &str, is_removal: bool) -> String {
        let cookie = self.cookie;
        let expires = match cookie.lifetime() {
            _ if is_removal => Some(0),
            // A max age of nothing is none.
            Some(0) if self.client.is_node && !self.is_dated => None,
            _ if self.client.is_node => cookie.expires_at(),
            _ => cookie.expires_at().map(|at| at.min(date::latest_of_a_cookie(self.now))),
        };
        let mut header = String::from(pair);
        let mut push = |name: &str, value: Option<&str>| {
            header.push_str("; ");
            header.push_str(name);
            if let Some(value) = value {
                header.push('=');
                header.push_str(value);
            }
        };
        if let Some(path) = cookie.path().filter(|path| !path.is_empty()) {
            push("path", Some(path));
        }
        if let Some(at) = expires {
            push("expires", Some(&date::http(at)));
        }
        if let Some(domain) = cookie.domain().filter(|domain| !domain.is_empty()) {
            push("domain", Some(domain));
        }
        if let Some(priority) = cookie.priority() {
            push("priority", Some(&priority.as_str().to_ascii_lowercase()));
        }
        // Browsers refuse two attributes without a third, and would keep what they are to forget.
        let is_plain = is_removal && !self.client.is_node && !cookie.secure();
        let needs_secure = |same_site: &SameSite| *same_site == SameSite::None;
        if let Some(same_site) = cookie.same_site().filter(|word| !is_plain || !needs_secure(word)) {
            push("samesite", Some(&same_site.as_str().to_ascii_lowercase()));
        }
        for (name, is_set) in [
            ("secure", cookie.secure()),
            ("httponly", cookie.http_only()),
            ("partitioned", cookie.partitioned() && !is_plain),
        ] {
            if is_set {
                push(name, None);
            }
        }
        header
    }
}
