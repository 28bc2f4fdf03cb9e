//! That the store contract finds wrong stores: a memory store with one fault each, and the test of the kit that fails for
//! it. Right stores pass all of it, whole seconds, a time to live and the real time included.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use session_core::{
    AdminStore, Clock, Cookie, Destroyed, Expect, MemoryStore, Record, Set, Sid, Store, StoreError, Stored,
    Touched, Version, async_trait,
};
use session_testkit::{Fixture, ManualClock};
use tokio::{sync::Semaphore, task::yield_now};

mod wrong;

use wrong::{DAY, faults, is_unreadable, planted, unreadable};

faults! {
    // Reads.
    LeftIsLifetime => verbs::get_tells_how_long_the_record_is_held: "Some(40s) of Some(38s)",
    LifetimeIsLeft => verbs::get_tells_how_long_the_record_is_held: "Some(38s) of Some(40s)",
    GetTouches => verbs::get_tells_how_long_the_record_is_held: "Some(40s) of Some(38s)",
    GetRemovesWhatHasExpired =>
        concurrency::a_session_over_an_expired_one_outlives_who_reads_it: "it has not expired",
    DollarsAreOperators => verbs::get_answers_what_was_set: r#""$set":1,"__proto__""#,
    GetIsCached =>
        concurrency::what_one_process_writes_the_other_reads: "other.get(&sid).await.unwrap().is_none()",
    AnAttributeIsLost => verbs::get_answers_what_was_set: r#""httpOnly":false,"path":"/app""#,
    NumbersAreRounded => verbs::get_answers_what_was_set: r#""big":9007199254740992"#,

    InSecondsGetEndsEarly => verbs::all_verbs_see_the_end_at_the_same_moment: "left: true right: false",

    // How long.
    LifetimesAreRoundedDown =>
        verbs::a_lifetime_is_never_rounded_down:
        "it is dropped more than half a second before its cookie expires",
    ExpiriesAreRoundedDown =>
        verbs::a_lifetime_is_never_rounded_down:
        "it is dropped more than half a second before its cookie expires",
    TouchedLifetimesAreRoundedDown =>
        verbs::a_lifetime_is_never_rounded_down:
        "it is dropped more than half a second before its cookie expires",
    LifetimesEndAfterAMonth =>
        verbs::get_tells_how_long_the_record_is_held: "Some(2592000s) of Some(31536000s)",
    ExpiriesEndIn2038 => verbs::get_tells_how_long_the_record_is_held: "left > YEAR",
    TtlIsForEver =>
        verbs::a_cookie_without_expires_is_held_for_the_stores_own_time_to_live: "None of Some(86400s)",
    TtlIsAnother =>
        verbs::a_cookie_without_expires_is_held_for_the_stores_own_time_to_live:
        "Some(172800s) of Some(86400s)",
    TtlIsNoLifetime =>
        verbs::a_cookie_without_expires_is_held_for_the_stores_own_time_to_live: "None of Some(86400s)",
    TtlIsForSetsOnly =>
        verbs::a_cookie_without_expires_is_held_for_the_stores_own_time_to_live: "Some(40s) of Some(86400s)",
    TtlIsNeverTouched =>
        verbs::a_cookie_without_expires_is_held_for_the_stores_own_time_to_live: "Some(86400s) of Some(40s)",
    TtlIsNeverTouchedAgain =>
        verbs::what_has_no_expires_ends_with_the_stores_own_time_to_live: "Some(2s) of Some(86400s)",
    TouchedExpiriesEndIn2038 => verbs::get_tells_how_long_the_record_is_held: "left > YEAR",
    SetIfExpiriesEndIn2038 => verbs::get_tells_how_long_the_record_is_held: "left > YEAR",
    TouchRevivesForASecond =>
        verbs::the_end_is_the_same_millisecond_to_every_verb: "left: Moved right: Unknown",
    TouchEndsASecondEarly =>
        verbs::the_end_is_the_same_millisecond_to_every_verb: "left: Unknown right: Moved",
    SetIfRevivesForASecond => verbs::the_end_is_the_same_millisecond_to_every_verb: "left: true right: false",
    SetOverwritesInTheLastSecond =>
        verbs::the_end_is_the_same_millisecond_to_every_verb: "left: true right: false",
    InSecondsSetEndsEarly => verbs::all_verbs_see_the_end_at_the_same_moment: "left: true right: false",
    InSecondsSetIfEndsEarly => verbs::all_verbs_see_the_end_at_the_same_moment: "left: false right: true",
    InSecondsTouchEndsEarly => verbs::all_verbs_see_the_end_at_the_same_moment: "left: Unknown right: Moved",
    InSecondsTouchIfEndsEarly =>
        verbs::all_verbs_see_the_end_at_the_same_moment: "left: Unknown right: Moved",
    InSecondsDestroyIfEndsEarly => verbs::all_verbs_see_the_end_at_the_same_moment: "left: false right: true",
    InSecondsLengthEndsEarly => verbs::all_verbs_see_the_end_at_the_same_moment: "left: 12 right: 212",
    InSecondsIdsEndEarly => verbs::all_verbs_see_the_end_at_the_same_moment: "left: false right: true",

    // Writes.
    SetReadsThenWrites =>
        concurrency::of_parallel_writes_that_expect_one_version_one_is_written:
        "one writer and no other is told that it wrote",
    SetIsAtomicInItsProcessOnly =>
        concurrency::of_parallel_writes_that_expect_nothing_one_is_written:
        "one writer and no other is told that it wrote",
    SetOverTheExpiredReadsThenWrites =>
        concurrency::of_parallel_writes_that_expect_nothing_one_is_written:
        "one writer and no other is told that it wrote",
    SetIfRacesWithAnySet =>
        concurrency::what_is_done_unconditionally_is_not_undone:
        r#"Set left: [("late", "true")] right: [("anyway", "true")]"#,
    SetIfRacesWithAnyDestroy =>
        concurrency::what_is_done_unconditionally_is_not_undone:
        "Set undid what was done without a condition",
    CreateRacesWithAnySet =>
        concurrency::what_is_done_unconditionally_is_not_undone:
        r#"Create left: [("late", "true")] right: [("anyway", "true")]"#,
    SetAnswersALaterVersion =>
        concurrency::who_goes_on_with_the_version_that_was_answered_loses_nothing: r#"right: [("n", "96")]"#,
    SetIfLosesAttributes =>
        verbs::get_answers_what_was_set: r#""httpOnly":false,"path":"/app"},"a":1}" right:"#,
    SetIfDropsLarge =>
        verbs::values_of_a_megabyte_come_back: r#"Unavailable { store: "faulty", source: "too large" }"#,
    SetIfIsSeenHalfDone =>
        concurrency::who_reads_beside_a_writer_finds_the_session: "who reads beside a writer finds nothing",
    SetIfIsSeenHalfDoneByTouches =>
        concurrency::who_reads_beside_a_writer_finds_the_session: "who touches beside a writer finds nothing",
    SetIfKeepsTheExpiry => verbs::set_moves_the_expiry_under_every_condition: "Some(40s) of Some(3600s)",
    SetByPattern =>
        verbs::no_sid_is_a_pattern: "what was expected is held, and the write is refused: Conflict",
    SetHasNoCase => verbs::no_sid_is_a_pattern: r#"set: "a" is reached"#,
    SetHasNoMarks => verbs::no_sid_is_a_pattern: r#"set: "a" is reached"#,
    SetAnswersAnotherVersion => verbs::set_answers_the_version_that_get_answers: "both name what is held",
    SetIfGoesByTheFirstExpiry =>
        verbs::touch_moves_the_expiry_and_nothing_else:
        "what was expected is held, and the write is refused: Conflict",
    SetGoesByTheFirstExpiry =>
        verbs::touch_moves_the_expiry_and_nothing_else: "left: Written(Version(…)) right: Conflict",
    SetOfTheExpiredDestroys => verbs::set_of_an_expired_record_says_so_and_changes_nothing: "it is held",
    SetOfTheExpiredCompares =>
        verbs::set_of_an_expired_record_says_so_and_changes_nothing: "Nothing left: Conflict right: Expired",
    SetOfTheExpiredIsWritten =>
        verbs::set_of_an_expired_record_says_so_and_changes_nothing: "get(fixture, &absent).await.is_none()",
    SetOfTheJustExpiredIsWritten =>
        verbs::set_of_an_expired_record_says_so_and_changes_nothing:
        "Anything left: Written(Version(…)) right: Expired",
    SetWithNothingLeftIsForTheTtl =>
        verbs::set_of_an_expired_record_says_so_and_changes_nothing:
        "Anything left: Written(Version(…)) right: Expired",
    SetOfTheSameIsAConflict =>
        verbs::what_changes_nothing_is_done_all_the_same:
        "what was expected is held, and the write is refused: Conflict",
    VersionsHaveNoCase =>
        verbs::a_version_is_of_all_that_is_held: r#""s":"A"} left: Written"#,
    VersionsHaveNoBlanks =>
        verbs::a_version_is_of_all_that_is_held: r#""s":"a "} left: Written"#,
    VersionsHaveNoCookie =>
        verbs::a_version_is_of_all_that_is_held: r#""originalMaxAge":20000"#,
    VersionsHaveNoLifetime =>
        verbs::a_version_is_of_all_that_is_held: r#""originalMaxAge":20000"#,
    VersionsAreCut => verbs::a_version_is_of_all_that_is_held: r#"xxxb"} left: Written"#,
    VersionsAreAscii => verbs::a_version_is_of_all_that_is_held: r#""s":"Ä"} left: Written"#,
    VersionsAreFloats => verbs::a_version_is_of_all_that_is_held: r#""n":9007199254740992} left: Written"#,
    VersionsHaveNoTypes =>
        verbs::a_version_is_of_all_that_is_held: r#""n":"1"} left: Written"#,
    VersionsHaveNoNulls =>
        verbs::a_version_is_of_all_that_is_held: r#""path":"/"}} left: Written"#,
    VersionsHaveNoOrder =>
        verbs::a_version_is_of_all_that_is_held: r#""s":"ba"} left: Written"#,
    VersionsHaveNoBrackets =>
        verbs::a_version_is_of_all_that_is_held: r#""n":{}} left: Written"#,
    VersionsHaveNoMarks =>
        verbs::a_version_is_of_all_that_is_held: "\"s\":\"a\u{200b}\"} left: Written",
    VersionsAreNormalized =>
        verbs::a_version_is_of_all_that_is_held: "\"s\":\"e\u{301}\"} left: Written",
    VersionsHaveNoWidth =>
        verbs::a_version_is_of_all_that_is_held: r#""s":"ａ"} left: Written"#,
    VersionsAreExpanded =>
        verbs::a_version_is_of_all_that_is_held: r#""s":"ss"} left: Written"#,
    VersionsAreOfThePlane =>
        verbs::a_version_is_of_all_that_is_held: r#""s":"😁"} left: Written"#,
    VersionsAreForgottenAfterAnHour =>
        verbs::a_version_is_as_good_after_hours: "left: Written(Version(…)) right: Conflict",
    VersionsAreOldAfterAnHour =>
        verbs::a_version_is_as_good_after_hours:
        "what was expected is held, and the write is refused: Conflict",
    VersionsBeginAnewWithASession =>
        verbs::a_version_is_not_that_of_a_later_session_under_the_sid:
        "left: Written(Version(…)) right: Conflict",

    // Touches.
    TouchReadsThenWrites =>
        concurrency::no_write_is_lost_to_a_touch:
        "what was expected is held, and the write is refused: Conflict",
    TouchReadsThenWritesWhereVersionsAreDigests =>
        concurrency::no_write_is_lost_to_a_touch: "it was written, and nobody else writes",
    TouchReadsThenComparesAndWrites =>
        concurrency::no_write_is_lost_to_a_touch:
        "what was expected is held, and the write is refused: Conflict",
    TouchMovesNothing => verbs::get_tells_how_long_the_record_is_held: "Some(38s) of Some(40s)",
    TouchMovesToLaterOnly => verbs::touch_moves_the_expiry_and_nothing_else: "Some(40s) of Some(2s)",
    TouchToTheSameIsUnknown =>
        verbs::what_changes_nothing_is_done_all_the_same: "Anything left: Unknown right: Moved",
    TouchByPattern => verbs::no_sid_is_a_pattern: r#"touch: "a" is reached"#,
    TouchHasNoCase => verbs::no_sid_is_a_pattern: r#"touch: "a" is reached"#,
    TouchIsTrimmed => verbs::no_sid_is_a_pattern: r#"touch: "a" is reached"#,
    TouchHasNoAccents => verbs::no_sid_is_a_pattern: r#"touch: "a" is reached"#,
    TouchHasNoMarks => verbs::no_sid_is_a_pattern: r#"touch: "a" is reached"#,
    TouchWithTheExpiredDestroys =>
        verbs::touch_with_an_expired_cookie_says_so_and_changes_nothing: "it is held",
    TouchWithTheJustExpiredMoves =>
        verbs::touch_with_an_expired_cookie_says_so_and_changes_nothing:
        "Anything left: Moved right: Expired",
    TouchWithNothingLeftIsForTheTtl =>
        verbs::touch_with_an_expired_cookie_says_so_and_changes_nothing:
        "Anything left: Moved right: Expired",
    TouchLosesAttributes =>
        verbs::touch_keeps_the_cookies_attributes_and_the_lifetime: "an attribute is lost",
    TouchIfLosesTheLifetime =>
        verbs::touch_keeps_the_cookies_attributes_and_the_lifetime: "Some(0ns) is neither's",
    TouchWithTheExpiredIsUnknown =>
        verbs::touch_with_an_expired_cookie_says_so_and_changes_nothing:
        "Anything left: Unknown right: Expired",
    TouchCreates =>
        verbs::touch_of_an_unknown_sid_says_so_and_creates_nothing: "Anything left: Moved right: Unknown",
    TouchWithTheExpiredCompares =>
        verbs::touch_with_an_expired_cookie_says_so_and_changes_nothing:
        "Nothing left: Conflict right: Expired",
    TouchOfTheAbsentIsAConflict =>
        verbs::touch_of_an_unknown_sid_says_so_and_creates_nothing: "left: Conflict right: Unknown",
    TouchSeesWhatHasExpired =>
        verbs::touch_of_an_expired_record_does_not_revive_it: "left: Conflict right: Unknown",
    TouchAsksForNoCondition => verbs::touch_goes_by_the_condition: "left: Moved right: Conflict",
    TouchExpectingNothingMoves => verbs::touch_goes_by_the_condition: "Nothing left: Moved right: Conflict",
    TouchOfAConflictMoves => verbs::touch_goes_by_the_condition: "Some(20s) of Some(40s)",
    TouchOfAConflictIsMoved => verbs::touch_goes_by_the_condition: "left: Moved right: Conflict",
    TouchOfAConflictIsUnknown => verbs::touch_goes_by_the_condition: "left: Unknown right: Conflict",
    TouchIfMovesNothing => verbs::touch_goes_by_the_condition: "Some(40s) of Some(20s)",
    TouchIfMakesAVersion => verbs::touch_goes_by_the_condition: "a touch moves the expiry and nothing else",
    TouchIfIsRoundedDown =>
        verbs::a_lifetime_is_never_rounded_down:
        "it is dropped more than half a second before its cookie expires",
    TouchIfHasNoTtl =>
        verbs::a_cookie_without_expires_is_held_for_the_stores_own_time_to_live: "Some(40s) of Some(86400s)",
    TouchIfGoesByTheFirstExpiry =>
        verbs::touch_moves_the_expiry_and_nothing_else: "left: Unknown right: Moved",
    TouchIfByPattern => verbs::no_sid_is_a_pattern: r#"touch a version: "a" is reached"#,
    TouchIfReadsThenTouches =>
        concurrency::no_touch_of_a_version_comes_after_a_write:
        "a touch of what was there before moved what was written",
    TouchIfReadsThenWrites =>
        concurrency::no_touch_of_a_version_comes_after_a_write:
        "a touch brings nothing back"
            | "a touch undid the write"
            | "no touch makes a version an old one"
            | "a touch moves what it expects, or answers what became of that",
    TouchIfReadsThenWritesWhereVersionsAreDigests =>
        concurrency::no_touch_of_a_version_comes_after_a_write:
        "a touch brings nothing back"
            | "a touch undid the write"
            | "no touch makes a version an old one"
            | "a touch moves what it expects, or answers what became of that",
    TouchIfRacesWithAnySet =>
        concurrency::what_is_done_unconditionally_is_not_undone: "Touch moved what was written",
    TouchIfRacesWithAnyDestroy =>
        concurrency::what_is_done_unconditionally_is_not_undone:
        "Touch undid what was done without a condition",
    TouchRacesWithAnyDestroy =>
        concurrency::what_is_done_unconditionally_is_not_undone:
        "TouchAnything undid what was done without a condition",
    TouchDropsNulls =>
        verbs::touch_keeps_the_cookies_attributes_and_the_lifetime:
        r#"a touch changes no data left: Some([("a", "1"), ("big","#,
    TouchIfIsAtomicInItsProcessOnly =>
        concurrency::no_touch_of_a_version_comes_after_a_write:
        "a touch of what was there before moved what was written",

    // Destructions.
    DestroyAsksForNoCondition => verbs::destroy_goes_by_the_condition: "left: Destroyed right: Conflict",
    DestroyReadsThenDestroys =>
        concurrency::of_writes_and_destructions_of_one_version_one_is_done:
        "each of them would undo the other",
    DestroyIfRacesWithAnySet =>
        concurrency::what_is_done_unconditionally_is_not_undone:
        "Destroy undid what was done without a condition",
    DestroyIsAlwaysTheOne =>
        concurrency::of_parallel_destructions_one_is_told_that_it_was_the_one: "right: (1, 7)",
    DestroyOfTheAbsentIsAConflict => verbs::destroy_goes_by_the_condition: "left: Conflict right: Unknown",
    DestroyIfGoesByTheFirstExpiry =>
        verbs::touch_moves_the_expiry_and_nothing_else: "left: Unknown right: Destroyed",
    DestroyByPattern => verbs::no_sid_is_a_pattern: r#"destroy: "a" is reached"#,
    DestroyHasNoCase => verbs::no_sid_is_a_pattern: r#"destroy: "a" is reached"#,
    DestroyHasNoMarks => verbs::no_sid_is_a_pattern: r#"destroy: "a" is reached"#,
    DestroyIfHasNoCase => verbs::no_sid_is_a_pattern: r#"destroy a version: "a" is reached"#,
    DestroyByPrefix => verbs::no_sid_is_a_pattern: r#"destroy: "a*" is reached"#,
    DestroyByPrefixAndVersion => verbs::no_sid_is_a_pattern: r#"destroy a version: "a*" is reached"#,
    DestroySeesWhatHasExpired =>
        verbs::what_has_expired_counts_as_nothing_held: "left: Conflict right: Conflict",

    // Sids.
    SidsHaveNoCase => verbs::sids_are_told_apart_to_the_byte: r#""A" is another sid"#,
    SidsAreTrimmed => verbs::sids_are_told_apart_to_the_byte: r#""a " is another sid"#,
    SidsAreCut => verbs::sids_are_told_apart_to_the_byte: r#"b" is another sid"#,
    SidsAreCutAt255 => verbs::a_sid_is_held_or_refused_as_a_whole: r#"x" is another sid"#,
    SidsEndAtNul => verbs::a_sid_is_held_or_refused_as_a_whole: r#""a\0b" is another sid"#,
    LongSidsLoseTheirBlanks => verbs::a_sid_is_held_or_refused_as_a_whole: r#"x " is another sid"#,

    // What cannot be read.
    UnreadableIsAbsent =>
        verbs::get_of_a_record_that_cannot_be_read_is_an_error_that_says_so:
        "called `Result::unwrap_err()` on an `Ok` value: None",
    UnreadableIsRemoved =>
        verbs::get_of_a_record_that_cannot_be_read_is_an_error_that_says_so:
        "called `Result::unwrap_err()` on an `Ok` value: None",
    UnreadableIsNotOverwritten =>
        verbs::a_record_that_cannot_be_read_is_held_all_the_same:
        r#"Corrupt { store: "faulty", source: "it was planted so" }"#,
    UnreadableIsAlwaysTouched =>
        verbs::a_record_that_cannot_be_read_is_held_all_the_same: "Nothing left: Moved right: Conflict",
    UnreadableIsUnknownToATouch =>
        verbs::a_record_that_cannot_be_read_is_held_all_the_same: "Nothing left: Unknown right: Conflict",
    UnreadableIsAlwaysOverwritten =>
        verbs::a_record_that_cannot_be_read_is_held_all_the_same:
        "Nothing left: Written(Version(…)) right: Conflict",
    UnreadableIsNotDestroyed =>
        verbs::a_record_that_cannot_be_read_is_held_all_the_same:
        r#"Corrupt { store: "faulty", source: "it was planted so" }"#,
    UnreadableIsAlwaysDestroyed =>
        verbs::a_record_that_cannot_be_read_is_held_all_the_same: "Nothing left: Destroyed right: Conflict",
    UnreadableNeverExpires =>
        verbs::a_record_that_cannot_be_read_expires_as_any_other:
        r#"Corrupt { store: "faulty", source: "it was planted so" }"#,
    UnreadableIsKeptFromWritersForEver =>
        verbs::a_record_that_cannot_be_read_expires_as_any_other:
        "what was expected is held, and the write is refused: Conflict",
    UnreadableIsTouchedForEver =>
        verbs::a_record_that_cannot_be_read_expires_as_any_other: "Anything left: Moved right: Unknown",
    UnreadableIsAConflictForEver =>
        verbs::a_record_that_cannot_be_read_expires_as_any_other: "left: Conflict right: Unknown",
    UnreadableFailsAll =>
        admin::a_record_that_cannot_be_read_hides_no_other:
        r#"Corrupt { store: "faulty", source: "it was planted so" }"#,
    UnreadableEndsAll => admin::a_record_that_cannot_be_read_hides_no_other: "records == held",
    UnreadableIsCountedByOneOnly => admin::a_record_that_cannot_be_read_hides_no_other: "left: 10 right: 20",
    UnreadableIsNotCleared => admin::a_record_that_cannot_be_read_hides_no_other: "left: 10 right: 0",

    // Calls that are dropped.
    DroppedSetLosesTheRecord =>
        concurrency::a_call_that_is_dropped_half_way_is_done_wholly_or_not_at_all: "it was done in part",
    DroppedSetKeepsTheOldExpiry =>
        concurrency::a_call_that_is_dropped_half_way_is_done_wholly_or_not_at_all: "it was done in part",
    DroppedAnySetLosesTheRecord =>
        concurrency::a_call_that_is_dropped_half_way_is_done_wholly_or_not_at_all: "it was done in part",
    DroppedAnyDestroyLeavesAnEmptyRecord =>
        concurrency::a_call_that_is_dropped_half_way_is_done_wholly_or_not_at_all: "in part",
    DroppedSetRevivesTheExpired =>
        concurrency::a_call_that_is_dropped_half_way_is_done_wholly_or_not_at_all: "it was done in part",
    DroppedLargeGetKeepsItsConnection =>
        concurrency::a_call_that_is_dropped_half_way_is_done_wholly_or_not_at_all:
        r#"Unavailable { store: "faulty", source: Elapsed(()) }"#,
    DroppedCallKeepsItsConnection =>
        concurrency::a_call_that_is_dropped_half_way_is_done_wholly_or_not_at_all:
        r#"Unavailable { store: "faulty", source: Elapsed(()) }"#,

    // What is removed.
    PruneDoesNothing => admin::prune_removes_what_has_expired_and_nothing_else: "left: 0 right: 5",
    PruneAnswersOnly => admin::prune_removes_what_has_expired_and_nothing_else: "left: 3 right: 5",
    PruneAnswersNothing => admin::prune_removes_what_has_expired_and_nothing_else: "left: 0 right: 5",
    PruneClears => admin::prune_removes_what_has_expired_and_nothing_else: "left: 0 right: 1102",
    PruneGoesByTheFirstExpiry =>
        admin::prune_removes_what_has_expired_and_nothing_else: "left: 1101 right: 1102",
    PruneGoesByTheLastWrite => admin::prune_removes_what_has_expired_and_nothing_else: "left: 1 right: 5",
    PruneIsHalfAnHourEarly => admin::prune_removes_all_that_has_expired_however_many: "it has not expired",
    PruneIsHalfAMinuteEarly =>
        admin::prune_removes_what_has_expired_and_nothing_else: "left: 1101 right: 1102",
    PruneIsOneBatch => admin::prune_removes_all_that_has_expired_however_many: "left: 1000 right: 2500",
    PruneLooksThenRemoves =>
        concurrency::a_session_over_an_expired_one_outlives_a_prune: "it has not expired",
    ClearIsOneBatch => admin::clear_destroys_every_session: "left: 607 right: 0",
    ClearMissesOddSids => admin::clear_destroys_every_session: "left: 7 right: 0",

    // Lists.
    LengthGoesByTheFirstExpiry => admin::length_counts_what_has_not_expired: "left: 1101 right: 1102",
    IdsGoByTheFirstExpiry => admin::ids_shows_every_sid_once: "sids.iter().eq(held.keys())",
    AllGoesByTheFirstExpiry => admin::all_shows_every_record_with_its_sid: "records == held",
    LengthGoesByTheLastWrite => admin::length_counts_what_has_not_expired: "left: 1104 right: 1102",
    IdsGoByTheLastWrite => admin::ids_shows_every_sid_once: "sids.iter().eq(held.keys())",
    AllShowsTheFirstWrite => admin::all_shows_every_record_with_its_sid: "records == held",
    AllLosesTheCookie =>
        admin::all_shows_every_record_with_its_sid:
        r#"all shows what get shows left: Some("{"cookie":{"originalMaxAge":null,"#,
    LengthIsAThousandAtMost => admin::length_counts_what_has_not_expired: "left: 1000 right: 1102",
    IdsAreOnePage => admin::ids_shows_every_sid_once: "sids.iter().eq(held.keys())",
    IdsEndAtAColon => admin::ids_shows_every_sid_once: "sids.iter().eq(held.keys())",
    IdsAreByOffset => admin::a_list_beside_destructions_shows_all_who_stay: "who stays is not shown",
    AllIsOnePage =>
        admin::all_shows_every_record_with_its_sid: "assertion failed: records == held",
}

