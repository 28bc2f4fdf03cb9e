//! The cookie settings that are kept with a session, as Node's `Cookie` object holds and stores them.

use std::{
    borrow::Cow,
    cell::RefCell,
    fmt::Write,
    hash::{Hash, Hasher},
    sync::Arc,
    time::{Duration, SystemTime},
};

use serde_json::value::RawValue;

use crate::{
    wire::date::{self, Maybe, Millis},
    wire::json,
};

/// **Cookie**: the attributes kept with a session. They stand in the record under `cookie` and go out with `Set-Cookie`.
///
/// What an Express app has stored is kept as it is, even what this crate would not have written (`"sameSite":"Lax"`,
/// `"expires":false`), as long as nobody sets that attribute.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Cookie {
    original_max_age: Field<Millis>,
    expires: Field<Millis>,
    /// The rest, which seldom differs from one session to the next.
    attributes: Arc<Attributes>,
    bounds: Bounds,
}

/// What a session's lifetime goes by besides. It is set where a write is made, and is no part of what is stored.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Bounds {
    /// How long a session may lie unused, whatever its cookie says.
    idle: Maybe,
    /// When the session ends, however often it is used.
    end: Maybe,
    /// When the record of one ends whose cookie lives until the browser closes.
    until: Maybe,
}

impl PartialEq for Bounds {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Bounds {}

impl Bounds {
    pub(crate) fn new(idle: Option<Millis>, end: Option<Millis>) -> Self {
        Self { idle: idle.into(), end: end.into(), until: Maybe::NONE }
    }

    pub(crate) fn is_any(&self) -> bool {
        self.idle.get().is_some() || self.end.get().is_some()
    }

    pub(crate) fn has_end(&self) -> bool {
        self.end.get().is_some()
    }

    /// No later than the session may live.
    pub(crate) fn cut(&self, at: Millis) -> Millis {
        self.end.get().map_or(at, |end| at.min(end))
    }

    /// Nor than it may lie unused from `now` on.
    fn cut_from(&self, now: Millis, at: Millis) -> Millis {
        self.cut(self.idle.get().map_or(at, |idle| at.min(date::after(now, idle))))
    }

    /// How long each request lets a session live whose cookie, or store, has this lifetime.
    pub(crate) fn held_for(&self, cookie: Option<Millis>, store: Option<Millis>) -> Option<Millis> {
        match (cookie, self.idle.get()) {
            (Some(lifetime), Some(idle)) => Some(lifetime.min(idle)),
            (lifetime, idle) => lifetime.or(idle).or(store),
        }
    }
}

impl Hash for Bounds {
    fn hash<H: Hasher>(&self, _: &mut H) {}
}

/// What does not change with time.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Attributes {
    pub(crate) partitioned: Field<bool>,
    pub(crate) priority: Field<Priority>,
    pub(crate) secure: Field<bool>,
    pub(crate) http_only: Field<bool>,
    pub(crate) domain: Field<Cow<'static, str>>,
    pub(crate) path: Field<Cow<'static, str>>,
    pub(crate) same_site: Field<SameSite>,
}

/// A cookie that is being read.
pub(crate) struct Unread {
    original_max_age: Field<Millis>,
    expires: Field<Millis>,
    attributes: Attributes,
}

/// The `SameSite` attribute (RFC 6265bis §5.6.7).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SameSite {
    /// Sent with requests from the same site only.
    Strict,
    /// Sent with top-level navigation from other sites as well.
    Lax,
    /// Sent always; browsers ask for `Secure` with it.
    None,
}

/// The `Priority` attribute, which Chromium looks at when it must drop cookies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Priority {
    /// Dropped first.
    Low,
    /// As a cookie without the attribute.
    Medium,
    /// Dropped last.
    High,
}

/// Parts of a cookie: each is set for itself, the two dates together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[expect(clippy::struct_excessive_bools, reason = "one for each part")]
pub(crate) struct Differing {
    lifetime: bool,
    partitioned: bool,
    priority: bool,
    secure: bool,
    http_only: bool,
    domain: bool,
    path: bool,
    same_site: bool,
}

impl Differing {
    pub(crate) const LIFETIME: Self = Self {
        lifetime: true,
        partitioned: false,
        priority: false,
        secure: false,
        http_only: false,
        domain: false,
        path: false,
        same_site: false,
    };

