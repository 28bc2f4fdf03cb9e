//! As `faults.rs`, with faults of the rarer kind: in sessions without an end or nearly at it, in odd contents, in versions,
//! and in what calls and processes do to each other.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

mod wrong;

use std::{
    collections::{HashMap, HashSet},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use session_core::{
    AdminStore, Clock, Cookie, Data, Destroyed, Expect, MemoryStore, Record, SameSite, Set, Sid, Store,
    StoreError, Stored, Touched, Version, async_trait,
};
use session_testkit::{Fixture, ManualClock};
use tokio::{sync::Semaphore, task::yield_now};
use wrong::{DAY, faults, is_unreadable, planted, unreadable};

// Stores of faults that are called `ForEver` are opened without a time to live.
faults! {
    /// A write holds for the `originalMaxAge`.
    SetGoesByTheMaxAge =>
        lifetimes::the_end_is_expires_and_not_the_original_max_age: "Some(20s) is left, and not Some(40s)",
    /// A touch holds for the `originalMaxAge`.
    TouchGoesByTheMaxAge =>
        lifetimes::the_end_is_expires_and_not_the_original_max_age: "Some(20s) is left, and not Some(40s)",
    /// Zero is taken for no end, and so for the time to live.
    EpochIsForTheTtl =>
        lifetimes::what_ended_at_the_epoch_has_expired: "left: Written(Version(…)) right: Expired",
    /// Zero is taken for no end.
    EpochIsForEver =>
        lifetimes::what_ended_at_the_epoch_has_expired: "left: Written(Version(…)) right: Expired",
    /// What is left is cut to zero seconds, and these are taken for no end, and so for the time to live.
    LastSecondIsForTheTtl =>
        lifetimes::what_has_less_than_a_second_left_is_written_and_ends: "Some(86400s) is left",
    /// What is left is cut to zero seconds, and these are taken for no end.
    LastSecondIsForEver => lifetimes::what_has_less_than_a_second_left_is_written_and_ends: "None is left",
    /// The same, by a touch.
    TouchedLastSecondIsForTheTtl =>
        lifetimes::what_has_less_than_a_second_left_is_written_and_ends: "Some(86400s) is left",
    /// Zero seconds are refused by the database.
    LastSecondIsAnError =>
        lifetimes::what_has_less_than_a_second_left_is_written_and_ends:
        r#"Unavailable { store: "faulty", source: "the database refuses it" }"#,
    /// Zero seconds are called expired.
    LastSecondIsExpired => lifetimes::what_has_less_than_a_second_left_is_written_and_ends: "999ms: Expired",
    /// Expiries are nanoseconds of 64 bits, and later ones have passed.
    ExpiriesEndIn2262 => lifetimes::what_ends_in_the_year_9999_is_held: "Some(1ms) is left",
    /// Nothing is held for longer than browsers keep a cookie.
    LifetimesEndAfter400Days => lifetimes::what_ends_in_the_year_9999_is_held: "Some(34560000s) is left",
    /// A write without `expires` keeps the end of the time to live that was there.
    TtlIsNotBegunAnew =>
        lifetimes::a_write_without_expires_begins_the_time_to_live_anew: "Some(86396.8s) is left",

    /// What has no date is held for the time to live, however long it may lie unused.
    NoDateIsForTheTtl =>
        lifetimes::a_cookie_without_expires_is_held_as_long_as_it_may_lie_unused: "Some(86400s) is left, and not Some(40s)",
    /// The same, by a touch.
    TouchWithoutDateIsForTheTtl =>
        lifetimes::a_cookie_without_expires_is_held_as_long_as_it_may_lie_unused: "Some(86400s) is left, and not Some(40s)",
    /// A record is made anew of its cookie and its data.
    TimesAreLost => lifetimes::the_times_of_a_session_stay_with_it: "its times are its own",
    /// And which ids it has had is kept nowhere.
    IdsAreLost => lifetimes::the_times_of_a_session_stay_with_it: "its times are its own",

    /// To take the end from what has none is called unknown, as by `PERSIST`.
    TouchFromForEverToForEverIsUnknown =>
        lifetimes::what_has_no_expires_is_held_to_every_verb: "Anything left: Unknown right: Moved",
    /// A touch asks for an end after now, and what has none is not found.
    TouchSeesNoForEver =>
        lifetimes::what_has_no_expires_is_held_to_every_verb: "Nothing left: Unknown right: Conflict",
    /// The same, of a touch that expects nothing.
    TouchOfNothingSeesNoForEver =>
        lifetimes::what_has_no_expires_is_held_to_every_verb: "Nothing left: Unknown right: Conflict",
    /// What has no end is touched whatever was expected.
    TouchOfForEverAsksForNoCondition =>
        lifetimes::what_has_no_expires_is_held_to_every_verb: "Nothing left: Moved right: Conflict",
    /// What has no end is overwritten by who expects nothing.
    CreateOverForEver =>
        lifetimes::what_has_no_expires_is_held_to_every_verb:
        "Nothing left: Written(Version(…)) right: Conflict",
    /// Who expects nothing and finds what has no end gives it one.
    CreateMovesForEver =>
        lifetimes::what_has_no_expires_is_held_to_every_verb: "Some(40s) is left, and not None",
    /// A write on a version does not find what has no end.
    SetIfSeesNoForEver =>
        lifetimes::what_has_no_expires_is_held_to_every_verb:
        "what was expected is held, and the write is refused: Conflict",
    /// A destruction of a version does not find what has no end.
    DestroyIfSeesNoForEver =>
        lifetimes::what_has_no_expires_is_held_to_every_verb: "left: Unknown right: Conflict",
    /// The same, of a destruction that expects nothing.
    DestroyOfNothingSeesNoForEver =>
        lifetimes::what_has_no_expires_is_held_to_every_verb: "Nothing left: Unknown right: Conflict",
    /// What has no end is destroyed whatever was expected.
    DestroyOfForEverAsksForNoCondition =>
        lifetimes::what_has_no_expires_is_held_to_every_verb: "Nothing left: Destroyed right: Conflict",
    /// What has no end is pruned.
    PruneRemovesForEver =>
        lifetimes::what_has_no_expires_is_listed_and_never_pruned: "ids shows what is held",
    /// What has no end is neither counted nor listed.
    ListsShowNoForEver => lifetimes::what_has_no_expires_is_listed_and_never_pruned: "ids shows what is held",
    /// What has no end is not cleared.
    ClearLeavesForEver => lifetimes::what_has_no_expires_is_listed_and_never_pruned: "it is not cleared",
    /// What is removed every quarter of an hour, beside a write, is what has no end.
    PruneByTheWayRemovesForEver => lifetimes::what_is_removed_by_the_way_has_expired: "it has not expired",
    /// What is removed every quarter of an hour is what has less than half an hour left.
    PruneByTheWayIsEarly => lifetimes::what_is_removed_by_the_way_has_expired: "it has not expired",

    /// A session without data is overwritten by who expects nothing.
    CreateOverTheEmpty =>
        lifetimes::what_has_no_expires_is_held_to_every_verb:
        "Nothing left: Written(Version(…)) right: Conflict",
    /// Who expects nothing and finds something moves its end: `SETNX`, then `EXPIRE`.
    CreateMovesWhatIsHeld =>
        lifetimes::what_has_no_expires_is_held_to_every_verb: "Some(40s) is left, and not Some(86400s)",
    /// A session without data is not listed.
    AllShowsNoEmptyRecord =>
        lifetimes::what_has_no_expires_is_listed_and_never_pruned: "all shows what is held",

    /// A key with a dot is a path.
    DottedKeysArePaths => contents::odd_keys_and_values_come_back: r#"left: Some([("a", "{"b":2}")"#,
    /// Keys lose quotes and backslashes.
    QuotesInKeysAreLost => contents::odd_keys_and_values_come_back: r#"left: Some([("ab", "2")"#,
    /// Keys become lower case.
    KeysHaveNoCase => contents::odd_keys_and_values_come_back: r#"left: Some([("a.b", "1"), ("a", "3")"#,
    /// Letters of keys beyond ASCII become question marks.
    KeysAreAscii => contents::odd_keys_and_values_come_back: r#"("?", "3")"#,
    /// The key without a letter is left out.
    TheEmptyKeyIsLost => contents::odd_keys_and_values_come_back: r#"left: Some([("é", "2")"#,
    /// Keys that are named as the store's own fields are left out.
    OwnFieldsHideKeys =>
        contents::odd_keys_and_values_come_back: r#"left: Some([("id", "2"), ("expire", "4")"#,
    /// Texts lose line ends and tabs.
    ControlsAreLost => contents::odd_keys_and_values_come_back: r#"("ab", "3")"#,
    /// Numbers are written with fifteen digits.
    FloatsAreShort => contents::odd_keys_and_values_come_back: r#"("f", "0.3")"#,
    /// A touch changes a key of the data that is named as a field of the cookie.
    TouchWritesIntoKeysNamedExpires => contents::odd_keys_and_values_come_back: r#"("expires", ""now"")"#,
    /// What is nested deeper than a hundred is written, and cannot be read.
    DeepIsUnreadable =>
        contents::what_is_nested_deep_is_held_or_refused:
        r#"Corrupt { store: "faulty", source: "it was planted so" }"#,
    /// A write without an attribute keeps the one that was there.
    AttributesCoalesce =>
        contents::the_cookie_is_that_of_the_last_write:
        r#""domain":"example.com","path":"/","sameSite":"strict"},"a":1}" right:"#,
    /// The cookie's priority is not kept.
    PriorityIsLost => contents::the_cookie_is_that_of_the_last_write: r#""priority":"high""#,
    /// `SameSite=Lax` is taken for the default, and not kept.
    LaxIsLost => contents::the_cookie_is_that_of_the_last_write: r#""path":"/","sameSite":"lax"},"a":1}""#,
    /// Letters of the cookie's path beyond ASCII become question marks.
    PathsAreAscii => contents::the_cookie_is_that_of_the_last_write: r#""path":"/? '"#,
    /// A large record cannot be touched.
    TouchOfLargeIsAnError =>
        contents::a_large_record_is_touched:
        r#"Unavailable { store: "faulty", source: "the database refuses it" }"#,
    /// A long sid is refused by writes, and cut by reads.
    LongSidsAreCutByGet => contents::a_sid_that_is_refused_reaches_nothing: "another one's session",

    /// A version is a byte that stays at its last value.
    VersionsEndAt127 =>
        contents::no_version_comes_again_after_many_writes: "write 127 has the version of the one before",
    /// Versions count from one again when what has expired was pruned.
    VersionsBeginAnewAfterPrune => contents::no_version_comes_again_under_a_sid: "expired and pruned",
    /// Versions count from one again after a clearing.
    VersionsBeginAnewAfterClear =>
        contents::no_version_comes_again_under_a_sid: "cleared left: Written(Version(…)) right: Conflict",
    /// What another program writes keeps the version of what was there.
    StrangersMakeNoVersion =>
        contents::what_a_stranger_writes_is_another_version: "left: Written(Version(…)) right: Conflict",
    /// Each process counts a session's versions on its own.
    VersionsAreCountedByProcess =>
        processes::a_touch_sees_what_the_other_process_did:
        "left: (Moved, Moved) right: (Conflict, Conflict)",

    /// A touch within a minute of another is not looked up.
    TouchAgainIsNotLookedUp =>
        processes::a_touch_sees_what_the_other_process_did: "left: (Moved, Moved) right: (Unknown, Unknown)",
    /// A write without a condition destroys, then creates.
    AnySetIsSeenHalfDone => concurrency::no_touch_of_a_version_comes_after_a_write: "Err(Unknown)",
    /// A write without a condition looks, then inserts, and fails where another was first.
    AnySetsRaceForTheInsert =>
        processes::parallel_writes_without_a_condition_are_each_done_as_a_whole:
        r#"Unavailable { store: "faulty", source: "the database refuses it" }"#,
    /// A write without a condition writes the data, then the end.
    AnySetsAreTorn =>
        processes::parallel_writes_without_a_condition_are_each_done_as_a_whole:
        r#"Some(3600s) left: [("hour", "false")]"# | r#"Some(40s) left: [("hour", "true")]"#,
    /// Who expects nothing and finds what has expired takes its place, then writes.
    CreateOverTheExpiredIsSeenHalfDone =>
        concurrency::a_call_that_is_dropped_half_way_is_done_wholly_or_not_at_all: "it was done in part",
    /// Of those who destroy a version, each who found it is told that it was the one.
    DestroyIfLooksThenDestroys =>
        concurrency::of_parallel_destructions_one_is_told_that_it_was_the_one: "right: (1, 7)",
    /// The version is read after the record.
    GetReadsTheVersionLater =>
        concurrency::who_goes_on_with_the_version_that_was_answered_loses_nothing: r#"right: [("n", "96")]"#,
    /// What is left is read after the record.
    GetReadsLeftLater =>
        processes::what_is_read_is_of_one_moment:
        r#"left: [("hour", "false")] right: [("hour", "true")]"# | r#"left: [("hour", "true")] right: [("hour", "false")]"#,
    /// A write on a version removes what has expired in a second step.
    SetIfRemovesWhatHasExpired =>
        processes::a_session_over_an_expired_one_outlives_whatever_is_done_beside:
        "beside set a version it is gone",
    /// So does a touch.
    TouchRemovesWhatHasExpired =>
        processes::a_session_over_an_expired_one_outlives_whatever_is_done_beside: "beside touch it is gone",
    /// So does a destruction of a version.
    DestroyIfRemovesWhatHasExpired =>
        processes::a_session_over_an_expired_one_outlives_whatever_is_done_beside:
        "beside destroy a version it is gone",
    /// So does a destruction that expects nothing.
    DestroyOfNothingRemovesWhatHasExpired =>
        processes::a_session_over_an_expired_one_outlives_whatever_is_done_beside:
        "beside destroy nothing it is gone",
    /// So does a count.
    LengthRemovesWhatHasExpired =>
        processes::a_session_over_an_expired_one_outlives_whatever_is_done_beside: "it is gone",

    /// Ids are read first, then the records that are left, and the two are put together by their place.
    AllIsPutTogetherByPlace => admin::a_list_beside_destructions_shows_all_who_stay: "who stays is not shown",
    /// Pages go by the end, which a touch moves.
    IdsArePagedByExpiry =>
        processes::a_list_beside_touches_shows_all_with_their_own_records:
        "who stays is not shown" | "shown with another one's record",
    /// A list that is dropped keeps its connection.
    DroppedListKeepsItsConnection =>
        processes::a_list_that_is_dropped_half_way_leaves_the_store_as_it_was:
        r#"Unavailable { store: "faulty", source: Elapsed(()) }"#,
    /// What has expired is counted first, then removed.
    PruneCountsThenRemoves => processes::what_parallel_prunes_answer_is_what_there_was: "right: 40",

    /// Of a thousand writes without a condition one is not done.
    OneSetIsNotDone => processes::every_set_that_is_answered_is_done: "a set is not done",
    /// Of a thousand touches without a condition one is not done.
    OneTouchIsNotDone => processes::every_touch_that_is_answered_is_done: "a touch is not done",
    /// Of a thousand destructions without a condition one is not done.
    OneDestructionIsNotDone =>
        processes::every_destruction_that_is_answered_is_done: "a destruction is not done",
    /// Of a thousand touches of what is known one is not done.
    OneTouchOfAVersionIsNotDone =>
        processes::every_touch_that_is_answered_is_done: "a touch is not done",
    /// Of a thousand destructions of what is known one is not done.
    OneDestructionOfAVersionIsNotDone =>
        processes::every_destruction_that_is_answered_is_done: "a destruction is not done",
}

const SECOND: Duration = Duration::from_secs(1);

/// One of two processes on a database.
#[derive(Debug)]
struct Rare {
    fault: Fault,
    clock: Clock,
    connections: Semaphore,
    /// How often this process has written under a sid, and at all without a condition.
    writes: Mutex<HashMap<Sid, u64>>,
    any_writes: AtomicU64,
    touched: Mutex<HashMap<Sid, SystemTime>>,
    pruned: Mutex<Option<SystemTime>>,
    database: Arc<Database>,
}

/// What both processes have in common.
#[derive(Debug)]
struct Database {
    store: MemoryStore,
    /// The end that a sid was last given, expired or not.
    ends: Mutex<HashMap<Sid, SystemTime>>,
    versions: tokio::sync::Mutex<Versions>,
    /// Without a condition: of writes over something, touches, or destructions.
    calls: AtomicU64,
}

/// The versions that the store shows, where a fault has its own.
#[derive(Debug, Default)]
struct Versions {
    /// By those of the memory store.
    shown: HashMap<u64, u64>,
    counts: HashMap<Sid, u64>,
}

impl Versions {
    fn shown(&self, version: Version) -> Version {
        let shown = version.number().and_then(|number| self.shown.get(&number));
        shown.map_or(version, |number| Version::from_number(*number))
    }

    fn count(&mut self, sid: &Sid) -> u64 {
        let count = self.counts.entry(sid.clone()).or_default();
        *count += 1;
        *count
    }
}

fn open(fault: Fault) -> Fixture {
    let manual = ManualClock::new();
    let memory = MemoryStore::new().clock(manual.clock());
    if format!("{fault:?}").contains("ForEver") {
        fixture(fault, memory, manual)
    } else {
        fixture(fault, memory.ttl(DAY), manual).ttl(DAY)
    }
}

fn fixture(fault: Fault, store: MemoryStore, clock: ManualClock) -> Fixture {
    let (ends, versions) = (Mutex::default(), tokio::sync::Mutex::default());
    let database = Arc::new(Database { store, ends, versions, calls: AtomicU64::new(0) });
    let process = || Rare {
        fault,
        clock: clock.clock(),
        connections: Semaphore::new(4),
        writes: Mutex::default(),
        any_writes: AtomicU64::new(0),
        touched: Mutex::default(),
        pruned: Mutex::default(),
        database: Arc::clone(&database),
    };
    let (one, other) = (process(), process());
    Fixture::new(one).beside(other).clock(clock).exact_to_the_millisecond().plant(move |sid, text, until| {
        let database = Arc::clone(&database);
        async move {
            let mut versions = database.versions.lock().await;
            let before = database.store.get(&sid).await.unwrap().and_then(|held| held.version.number());
            let set = database.store.set(&sid, &planted(text, until), &Expect::Anything).await.unwrap();
            let Set::Written(version) = set else { panic!("{set:?}") };
            if let (Fault::StrangersMakeNoVersion, Some(before)) = (fault, before) {
                versions.shown.insert(version.number().unwrap(), before);
            }
        }
    })
}

fn refused() -> StoreError {
    StoreError::unavailable("faulty", "the database refuses it")
}

/// So that others come in between, on a busy machine too.
async fn long_way() {
    tokio::time::sleep(Duration::from_millis(8)).await;
}

impl Rare {
    async fn held(&self, sid: &Sid) -> Result<Option<Stored>, StoreError> {
        self.database.store.get(sid).await
    }

    async fn is_for_ever(&self, sid: &Sid) -> Result<bool, StoreError> {
        Ok(self.held(sid).await?.is_some_and(|held| held.left.is_none()))
    }

    fn has_expired(&self, sid: &Sid) -> bool {
        self.database.ends.lock().unwrap().get(sid).is_some_and(|at| *at <= self.clock.now())
    }

    /// Whether it is the one in a thousand: without a condition, or of a version.
    fn is_left_out(&self, [any, of_a_version]: [Fault; 2], expect: &Expect) -> bool {
        let is_one = match expect {
            Expect::Anything => self.fault == any,
            Expect::Version(_) => self.fault == of_a_version,
            Expect::Nothing => false,
        };
        is_one && self.database.calls.fetch_add(1, Ordering::SeqCst) % 1_000 == 500
    }

    async fn sids(&self) -> Result<Vec<Sid>, StoreError> {
        let mut sids = Vec::new();
        self.database.store.ids(&mut |sid| sids.push(sid)).await?;
        Ok(sids)
    }

    /// What has come meanwhile in the place of the expired goes as well.
    async fn remove_expired(&self, sid: &Sid) -> Result<(), StoreError> {
        if self.has_expired(sid) && self.held(sid).await?.is_none() {
            long_way().await;
            self.forget(sid, &Expect::Anything).await?;
        }
        Ok(())
    }

    async fn prune_by_the_way(&self) -> Result<(), StoreError> {
        if !matches!(self.fault, Fault::PruneByTheWayIsEarly | Fault::PruneByTheWayRemovesForEver) {
            return Ok(());
        }
        let now = self.clock.now();
        let last = *self.pruned.lock().unwrap().get_or_insert(now);
        if last + 900 * SECOND > now {
            return Ok(());
        }
        *self.pruned.lock().unwrap() = Some(now);
        for sid in self.sids().await? {
            let Some(held) = self.held(&sid).await? else { continue };
            let is_removed = match held.left {
                None => self.fault == Fault::PruneByTheWayRemovesForEver,
                Some(left) => self.fault == Fault::PruneByTheWayIsEarly && left < 1_800 * SECOND,
            };
            if is_removed {
                self.forget(&sid, &Expect::Anything).await?;
            }
        }
        Ok(())
    }

    /// Verbs give their connection back, whatever comes; lists only when they come to their end.
    async fn connection(&self, is_list: bool) -> Result<(), StoreError> {
        if self.fault != Fault::DroppedListKeepsItsConnection {
            return Ok(());
        }
        let waiting = tokio::time::timeout(Duration::from_millis(20), self.connections.acquire());
        let connection = waiting.await.map_err(|late| StoreError::unavailable("faulty", late))?.unwrap();
        if is_list {
            connection.forget();
            long_way().await;
            self.connections.add_permits(1);
        }
        Ok(())
    }

    /// Whether less than a second is left, and not nothing.
    fn is_short(&self, cookie: &Cookie) -> bool {
        let left = cookie.expires().and_then(|at| at.duration_since(self.clock.now()).ok());
        left.is_some_and(|left| !left.is_zero() && left < SECOND)
    }

    /// The cookie with the end to which a fault holds the record.
    fn timed(&self, cookie: &Cookie, is_touch: bool) -> Cookie {
        let Some(end) = cookie.expires() else {
            let mut cookie = cookie.clone();
            if let (Fault::NoDateIsForTheTtl, false) | (Fault::TouchWithoutDateIsForTheTtl, true) =
                (self.fault, is_touch)
            {
                cookie.set_held_until(None);
            }
            return cookie;
        };
        let now = self.clock.now();
        let timed = match (self.fault, is_touch) {
            (Fault::SetGoesByTheMaxAge, false) | (Fault::TouchGoesByTheMaxAge, true) if end > now => {
                cookie.original_max_age().map(|age| now + age)
            }
            (Fault::EpochIsForTheTtl | Fault::EpochIsForEver, _) if end == UNIX_EPOCH => None,
            (Fault::LastSecondIsForTheTtl | Fault::LastSecondIsForEver, false)
            | (Fault::TouchedLastSecondIsForTheTtl, true)
                if self.is_short(cookie) =>
            {
                None
            }
            (Fault::ExpiriesEndIn2262, _)
                if end > UNIX_EPOCH + Duration::from_nanos(i64::MAX.unsigned_abs()) =>
            {
                Some(now + Duration::from_millis(1))
            }
            (Fault::LifetimesEndAfter400Days, _) => Some(end.min(now + 400 * DAY)),
            _ => Some(end),
        };
        let mut cookie = cookie.clone();
        if timed != Some(end) {
            cookie.set_expires(timed, now);
        }
        cookie
    }

    /// The record as a fault holds it.
    fn spoiled(&self, record: &Record) -> Record {
        let mut spoiled = record.clone();
        match self.fault {
            Fault::TimesAreLost => return Record::new(record.cookie.clone(), Arc::clone(&record.data)),
            Fault::IdsAreLost => {
                let text = record.to_json();
                let Some((before, ids)) = text.split_once(",\"__session_ids\":{") else { return spoiled };
                let after = ids.split_once('}').unwrap().1;
                return Record::parse(format!("{before}{after}")).unwrap();
            }
            Fault::DottedKeysArePaths => {
                return with_members(record, |key, value| {
                    Some(match key.split_once('.') {
                        Some((key, rest)) => format!("{}:{{{}:{value}}}", quoted(key), quoted(rest)),
                        None => format!("{}:{value}", quoted(key)),
                    })
                });
            }
            Fault::QuotesInKeysAreLost => return with_keys(record, |key| Some(key.replace(['"', '\\'], ""))),
            Fault::KeysHaveNoCase => return with_keys(record, |key| Some(key.to_lowercase())),
            Fault::KeysAreAscii => {
                return with_keys(record, |key| Some(key.replace(|c: char| !c.is_ascii(), "?")));
            }
            Fault::TheEmptyKeyIsLost => {
                return with_keys(record, |key| (!key.is_empty()).then(|| key.into()));
            }
            Fault::OwnFieldsHideKeys => {
                let own = ["_id", "sid", "expires", "version", "ttl", "session"];
                return with_keys(record, |key| (!own.contains(&key)).then(|| key.into()));
            }
            Fault::ControlsAreLost => {
                let controls = [r"\n", r"\r", r"\t"];
                let without = |text: String, control: &&str| text.replace(control, "");
                return Record::parse(controls.iter().fold(record.to_json(), without)).unwrap();
            }
            Fault::FloatsAreShort => {
                return Record::parse(record.to_json().replace("0.30000000000000004", "0.3")).unwrap();
            }
            Fault::PriorityIsLost => spoiled.cookie.set_priority(None),
            Fault::LaxIsLost if record.cookie.same_site() == Some(SameSite::Lax) => {
                spoiled.cookie.set_same_site(None);
            }
            Fault::PathsAreAscii => {
                let path = record.cookie.path().unwrap_or("/");
                spoiled.cookie.set_path(&path.replace(|c: char| !c.is_ascii(), "?"));
            }
            _ => {}
        }
        spoiled
    }

    /// The memory store's condition for this one. What is no version that is shown is never met.
    async fn inward(&self, versions: &Versions, sid: &Sid, expect: &Expect) -> Result<Expect, StoreError> {
        let Expect::Version(version) = expect else { return Ok(expect.clone()) };
        let held = self.held(sid).await?.map(|held| held.version);
        let held = held.filter(|held| versions.shown(held.clone()) == *version);
        Ok(Expect::Version(held.unwrap_or_else(|| Version::from_number(u64::MAX))))
    }

    /// As the database writes.
    async fn write(&self, sid: &Sid, record: &Record, expect: &Expect) -> Result<Set, StoreError> {
        let mut versions = self.database.versions.lock().await;
        let expect = self.inward(&versions, sid, expect).await?;
        let set = self.database.store.set(sid, record, &expect).await?;
        let Set::Written(version) = set else { return Ok(set) };
        self.ends_at(sid, record.expires());
        let shown = match self.fault {
            Fault::VersionsEndAt127 => Some(versions.count(sid).min(127)),
            Fault::VersionsBeginAnewAfterPrune | Fault::VersionsBeginAnewAfterClear => {
                Some(versions.count(sid))
            }
            Fault::VersionsAreCountedByProcess => Some(
                *self.writes.lock().unwrap().entry(sid.clone()).and_modify(|count| *count += 1).or_default(),
            ),
            _ => None,
        };
        if let (Some(number), Some(shown)) = (version.number(), shown) {
            versions.shown.insert(number, shown);
        }
        Ok(Set::Written(versions.shown(version)))
    }

    fn ends_at(&self, sid: &Sid, at: Option<SystemTime>) {
        let mut ends = self.database.ends.lock().unwrap();
        match at {
            Some(at) => ends.insert(sid.clone(), at),
            None => ends.remove(sid),
        };
    }

    /// As the database touches.
    async fn extend(&self, sid: &Sid, cookie: &Cookie, expect: &Expect) -> Result<Touched, StoreError> {
        let versions = self.database.versions.lock().await;
        let expect = self.inward(&versions, sid, expect).await?;
        let touched = self.database.store.touch(sid, cookie, &expect).await?;
        if touched == Touched::Moved {
            self.ends_at(sid, cookie.expires());
            self.touched.lock().unwrap().insert(sid.clone(), self.clock.now());
        }
        Ok(touched)
    }

    /// As the database destroys.
    async fn forget(&self, sid: &Sid, expect: &Expect) -> Result<Destroyed, StoreError> {
        let versions = self.database.versions.lock().await;
        let expect = self.inward(&versions, sid, expect).await?;
        self.database.store.destroy(sid, &expect).await
    }

    /// The record and its version, as the database reads them.
    async fn read(&self, sid: &Sid) -> Result<Option<Stored>, StoreError> {
        let versions = self.database.versions.lock().await;
        let stored = self.held(sid).await?;
        Ok(stored.map(|stored| Stored { version: versions.shown(stored.version), ..stored }))
    }
}

/// The record with its data written anew, member by member.
fn with_members(record: &Record, member: impl Fn(&str, &str) -> Option<String>) -> Record {
    let mut text = Record::new(record.cookie.clone(), Data::new()).to_json();
    text.pop();
    for member in record.data.iter().filter_map(|(key, value)| member(key, value)) {
        text = text + "," + &member;
    }
    Record::parse(text + "}").unwrap()
}

fn with_keys(record: &Record, rename: impl Fn(&str) -> Option<String>) -> Record {
    with_members(record, |key, value| Some(format!("{}:{value}", quoted(&rename(key)?))))
}

/// As JSON writes it.
fn quoted(key: &str) -> String {
    let escaped = key.chars().map(|c| match c {
        '"' | '\\' => format!("\\{c}"),
        c if c < ' ' => format!("\\u{:04x}", u32::from(c)),
        c => c.into(),
    });
    format!("\"{}\"", escaped.collect::<String>())
}

fn depth(json: &str) -> usize {
    let deeper = |depth: &mut usize, c| {
        match c {
            '[' | '{' => *depth += 1,
            ']' | '}' => *depth = depth.saturating_sub(1),
            _ => {}
        }
        Some(*depth)
    };
    json.chars().scan(0, deeper).max().unwrap_or(0)
}

#[async_trait]
impl Store for Rare {
    async fn get(&self, sid: &Sid) -> Result<Option<Stored>, StoreError> {
        yield_now().await;
        self.connection(false).await?;
        let cut: String = sid.as_str().chars().take(128).collect();
        let sid = if self.fault == Fault::LongSidsAreCutByGet { &cut.into() } else { sid };
        let Some(mut stored) = self.read(sid).await? else { return Ok(None) };
        if matches!(self.fault, Fault::GetReadsTheVersionLater | Fault::GetReadsLeftLater) {
            long_way().await;
            let Some(later) = self.read(sid).await? else { return Ok(None) };
            match self.fault {
                Fault::GetReadsLeftLater => stored.left = later.left,
                _ => stored.version = later.version,
            }
        }
        let is_too_deep = self.fault == Fault::DeepIsUnreadable && depth(&stored.record.to_json()) > 100;
        if is_unreadable(&stored) || is_too_deep {
            return Err(unreadable());
        }
        yield_now().await;
        Ok(Some(stored))
    }

    async fn set(&self, sid: &Sid, record: &Record, expect: &Expect) -> Result<Set, StoreError> {
        yield_now().await;
        self.connection(false).await?;
        self.prune_by_the_way().await?;
        let mut record = self.spoiled(record);
        match self.fault {
            Fault::LongSidsAreCutByGet if sid.as_str().len() > 128 => return Err(refused()),
            Fault::LastSecondIsAnError if self.is_short(&record.cookie) => return Err(refused()),
            Fault::LastSecondIsExpired if self.is_short(&record.cookie) => return Ok(Set::Expired),
            _ => record.cookie = self.timed(&record.cookie, false),
        }
        let held = self.held(sid).await?;
        if let Some(held) = &held
            && self.is_left_out([Fault::OneSetIsNotDone; 2], expect)
        {
            return Ok(Set::Written(held.version.clone()));
        }
        let is_for_ever = held.as_ref().is_some_and(|held| held.left.is_none());
        let mut expect = expect.clone();
        match (self.fault, &expect) {
            (Fault::TtlIsNotBegunAnew, _) if record.expires().is_none() => {
                let session = held.filter(|held| held.record.expires().is_none());
                if let Some(left) = session.and_then(|held| held.left) {
                    let now = self.clock.now();
                    record.cookie.set_expires(Some(now + left), now);
                }
            }
            (Fault::AttributesCoalesce, _) => {
                if let Some(before) = held.map(|held| held.record.cookie) {
                    let cookie = &mut record.cookie;
                    cookie.set_same_site(cookie.same_site().or(before.same_site()));
                    let domain = cookie.domain().or(before.domain()).map(str::to_owned);
                    cookie.set_domain(domain.as_deref());
                }
            }
            (Fault::CreateOverForEver, Expect::Nothing) if is_for_ever => expect = Expect::Anything,
            (Fault::CreateOverTheEmpty, Expect::Nothing)
                if held.as_ref().is_some_and(|held| held.record.data.is_empty()) =>
            {
                expect = Expect::Anything;
            }
            (Fault::CreateMovesForEver | Fault::CreateMovesWhatIsHeld, Expect::Nothing) => {
                let set = self.write(sid, &record, &expect).await?;
                if set == Set::Conflict && (is_for_ever || self.fault == Fault::CreateMovesWhatIsHeld) {
                    self.extend(sid, &record.cookie, &Expect::Anything).await?;
                }
                return Ok(set);
            }
            (Fault::CreateOverTheExpiredIsSeenHalfDone, Expect::Nothing)
                if held.is_none() && self.has_expired(sid) =>
            {
                let place = Record::new(record.cookie.clone(), Data::new());
                if self.write(sid, &place, &expect).await? == Set::Conflict {
                    return Ok(Set::Conflict);
                }
                long_way().await;
                expect = Expect::Anything;
            }
            (Fault::SetIfSeesNoForEver, Expect::Version(_)) if is_for_ever => return Ok(Set::Conflict),
            (Fault::SetIfRemovesWhatHasExpired, Expect::Version(_)) => self.remove_expired(sid).await?,
            (Fault::AnySetIsSeenHalfDone, Expect::Anything) => {
                self.forget(sid, &expect).await?;
                long_way().await;
            }
            (Fault::AnySetsRaceForTheInsert, Expect::Anything) if held.is_none() => {
                long_way().await;
                let set = self.write(sid, &record, &Expect::Nothing).await?;
                return if set == Set::Conflict { Err(refused()) } else { Ok(set) };
            }
            (Fault::AnySetsAreTorn, Expect::Anything) => {
                let set = self.write(sid, &record, &expect).await?;
                let turn = self.any_writes.fetch_add(1, Ordering::SeqCst);
                // Some are slower than others.
                tokio::time::sleep(Duration::from_millis(turn % 4 * 3)).await;
                self.extend(sid, &record.cookie, &expect).await?;
                return Ok(set);
            }
            _ => {}
        }
        let set = self.write(sid, &record, &expect).await?;
        // As slow as its reads, so that each of them has a write in between.
        if self.fault == Fault::GetReadsLeftLater {
            long_way().await;
        }
        yield_now().await;
        Ok(set)
    }

    async fn touch(&self, sid: &Sid, cookie: &Cookie, expect: &Expect) -> Result<Touched, StoreError> {
        yield_now().await;
        self.connection(false).await?;
        if self.is_left_out([Fault::OneTouchIsNotDone, Fault::OneTouchOfAVersionIsNotDone], expect) {
            return Ok(Touched::Moved);
        }
        let (cookie, mut expect) = (self.timed(cookie, true), expect.clone());
        let held = self.held(sid).await?;
        let is_for_ever = held.as_ref().is_some_and(|held| held.left.is_none());
        match (self.fault, &expect) {
            (Fault::TouchSeesNoForEver, _) | (Fault::TouchOfNothingSeesNoForEver, Expect::Nothing)
                if is_for_ever =>
            {
                return Ok(Touched::Unknown);
            }
            (Fault::TouchFromForEverToForEverIsUnknown, Expect::Anything)
                if is_for_ever && cookie.expires().is_none() =>
            {
                return Ok(Touched::Unknown);
            }
            (Fault::TouchOfForEverAsksForNoCondition, _) if is_for_ever => expect = Expect::Anything,
            (Fault::TouchRemovesWhatHasExpired, _) => self.remove_expired(sid).await?,
            (Fault::TouchAgainIsNotLookedUp, _) => {
                let last = self.touched.lock().unwrap().get(sid).copied();
                if last.is_some_and(|last| last + 60 * SECOND > self.clock.now()) {
                    return Ok(Touched::Moved);
                }
            }
            (Fault::TouchOfLargeIsAnError, Expect::Anything)
                if held.as_ref().is_some_and(|held| held.record.to_json().len() > 200_000) =>
            {
                return Err(refused());
            }
            (Fault::TouchWritesIntoKeysNamedExpires, Expect::Anything) => {
                if let Some(held) = held {
                    let text = held.record.to_json().replace(r#""expires":"then""#, r#""expires":"now""#);
                    self.write(sid, &Record::parse(text).unwrap(), &expect).await?;
                }
            }
            _ => {}
        }
        let touched = self.extend(sid, &cookie, &expect).await?;
        yield_now().await;
        Ok(touched)
    }

    async fn destroy(&self, sid: &Sid, expect: &Expect) -> Result<Destroyed, StoreError> {
        yield_now().await;
        self.connection(false).await?;
        if self
            .is_left_out([Fault::OneDestructionIsNotDone, Fault::OneDestructionOfAVersionIsNotDone], expect)
        {
            return Ok(Destroyed::Destroyed);
        }
        let mut expect = expect.clone();
        match (self.fault, &expect) {
            (Fault::DestroyIfSeesNoForEver, Expect::Version(_))
            | (Fault::DestroyOfNothingSeesNoForEver, Expect::Nothing)
                if self.is_for_ever(sid).await? =>
            {
                return Ok(Destroyed::Unknown);
            }
            (Fault::DestroyOfForEverAsksForNoCondition, _) if self.is_for_ever(sid).await? => {
                expect = Expect::Anything;
            }
            (Fault::DestroyIfRemovesWhatHasExpired, Expect::Version(_))
            | (Fault::DestroyOfNothingRemovesWhatHasExpired, Expect::Nothing) => {
                self.remove_expired(sid).await?;
            }
            (Fault::DestroyIfLooksThenDestroys, Expect::Version(version))
                if self.held(sid).await?.is_some_and(|held| held.version == *version) =>
            {
                long_way().await;
                self.forget(sid, &expect).await?;
                return Ok(Destroyed::Destroyed);
            }
            _ => {}
        }
        let destroyed = self.forget(sid, &expect).await?;
        // As slow as the list, so that some come in between.
        if self.fault == Fault::AllIsPutTogetherByPlace {
            self.database.calls.fetch_add(1, Ordering::SeqCst);
            long_way().await;
        }
        yield_now().await;
        Ok(destroyed)
    }
}

#[async_trait]
impl AdminStore for Rare {
    async fn length(&self) -> Result<u64, StoreError> {
        self.connection(true).await?;
        match self.fault {
            Fault::ListsShowNoForEver => {
                let mut length = 0;
                self.ids(&mut |_| length += 1).await?;
                Ok(length)
            }
            Fault::LengthRemovesWhatHasExpired => {
                let sids: Vec<Sid> = self.database.ends.lock().unwrap().keys().cloned().collect();
                for sid in sids {
                    self.remove_expired(&sid).await?;
                }
                self.database.store.length().await
            }
            _ => self.database.store.length().await,
        }
    }

    async fn ids(&self, visit: &mut (dyn FnMut(Sid) + Send)) -> Result<(), StoreError> {
        self.connection(true).await?;
        if self.fault == Fault::IdsArePagedByExpiry {
            let mut last = None;
            loop {
                let mut all = Vec::new();
                for sid in self.sids().await? {
                    all.extend(self.held(&sid).await?.map(|held| (held.left, sid)));
                }
                all.retain(|at| last.as_ref().is_none_or(|last| at > last));
                all.sort();
                all.truncate(100);
                let Some(end) = all.last() else { return Ok(()) };
                last = Some(end.clone());
                all.into_iter().for_each(|(_, sid)| visit(sid));
                yield_now().await;
            }
        }
        for sid in self.sids().await? {
            if self.fault != Fault::ListsShowNoForEver || !self.is_for_ever(&sid).await? {
                visit(sid);
            }
        }
        Ok(())
    }

    async fn all(&self, visit: &mut (dyn FnMut(Sid, Record) + Send)) -> Result<(), StoreError> {
        let mut sids = Vec::new();
        self.ids(&mut |sid| sids.push(sid)).await?;
        if self.fault == Fault::AllIsPutTogetherByPlace {
            // Until some leave, if anybody does: as many are missing at the end, where some of them stay.
            let enough = self.database.calls.load(Ordering::SeqCst) + 10;
            for _ in 0..20 {
                long_way().await;
                if self.database.calls.load(Ordering::SeqCst) >= enough {
                    break;
                }
            }
            let mut records = Vec::new();
            for sid in &sids {
                records.extend(self.held(sid).await?.map(|held| held.record));
            }
            sids.into_iter().zip(records).for_each(|(sid, record)| visit(sid, record));
            return Ok(());
        }
        for sid in sids {
            match self.held(&sid).await? {
                Some(held) if is_unreadable(&held) => {}
                Some(held) if self.fault == Fault::AllShowsNoEmptyRecord && held.record.data.is_empty() => {}
                Some(held) => visit(sid, held.record),
                None => {}
            }
        }
        Ok(())
    }

    async fn clear(&self) -> Result<(), StoreError> {
        match self.fault {
            Fault::ClearLeavesForEver => {
                for sid in self.sids().await? {
                    if !self.is_for_ever(&sid).await? {
                        self.forget(&sid, &Expect::Anything).await?;
                    }
                }
                return Ok(());
            }
            Fault::VersionsBeginAnewAfterClear => self.database.versions.lock().await.counts.clear(),
            _ => {}
        }
        self.database.store.clear().await
    }

    async fn prune(&self) -> Result<u64, StoreError> {
        self.connection(true).await?;
        match self.fault {
            Fault::PruneRemovesForEver => {
                for sid in self.sids().await? {
                    if self.is_for_ever(&sid).await? {
                        self.forget(&sid, &Expect::Anything).await?;
                    }
                }
            }
            Fault::VersionsBeginAnewAfterPrune => {
                let held: HashSet<Sid> = self.sids().await?.into_iter().collect();
                self.database.versions.lock().await.counts.retain(|sid, _| held.contains(sid));
            }
            Fault::PruneCountsThenRemoves => {
                let now = self.clock.now();
                let expired = self.database.ends.lock().unwrap().values().filter(|at| **at <= now).count();
                long_way().await;
                self.database.ends.lock().unwrap().retain(|_, at| *at > now);
                self.database.store.prune().await?;
                return Ok(expired as u64);
            }
            _ => {}
        }
        self.database.store.prune().await
    }
}

mod right_for_ever {
    use super::*;

    async fn open() -> Fixture {
        let clock = ManualClock::new();
        fixture(Fault::None, MemoryStore::new().clock(clock.clock()), clock)
    }

    session_testkit::store_contract!(open);
    session_testkit::admin_contract!(open);
}

mod right_for_a_day {
    use super::*;

    session_testkit::store_contract!(async || open(Fault::None));
    session_testkit::admin_contract!(async || open(Fault::None));
}