/// A memory store as a database at some distance, through which every call goes and comes; one of two processes.
#[derive(Debug)]
struct Faulty {
    fault: Fault,
    store: Arc<dyn AdminStore>,
    clock: Clock,
    lock: tokio::sync::Mutex<()>,
    connections: Semaphore,
    cache: Mutex<HashMap<Sid, Stored>>,
    expiries: Mutex<HashMap<Sid, SystemTime>>,
    firsts: Mutex<HashMap<Sid, u64>>,
    writes: Mutex<HashMap<Sid, Writes>>,
    database: Arc<Database>,
}

/// What was written under a sid: the first record, the last, and when that was.
#[derive(Clone, Debug)]
struct Writes {
    first: Record,
    last: Record,
    at: SystemTime,
}

/// What both processes have in common beside the records.
#[derive(Debug, Default)]
struct Database {
    lock: tokio::sync::Mutex<()>,
    planted: Mutex<HashSet<Sid>>,
}

fn fixture(fault: Fault, store: impl AdminStore, clock: &Clock) -> Fixture {
    let store: Arc<dyn AdminStore> = Arc::new(store);
    let database = Arc::<Database>::default();
    let process = || Faulty {
        fault,
        store: Arc::clone(&store),
        clock: clock.clone(),
        lock: tokio::sync::Mutex::default(),
        connections: Semaphore::new(4),
        cache: Mutex::default(),
        expiries: Mutex::default(),
        firsts: Mutex::default(),
        writes: Mutex::default(),
        database: Arc::clone(&database),
    };
    let (one, other) = (process(), process());
    Fixture::new(one).beside(other).plant(move |sid, text, until| {
        let (store, database) = (Arc::clone(&store), Arc::clone(&database));
        async move {
            let record = planted(text, until);
            if record.data.contains("unreadable") {
                database.planted.lock().unwrap().insert(sid.clone());
            }
            store.set(&sid, &record, &Expect::Anything).await.unwrap();
        }
    })
}

