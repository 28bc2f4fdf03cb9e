#![doc = include_str!("../README.md")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on stops")]

pub mod adapter;
pub mod admin;
mod browser;
pub mod concurrency;
pub mod contents;
mod contract;
mod fixture;
pub mod lifetimes;
mod log;
pub mod processes;
mod stores;
mod tasks;
pub mod verbs;

pub use self::{
    browser::{App, Body, Browser, Request, Response},
    contract::{Applies, ContractTest, admin_tests, store_tests},
    fixture::{Fixture, ManualClock, run},
    log::Captured,
    stores::{CANARY, Call, FailingStore, GatedStore, RecordingStore},
};

/// The store contract as tests: one for each sentence of it, on stores that `open` gives, each time a new and empty one.
///
/// `$open` is an async closure without arguments that answers a [`Fixture`].
///
/// ```
/// session_testkit::store_contract!(async || {
///     let clock = session_testkit::ManualClock::new();
///     let store = session_core::MemoryStore::new().clock(clock.clock());
///     session_testkit::Fixture::new(store).clock(clock).nobody_else_writes()
/// });
/// # fn main() {}
/// ```
#[macro_export]
macro_rules! store_contract {
    ($open:expr) => {
        $crate::store_sentences!(contract_tests $open);
    };
}

/// The contract of the optional powers ([`AdminStore`](session_core::AdminStore)), as [`store_contract!`].
#[macro_export]
macro_rules! admin_contract {
    ($open:expr) => {
        $crate::admin_sentences!(contract_tests $open);
    };
}

/// Hands the names of [`store_contract!`] to a macro of this crate.
#[doc(hidden)]
#[macro_export]
macro_rules! store_sentences {
    ($to:ident $($first:expr)?) => {
        $crate::$to! { $($first;)? verbs:
            get_answers_what_was_set,
            get_of_an_absent_sid_is_none_and_creates_nothing,
            get_of_an_expired_record_is_none,
            get_tells_how_long_the_record_is_held,
            a_cookie_without_expires_is_held_for_the_stores_own_time_to_live,
            what_has_no_expires_ends_with_the_stores_own_time_to_live,
            a_lifetime_is_never_rounded_down,
            get_of_a_record_that_cannot_be_read_is_an_error_that_says_so,
            set_expecting_anything_writes_over_anything,
            set_expecting_nothing_writes_only_where_nothing_is_held,
            set_expecting_a_version_writes_only_over_that_version,
            set_expecting_a_version_creates_nothing,
            a_version_is_not_that_of_a_later_session_under_the_sid,
            a_version_is_as_good_after_hours,
            a_version_is_of_all_that_is_held,
            what_changes_nothing_is_done_all_the_same,
            set_answers_the_version_that_get_answers,
            set_holds_the_record_until_its_cookie_expires,
            set_moves_the_expiry_under_every_condition,
            set_of_an_expired_record_says_so_and_changes_nothing,
            a_record_that_cannot_be_read_is_held_all_the_same,
            a_record_that_cannot_be_read_expires_as_any_other,
            what_has_expired_counts_as_nothing_held,
            touch_moves_the_expiry_and_nothing_else,
            touch_keeps_the_cookies_attributes_and_the_lifetime,
            touch_goes_by_the_condition,
            touch_with_an_expired_cookie_says_so_and_changes_nothing,
            touch_of_an_unknown_sid_says_so_and_creates_nothing,
            touch_of_an_expired_record_does_not_revive_it,
            the_end_is_the_same_millisecond_to_every_verb,
            all_verbs_see_the_end_at_the_same_moment,
            destroy_forgets_and_twice_is_fine,
            destroy_goes_by_the_condition,
            sids_are_told_apart_to_the_byte,
            a_sid_is_held_or_refused_as_a_whole,
            no_sid_is_a_pattern,
            values_of_a_megabyte_come_back;
            lifetimes:
            the_end_is_expires_and_not_the_original_max_age,
            what_ended_at_the_epoch_has_expired,
            what_has_less_than_a_second_left_is_written_and_ends,
            what_ends_in_the_year_9999_is_held,
            a_write_without_expires_begins_the_time_to_live_anew,
            a_cookie_without_expires_is_held_as_long_as_it_may_lie_unused,
            the_times_of_a_session_stay_with_it,
            what_has_no_expires_is_held_to_every_verb;
            contents:
            odd_keys_and_values_come_back,
            what_is_nested_deep_is_held_or_refused,
            the_cookie_is_that_of_the_last_write,
            a_large_record_is_touched,
            no_version_comes_again_after_many_writes,
            what_a_stranger_writes_is_another_version,
            a_sid_that_is_refused_reaches_nothing;
            concurrency:
            what_one_process_writes_the_other_reads,
            of_parallel_writes_that_expect_nothing_one_is_written,
            of_parallel_writes_that_expect_one_version_one_is_written,
            of_parallel_destructions_one_is_told_that_it_was_the_one,
            of_writes_and_destructions_of_one_version_one_is_done,
            no_write_is_lost_to_a_touch,
            no_touch_of_a_version_comes_after_a_write,
            what_is_done_unconditionally_is_not_undone,
            who_goes_on_with_the_version_that_was_answered_loses_nothing,
            who_reads_beside_a_writer_finds_the_session,
            a_call_that_is_dropped_half_way_is_done_wholly_or_not_at_all,
            parallel_increments_are_all_kept,
            parallel_requests_keep_each_others_keys,
            a_logout_stays_a_logout,
            sessions_end_at_both_limits,
            renewed_ids_reach_one_session,
            a_logout_is_final_whatever_runs_beside_it,
            a_regenerated_session_stays_under_its_new_id,
            a_renewed_session_takes_along_what_others_wrote,
            an_expired_session_is_not_brought_back,
            a_session_over_an_expired_one_outlives_a_prune,
            a_session_over_an_expired_one_outlives_who_reads_it;
            processes:
            a_touch_sees_what_the_other_process_did,
            parallel_writes_without_a_condition_are_each_done_as_a_whole,
            what_is_read_is_of_one_moment,
            a_session_over_an_expired_one_outlives_whatever_is_done_beside,
            every_set_that_is_answered_is_done,
            every_touch_that_is_answered_is_done,
            every_destruction_that_is_answered_is_done }
    };
}

