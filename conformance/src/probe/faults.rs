//! Stores that do not do as they are told: one that fails or waits when a configuration says so, and one with a fault of the kind that the
//! comparison has to find.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use express_session::{
    AdminStore, Cookie, Destroyed, Expect, Record, Set, Sid, Store, StoreError, Stored, Touched, async_trait,
};

use super::gates;

/// What is wrong with a probe on purpose. The library has no part in it: each sits in a store around the store, in a layer
/// around the layer, or in what the probe makes of an operation.
#[derive(Clone, Copy, Debug, PartialEq)]
#[expect(missing_docs, reason = "the name is what happens")]
pub enum Fault {
    TouchDoesNothing,
    ExpiryInWholeSeconds,
    ExpiryAnHourOff,
    OriginalMaxAgeOff,
    ExpiryColumnAnHourOff,
    DropsKey,
    ReordersKeys,
    RespellsText,
    SkipsSecondSave,
    KeepsDestroyed,
    LeavesStrayRecord,
    LosesSession,
    RegenerateKeepsId,
    ReloadDoesNothing,
    ExplicitSaveDoesNothing,
    UnsetKeeps,
    CookieWithoutHttpOnly,
    CookieTwice,
    CookieExpiresASecondOff,
    CookieInLowerCaseHex,
    CookieNotWithHead,
    HeaderRemoved,
    ContentTypeChanged,
    ErrorBecomesSuccess,
    AnotherSecretAccepted,
    LastCookieCounts,
    TlsNotSeen,
    OuterLayerLeftOut,
    CapitalsTrusted,
    ClientsIdAdopted,
    CorruptIsUnavailable,
}

impl Fault {
    /// By the names of a configuration's `fault`.
    pub const ALL: [(&'static str, Self); 31] = [
        ("touchDoesNothing", Self::TouchDoesNothing),
        ("expiryInWholeSeconds", Self::ExpiryInWholeSeconds),
        ("expiryAnHourOff", Self::ExpiryAnHourOff),
        ("originalMaxAgeOff", Self::OriginalMaxAgeOff),
        ("expiryColumnAnHourOff", Self::ExpiryColumnAnHourOff),
        ("dropsKey", Self::DropsKey),
        ("reordersKeys", Self::ReordersKeys),
        ("respellsText", Self::RespellsText),
        ("skipsSecondSave", Self::SkipsSecondSave),
        ("keepsDestroyed", Self::KeepsDestroyed),
        ("leavesStrayRecord", Self::LeavesStrayRecord),
        ("losesSession", Self::LosesSession),
        ("regenerateKeepsId", Self::RegenerateKeepsId),
        ("reloadDoesNothing", Self::ReloadDoesNothing),
        ("explicitSaveDoesNothing", Self::ExplicitSaveDoesNothing),
        ("unsetKeeps", Self::UnsetKeeps),
        ("cookieWithoutHttpOnly", Self::CookieWithoutHttpOnly),
        ("cookieTwice", Self::CookieTwice),
        ("cookieExpiresASecondOff", Self::CookieExpiresASecondOff),
        ("cookieInLowerCaseHex", Self::CookieInLowerCaseHex),
        ("cookieNotWithHead", Self::CookieNotWithHead),
        ("headerRemoved", Self::HeaderRemoved),
        ("contentTypeChanged", Self::ContentTypeChanged),
        ("errorBecomesSuccess", Self::ErrorBecomesSuccess),
        ("anotherSecretAccepted", Self::AnotherSecretAccepted),
        ("lastCookieCounts", Self::LastCookieCounts),
        ("tlsNotSeen", Self::TlsNotSeen),
        ("outerLayerLeftOut", Self::OuterLayerLeftOut),
        ("capitalsTrusted", Self::CapitalsTrusted),
        ("clientsIdAdopted", Self::ClientsIdAdopted),
        ("corruptIsUnavailable", Self::CorruptIsUnavailable),
    ];

    /// It shows where records cannot be read, which the comparison makes of those in a database.
    pub fn needs_database(self) -> bool {
        self == Self::CorruptIsUnavailable
    }

    /// It sits around the session layer, which only one probe lets it.
    pub fn needs_layer(self) -> bool {
        matches!(
            self,
            Self::CookieWithoutHttpOnly
                | Self::CookieTwice
                | Self::CookieExpiresASecondOff
                | Self::CookieInLowerCaseHex
                | Self::CookieNotWithHead
                | Self::HeaderRemoved
                | Self::ContentTypeChanged
                | Self::ErrorBecomesSuccess
                | Self::LastCookieCounts
                | Self::TlsNotSeen
        )
    }
}

/// A verb of a store.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Verb {
    Get,
    Set,
    Touch,
    Destroy,
}

/// What strikes one call of a verb.
#[derive(Debug)]
pub(super) struct Strike {
    verb: Verb,
    /// How many of its calls are left before that one.
    left: AtomicU64,
    /// Where it waits; else it fails.
    gate: Option<String>,
}

impl Strike {
    pub(super) fn new(verb: Verb, call: u64, gate: Option<String>) -> Self {
        Self { verb, left: AtomicU64::new(call), gate }
    }
}

/// A store around the configured one.
#[derive(Debug)]
pub(super) struct Unreliable {
    inner: Arc<dyn AdminStore>,
    fault: Option<Fault>,
    strikes: Vec<Strike>,
    touches: bool,
    calls: AtomicU64,
}