fn open(fault: Fault) -> Fixture {
    let manual = ManualClock::new();
    let clock = match fault {
        Fault::ExpiriesAreRoundedDown => in_seconds(&manual, 999),
        fault if fault.is_in_seconds() => in_seconds(&manual, 0),
        _ => manual.clock(),
    };
    let memory = MemoryStore::new().clock(clock);
    let memory = match fault {
        Fault::TtlIsForEver => memory,
        Fault::TtlIsAnother => memory.ttl(2 * DAY),
        _ => memory.ttl(DAY),
    };
    let fixture = match fault {
        Fault::TouchReadsThenWritesWhereVersionsAreDigests
        | Fault::TouchIfReadsThenWritesWhereVersionsAreDigests
        | Fault::VersionsHaveNoCookie => fixture(fault, Digests::new(memory, of_data), &manual.clock()),
        Fault::VersionsHaveNoCase => {
            let digest = |record: &Record| record.to_json().to_lowercase();
            fixture(fault, Digests::new(memory, digest), &manual.clock())
        }
        Fault::VersionsHaveNoBlanks => {
            let digest = |record: &Record| record.to_json().replace(' ', "");
            fixture(fault, Digests::new(memory, digest), &manual.clock())
        }
        Fault::VersionsHaveNoLifetime => {
            let digest = |record: &Record| {
                let mut record = record.clone();
                record.cookie.set_expires(None, UNIX_EPOCH);
                record.to_json()
            };
            fixture(fault, Digests::new(memory, digest), &manual.clock())
        }
        Fault::VersionsAreCut => {
            let digest = |record: &Record| record.to_json().chars().take(2_000).collect();
            fixture(fault, Digests::new(memory, digest), &manual.clock())
        }
        Fault::VersionsAreAscii => {
            let digest = |record: &Record| record.to_json().chars().filter(char::is_ascii).collect();
            fixture(fault, Digests::new(memory, digest), &manual.clock())
        }
        Fault::VersionsAreFloats => {
            let digest = |record: &Record| record.to_json().replace("9007199254740993", "9007199254740992");
            fixture(fault, Digests::new(memory, digest), &manual.clock())
        }
        Fault::VersionsHaveNoTypes => {
            let digest = |record: &Record| record.to_json().replace('"', "").replace("true", "1");
            fixture(fault, Digests::new(memory, digest), &manual.clock())
        }
        Fault::VersionsHaveNoNulls => {
            let digest = |record: &Record| record.to_json().replace(",\"n\":null", "");
            fixture(fault, Digests::new(memory, digest), &manual.clock())
        }
        Fault::VersionsHaveNoOrder => {
            let digest = |record: &Record| {
                let mut sorted: Vec<char> = record.to_json().chars().collect();
                sorted.sort_unstable();
                sorted.into_iter().collect()
            };
            fixture(fault, Digests::new(memory, digest), &manual.clock())
        }
        Fault::VersionsHaveNoBrackets => {
            let digest = |record: &Record| record.to_json().replace("[]", "{}");
            fixture(fault, Digests::new(memory, digest), &manual.clock())
        }
        Fault::VersionsHaveNoMarks => {
            let digest = |record: &Record| without_marks(&record.to_json());
            fixture(fault, Digests::new(memory, digest), &manual.clock())
        }
        Fault::VersionsAreNormalized => {
            let digest = |record: &Record| record.to_json().replace("e\u{301}", "\u{e9}");
            fixture(fault, Digests::new(memory, digest), &manual.clock())
        }
        Fault::VersionsHaveNoWidth => {
            let digest = |record: &Record| record.to_json().replace('ａ', "a");
            fixture(fault, Digests::new(memory, digest), &manual.clock())
        }
        Fault::VersionsAreExpanded => {
            let digest = |record: &Record| record.to_json().replace('ß', "ss");
            fixture(fault, Digests::new(memory, digest), &manual.clock())
        }
        // As a collation that knows no letter beyond the first 65536.
        Fault::VersionsAreOfThePlane => {
            let digest = |record: &Record| record.to_json().replace(|c| c > '\u{ffff}', "\u{fffd}");
            fixture(fault, Digests::new(memory, digest), &manual.clock())
        }
        _ => fixture(fault, memory, &manual.clock()),
    };
    let fixture = fixture.clock(manual).ttl(DAY);
    if fault.is_in_seconds() { fixture } else { fixture.exact_to_the_millisecond() }
}