    /// When the session ends.
    pub(crate) fn is_of_the_lifetime(self) -> bool {
        self.lifetime
    }

    pub(crate) fn is_nothing(self) -> bool {
        self == Self::default()
    }

    fn is_lifetime_at_most(self) -> bool {
        self == Self { lifetime: self.lifetime, ..Self::default() }
    }

    pub(crate) fn or(self, other: Self) -> Self {
        Self {
            lifetime: self.lifetime || other.lifetime,
            partitioned: self.partitioned || other.partitioned,
            priority: self.priority || other.priority,
            secure: self.secure || other.secure,
            http_only: self.http_only || other.http_only,
            domain: self.domain || other.domain,
            path: self.path || other.path,
            same_site: self.same_site || other.same_site,
        }
    }

    pub(crate) fn and(self, other: Self) -> Self {
        Self {
            lifetime: self.lifetime && other.lifetime,
            partitioned: self.partitioned && other.partitioned,
            priority: self.priority && other.priority,
            secure: self.secure && other.secure,
            http_only: self.http_only && other.http_only,
            domain: self.domain && other.domain,
            path: self.path && other.path,
            same_site: self.same_site && other.same_site,
        }
    }
}

/// One attribute as JavaScript has it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) enum Field<T> {
    /// `undefined`: left out of the record.
    #[default]
    Absent,
    Null,
    Known(T),
    /// Any other JSON that a Node app stored.
    Other(Box<str>),
}

impl Cookie {
    pub(crate) fn plain() -> Self {
        Self::of(Attributes::plain().shared())
    }

    /// It lives until the browser closes.
    pub(crate) fn of(attributes: Arc<Attributes>) -> Self {
        Self { original_max_age: Field::Null, expires: Field::Null, attributes, bounds: Bounds::default() }
    }

    fn attributes_mut(&mut self) -> &mut Attributes {
        Arc::make_mut(&mut self.attributes)
    }

    /// The lifetime that was set last and that every response renews; `None` for a cookie that lives until the browser
    /// closes, zero for one that was set to be over.
    #[must_use]
    pub fn original_max_age(&self) -> Option<Duration> {
        self.lifetime().map(|ms| Duration::from_millis(u64::try_from(ms).unwrap_or_default()))
    }

    /// When the cookie is over; `None` for a cookie that lives until the browser closes.
    #[must_use]
    pub fn expires(&self) -> Option<SystemTime> {
        self.expires_at().map(date::to_system)
    }

    /// Until when a store holds the record whose cookie this is, when it is given it to write or to touch: until [`expires`](Self::expires),
    /// and where the cookie lives until the browser closes as long as the session may lie unused ([`Options::idle`](crate::Options::idle)),
    /// else for `ttl` from `now` on, the store's own time to live (`None`: for ever); in each case no longer than the session lives at all
    /// ([`Options::absolute`](crate::Options::absolute)). `None`: for ever.
    ///
    /// The limits are no part of what is stored: of a cookie that was read it is `expires`, or the time to live.
    ///
    /// ```
    /// use std::time::{Duration, SystemTime};
    ///
    /// use session_core::Cookie;
    ///
    /// let (now, day) = (SystemTime::UNIX_EPOCH, Duration::from_secs(86_400));
    /// let mut cookie = Cookie::default();
    /// assert_eq!(cookie.held_until(now, Some(day)), Some(now + day));
    /// cookie.set_max_age(Some(day / 24), now);
    /// assert_eq!(cookie.held_until(now, Some(day)), Some(now + day / 24));
    /// ```
    #[must_use]
    pub fn held_until(&self, now: SystemTime, ttl: Option<Duration>) -> Option<SystemTime> {
        let millis = |ttl: Duration| Millis::try_from(ttl.as_millis()).unwrap_or(Millis::MAX);
        self.held(date::from_system(now), ttl.map(millis)).map(date::to_system)
    }

    /// How long a record is held that is given this cookie at `now`, with all of its lifetime and no longer than the session's limits let it
    /// live. `None`: that is the store's to say.
    #[must_use]
    pub fn held_for(&self, now: SystemTime) -> Option<Duration> {
        let now = date::from_system(now);
        let whole = self.whole().map(|lifetime| self.bounds.cut(date::after(now, lifetime)) - now)?;
        Some(Duration::from_millis(u64::try_from(whole).unwrap_or_default()))
    }