/// Hands the names of [`admin_contract!`] to a macro of this crate.
#[doc(hidden)]
#[macro_export]
macro_rules! admin_sentences {
    ($to:ident $($first:expr)?) => {
        $crate::$to! { $($first;)? admin:
            length_counts_what_has_not_expired,
            ids_shows_every_sid_once,
            all_shows_every_record_with_its_sid,
            a_list_beside_destructions_shows_all_who_stay,
            a_record_that_cannot_be_read_hides_no_other,
            clear_destroys_every_session,
            prune_removes_what_has_expired_and_nothing_else,
            prune_removes_all_that_has_expired_however_many;
            lifetimes:
            what_has_no_expires_is_listed_and_never_pruned,
            what_is_removed_by_the_way_has_expired;
            contents:
            no_version_comes_again_under_a_sid;
            processes:
            a_list_beside_touches_shows_all_with_their_own_records,
            a_list_that_is_dropped_half_way_leaves_the_store_as_it_was,
            what_parallel_prunes_answer_is_what_there_was }
    };
}

/// The adapter contract as tests: one story over HTTP, told to any framework.
///
/// `$app` is an async function or closure that takes [`Layers`](adapter::Layers) and answers an [`App`] with the
/// routes that the module [`adapter`] describes, within this thread.
#[macro_export]
macro_rules! adapter_contract {
    ($app:expr) => {
        $crate::shared_adapter_tests!($app);
        $crate::adapter_tests!($app;
            a_session_outside_the_cookies_path_is_told_where_it_ends_the_request,
            a_cookie_for_another_domain_is_told_once,
            what_is_set_while_the_body_is_sent_and_not_saved_is_told,
            what_ends_a_request_is_logged_with_its_cause_once_for_each_failure,
            a_session_that_cannot_be_read_on_arrival_is_told_once,
            a_proxy_is_believed_only_when_it_is_trusted,
            who_is_a_trusted_proxy_is_a_choice);
    };
}

/// The adapter contract over real sockets, but for what it says of the log, which a test can see of its own thread alone. The names that follow are of further sentences:
/// `a_connection_that_is_encrypted_is_secure` over TLS, else `a_peer_is_trusted_by_its_address`, `who_is_a_trusted_proxy_is_a_choice` and
/// `a_proxy_is_believed_only_when_it_is_trusted`; and where the server answers before a request's body has come to its end
/// `a_body_that_never_ends_harms_no_session`.
#[macro_export]
macro_rules! socket_contract {
    ($app:expr $(, $name:ident)*) => {
        $crate::shared_adapter_tests!($app);
        $crate::adapter_tests!($app; $($name,)*
            a_body_that_nobody_reads_harms_no_session,
            a_handler_that_panics_takes_nothing_that_was_acknowledged);
    };
}