impl Fault {
    /// Of a store that counts in whole seconds.
    fn is_in_seconds(self) -> bool {
        format!("{self:?}").starts_with("InSeconds")
    }
}

/// What a collation passes over that takes marks and what has no width for nothing.
fn without_marks(text: &str) -> String {
    text.replace(['\u{200b}', '\u{301}'], "")
}

fn of_data(record: &Record) -> String {
    format!("{:?}", record.data.iter().collect::<Vec<_>>())
}

/// For a store that goes by this clock, expiries are whole seconds: with 0, those that begin no sooner; with 499, the nearest;
/// with 999, those that have begun.
fn in_seconds(clock: &ManualClock, late: u64) -> Clock {
    let clock = clock.clock();
    Clock::new(move || {
        let seconds = clock.now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        UNIX_EPOCH + Duration::from_millis(seconds * 1_000 + late)
    })
}

/// So that others come in between, on a busy machine too.
async fn long_way() {
    for _ in 0..3 {
        yield_now().await;
    }
    tokio::time::sleep(Duration::from_millis(4)).await;
}

impl Faulty {
    /// The way to the database, or back.
    async fn way(&self) -> Result<(), StoreError> {
        if self.fault == Fault::DroppedCallKeepsItsConnection {
            return self.on_a_connection().await;
        }
        yield_now().await;
        Ok(())
    }

    async fn on_a_connection(&self) -> Result<(), StoreError> {
        let connection = tokio::time::timeout(Duration::from_millis(200), self.connections.acquire()).await;
        connection.map_err(|late| StoreError::unavailable("faulty", late))?.unwrap().forget();
        long_way().await;
        self.connections.add_permits(1);
        Ok(())
    }

    fn is_right_or_in_seconds(&self) -> bool {
        self.fault == Fault::None || self.fault.is_in_seconds()
    }

    fn key(&self, sid: &Sid) -> Sid {
        match self.fault {
            Fault::SidsHaveNoCase => sid.as_str().to_lowercase().into(),
            Fault::SidsAreTrimmed => sid.as_str().trim_end().into(),
            Fault::SidsAreCut => sid.as_str().chars().take(127).collect::<String>().into(),
            Fault::SidsAreCutAt255 => sid.as_str().chars().take(255).collect::<String>().into(),
            Fault::SidsEndAtNul => sid.as_str().split('\0').next().unwrap().into(),
            Fault::LongSidsLoseTheirBlanks if sid.as_str().len() > 128 => sid.as_str().trim_end().into(),
            _ => sid.clone(),
        }
    }

    /// The other sids that are meant as well, where a fault takes one for many.
    async fn meant(&self, sid: &Sid, by: fn(&[u8], &[u8]) -> bool) -> Vec<Sid> {
        let mut meant = Vec::new();
        let mut visit = |other: Sid| {
            if other != *sid && by(sid.as_str().as_bytes(), other.as_str().as_bytes()) {
                meant.push(other);
            }
        };
        self.store.ids(&mut visit).await.unwrap();
        meant
    }

    async fn is_met(&self, sid: &Sid, expect: &Expect) -> bool {
        let held = self.store.get(sid).await.unwrap();
        match expect {
            Expect::Anything => true,
            Expect::Nothing => held.is_none(),
            Expect::Version(version) => held.is_some_and(|held| held.version == *version),
        }
    }

    async fn holds_unreadable(&self, sid: &Sid) -> bool {
        self.store.get(sid).await.unwrap().as_ref().is_some_and(is_unreadable)
    }

    /// Whether it would have expired if it had not been touched since it was written.
    fn has_first_expired(&self, sid: &Sid) -> bool {
        self.expiries.lock().unwrap().get(sid).is_some_and(|at| *at <= self.clock.now())
    }

    /// Whether it has expired within the last second, as far as its last write says.
    fn has_just_expired(&self, sid: &Sid) -> bool {
        let since = |at: &SystemTime| self.clock.now().duration_since(*at);
        let since = self.expiries.lock().unwrap().get(sid).map(since);
        since.is_some_and(|since| since.is_ok_and(|since| since < Duration::from_secs(1)))
    }

    /// When its last write said that it would end.
    fn ends_at(&self, sid: &Sid) -> Option<SystemTime> {
        self.writes.lock().unwrap().get(sid).and_then(|writes| writes.last.expires())
    }

    /// What a touch has ended sooner than its last write said.
    async fn ended_sooner(&self) -> Vec<Sid> {
        let sids: Vec<Sid> = self.writes.lock().unwrap().keys().cloned().collect();
        let mut ended = Vec::new();
        for sid in sids {
            let should_be_held = self.ends_at(&sid).is_some_and(|at| at > self.clock.now());
            if should_be_held && self.store.get(&sid).await.unwrap().is_none() {
                ended.push(sid);
            }
        }
        ended
    }

    /// In whole seconds: whether this is the second in which it ends.
    async fn ends_in_this_second(&self, sid: &Sid) -> bool {
        let left = self.store.get(sid).await.unwrap().and_then(|held| held.left);
        left.is_some_and(|left| left <= Duration::from_secs(1))
    }

    /// Something unreadable was planted and nobody has written or destroyed it since, expired or not.
    fn is_planted(&self, sid: &Sid) -> bool {
        self.database.planted.lock().unwrap().contains(sid)
    }

    fn was_written_an_hour_ago(&self, sid: &Sid) -> bool {
        let at = self.writes.lock().unwrap().get(sid).map(|writes| writes.at);
        at.is_some_and(|at| at + DAY / 24 <= self.clock.now())
    }

    fn has_ended(&self, cookie: &Cookie) -> bool {
        cookie.held_until(self.clock.now(), None).is_some_and(|at| at <= self.clock.now())
    }

    /// Over since less than a second.
    fn has_just_ended(&self, cookie: &Cookie) -> bool {
        let ended = cookie.expires().and_then(|at| self.clock.now().duration_since(at).ok());
        ended.is_some_and(|ended| ended < Duration::from_secs(1))
    }

    /// The database's lock, which every writer takes but the one kind that a fault has forgotten.
    async fn lock_but(&self, is_forgotten: bool) -> Option<tokio::sync::MutexGuard<'_, ()>> {
        if is_forgotten { None } else { Some(self.database.lock.lock().await) }
    }

    /// The other sids that a collation takes for this one.
    async fn looks_like(&self, sid: &Sid, as_seen: fn(&str) -> String) -> Vec<Sid> {
        let mut meant = Vec::new();
        let mut visit = |other: Sid| {
            if other != *sid && as_seen(other.as_str()) == as_seen(sid.as_str()) {
                meant.push(other);
            }
        };
        self.store.ids(&mut visit).await.unwrap();
        meant
    }

    /// The cookie as a fault holds it.
    fn cut(&self, cookie: &Cookie) -> Cookie {
        let now = self.clock.now();
        let left = cookie.expires().and_then(|at| at.duration_since(now).ok());
        let cut = left.map(|left| match self.fault {
            Fault::LifetimesAreRoundedDown => Duration::from_secs(left.as_secs()),
            Fault::LifetimesEndAfterAMonth => left.min(30 * DAY),
            Fault::ExpiriesEndIn2038 if left > 4_000 * DAY => Duration::from_millis(1),
            _ => left,
        });
        let mut cookie = cookie.clone();
        if cut != left {
            cookie.set_expires(cut.map(|left| now + left), now);
        }
        cookie
    }

    fn until_2038(&self, cookie: &Cookie) -> Cookie {
        let last = UNIX_EPOCH + Duration::from_secs(0x7fff_ffff);
        let mut cookie = cookie.clone();
        if cookie.expires().is_some_and(|at| at > last) {
            cookie.set_expires(Some(self.clock.now() + Duration::from_millis(1)), self.clock.now());
        }
        cookie
    }

    /// With [`Fault::VersionsBeginAnewWithASession`] versions count from the session's first.
    fn outward(&self, sid: &Sid, version: Version) -> Version {
        if self.fault != Fault::VersionsBeginAnewWithASession {
            return version;
        }
        let number = version.number().unwrap();
        Version::from_number(number - *self.firsts.lock().unwrap().entry(sid.clone()).or_insert(number))
    }

    fn inward(&self, sid: &Sid, expect: &Expect) -> Expect {
        match (expect, self.firsts.lock().unwrap().get(sid)) {
            (Expect::Version(version), Some(first)) => {
                Expect::Version(Version::from_number(version.number().unwrap() + first))
            }
            _ => expect.clone(),
        }
    }
}