    pub(crate) fn held(&self, now: Millis, ttl: Option<Millis>) -> Option<Millis> {
        let by_the_store = || match ttl {
            Some(ttl) => Some(self.bounds.cut(date::after(now, ttl))),
            None => self.bounds.end.get(),
        };
        self.ends().or_else(by_the_store)
    }

    /// Gives a cookie that lives until the browser closes an end that only the store goes by: for the test of a store. Sessions do it themselves.
    pub fn set_held_until(&mut self, until: Option<SystemTime>) {
        self.held_to(until.map(date::from_system));
    }

    pub(crate) fn held_to(&mut self, until: Option<Millis>) {
        self.bounds.until = until.into();
    }

    /// The `Path` attribute; `None` when there is none.
    #[must_use]
    pub fn path(&self) -> Option<&str> {
        self.attributes.path.known().map(AsRef::as_ref)
    }

    /// The `Domain` attribute; `None` when there is none, so that only the host that set the cookie gets it back.
    #[must_use]
    pub fn domain(&self) -> Option<&str> {
        self.attributes.domain.known().map(AsRef::as_ref)
    }

    /// Whether the cookie is for secure connections only.
    #[must_use]
    pub fn secure(&self) -> bool {
        self.attributes.secure.is_truthy(|known| *known)
    }

    /// Whether scripts in the page cannot read it.
    #[must_use]
    pub fn http_only(&self) -> bool {
        self.attributes.http_only.is_truthy(|known| *known)
    }

    /// The `SameSite` attribute; `None` when there is none.
    #[must_use]
    pub fn same_site(&self) -> Option<SameSite> {
        match &self.attributes.same_site {
            Field::Known(word) => Some(*word),
            // Node takes the words in any case, and `true` for strict.
            Field::Other(json) if &**json == "true" => Some(SameSite::Strict),
            Field::Other(json) => SameSite::parse(&json.trim_matches('"').to_ascii_lowercase()),
            Field::Absent | Field::Null => None,
        }
    }

    /// Whether the cookie is kept apart for each top-level site (CHIPS).
    #[must_use]
    pub fn partitioned(&self) -> bool {
        self.attributes.partitioned.is_truthy(|known| *known)
    }

    /// The `Priority` attribute; `None` when there is none.
    #[must_use]
    pub fn priority(&self) -> Option<Priority> {
        match &self.attributes.priority {
            Field::Known(word) => Some(*word),
            Field::Other(json) => Priority::parse(&json.trim_matches('"').to_ascii_lowercase()),
            Field::Absent | Field::Null => None,
        }
    }

    /// Sets the `Path` attribute.
    pub fn set_path(&mut self, path: &str) {
        self.attributes_mut().path = Field::Known(path.to_owned().into());
    }

    /// Sets the `Domain` attribute, or with `None` takes it away.
    pub fn set_domain(&mut self, domain: Option<&str>) {
        self.attributes_mut().domain =
            domain.map_or(Field::Absent, |domain| Field::Known(domain.to_owned().into()));
    }

    /// Sets whether the cookie is for secure connections only.
    pub fn set_secure(&mut self, secure: bool) {
        self.attributes_mut().secure = Field::Known(secure);
    }

    /// Sets whether scripts in the page cannot read it.
    pub fn set_http_only(&mut self, http_only: bool) {
        self.attributes_mut().http_only = Field::Known(http_only);
    }

    /// Sets the `SameSite` attribute, or with `None` takes it away.
    pub fn set_same_site(&mut self, same_site: Option<SameSite>) {
        self.attributes_mut().same_site = same_site.map_or(Field::Absent, Field::Known);
    }

    /// Sets whether the cookie is kept apart for each top-level site.
    pub fn set_partitioned(&mut self, partitioned: bool) {
        self.attributes_mut().partitioned = Field::Known(partitioned);
    }

    /// Sets the `Priority` attribute, or with `None` takes it away.
    pub fn set_priority(&mut self, priority: Option<Priority>) {
        self.attributes_mut().priority = priority.map_or(Field::Absent, Field::Known);
    }