/// What an application does whose clients hang up, over real sockets. `dropped`: its server drops what nobody waits for.
#[macro_export]
macro_rules! hang_up_contract {
    (@ $app:expr) => {
        $crate::adapter_tests!($app;
            who_hangs_up_in_the_middle_of_a_handler_lets_it_finish,
            who_hangs_up_while_the_session_is_read_lets_the_handler_run,
            who_hangs_up_while_the_session_is_saved_lets_it_be_saved);
    };
    ($app:expr) => {
        $crate::hang_up_contract!(@ $app);
        $crate::adapter_tests!($app; where_the_server_drops_nothing_every_handler_finishes);
    };
    ($app:expr, dropped) => {
        $crate::hang_up_contract!(@ $app);
        $crate::adapter_tests!($app;
            who_hangs_up_in_the_middle_of_a_handler_cancels_it,
            who_hangs_up_while_the_session_is_read_or_saved_cancels_the_request,
            who_hangs_up_before_the_session_is_asked_for_ends_the_request,
            what_is_left_of_a_handler_goes_on_in_a_task_of_its_own,
            what_is_left_of_a_read_goes_on_in_a_task_of_its_own,
            what_is_left_of_a_save_goes_on_in_a_task_of_its_own);
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! shared_adapter_tests {
    ($app:expr) => {
        $crate::adapter_tests!($app;
            a_route_that_never_asks_has_no_session,
            on_arrival_every_route_has_a_session,
            a_session_is_kept_from_request_to_request,
            a_visitor_without_data_leaves_nothing_behind,
            parallel_requests_keep_all_their_updates,
            a_logout_removes_the_cookie_and_stays_a_logout,
            a_login_renews_the_id_and_keeps_the_data,
            sessions_that_their_clients_keep_are_the_same_to_an_application,
            the_save_is_done_before_the_response_goes_out,
            a_streamed_response_has_its_session_saved,
            an_error_of_the_handler_is_no_reason_not_to_save,
            a_cookie_of_the_handler_stays_and_ours_comes_last,
            the_path_is_the_one_that_the_client_sent,
            of_duplicate_cookies_the_first_verified_counts,
            in_the_express_profile_the_first_duplicate_counts,
            broken_cookies_are_a_new_session_and_never_an_error,
            a_cookie_in_several_headers_is_found,
            a_store_that_cannot_be_read_is_an_opaque_failure,
            a_store_that_cannot_be_written_is_an_opaque_failure,
            a_store_that_is_down_harms_no_route_that_never_asks,
            a_save_that_fails_after_a_login_leaves_the_visitor_the_session,
            every_asking_in_one_request_gets_the_same_session,
            a_session_is_usable_after_the_response,
            of_nested_layers_the_inner_one_serves_what_the_outer_one_leaves_alone,
            where_no_layer_serves_there_is_no_session,
            sessions_side_by_side_are_each_their_own,
            a_save_that_fails_takes_no_other_sessions_cookie,
            of_two_stores_that_are_down_one_failure_is_answered,
            no_handler_runs_without_the_session_that_it_was_to_have,
            a_typed_session_is_a_part_of_the_session,
            a_typed_session_is_found_by_its_marker,
            outside_the_cookies_path_there_is_no_session,
            outside_the_cookies_path_there_is_no_typed_session,
            an_answer_without_a_body_brings_the_cookie_too,
            many_megabytes_are_sent_and_the_session_is_saved,
            many_megabytes_are_received_and_the_session_is_saved,
            what_changes_while_the_body_is_sent_is_saved_by_those_who_say_so,
            a_session_that_is_begun_while_the_body_is_sent_is_too_late,
            a_session_goes_back_by_the_header_that_it_came_by,
            a_new_session_goes_back_by_what_the_request_has_shown,
            different_ids_in_one_request_are_refused,
            a_session_says_by_which_carrier_it_came,
            broken_tokens_are_a_new_session_and_never_an_error,
            a_save_that_fails_after_a_login_leaves_the_client_the_token,
            of_two_sessions_each_has_its_carrier,
            a_response_that_used_the_session_tells_caches,
            what_the_handler_tells_caches_is_added_to,
            a_failure_that_carries_a_cookie_tells_caches,
            a_session_that_cannot_be_read_on_arrival_tells_caches,
            outside_the_cookies_path_caches_are_told_nothing,
            where_the_options_say_so_caches_are_told_nothing,
            sessions_that_their_clients_keep_tell_caches,
            of_two_sessions_each_tells_caches,
            what_makes_ids_sees_the_method_and_the_query);
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! contract_tests {
    ($open:expr; $($module:ident: $($name:ident),+);+) => {
        $crate::contract_tests!(@ $open; $($($module $name),+),+);
    };
    (@ $open:expr; $($module:ident $name:ident),+) => {
        $(
            #[test]
            fn $name() {
                $crate::run(async {
                    let open = $open;
                    let fixture = open().await;
                    fixture.check(::core::stringify!($name), $crate::$module::$name(&fixture).await);
                });
            }
        )+
    };
}

/// Tests of the contracts by name, as a list of [`ContractTest`]: for a store that cannot keep every sentence.
///
/// ```
/// let tests = session_testkit::contract_list!(verbs: get_answers_what_was_set; admin: clear_destroys_every_session);
/// assert_eq!(tests.map(|test| test.name), ["get_answers_what_was_set", "clear_destroys_every_session"]);
/// ```
#[macro_export]
macro_rules! contract_list {
    ($($module:ident: $($name:ident),+);+ $(;)?) => {
        [$($($crate::ContractTest::new(::core::stringify!($name), |fixture| {
            ::std::boxed::Box::pin(async move {
                fixture.check(::core::stringify!($name), $crate::$module::$name(fixture).await);
            })
        })),+),+]
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! adapter_tests {
    ($app:expr; $($name:ident),+) => {
        $(
            #[test]
            fn $name() {
                $crate::run($crate::adapter::$name(&$app));
            }
        )+
    };
}
