//! That a sentence which tests nothing fails, unless the fixture names it; and that one which it names tests nothing indeed.

use std::panic::{AssertUnwindSafe, catch_unwind};

use session_core::MemoryStore;
use session_testkit::{ContractTest, Fixture, ManualClock, contract_list};

/// What it says when it fails.
fn said(test: ContractTest, fixture: &Fixture) -> Option<String> {
    let ran = catch_unwind(AssertUnwindSafe(|| session_testkit::run(test.run(fixture))));
    ran.err().map(|panic| panic.downcast_ref::<String>().cloned().unwrap_or_default())
}

fn in_real_time() -> Fixture {
    Fixture::new(MemoryStore::new())
}

fn by_a_clock() -> Fixture {
    let clock = ManualClock::new();
    Fixture::new(MemoryStore::new().clock(clock.clock())).clock(clock)
}

#[test]
fn what_does_not_apply_fails_unless_it_is_exempt() {
    let tests = contract_list! {
        verbs:
            a_version_is_as_good_after_hours,
            what_has_no_expires_ends_with_the_stores_own_time_to_live,
            the_end_is_the_same_millisecond_to_every_verb,
            all_verbs_see_the_end_at_the_same_moment,
            get_of_a_record_that_cannot_be_read_is_an_error_that_says_so,
            a_record_that_cannot_be_read_is_held_all_the_same,
            a_record_that_cannot_be_read_expires_as_any_other;
        lifetimes:
            what_is_removed_by_the_way_has_expired;
        contents:
            what_a_stranger_writes_is_another_version;
        admin:
            a_record_that_cannot_be_read_hides_no_other
    };
    for test in tests {
        let failed = said(test, &in_real_time()).unwrap_or_default();
        assert!(failed.contains("does not apply to this store"), "{test:?}: {failed}");
        assert_eq!(said(test, &in_real_time().exempt([test.name])), None, "{test:?}");
    }
}

#[test]
fn nobody_who_writes_is_an_exemption_from_what_others_write() {
    let [test] = contract_list!(admin: a_record_that_cannot_be_read_hides_no_other);
    assert_eq!(said(test, &by_a_clock().nobody_else_writes()), None);
    let fixture = by_a_clock().nobody_else_writes().plant(|_, _, _| async {});
    // It does what it can with what nobody planted, and fails for that.
    assert!(said(test, &fixture).is_some());
}

#[test]
fn what_applies_fails_if_it_is_exempt() {
    for test in contract_list!(verbs: a_version_is_as_good_after_hours, get_answers_what_was_set) {
        assert_eq!(said(test, &by_a_clock()), None, "{test:?}");
        let failed = said(test, &by_a_clock().exempt([test.name])).unwrap_or_default();
        assert!(failed.contains("must not exempt it"), "{test:?}: {failed}");
    }
}

#[test]
#[should_panic(expected = "no contract has the sentence get_answers")]
fn an_exemption_has_the_name_of_a_sentence() {
    let _fixture = by_a_clock().exempt(["get_answers"]);
}
