//! What a request's cookies come to.

use std::{
    cmp::Reverse,
    collections::VecDeque,
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
};

use base64::{
    Engine, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};

use super::{
    chunks,
    json::{self, Numbers},
    options::ClientSide,
    sealed::{Front, Opened},
};
use crate::{
    record::data::Data,
    request::RequestInfo,
    wire::{date::Millis, keygrip::Keygrip},
};

/// What came with the request.
#[derive(Default)]
pub(crate) struct Came {
    /// The text of the cookie of the name.
    pub(super) value: Option<String>,
    /// A session was read of it.
    pub(super) is_read: bool,
    /// What becomes of its signature.
    pub(super) signature: Signature,
    /// Of one that was sealed: what was in front of its data, and what these print as.
    pub(crate) front: Option<Front>,
    /// What else opens, the younger first.
    others: VecDeque<(String, Opened)>,
    /// What opens behind all of these: it is signed only.
    signed: Option<Box<(String, Data)>>,
    /// Of these, once one was chosen: each would step into its place.
    pub(crate) beside: Vec<Front>,
    pub(super) printed: Option<String>,
    /// The client has chunks.
    has_chunks: bool,
    /// It is to be sealed anew, by the first secret.
    pub(super) is_to_reseal: bool,
    /// It was signed, and not sealed: the client has a cookie of its signature.
    pub(super) was_signed: bool,
    /// The name came more than once.
    pub(crate) has_duplicates: bool,
    /// What goes with the lock of the session's life: how many changes there were that an atomic one must see, whether the session ends on a
    /// date, and whether the handler has ended what came.
    pub(crate) changes: AtomicU32,
    pub(crate) is_dated: AtomicBool,
    pub(super) has_ended: AtomicBool,
    is_another: AtomicBool,
    /// What came is to be revoked, and was; or somebody else has revoked it.
    is_to_be_revoked: AtomicBool,
    pub(crate) is_revoked: AtomicBool,
    is_gone: AtomicBool,
    /// The handler has ended it, and not only renewed its id: what is beside it is to be revoked as well, and was.
    is_to_end: AtomicBool,
    pub(crate) beside_is_revoked: AtomicBool,
    /// The data as they were under the id that was renewed: these can be sent.
    kept: Mutex<Option<Arc<Data>>>,
    /// What the response has sent, and whether that was to be ended after it, and is.
    pub(crate) sent: OnceLock<Front>,
    pub(crate) is_to_end_late: AtomicBool,
    pub(crate) has_ended_late: AtomicBool,
    /// By which this request knows its own revocation.
    pub(crate) token: u64,
}

impl Came {
    /// The handler has put another session into its place. `ends`: and wants that to be no more.
    pub(crate) fn is_another(&self, ends: bool) {
        self.changes.fetch_add(1, Ordering::Relaxed);
        self.has_ended.fetch_or(ends, Ordering::Relaxed);
        self.is_to_end.fetch_or(ends, Ordering::Relaxed);
        self.is_another.store(true, Ordering::Relaxed);
        self.keeps(None);
        self.revokes();
    }

    /// A logout.
    pub(crate) fn ends(&self) {
        self.revokes();
        self.logs_out();
    }

    /// And of what came beside it.
    pub(crate) fn logs_out(&self) {
        self.is_to_end.store(true, Ordering::Relaxed);
    }

    /// The client is to forget what came.
    pub(crate) fn is_to_end(&self) -> bool {
        self.is_to_end.load(Ordering::Relaxed)
    }

    /// For the case that later ones cannot be sent.
    pub(crate) fn keeps(&self, data: Option<Arc<Data>>) {
        *self.kept.lock().unwrap_or_else(PoisonError::into_inner) = data;
    }

    pub(crate) fn kept(&self) -> Option<Arc<Data>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What came is to open no more.
    pub(crate) fn revokes(&self) {
        self.is_to_be_revoked.store(true, Ordering::Relaxed);
    }

    /// Also where that is done.
    pub(crate) fn has_begun_to_revoke(&self) -> bool {
        self.is_to_be_revoked.load(Ordering::Relaxed)
    }

    /// What was sent is still to be ended.
    pub(crate) fn owes_a_late_end(&self) -> bool {
        self.is_to_end_late.load(Ordering::Relaxed) && !self.has_ended_late.load(Ordering::Relaxed)
    }

    /// That was not done yet, or not of all.
    pub(crate) fn owes_a_revocation(&self) -> bool {
        self.owes_its_own_revocation() || self.owes_those_beside()
    }

    pub(crate) fn owes_its_own_revocation(&self) -> bool {
        self.is_to_be_revoked.load(Ordering::Relaxed) && !self.is_revoked.load(Ordering::Relaxed)
    }