    /// How long the cookie lives from `now` on, or with `None` until the browser closes. Node: `cookie.maxAge = …`.
    pub fn set_max_age(&mut self, max_age: Option<Duration>, now: SystemTime) {
        let millis = |age: Duration| Millis::try_from(age.as_millis()).unwrap_or(Millis::MAX);
        self.live_for(max_age.map(millis), date::from_system(now));
    }

    /// When the cookie is over, or with `None` when the browser closes; what is left of it at `now` becomes the original max
    /// age. Node: `cookie.expires = …`.
    pub fn set_expires(&mut self, expires: Option<SystemTime>, now: SystemTime) {
        self.live_until(expires.map(date::from_system), date::from_system(now));
    }

    pub(crate) fn live_for(&mut self, max_age: Option<Millis>, now: Millis) {
        self.live_until(max_age.map(|ms| date::after(now, ms)), now);
        if let Some(ms) = max_age {
            self.original_max_age = Field::Known(ms);
        }
    }

    pub(crate) fn live_until(&mut self, expires: Option<Millis>, now: Millis) {
        self.expires = expires.map_or(Field::Null, Field::Known);
        self.original_max_age = expires.map_or(Field::Null, |at| Field::Known(at.saturating_sub(now)));
    }

    /// `resetMaxAge`: the whole lifetime again, from `now` on. What has no lifetime takes the same nothing over; what JavaScript
    /// refuses as one leaves the end where it was.
    pub(crate) fn touch(&mut self, now: Millis) {
        self.expires = match &self.original_max_age {
            Field::Known(ms) => Field::Known(date::after(now, *ms)),
            Field::Null => Field::Null,
            Field::Absent => Field::Absent,
            Field::Other(json) if matches!(&**json, "false" | "\"\"") => Field::Other(json.clone()),
            Field::Other(_) => self.expires.clone(),
        };
        if let Field::Known(at) = &mut self.expires {
            *at = self.bounds.cut_from(now, *at);
        }
        let idle = self.bounds.idle.get();
        self.bounds.until = idle.map(|idle| self.bounds.cut(date::after(now, idle))).into();
    }

    /// What the lifetime goes by besides, from the next [`touch`](Self::touch) on.
    pub(crate) fn within(self, bounds: Bounds) -> Self {
        Self { bounds, ..self }
    }

    /// The same lifetime, and this end of it.
    pub(crate) fn ends_at(&mut self, at: Millis) {
        self.expires = Field::Known(at);
    }

    /// When the record ends; `None`: that is the store's to say.
    pub(crate) fn ends(&self) -> Option<Millis> {
        self.expires_at().or(self.bounds.until.get())
    }

    /// How long each request lets it live; `None`: that is the store's to say.
    pub(crate) fn whole(&self) -> Option<Millis> {
        self.bounds.held_for(self.lifetime(), None)
    }

    /// It has all of its lifetime from then on.
    pub(crate) fn is_whole(&self, at: Millis) -> bool {
        self.ends() == self.whole().map(|lifetime| self.bounds.cut(date::after(at, lifetime)))
    }

    /// There is no later date for it.
    pub(crate) fn ends_at_last(&self) -> bool {
        self.expires_at().is_none_or(|at| at >= self.bounds.cut(date::LAST))
    }

    pub(crate) fn lifetime(&self) -> Option<Millis> {
        self.original_max_age.known().copied()
    }

    pub(crate) fn expires_at(&self) -> Option<Millis> {
        self.expires.known().copied()
    }

    /// `cookie.expires != null`, where JavaScript counts `false` as something.
    pub(crate) fn has_expires(&self) -> bool {
        matches!(self.expires, Field::Known(_) | Field::Other(_))
    }

    /// What differs between this one and `other`.
    pub(crate) fn differing(&self, other: &Self) -> Differing {
        let lifetime = self.original_max_age != other.original_max_age || self.expires != other.expires;
        let (this, that) = (&*self.attributes, &*other.attributes);
        if Arc::ptr_eq(&self.attributes, &other.attributes) {
            return Differing { lifetime, ..Differing::default() };
        }
        Differing {
            lifetime,
            partitioned: this.partitioned != that.partitioned,
            priority: this.priority != that.priority,
            secure: this.secure != that.secure,
            http_only: this.http_only != that.http_only,
            domain: this.domain != that.domain,
            path: this.path != that.path,
            same_site: this.same_site != that.same_site,
        }
    }