impl Unreliable {
    pub(super) fn new(
        inner: Arc<dyn AdminStore>,
        fault: Option<Fault>,
        strikes: Vec<Strike>,
        touches: bool,
    ) -> Self {
        Self { inner, fault, strikes, touches, calls: AtomicU64::new(0) }
    }

    fn has(&self, fault: Fault) -> bool {
        self.fault == Some(fault)
    }

    /// True with every so many calls.
    fn every(&self, calls: u64) -> bool {
        self.calls.fetch_add(1, Ordering::Relaxed) % calls == calls - 1
    }

    async fn strike(&self, verb: Verb) -> Result<(), StoreError> {
        for strike in self.strikes.iter().filter(|strike| strike.verb == verb) {
            if strike.left.fetch_sub(1, Ordering::Relaxed) == 1 {
                match &strike.gate {
                    Some(gate) => gates::wait(gate).await,
                    None => return Err(StoreError::unavailable("probe", "the store was told to fail")),
                }
            }
        }
        Ok(())
    }

    /// The record as it is written.
    fn altered(&self, record: &Record) -> Option<Record> {
        match self.fault? {
            Fault::ExpiryInWholeSeconds => moved(record, whole_seconds, Duration::ZERO),
            Fault::ExpiryAnHourOff => moved(record, |end| end + HOUR, Duration::ZERO),
            Fault::OriginalMaxAgeOff => moved(record, |end| end, Duration::from_millis(1)),
            Fault::DropsKey => rewritten(record, |members| drop(members.pop())),
            Fault::ReordersKeys => rewritten(record, |members| members.reverse()),
            Fault::RespellsText => rewritten(record, |members| {
                members.iter_mut().for_each(|(_, json)| *json = json.replace('é', "\\u00e9"));
            }),
            _ => None,
        }
    }
}

const HOUR: Duration = Duration::from_secs(3_600);

fn whole_seconds(time: SystemTime) -> SystemTime {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    UNIX_EPOCH + Duration::from_secs(since.as_secs())
}

/// Another end, and a lifetime that is shorter by so much.
fn moved(record: &Record, end: impl FnOnce(SystemTime) -> SystemTime, less: Duration) -> Option<Record> {
    let mut record = record.clone();
    let (at, age) = (end(record.cookie.expires()?), record.cookie.original_max_age()?);
    record.cookie.set_expires(Some(at), at - age.saturating_sub(less));
    Some(record)
}

/// Other data under the same cookie.
fn rewritten(record: &Record, change: impl FnOnce(&mut Vec<(String, String)>)) -> Option<Record> {
    let mut members: Vec<_> =
        record.data.iter().map(|(key, json)| (key.to_owned(), json.to_owned())).collect();
    change(&mut members);
    let cookie = Record::new(record.cookie.clone(), express_session::Data::new()).to_json();
    let members: String =
        members.iter().map(|(key, json)| format!(",{}:{json}", serde_json::Value::from(&**key))).collect();
    Record::parse(format!("{}{members}}}", cookie.strip_suffix('}')?)).ok()
}

#[async_trait]
impl Store for Unreliable {
    async fn get(&self, sid: &Sid) -> Result<Option<Stored>, StoreError> {
        self.strike(Verb::Get).await?;
        if self.has(Fault::LosesSession) && self.every(20) {
            return Ok(None);
        }
        match self.inner.get(sid).await {
            Err(StoreError::Corrupt { store, source }) if self.has(Fault::CorruptIsUnavailable) => {
                Err(StoreError::Unavailable { store, source })
            }
            got => got,
        }
    }

    async fn set(&self, sid: &Sid, record: &Record, expect: &Expect) -> Result<Set, StoreError> {
        self.strike(Verb::Set).await?;
        if self.has(Fault::SkipsSecondSave)
            && let Expect::Version(version) = expect
        {
            return Ok(Set::Written(version.clone()));
        }
        let altered = self.altered(record);
        let record = altered.as_ref().unwrap_or(record);
        let set = self.inner.set(sid, record, expect).await?;
        if self.has(Fault::LeavesStrayRecord) && self.every(10) {
            self.inner.set(&Sid::random(), record, &Expect::Nothing).await?;
        }
        if self.has(Fault::ExpiryColumnAnHourOff)
            && let Some(later) = moved(record, |end| end + HOUR, Duration::ZERO)
        {
            self.inner.touch(sid, &later.cookie, &Expect::Anything).await?;
        }
        Ok(set)
    }

    async fn touch(&self, sid: &Sid, cookie: &Cookie, expect: &Expect) -> Result<Touched, StoreError> {
        self.strike(Verb::Touch).await?;
        if !self.touches {
            return Ok(Touched::Skipped);
        }
        if self.has(Fault::TouchDoesNothing) {
            return Ok(Touched::Moved);
        }
        self.inner.touch(sid, cookie, expect).await
    }

    async fn destroy(&self, sid: &Sid, expect: &Expect) -> Result<Destroyed, StoreError> {
        self.strike(Verb::Destroy).await?;
        if self.has(Fault::KeepsDestroyed) {
            return Ok(Destroyed::Destroyed);
        }
        self.inner.destroy(sid, expect).await
    }
}