    pub(crate) fn owes_those_beside(&self) -> bool {
        !self.beside.is_empty() && self.is_to_end() && !self.beside_is_revoked.load(Ordering::Relaxed)
    }

    /// Somebody else was faster to end it, or to renew its id.
    pub(crate) fn goes(&self) {
        self.is_gone.store(true, Ordering::Relaxed);
    }

    /// And no other session is in its place.
    pub(crate) fn is_gone(&self) -> bool {
        self.is_gone.load(Ordering::Relaxed) && !self.is_another_one()
    }

    /// The others are not asked for any more.
    pub(crate) fn chosen(mut self) -> Self {
        self.beside = std::mem::take(&mut self.others).into_iter().map(|(_, other)| other.front).collect();
        self
    }

    /// The sealed texts that came in chunks. The client has those that came, whether they are one text or not.
    fn joined(&mut self, header: &str, name: &str) -> Vec<String> {
        let parts: [Vec<&str>; chunks::MOST] = std::array::from_fn(|number| {
            values_of(header, &chunks::name_of(name, number)).take(CANDIDATES).collect()
        });
        self.has_chunks = parts.iter().any(|values| !values.is_empty());
        self.has_duplicates |= parts.iter().any(|values| values.len() > 1);
        chunks::join(&parts)
    }

    /// The client has something of the name, readable or not.
    pub(super) fn has_any(&self) -> bool {
        self.value.is_some() || self.has_chunks
    }

    /// Another session is in its place.
    pub(crate) fn is_another_one(&self) -> bool {
        self.is_another.load(Ordering::Relaxed)
    }

    /// The next one that opens, and behind all that are sealed the one that is signed; `None`: there is no session.
    pub(crate) fn next_sealed(&mut self) -> Option<Arc<Data>> {
        let next = self.others.pop_front();
        (self.is_read, self.is_to_reseal) =
            (next.is_some(), next.as_ref().is_some_and(|(_, next)| next.by_older));
        let Some((value, Opened { front, data, .. })) = next else {
            (self.front, self.printed) = (None, None);
            let (value, data) = *self.signed.take()?;
            (self.is_read, self.is_to_reseal, self.was_signed) = (true, true, true);
            return Some(self.is(value, data));
        };
        self.front = Some(front);
        Some(self.is(value, data))
    }

    fn is(&mut self, value: String, data: Data) -> Arc<Data> {
        self.value = Some(value);
        self.printed = Some(json::stringify(&data));
        Arc::new(data)
    }
}

#[derive(Default, PartialEq)]
pub(super) enum Signature {
    /// It stays.
    #[default]
    Stays,
    /// None of the keys has made it.
    Forged,
    /// An older key has made it.
    Old,
}

/// As long as all headers together may be for Node. Browsers keep a quarter of that.
pub(super) const LONGEST: usize = 16 << 10;

/// So many cookies of one name are looked at, as of those with an id.
const CANDIDATES: usize = 8;

/// cookie-session's bytes: of either alphabet, junk skipped, and read up to the first `=`.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// The session in the cookie; none where there is no cookie, or it is not what it should be. `is_dated`: by the options it ends on a date.
///
/// cookie-session looks at the first cookie of the name only, which may be another application's: the new profile takes the first that is
/// ours.
pub(crate) fn read(
    request: &RequestInfo<'_>,
    name: &str,
    client: &ClientSide,
    is_dated: bool,
    now: Millis,
) -> (Option<Arc<Data>>, Came) {
    let header = header_of(request);
    let mut came = Came { is_dated: is_dated.into(), ..Came::default() };
    let candidates = if client.is_node { 1 } else { CANDIDATES };
    let values: Vec<&str> = values_of(&header, name).take(CANDIDATES).collect();
    came.has_duplicates = values.len() > 1;
    let joined = match &client.sealing {
        Some(sealing) if sealing.chunks => came.joined(&header, name),
        _ => Vec::new(),
    };
    let joined = || joined.iter().map(String::as_str);
    let Some(first) = values.first().copied().or(joined().next()) else { return (None, came) };
    let values = &values[..values.len().min(candidates)];
    if let Some(sealing) = &client.sealing {
        let all = values.iter().copied().chain(joined()).filter(|value| value.len() <= LONGEST);
        let opened = all.filter_map(|value| Some((value.to_owned(), sealing.open(value, now)?)));
        came.others = younger_first(opened.collect());
        came.token = rand::random();
        if let Some(data) = came.next_sealed() {
            // Each of those that are sealed may be found to have ended.
            if let (Some(keys), Some(_)) = (&client.keys, &sealing.revocations) {
                let ours = verified(keys, name, values, &signatures_of(&header, name, candidates));
                let read =
                    |(value, _): (&str, bool)| Some((value.to_owned(), decode(value, Numbers::Exact)?));
                came.signed = ours.and_then(read).map(Box::new);
            }
            return (Some(data), came);
        }
        if client.keys.is_none() {
            came.value = Some(first.to_owned());
            return (None, came);
        }
    }
    let ours = match &client.keys {
        None => Some(first),
        Some(keys) => {
            let signatures = signatures_of(&header, name, candidates);
            let ours = verified(keys, name, values, &signatures);
            came.signature = match ours {
                Some((_, true)) => Signature::Old,
                None if !signatures.is_empty() => {
                    tracing::debug!(why = "the signature is not ours", "session cookie refused");
                    Signature::Forged
                }
                _ => Signature::Stays,
            };
            ours.map(|(value, _)| value)
        }
    };
    came.value = Some(ours.unwrap_or(first).to_owned());
    let Some(value) = ours else { return (None, came) };
    let numbers = if client.is_node { Numbers::JavaScript } else { Numbers::Exact };
    let data = decode(value, numbers);
    if data.is_none() {
        tracing::debug!(why = "the payload is no session", "session cookie refused");
    }
    came.is_read = data.is_some();
    // It is sealed from now on, where it has room.
    if client.sealing.is_some() {
        came.printed = data.as_ref().map(json::stringify);
    }
    came.was_signed = client.sealing.is_some();
    came.is_to_reseal = came.was_signed && came.is_read;
    (data.map(Arc::new), came)
}