    /// These parts of `other`, and the rest of this one.
    pub(crate) fn with(mut self, parts: Differing, other: Self) -> Self {
        fn set<T>(part: bool, to: &mut T, of: T) {
            if part {
                *to = of;
            }
        }
        set(parts.lifetime, &mut self.original_max_age, other.original_max_age);
        set(parts.lifetime, &mut self.expires, other.expires);
        if parts.is_lifetime_at_most() {
            return self;
        }
        let other = Arc::unwrap_or_clone(other.attributes);
        let attributes = self.attributes_mut();
        set(parts.partitioned, &mut attributes.partitioned, other.partitioned);
        set(parts.priority, &mut attributes.priority, other.priority);
        set(parts.secure, &mut attributes.secure, other.secure);
        set(parts.http_only, &mut attributes.http_only, other.http_only);
        set(parts.domain, &mut attributes.domain, other.domain);
        set(parts.path, &mut attributes.path, other.path);
        set(parts.same_site, &mut attributes.same_site, other.same_site);
        self
    }

    /// The attributes of `current`, the lifetime of this one.
    pub(crate) fn with_attributes_of(self, current: Self) -> Self {
        Self { attributes: current.attributes, ..self }
    }

    /// Appends the JSON object, its members in Node's order.
    pub(crate) fn push_json(&self, text: &mut String) {
        text.push('{');
        let mut object = Object { text, first: true };
        // Writing to a String cannot fail.
        let number = |text: &mut String, ms: &Millis| _ = write!(text, "{ms}");
        let boolean = |text: &mut String, value: &bool| text.push_str(if *value { "true" } else { "false" });
        let attributes = &*self.attributes;
        object.member("originalMaxAge", &self.original_max_age, number);
        object.member("partitioned", &attributes.partitioned, boolean);
        object.member("priority", &attributes.priority, |text, word| json::push_string(text, word.as_str()));
        object.member("expires", &self.expires, |text, ms| json::push_string(text, &date::iso(*ms)));
        object.member("secure", &attributes.secure, boolean);
        object.member("httpOnly", &attributes.http_only, boolean);
        object.member("domain", &attributes.domain, |text, value| json::push_string(text, value));
        object.member("path", &attributes.path, |text, value| json::push_string(text, value));
        object.member("sameSite", &attributes.same_site, |text, word| json::push_string(text, word.as_str()));
        text.push('}');
    }
}

thread_local! {
    /// Nearly all sessions of a process have the same attributes.
    static LAST: RefCell<Option<Arc<Attributes>>> = const { RefCell::new(None) };
}

impl Attributes {
    pub(crate) fn plain() -> Self {
        Self {
            partitioned: Field::Absent,
            priority: Field::Absent,
            secure: Field::Absent,
            http_only: Field::Known(true),
            domain: Field::Absent,
            path: Field::Known("/".into()),
            same_site: Field::Absent,
        }
    }

    /// In the place where this thread had them last, if they are the same.
    pub(crate) fn shared(self) -> Arc<Self> {
        // A thread that ends has none any more.
        let last = LAST.try_with(|last| last.borrow().clone()).ok().flatten();
        last.filter(|last| **last == self).unwrap_or_else(|| {
            let new = Arc::new(self);
            _ = LAST.try_with(|last| last.replace(Some(Arc::clone(&new))));
            new
        })
    }
}

/// What Node's `Cookie` holds before the stored members are copied onto it: nothing that would be stored.
impl Default for Unread {
    fn default() -> Self {
        Self { original_max_age: Field::Absent, expires: Field::Null, attributes: Attributes::plain() }
    }
}

impl Unread {
    /// Takes one member of the stored object; members that Node's `Cookie` does not store are passed over.
    pub(crate) fn read_member(&mut self, name: &str, value: &RawValue) {
        let text = value.get();
        let attributes = &mut self.attributes;
        match name {
            "originalMaxAge" => self.original_max_age = Field::read(text, number_of),
            "partitioned" => attributes.partitioned = Field::read(text, boolean_of),
            "priority" => {
                attributes.priority = Field::read(text, |text| Priority::parse(plain_string(text)?));
            }
            "expires" => self.expires = Field::read(text, |text| date::parse(plain_string(text)?)),
            "secure" => attributes.secure = Field::read(text, boolean_of),
            "httpOnly" => attributes.http_only = Field::read(text, boolean_of),
            "domain" => attributes.domain = Field::read(text, string_of),
            "path" => attributes.path = Field::read(text, string_of),
            "sameSite" => {
                attributes.same_site = Field::read(text, |text| SameSite::parse(plain_string(text)?));
            }
            _ => {}
        }
    }