#[async_trait]
impl Store for Faulty {
    async fn get(&self, sid: &Sid) -> Result<Option<Stored>, StoreError> {
        let sid = &self.key(sid);
        self.way().await?;
        let _lock = match self.fault {
            Fault::SetIfIsSeenHalfDoneByTouches => self.lock_but(false).await,
            _ => None,
        };
        if self.fault == Fault::InSecondsGetEndsEarly && self.ends_in_this_second(sid).await {
            return Ok(None);
        }
        if let (Fault::GetIsCached, Some(cached)) = (self.fault, self.cache.lock().unwrap().get(sid)) {
            return Ok(Some(cached.clone()));
        }
        let stored = self.store.get(sid).await?;
        if self.fault == Fault::DroppedLargeGetKeepsItsConnection
            && stored.as_ref().is_some_and(|stored| stored.record.data.contains("large"))
        {
            self.on_a_connection().await?;
        }
        self.way().await?;
        if self.fault == Fault::GetRemovesWhatHasExpired && stored.is_none() && self.has_first_expired(sid) {
            long_way().await;
            self.store.destroy(sid, &Expect::Anything).await?;
        }
        let Some(mut stored) = stored else {
            let is_kept = self.fault == Fault::UnreadableNeverExpires && self.is_planted(sid);
            return if is_kept { Err(unreadable()) } else { Ok(None) };
        };
        stored.version = self.outward(sid, stored.version);
        match self.fault {
            Fault::UnreadableIsAbsent if is_unreadable(&stored) => return Ok(None),
            Fault::UnreadableIsRemoved if is_unreadable(&stored) => {
                self.store.destroy(sid, &Expect::Anything).await?;
            }
            Fault::LeftIsLifetime => stored.left = stored.lifetime,
            Fault::LifetimeIsLeft => stored.lifetime = stored.left,
            Fault::TtlIsNoLifetime => stored.lifetime = stored.record.cookie.original_max_age(),
            Fault::DollarsAreOperators => {
                let text = stored.record.to_json().replace(r#"{"$inc":1,"a.b":2}"#, "1");
                stored.record = Record::parse(text).unwrap();
            }
            Fault::AnAttributeIsLost => stored.record.cookie.set_domain(None),
            Fault::NumbersAreRounded => {
                let text = stored.record.to_json().replace("9007199254740993", "9007199254740992");
                stored.record = Record::parse(text).unwrap();
            }
            Fault::GetTouches => {
                let mut cookie = stored.record.cookie.clone();
                cookie.set_max_age(cookie.original_max_age(), self.clock.now());
                self.store.touch(sid, &cookie, &Expect::Anything).await?;
            }
            Fault::GetIsCached => _ = self.cache.lock().unwrap().insert(sid.clone(), stored.clone()),
            _ => {}
        }
        if is_unreadable(&stored) { Err(unreadable()) } else { Ok(Some(stored)) }
    }

    async fn set(&self, sid: &Sid, record: &Record, expect: &Expect) -> Result<Set, StoreError> {
        let sid = &self.key(sid);
        self.cache.lock().unwrap().remove(sid);
        self.way().await?;
        let mut record = record.clone();
        record.cookie = self.cut(&record.cookie);
        let mut expect = self.inward(sid, expect);
        match self.fault {
            Fault::SetOfTheJustExpiredIsWritten if self.has_just_ended(&record.cookie) => {
                record.cookie.set_max_age(Some(Duration::from_secs(1)), self.clock.now());
            }
            Fault::SetWithNothingLeftIsForTheTtl if record.expires() == Some(self.clock.now()) => {
                record.cookie.set_max_age(None, self.clock.now());
            }
            _ => {}
        }
        let is_expired = self.has_ended(&record.cookie);
        let is_conditional = matches!(expect, Expect::Version(_));
        // To the millisecond, whatever the store counts in.
        if is_expired && self.is_right_or_in_seconds() {
            return Ok(Set::Expired);
        }
        let lock = match self.fault {
            Fault::SetIsAtomicInItsProcessOnly | Fault::TouchIfIsAtomicInItsProcessOnly => {
                Some(self.lock.lock().await)
            }
            Fault::SetIfRacesWithAnySet | Fault::DestroyIfRacesWithAnySet | Fault::TouchIfRacesWithAnySet => {
                self.lock_but(expect == Expect::Anything).await
            }
            Fault::SetIfRacesWithAnyDestroy
            | Fault::TouchIfRacesWithAnyDestroy
            | Fault::TouchRacesWithAnyDestroy => self.lock_but(false).await,
            _ => None,
        };
        let is_over_the_expired =
            expect == Expect::Nothing && self.has_first_expired(sid) && self.store.get(sid).await?.is_none();
        match self.fault {
            Fault::SetReadsThenWrites | Fault::SetIsAtomicInItsProcessOnly => {
                if !self.is_met(sid, &expect).await {
                    return Ok(Set::Conflict);
                }
                self.way().await?;
                expect = Expect::Anything;
            }
            Fault::SetIfRacesWithAnySet | Fault::SetIfRacesWithAnyDestroy if is_conditional => {
                if !self.is_met(sid, &expect).await {
                    return Ok(Set::Conflict);
                }
                long_way().await;
                expect = Expect::Anything;
            }
            Fault::CreateRacesWithAnySet if expect == Expect::Nothing => {
                if !self.is_met(sid, &expect).await {
                    return Ok(Set::Conflict);
                }
                long_way().await;
                expect = Expect::Anything;
            }
            Fault::SetIfLosesAttributes if expect != Expect::Anything => {
                record.cookie.set_same_site(None);
                record.cookie.set_domain(None);
            }
            Fault::SetIfDropsLarge if is_conditional && record.data.contains("large") => {
                return Err(StoreError::unavailable("faulty", "too large"));
            }
            Fault::SetOverTheExpiredReadsThenWrites if is_over_the_expired => {
                long_way().await;
                expect = Expect::Anything;
            }
            Fault::SetIfIsSeenHalfDone | Fault::SetIfIsSeenHalfDoneByTouches if is_conditional => {
                let (store, database) = (Arc::clone(&self.store), Arc::clone(&self.database));
                let (sid, record) = (sid.clone(), record.clone());
                // To its end, whether somebody waits for it or not.
                let set = tokio::spawn(async move {
                    let _lock = database.lock.lock().await;
                    if store.destroy(&sid, &expect).await? != Destroyed::Destroyed {
                        return Ok(Set::Conflict);
                    }
                    long_way().await;
                    store.set(&sid, &record, &Expect::Nothing).await
                });
                return set.await.unwrap();
            }
            Fault::InSecondsSetEndsEarly
                if expect == Expect::Nothing && self.ends_in_this_second(sid).await =>
            {
                expect = Expect::Anything;
            }
            Fault::InSecondsSetIfEndsEarly if is_conditional && self.ends_in_this_second(sid).await => {
                return Ok(Set::Conflict);
            }
            Fault::VersionsAreForgottenAfterAnHour if is_conditional && self.was_written_an_hour_ago(sid) => {
                expect = Expect::Anything;
            }
            Fault::VersionsAreOldAfterAnHour if is_conditional && self.was_written_an_hour_ago(sid) => {
                return Ok(Set::Conflict);
            }
            Fault::UnreadableIsKeptFromWritersForEver
                if expect == Expect::Nothing && self.is_planted(sid) =>
            {
                return Ok(Set::Conflict);
            }
            Fault::DroppedAnySetLosesTheRecord if expect == Expect::Anything => {
                self.store.destroy(sid, &expect).await?;
                self.way().await?;
            }
            Fault::DroppedSetRevivesTheExpired if is_over_the_expired => {
                let writes = self.writes.lock().unwrap().get(sid).cloned();
                let old = Record::new(record.cookie.clone(), writes.unwrap().last.data);
                self.store.set(sid, &old, &expect).await?;
                self.way().await?;
                expect = Expect::Anything;
            }
            Fault::SetIfKeepsTheExpiry if is_conditional => {
                record.cookie = self.store.get(sid).await?.unwrap().record.cookie;
            }
            Fault::SetIfExpiriesEndIn2038 if is_conditional => {
                record.cookie = self.until_2038(&record.cookie);
            }
            Fault::SetIfRevivesForASecond if is_conditional && self.has_just_expired(sid) => {
                expect = Expect::Anything;
            }
            Fault::SetOverwritesInTheLastSecond if expect == Expect::Nothing => {
                let left = self.store.get(sid).await?.and_then(|held| held.left);
                if left.is_some_and(|left| left < Duration::from_secs(1)) {
                    expect = Expect::Anything;
                }
            }
            Fault::SetOfTheSameIsAConflict if is_conditional => {
                let held = self.store.get(sid).await?;
                if held.is_some_and(|held| held.record.to_json() == record.to_json()) {
                    return Ok(Set::Conflict);
                }
            }
            Fault::SetHasNoCase | Fault::SetHasNoMarks => {
                let as_seen =
                    if self.fault == Fault::SetHasNoCase { str::to_lowercase } else { without_marks };
                for other in self.looks_like(sid, as_seen).await {
                    self.store.set(&other, &record, &Expect::Anything).await?;
                }
            }
            Fault::SetByPattern if is_conditional => {
                for other in self.meant(sid, matches).await {
                    self.store.set(&other, &record, &Expect::Anything).await?;
                }
            }
            Fault::SetIfGoesByTheFirstExpiry if is_conditional && self.has_first_expired(sid) => {
                return Ok(Set::Conflict);
            }
            Fault::SetGoesByTheFirstExpiry if self.has_first_expired(sid) => expect = Expect::Anything,
            Fault::SetOfTheExpiredDestroys if is_expired => {
                _ = self.store.destroy(sid, &expect).await?;
            }
            Fault::SetOfTheExpiredCompares if is_expired && !self.is_met(sid, &expect).await => {
                return Ok(Set::Conflict);
            }
            Fault::SetOfTheExpiredIsWritten if is_expired => {
                record.cookie.set_max_age(Some(DAY), self.clock.now());
                self.store.set(sid, &record, &expect).await?;
                return Ok(Set::Expired);
            }
            Fault::UnreadableIsNotOverwritten if self.holds_unreadable(sid).await => {
                return Err(unreadable());
            }
            Fault::UnreadableIsAlwaysOverwritten if self.holds_unreadable(sid).await => {
                expect = Expect::Anything;
            }
            Fault::DroppedSetLosesTheRecord if is_conditional => {
                if self.store.destroy(sid, &expect).await? != Destroyed::Destroyed {
                    return Ok(Set::Conflict);
                }
                self.way().await?;
                expect = Expect::Nothing;
            }
            Fault::DroppedSetKeepsTheOldExpiry if is_conditional => {
                let Some(held) = self.store.get(sid).await? else { return Ok(Set::Conflict) };
                let first = Record::new(held.record.cookie, record.data.clone());
                let Set::Written(version) = self.store.set(sid, &first, &expect).await? else {
                    return Ok(Set::Conflict);
                };
                self.way().await?;
                expect = Expect::Version(version);
            }
            _ => {}
        }
        let set = self.store.set(sid, &record, &expect).await?;
        drop(lock);
        if let (Set::Written(_), Some(at)) = (&set, record.expires()) {
            self.expiries.lock().unwrap().insert(sid.clone(), at);
        }
        if let Set::Written(_) = set {
            self.database.planted.lock().unwrap().remove(sid);
            let at = self.clock.now();
            let new = || Writes { first: record.clone(), last: record.clone(), at };
            let mut writes = self.writes.lock().unwrap();
            let writes = writes.entry(sid.clone()).or_insert_with(new);
            (writes.last, writes.at) = (record.clone(), at);
        }
        self.way().await?;
        Ok(match set {
            Set::Written(_) if self.fault == Fault::SetAnswersAnotherVersion && !is_conditional => {
                Set::Written(Version::from_number(u64::MAX))
            }
            Set::Written(version) if self.fault == Fault::SetAnswersALaterVersion => {
                long_way().await;
                long_way().await;
                let held = self.store.get(sid).await?;
                Set::Written(held.map_or(version, |held| held.version))
            }
            Set::Written(version) => Set::Written(self.outward(sid, version)),
            other => other,
        })
    }

    async fn touch(&self, sid: &Sid, cookie: &Cookie, expect: &Expect) -> Result<Touched, StoreError> {
        let sid = &self.key(sid);
        self.cache.lock().unwrap().remove(sid);
        self.way().await?;
        let mut expect = self.inward(sid, expect);
        let is_conditional = matches!(expect, Expect::Version(_));
        let mut cookie = self.cut(cookie);
        if self.fault == Fault::TouchedExpiriesEndIn2038 {
            cookie = self.until_2038(&cookie);
        }
        let left = cookie.expires().and_then(|at| at.duration_since(self.clock.now()).ok());
        match (self.fault, left) {
            (Fault::TouchIfIsRoundedDown, _) if !is_conditional => {}
            (Fault::TouchedLifetimesAreRoundedDown | Fault::TouchIfIsRoundedDown, Some(left)) => {
                cookie.set_max_age(Some(Duration::from_secs(left.as_secs())), self.clock.now());
            }
            _ => {}
        }
        match self.fault {
            Fault::TouchWithTheJustExpiredMoves if self.has_just_ended(&cookie) => {
                cookie.set_max_age(Some(Duration::from_secs(1)), self.clock.now());
            }
            Fault::TouchWithNothingLeftIsForTheTtl if cookie.expires() == Some(self.clock.now()) => {
                cookie.set_max_age(None, self.clock.now());
            }
            Fault::TouchLosesAttributes => cookie.set_domain(None),
            Fault::TouchIfLosesTheLifetime if is_conditional => {
                if let Some(at) = cookie.expires() {
                    cookie.set_expires(Some(at), at);
                }
            }
            _ => {}
        }
        let cookie = &cookie;
        let is_expired = self.has_ended(cookie);
        if is_expired && self.is_right_or_in_seconds() {
            return Ok(Touched::Expired);
        }
        let lock = match self.fault {
            Fault::TouchIfIsAtomicInItsProcessOnly => Some(self.lock.lock().await),
            Fault::SetIfRacesWithAnySet
            | Fault::SetIfRacesWithAnyDestroy
            | Fault::DestroyIfRacesWithAnySet
            | Fault::TouchIfRacesWithAnySet
            | Fault::TouchIfRacesWithAnyDestroy
            | Fault::TouchRacesWithAnyDestroy
            | Fault::SetIfIsSeenHalfDone => self.lock_but(false).await,
            _ => None,
        };
        let held = self.store.get(sid).await?;
        let is_met = self.is_met(sid, &expect).await;
        match (self.fault, held) {
            (Fault::TouchAsksForNoCondition, _) => expect = Expect::Anything,
            (Fault::TouchIfRacesWithAnySet, Some(_)) if is_conditional && is_met => {
                long_way().await;
                expect = Expect::Anything;
            }
            (Fault::TouchIfRacesWithAnyDestroy | Fault::TouchRacesWithAnyDestroy, Some(held))
                if is_conditional == (self.fault == Fault::TouchIfRacesWithAnyDestroy)
                    && is_met
                    && !is_expired =>
            {
                long_way().await;
                let record = Record::new(cookie.clone(), held.record.data);
                self.store.set(sid, &record, &Expect::Anything).await?;
                return Ok(Touched::Moved);
            }
            (Fault::TouchDropsNulls, Some(held)) if is_met && !is_expired => {
                let text = held.record.to_json().replace(r#","nothing":null"#, "");
                let record = Record::parse(text).unwrap();
                self.store.set(sid, &record, &expect).await?;
                expect = Expect::Anything;
            }
            (Fault::InSecondsTouchEndsEarly | Fault::InSecondsTouchIfEndsEarly, Some(_))
                if is_conditional == (self.fault == Fault::InSecondsTouchIfEndsEarly)
                    && self.ends_in_this_second(sid).await =>
            {
                return Ok(Touched::Unknown);
            }
            (Fault::UnreadableIsTouchedForEver, None)
                if expect == Expect::Anything && self.is_planted(sid) =>
            {
                return Ok(Touched::Moved);
            }
            (Fault::UnreadableIsAConflictForEver, None) if is_conditional && self.is_planted(sid) => {
                return Ok(Touched::Conflict);
            }
            (Fault::TouchExpectingNothingMoves, _) if expect == Expect::Nothing => expect = Expect::Anything,
            (Fault::TouchOfAConflictMoves, Some(_)) if !is_met && !is_expired => {
                self.store.touch(sid, cookie, &Expect::Anything).await?;
                return Ok(Touched::Conflict);
            }
            (Fault::TouchWithTheExpiredCompares, Some(_)) if !is_met => return Ok(Touched::Conflict),
            (Fault::TouchIfMovesNothing, Some(_)) if is_conditional && is_met && !is_expired => {
                return Ok(Touched::Moved);
            }
            (Fault::TouchIfMakesAVersion, Some(held)) if is_conditional && is_met && !is_expired => {
                let record = Record::new(cookie.clone(), held.record.data);
                self.store.set(sid, &record, &expect).await?;
                return Ok(Touched::Moved);
            }
            (Fault::TouchIfHasNoTtl, Some(_)) if is_conditional && is_met && cookie.expires().is_none() => {
                return Ok(Touched::Moved);
            }
            (Fault::TouchIfGoesByTheFirstExpiry, _) if is_conditional && self.has_first_expired(sid) => {
                return Ok(Touched::Unknown);
            }
            (Fault::TouchIfReadsThenTouches | Fault::TouchIfIsAtomicInItsProcessOnly, Some(_))
                if is_conditional && is_met =>
            {
                self.way().await?;
                expect = Expect::Anything;
            }
            (
                Fault::TouchIfReadsThenWrites | Fault::TouchIfReadsThenWritesWhereVersionsAreDigests,
                Some(held),
            ) if is_conditional && is_met && !is_expired => {
                self.way().await?;
                let record = Record::new(cookie.clone(), held.record.data);
                self.store.set(sid, &record, &Expect::Anything).await?;
                return Ok(Touched::Moved);
            }
            (Fault::UnreadableIsAlwaysTouched, Some(held)) if is_unreadable(&held) => {
                expect = Expect::Anything;
            }
            (Fault::UnreadableIsUnknownToATouch, Some(held)) if is_unreadable(&held) => {
                return Ok(Touched::Unknown);
            }
            (
                Fault::TouchReadsThenWrites | Fault::TouchReadsThenWritesWhereVersionsAreDigests,
                Some(held),
            ) => {
                self.way().await?;
                let record = Record::new(cookie.clone(), held.record.data);
                self.store.set(sid, &record, &Expect::Anything).await?;
            }
            (Fault::TouchReadsThenComparesAndWrites, Some(held)) => {
                let record = Record::new(cookie.clone(), held.record.data);
                self.store.set(sid, &record, &Expect::Version(held.version)).await?;
            }
            (Fault::TouchMovesNothing, Some(_)) => return Ok(Touched::Moved),
            (Fault::TouchMovesToLaterOnly, Some(held)) if held.record.expires() > cookie.expires() => {
                return Ok(Touched::Moved);
            }
            (Fault::TtlIsForSetsOnly, Some(_)) if cookie.expires().is_none() => return Ok(Touched::Moved),
            (Fault::TtlIsNeverTouched, Some(held)) if held.record.cookie.expires().is_none() && is_met => {
                return Ok(Touched::Moved);
            }
            (Fault::TtlIsNeverTouchedAgain, Some(held))
                if held.record.cookie.expires().is_none() && cookie.expires().is_none() && is_met =>
            {
                return Ok(Touched::Moved);
            }
            (Fault::TouchToTheSameIsUnknown, Some(held)) if held.record.expires() == cookie.expires() => {
                return Ok(Touched::Unknown);
            }
            (Fault::TouchRevivesForASecond, None) if self.has_just_expired(sid) => {
                let record = Record::new(cookie.clone(), session_core::Data::new());
                self.store.set(sid, &record, &Expect::Nothing).await?;
            }
            (Fault::TouchEndsASecondEarly, Some(held))
                if held.left.is_some_and(|left| left < Duration::from_secs(1)) =>
            {
                return Ok(Touched::Unknown);
            }
            (
                Fault::TouchHasNoCase
                | Fault::TouchIsTrimmed
                | Fault::TouchHasNoAccents
                | Fault::TouchHasNoMarks,
                _,
            ) => {
                let as_seen = match self.fault {
                    Fault::TouchHasNoMarks => without_marks,
                    Fault::TouchHasNoCase => str::to_lowercase,
                    Fault::TouchIsTrimmed => |sid: &str| sid.trim_end().to_owned(),
                    _ => |sid: &str| sid.replace('ä', "a"),
                };
                for other in self.looks_like(sid, as_seen).await {
                    self.store.touch(&other, cookie, &Expect::Anything).await?;
                }
            }
            (Fault::TouchByPattern | Fault::TouchIfByPattern, _)
                if is_conditional || self.fault == Fault::TouchByPattern =>
            {
                for other in self.meant(sid, matches).await {
                    self.store.touch(&other, cookie, &Expect::Anything).await?;
                }
            }
            (Fault::TouchCreates, None) => {
                let record = Record::new(cookie.clone(), session_core::Data::new());
                self.store.set(sid, &record, &Expect::Nothing).await?;
            }
            _ => {}
        }
        let touched = self.store.touch(sid, cookie, &expect).await?;
        drop(lock);
        self.way().await?;
        match (self.fault, touched) {
            (Fault::TouchOfAConflictIsMoved, Touched::Conflict) => return Ok(Touched::Moved),
            (Fault::TouchOfAConflictIsUnknown, Touched::Conflict) => return Ok(Touched::Unknown),
            (Fault::TouchOfTheAbsentIsAConflict, Touched::Unknown) if is_conditional => {
                return Ok(Touched::Conflict);
            }
            (Fault::TouchSeesWhatHasExpired, Touched::Unknown)
                if is_conditional && self.has_first_expired(sid) =>
            {
                return Ok(Touched::Conflict);
            }
            (Fault::TouchWithTheExpiredDestroys, Touched::Expired) => {
                self.store.destroy(sid, &Expect::Anything).await?;
            }
            (Fault::TouchWithTheExpiredIsUnknown, Touched::Expired) => return Ok(Touched::Unknown),
            _ => {}
        }
        Ok(touched)
    }

    async fn destroy(&self, sid: &Sid, expect: &Expect) -> Result<Destroyed, StoreError> {
        let sid = &self.key(sid);
        self.cache.lock().unwrap().remove(sid);
        self.way().await?;
        let mut expect = self.inward(sid, expect);
        let is_conditional = matches!(expect, Expect::Version(_));
        let lock = match self.fault {
            Fault::SetIfRacesWithAnySet | Fault::DestroyIfRacesWithAnySet | Fault::TouchIfRacesWithAnySet => {
                self.lock_but(false).await
            }
            Fault::SetIfRacesWithAnyDestroy
            | Fault::TouchIfRacesWithAnyDestroy
            | Fault::TouchRacesWithAnyDestroy => self.lock_but(expect == Expect::Anything).await,
            _ => None,
        };
        match self.fault {
            Fault::DestroyAsksForNoCondition => expect = Expect::Anything,
            Fault::DestroyIfRacesWithAnySet if is_conditional && self.is_met(sid, &expect).await => {
                long_way().await;
                expect = Expect::Anything;
            }
            Fault::InSecondsDestroyIfEndsEarly if is_conditional && self.ends_in_this_second(sid).await => {
                return Ok(Destroyed::Unknown);
            }
            Fault::DroppedAnyDestroyLeavesAnEmptyRecord if expect == Expect::Anything => {
                if let Some(held) = self.store.get(sid).await? {
                    let empty = Record::new(held.record.cookie, session_core::Data::new());
                    self.store.set(sid, &empty, &expect).await?;
                    self.way().await?;
                }
            }
            Fault::DestroyIfGoesByTheFirstExpiry if is_conditional && self.has_first_expired(sid) => {
                return Ok(Destroyed::Unknown);
            }
            Fault::DestroyReadsThenDestroys if self.is_met(sid, &expect).await => {
                self.way().await?;
                expect = Expect::Anything;
            }
            Fault::DestroyByPattern => {
                for other in self.meant(sid, matches).await {
                    self.store.destroy(&other, &Expect::Anything).await?;
                }
            }
            Fault::DestroyHasNoCase | Fault::DestroyIfHasNoCase | Fault::DestroyHasNoMarks
                if is_conditional || self.fault != Fault::DestroyIfHasNoCase =>
            {
                let as_seen =
                    if self.fault == Fault::DestroyHasNoMarks { without_marks } else { str::to_lowercase };
                for other in self.looks_like(sid, as_seen).await {
                    self.store.destroy(&other, &Expect::Anything).await?;
                }
            }
            Fault::DestroyByPrefix | Fault::DestroyByPrefixAndVersion
                if is_conditional || self.fault == Fault::DestroyByPrefix =>
            {
                for other in self.meant(sid, |sid: &[u8], other: &[u8]| other.starts_with(sid)).await {
                    self.store.destroy(&other, &Expect::Anything).await?;
                }
            }
            Fault::UnreadableIsNotDestroyed if self.holds_unreadable(sid).await => return Err(unreadable()),
            Fault::UnreadableIsAlwaysDestroyed if self.holds_unreadable(sid).await => {
                expect = Expect::Anything;
            }
            _ => {}
        }
        let destroyed = self.store.destroy(sid, &expect).await?;
        drop(lock);
        if destroyed == Destroyed::Destroyed {
            self.writes.lock().unwrap().remove(sid);
            self.database.planted.lock().unwrap().remove(sid);
        }
        self.firsts.lock().unwrap().remove(sid);
        let was_written = self.expiries.lock().unwrap().remove(sid).is_some();
        self.way().await?;
        Ok(match (self.fault, destroyed) {
            (Fault::DestroySeesWhatHasExpired, Destroyed::Unknown) if is_conditional && was_written => {
                Destroyed::Conflict
            }
            (Fault::DestroyIsAlwaysTheOne, Destroyed::Unknown) => Destroyed::Destroyed,
            (Fault::DestroyOfTheAbsentIsAConflict, Destroyed::Unknown) if is_conditional => {
                Destroyed::Conflict
            }
            _ => destroyed,
        })
    }
}

#[async_trait]
impl AdminStore for Faulty {
    async fn length(&self) -> Result<u64, StoreError> {
        let mut length = 0;
        if self.fault == Fault::UnreadableIsCountedByOneOnly {
            self.all(&mut |_, _| length += 1).await?;
            return Ok(length);
        }
        if self.fault == Fault::LengthGoesByTheFirstExpiry {
            self.store.ids(&mut |sid| length += u64::from(!self.has_first_expired(&sid))).await?;
            return Ok(length);
        }
        if self.fault == Fault::InSecondsLengthEndsEarly {
            let mut sids = Vec::new();
            self.store.ids(&mut |sid| sids.push(sid)).await?;
            for sid in sids {
                length += u64::from(!self.ends_in_this_second(&sid).await);
            }
            return Ok(length);
        }
        if self.fault == Fault::LengthGoesByTheLastWrite {
            return Ok(self.store.length().await? + self.ended_sooner().await.len() as u64);
        }
        let length = self.store.length().await?;
        Ok(if self.fault == Fault::LengthIsAThousandAtMost { length.min(1_000) } else { length })
    }

    async fn ids(&self, visit: &mut (dyn FnMut(Sid) + Send)) -> Result<(), StoreError> {
        match self.fault {
            Fault::IdsAreByOffset => {
                let mut at = 0;
                loop {
                    let mut sids = Vec::new();
                    self.store.ids(&mut |sid| sids.push(sid)).await?;
                    sids.sort();
                    let page: Vec<Sid> = sids.into_iter().skip(at).take(100).collect();
                    at += page.len();
                    if page.is_empty() {
                        return Ok(());
                    }
                    page.into_iter().for_each(&mut *visit);
                    // On a busy machine too somebody leaves meanwhile.
                    tokio::time::sleep(Duration::from_millis(10)).await;
                    self.way().await?;
                }
            }
            Fault::IdsGoByTheLastWrite => self.ended_sooner().await.into_iter().for_each(&mut *visit),
            Fault::InSecondsIdsEndEarly => {
                let mut sids = Vec::new();
                self.store.ids(&mut |sid| sids.push(sid)).await?;
                for sid in sids {
                    if !self.ends_in_this_second(&sid).await {
                        visit(sid);
                    }
                }
                return Ok(());
            }
            _ => {}
        }
        let mut count = 0;
        let mut shown = |sid: Sid| {
            count += 1;
            match self.fault {
                Fault::IdsGoByTheFirstExpiry if self.has_first_expired(&sid) => {}
                Fault::IdsAreOnePage if count > 1_000 => {}
                Fault::IdsEndAtAColon => visit(sid.as_str().rsplit(':').next().unwrap().into()),
                _ => visit(sid),
            }
        };
        self.store.ids(&mut shown).await
    }

    async fn all(&self, visit: &mut (dyn FnMut(Sid, Record) + Send)) -> Result<(), StoreError> {
        let mut sids = Vec::new();
        self.store.ids(&mut |sid| sids.push(sid)).await?;
        if self.fault == Fault::AllIsOnePage {
            sids.truncate(300);
        }
        for sid in sids {
            match self.store.get(&sid).await? {
                Some(stored) if is_unreadable(&stored) => match self.fault {
                    Fault::UnreadableFailsAll => return Err(unreadable()),
                    Fault::UnreadableEndsAll => return Ok(()),
                    _ => {}
                },
                Some(_) if self.fault == Fault::AllGoesByTheFirstExpiry && self.has_first_expired(&sid) => {}
                Some(stored) if self.fault == Fault::AllShowsTheFirstWrite => {
                    let first = self.writes.lock().unwrap().get(&sid).map(|writes| writes.first.clone());
                    visit(sid, first.unwrap_or(stored.record));
                }
                Some(stored) if self.fault == Fault::AllLosesTheCookie => {
                    visit(sid, Record::new(Cookie::default(), stored.record.data));
                }
                Some(stored) => visit(sid, stored.record),
                None => {}
            }
        }
        Ok(())
    }

    async fn clear(&self) -> Result<(), StoreError> {
        if self.fault == Fault::ClearMissesOddSids {
            let mut sids = Vec::new();
            self.store.ids(&mut |sid| sids.push(sid)).await?;
            for sid in sids.iter().filter(|sid| sid.as_str().len() == 32) {
                self.store.destroy(sid, &Expect::Anything).await?;
            }
            return Ok(());
        }
        if !matches!(self.fault, Fault::UnreadableIsNotCleared | Fault::ClearIsOneBatch) {
            return self.store.clear().await;
        }
        let mut sids = Vec::new();
        self.all(&mut |sid, _| sids.push(sid)).await?;
        if self.fault == Fault::ClearIsOneBatch {
            sids.truncate(500);
        }
        for sid in sids {
            self.store.destroy(&sid, &Expect::Anything).await?;
        }
        Ok(())
    }

    async fn prune(&self) -> Result<u64, StoreError> {
        match self.fault {
            Fault::PruneDoesNothing => Ok(0),
            Fault::PruneAnswersOnly => Ok(3),
            Fault::PruneAnswersNothing => self.store.prune().await.map(|_| 0),
            Fault::PruneGoesByTheLastWrite => {
                let kept = self.ended_sooner().await.len() as u64;
                self.store.prune().await.map(|pruned| pruned.saturating_sub(kept))
            }
            Fault::PruneGoesByTheFirstExpiry => {
                let pruned = self.store.prune().await;
                let sids: Vec<Sid> = self.expiries.lock().unwrap().keys().cloned().collect();
                for sid in sids.iter().filter(|sid| self.has_first_expired(sid)) {
                    self.store.destroy(sid, &Expect::Anything).await?;
                }
                pruned
            }
            Fault::PruneIsHalfAnHourEarly | Fault::PruneIsHalfAMinuteEarly => {
                let early = if self.fault == Fault::PruneIsHalfAnHourEarly { DAY / 48 } else { DAY / 2_880 };
                let pruned = self.store.prune().await;
                let mut sids = Vec::new();
                self.store.ids(&mut |sid| sids.push(sid)).await?;
                for sid in sids {
                    let left = self.store.get(&sid).await?.and_then(|held| held.left);
                    if left.is_some_and(|left| left < early) {
                        self.store.destroy(&sid, &Expect::Anything).await?;
                    }
                }
                pruned
            }
            Fault::PruneIsOneBatch => self.store.prune().await.map(|pruned| pruned.min(1_000)),
            Fault::PruneLooksThenRemoves => {
                let sids: Vec<Sid> = self.expiries.lock().unwrap().keys().cloned().collect();
                let mut expired = Vec::new();
                for sid in sids {
                    if self.store.get(&sid).await?.is_none() {
                        expired.push(sid);
                    }
                }
                self.way().await?;
                for sid in &expired {
                    self.store.destroy(sid, &Expect::Anything).await?;
                }
                self.store.prune().await
            }
            Fault::PruneClears => {
                let pruned = self.store.prune().await;
                self.store.clear().await?;
                pruned
            }
            _ => self.store.prune().await,
        }
    }
}

/// A store whose versions say what is held, so that the same record has the same version again; a right one if they say all
/// of it.
#[derive(Debug)]
struct Digests {
    store: MemoryStore,
    of: fn(&Record) -> String,
    /// By the memory store's own versions, which a touch leaves as they are.
    digests: tokio::sync::Mutex<HashMap<u64, String>>,
}

type Known<'a> = tokio::sync::MutexGuard<'a, HashMap<u64, String>>;

impl Digests {
    fn new(store: MemoryStore, of: fn(&Record) -> String) -> Self {
        Self { store, of, digests: tokio::sync::Mutex::default() }
    }

    /// The memory store's condition for this one. What is no version of its own is never met.
    async fn inward(&self, known: &Known<'_>, sid: &Sid, expect: &Expect) -> Expect {
        let Expect::Version(version) = expect else { return expect.clone() };
        let held = self.store.get(sid).await.unwrap().map(|held| held.version);
        let is_met =
            |held: &Version| known.get(&held.number().unwrap()).map(String::as_str) == version.text();
        Expect::Version(held.filter(is_met).unwrap_or_else(|| Version::from_text("")))
    }
}

#[async_trait]
impl Store for Digests {
    async fn get(&self, sid: &Sid) -> Result<Option<Stored>, StoreError> {
        let known = self.digests.lock().await;
        let stored = self.store.get(sid).await?;
        let version = |stored: &Stored| known[&stored.version.number().unwrap()].clone();
        Ok(stored.map(|stored| Stored { version: Version::from_text(version(&stored)), ..stored }))
    }

    async fn set(&self, sid: &Sid, record: &Record, expect: &Expect) -> Result<Set, StoreError> {
        let mut known = self.digests.lock().await;
        let expect = self.inward(&known, sid, expect).await;
        Ok(match self.store.set(sid, record, &expect).await? {
            Set::Written(version) => {
                let digest = (self.of)(record);
                known.insert(version.number().unwrap(), digest.clone());
                Set::Written(Version::from_text(digest))
            }
            other => other,
        })
    }

    async fn touch(&self, sid: &Sid, cookie: &Cookie, expect: &Expect) -> Result<Touched, StoreError> {
        let known = self.digests.lock().await;
        let expect = self.inward(&known, sid, expect).await;
        self.store.touch(sid, cookie, &expect).await
    }

    async fn destroy(&self, sid: &Sid, expect: &Expect) -> Result<Destroyed, StoreError> {
        let known = self.digests.lock().await;
        let expect = self.inward(&known, sid, expect).await;
        self.store.destroy(sid, &expect).await
    }
}

#[async_trait]
impl AdminStore for Digests {
    async fn length(&self) -> Result<u64, StoreError> {
        self.store.length().await
    }

    async fn ids(&self, visit: &mut (dyn FnMut(Sid) + Send)) -> Result<(), StoreError> {
        self.store.ids(visit).await
    }

    async fn all(&self, visit: &mut (dyn FnMut(Sid, Record) + Send)) -> Result<(), StoreError> {
        self.store.all(visit).await
    }

    async fn clear(&self) -> Result<(), StoreError> {
        self.store.clear().await
    }

    async fn prune(&self) -> Result<u64, StoreError> {
        self.store.prune().await
    }
}

/// What a store that is not that exact is exempt from.
const EXACT: [&str; 1] = ["the_end_is_the_same_millisecond_to_every_verb"];

/// Held for ever where the cookie has no `expires`.
mod right {
    use super::*;

    async fn open() -> Fixture {
        let clock = ManualClock::new();
        let store = MemoryStore::new().clock(clock.clock());
        fixture(Fault::None, store, &clock.clock()).clock(clock).exact_to_the_millisecond()
    }

    session_testkit::store_contract!(open);
    session_testkit::admin_contract!(open);
}

mod right_for_a_day {
    use super::*;

    session_testkit::store_contract!(async || open(Fault::None));
    session_testkit::admin_contract!(async || open(Fault::None));
}

mod right_with_digests {
    use super::*;

    async fn open() -> Fixture {
        let clock = ManualClock::new();
        let store = Digests::new(MemoryStore::new().clock(clock.clock()), Record::to_json);
        fixture(Fault::None, store, &clock.clock()).clock(clock).exempt(EXACT)
    }

    session_testkit::store_contract!(open);
    session_testkit::admin_contract!(open);
}

mod right_in_seconds_rounded_up {
    use super::*;

    async fn open() -> Fixture {
        let clock = ManualClock::new();
        let store = MemoryStore::new().clock(in_seconds(&clock, 0));
        fixture(Fault::None, store, &clock.clock()).clock(clock).exempt(EXACT)
    }

    session_testkit::store_contract!(open);
    session_testkit::admin_contract!(open);
}

mod right_in_the_nearest_seconds {
    use super::*;

    async fn open() -> Fixture {
        let clock = ManualClock::new();
        let store = MemoryStore::new().clock(in_seconds(&clock, 499));
        fixture(Fault::None, store, &clock.clock()).clock(clock).exempt(EXACT)
    }

    session_testkit::store_contract!(open);
    session_testkit::admin_contract!(open);
}

/// Where nobody moves the clock, and a busy machine makes nothing wrong of it.
mod right_in_real_time {
    use super::*;

    async fn open() -> Fixture {
        fixture(Fault::None, MemoryStore::new(), &Clock::system())
    }

    session_testkit::contract_tests!(open; verbs:
        get_tells_how_long_the_record_is_held,
        a_cookie_without_expires_is_held_for_the_stores_own_time_to_live,
        a_lifetime_is_never_rounded_down,
        set_of_an_expired_record_says_so_and_changes_nothing,
        what_has_expired_counts_as_nothing_held,
        touch_moves_the_expiry_and_nothing_else,
        touch_goes_by_the_condition,
        touch_with_an_expired_cookie_says_so_and_changes_nothing);
    session_testkit::contract_tests!(open; concurrency:
        no_touch_of_a_version_comes_after_a_write,
        an_expired_session_is_not_brought_back);
}

mod right_expiring_by_itself {
    use super::*;

    async fn open() -> Fixture {
        super::open(Fault::PruneAnswersNothing).expires_by_itself()
    }

    session_testkit::admin_contract!(open);
}

/// As patterns of Redis and of SQL do, nearly.
fn matches(pattern: &[u8], sid: &[u8]) -> bool {
    match pattern {
        [] => sid.is_empty(),
        [b'*' | b'%', rest @ ..] => (0..=sid.len()).any(|at| matches(rest, &sid[at..])),
        [b'?' | b'_', rest @ ..] => !sid.is_empty() && matches(rest, &sid[1..]),
        [b'[', one, b']', rest @ ..] | [one, rest @ ..] => {
            sid.first() == Some(one) && matches(rest, &sid[1..])
        }
    }
}