/// Of two that open the younger one is the session: the other has been left behind. Of two copies of one there is no other to ask for.
fn younger_first(mut opened: Vec<(String, Opened)>) -> VecDeque<(String, Opened)> {
    opened.sort_by_key(|(_, opened)| Reverse(opened.front.renewed));
    let mut each = VecDeque::<(String, Opened)>::new();
    for (value, next) in opened {
        match each.iter_mut().find(|(_, younger)| younger.front.is_of_one_session_with(&next.front)) {
            Some((_, younger)) => younger.front.outlives(&next.front),
            None => each.push_back((value, next)),
        }
    }
    each
}

fn signatures_of<'a>(header: &'a str, name: &str, candidates: usize) -> Vec<&'a str> {
    let name = format!("{name}.sig");
    values_of(header, &name).take(candidates).filter(|signature| !signature.is_empty()).collect()
}

/// The first value that one of the keys has signed, and whether that was an older one. What is too long to be read is not hashed either.
fn verified<'a>(
    keys: &Keygrip,
    name: &str,
    values: &[&'a str],
    signatures: &[&str],
) -> Option<(&'a str, bool)> {
    if signatures.is_empty() {
        return None;
    }
    values.iter().filter(|value| value.len() <= LONGEST).find_map(|value| {
        let key = keys.verify_one_of(&format!("{name}={value}"), signatures)?;
        Some((*value, key > 0))
    })
}

/// The headers as Node joins them, and Latin-1 as Node reads them.
fn header_of(request: &RequestInfo<'_>) -> String {
    let mut all = String::new();
    request.each_header(&mut |name, value| {
        if name.eq_ignore_ascii_case("cookie") {
            if !all.is_empty() {
                all.push_str("; ");
            }
            all.extend(value.iter().map(|&byte| char::from(byte)));
        }
    });
    all
}

/// Those of the name: spaces before it fall away, behind its value they do not. After an opening quote the last letter is taken for
/// the closing one.
fn values_of<'a>(header: &'a str, name: &str) -> impl Iterator<Item = &'a str> {
    let named = move |pair: &'a str| pair.trim_start_matches(' ').strip_prefix(name)?.strip_prefix('=');
    header.split(';').filter_map(named).map(|value| match value.strip_prefix('"') {
        Some(inside) => inside.char_indices().next_back().map_or("", |(last, _)| &inside[..last]),
        None => value,
    })
}

fn decode(value: &str, numbers: Numbers) -> Option<Data> {
    if value.is_empty() || value.len() > LONGEST {
        return None;
    }
    let letters = value.bytes().take_while(|byte| *byte != b'=').filter_map(|byte| match byte {
        b'-' => Some(b'+'),
        b'_' => Some(b'/'),
        byte if byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/') => Some(byte),
        _ => None,
    });
    let mut letters: Vec<u8> = letters.collect();
    // Six bits are no byte.
    if letters.len() % 4 == 1 {
        letters.pop();
    }
    let bytes = LENIENT.decode(letters).ok()?;
    json::parse(&String::from_utf8_lossy(&bytes), numbers)
}