    pub(crate) fn done(self) -> Cookie {
        Cookie {
            original_max_age: self.original_max_age,
            expires: self.expires,
            attributes: self.attributes.shared(),
            bounds: Bounds::default(),
        }
    }
}

/// express-session's own starting point: `path` is `/`, `httpOnly` is true, it lives until the browser closes.
impl Default for Cookie {
    fn default() -> Self {
        Self::plain()
    }
}

impl<T> Field<T> {
    pub(crate) fn known(&self) -> Option<&T> {
        match self {
            Self::Known(value) => Some(value),
            _ => None,
        }
    }

    fn is_truthy(&self, known: impl FnOnce(&T) -> bool) -> bool {
        match self {
            Self::Absent | Self::Null => false,
            Self::Known(value) => known(value),
            Self::Other(json) => json::is_truthy(json),
        }
    }

    fn read(text: &str, known: impl FnOnce(&str) -> Option<T>) -> Self {
        match text {
            "null" => Self::Null,
            text => known(text).map_or_else(|| Self::Other(text.into()), Self::Known),
        }
    }
}

struct Object<'a> {
    text: &'a mut String,
    first: bool,
}

impl Object<'_> {
    fn member<T>(&mut self, name: &str, field: &Field<T>, push: impl FnOnce(&mut String, &T)) {
        if matches!(field, Field::Absent) {
            return;
        }
        if !std::mem::take(&mut self.first) {
            self.text.push(',');
        }
        self.text.push('"');
        self.text.push_str(name);
        self.text.push_str("\":");
        match field {
            Field::Known(value) => push(self.text, value),
            Field::Other(json) => self.text.push_str(json),
            Field::Null | Field::Absent => self.text.push_str("null"),
        }
    }
}

fn number_of(text: &str) -> Option<Millis> {
    // Of a fraction, a Date keeps the whole milliseconds.
    #[expect(clippy::cast_possible_truncation, reason = "saturates, which dates do as well")]
    let whole = |number: f64| number as Millis;
    text.parse().ok().or_else(|| text.parse().ok().map(whole))
}

fn boolean_of(text: &str) -> Option<bool> {
    text.parse().ok()
}

/// A JSON string without escapes; the others are read the long way, or kept as they are.
fn plain_string(text: &str) -> Option<&str> {
    let inside = text.strip_prefix('"')?.strip_suffix('"')?;
    (!inside.contains('\\')).then_some(inside)
}

fn string_of(text: &str) -> Option<Cow<'static, str>> {
    // The path of nearly every cookie.
    if text == "\"/\"" {
        return Some("/".into());
    }
    plain_string(text).map(|plain| plain.to_owned().into()).or_else(|| serde_json::from_str(text).ok())
}

impl SameSite {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Strict => "strict",
            Self::Lax => "lax",
            Self::None => "none",
        }
    }

    fn parse(word: &str) -> Option<Self> {
        [Self::Strict, Self::Lax, Self::None].into_iter().find(|known| known.as_str() == word)
    }
}

impl Priority {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
        }
    }

    fn parse(word: &str) -> Option<Self> {
        [Self::Low, Self::Medium, Self::High].into_iter().find(|known| known.as_str() == word)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Record;

    type Set = (&'static str, fn(&mut Cookie));

    /// Each part of a cookie, changed alone.
    const PARTS: [Set; 8] = [
        ("lifetime", |cookie| cookie.live_for(Some(1), 0)),
        ("partitioned", |cookie| cookie.set_partitioned(true)),
        ("priority", |cookie| cookie.set_priority(Some(Priority::High))),
        ("secure", |cookie| cookie.set_secure(true)),
        ("httpOnly", |cookie| cookie.set_http_only(false)),
        ("domain", |cookie| cookie.set_domain(Some("a.b"))),
        ("path", |cookie| cookie.set_path("/x")),
        ("sameSite", |cookie| cookie.set_same_site(Some(SameSite::Lax))),
    ];

    fn read(cookie: &str) -> Cookie {
        Record::parse(format!(r#"{{"cookie":{cookie}}}"#)).unwrap().cookie
    }

    /// As Node does, whose records may have anything.
    #[test]
    fn same_site_is_a_word_in_any_case_or_true() {
        for (json, is) in [
            ("true", Some(SameSite::Strict)),
            (r#""STRICT""#, Some(SameSite::Strict)),
            (r#""Lax""#, Some(SameSite::Lax)),
            (r#""none""#, Some(SameSite::None)),
            ("false", None),
            ("null", None),
            (r#""other""#, None),
        ] {
            assert_eq!(read(&format!(r#"{{"sameSite":{json}}}"#)).same_site(), is, "{json}");
        }
    }

    #[test]
    fn a_touch_gives_the_whole_lifetime_again_or_what_javascript_makes_of_it() {
        let end = r#""expires":"2026-01-02T03:04:05.678Z""#;
        for (age, expires) in [
            ("1000", r#""1970-01-01T00:00:02.000Z""#),
            ("null", "null"),
            ("false", "false"),
            (r#""""#, r#""""#),
            // It refuses these, and leaves the end where it was.
            ("true", r#""2026-01-02T03:04:05.678Z""#),
            (r#""1000""#, r#""2026-01-02T03:04:05.678Z""#),
        ] {
            let mut cookie = read(&format!(r#"{{"originalMaxAge":{age},{end}}}"#));
            cookie.touch(1_000);
            let mut text = String::new();
            cookie.push_json(&mut text);
            let expected = format!(r#"{{"originalMaxAge":{age},"expires":{expires},"#);
            assert!(text.starts_with(&expected), "{text}");
        }
    }

    #[test]
    fn an_end_alone_is_a_difference_and_so_is_an_age_alone() {
        let of = |age: u32, end: u32| {
            read(&format!(r#"{{"originalMaxAge":{age},"expires":"2026-01-02T03:04:0{end}.000Z"}}"#))
        };
        let lifetime = Differing { lifetime: true, ..Differing::default() };
        assert_eq!(of(1, 1).differing(&of(1, 2)), lifetime);
        assert_eq!(of(1, 1).differing(&of(2, 1)), lifetime);
        assert_eq!(of(1, 1).differing(&of(1, 1)), Differing::default());
    }

    #[test]
    fn each_part_is_told_from_the_others_and_taken_alone() {
        let plain = Cookie::plain();
        let mut all = plain.clone();
        PARTS.iter().for_each(|(_, set)| set(&mut all));
        let everything = all.differing(&plain);
        for (name, set) in PARTS {
            let mut one = plain.clone();
            set(&mut one);
            let differs = one.differing(&plain);
            assert!(!differs.is_nothing() && differs != everything, "{name}");
            assert_eq!(plain.clone().with(differs, all.clone()), one, "{name}");
            assert_eq!(plain.clone().with(Differing::default().or(differs), all.clone()), one, "{name}");
            assert_eq!(plain.clone().with(differs.and(everything), all.clone()), one, "{name}");
            assert_eq!(plain.clone().with(everything.and(differs), all.clone()), one, "{name}");
            assert!(differs.and(Differing::default()).is_nothing(), "{name}");
            assert!(Differing::default().and(differs).is_nothing(), "{name}");
            for (other, set) in PARTS.iter().filter(|(other, _)| *other != name) {
                let mut two = plain.clone();
                set(&mut two);
                assert!(differs.and(two.differing(&plain)).is_nothing(), "{name} {other}");
            }
        }
        let or = |all: Differing, (_, set): &Set| {
            let mut one = plain.clone();
            set(&mut one);
            all.or(one.differing(&plain))
        };
        assert_eq!(PARTS.iter().fold(Differing::default(), or), everything);
    }

    #[test]
    fn a_touch_adds_no_member_to_the_record() {
        for cookie in ["{}", r#"{"expires":null}"#, r#"{"originalMaxAge":null,"expires":null}"#] {
            let mut record = Record::parse(format!(r#"{{"cookie":{cookie}}}"#)).unwrap();
            record.cookie.touch(0);
            let has_date = cookie.contains("originalMaxAge");
            assert_eq!(record.to_json().contains("expires"), has_date, "{cookie}");
        }
    }
}
