//! Every rule of what a response writes and sends. Rule 1: all of these live here. Pure and deterministic: no I/O, no
//! clock, no async; facts and policies go in, a decision comes out.
//!
//! ```text
//! not present   → destroy if unset = destroy, else nothing
//! modified      = not same id, or changed
//! in store      = same id and saved = current
//! uninitialized = saved = never and the request's cookie does not match
//! save          = if uninitialized and not save_uninitialized: modified; else: not in store
//! write         = save → set; else the cookie matches (and a touch is due) → touch; else nothing
//! send cookie   = if the cookie matches: rolling or (expires and modified); else: save_uninitialized or modified
//! afterwards: no cookie when it is secure and the connection is not (the write still happens)
//! ```
//!
//! These are express-session's, proven equal to its own predicates below. The policies of the new profile add to them:
//! a changed cookie is a modification, an explicit save of a new session sends its cookie, a destroyed session's cookie
//! is removed, and the cookie goes out also whenever the record's expiry has moved. It ends when the record does.

use super::fault::{Fault, planted};
use crate::{
    options::policy::{CookieChange, CookieRenewal, ExplicitSave, RemovalCookie, Touch, Unset},
    wire::date::Millis,
};

/// What is known at the end of a request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Facts {
    pub(crate) presence: Presence,
    /// The id in the request's cookie is the id of the session.
    pub(crate) cookie_matches: bool,
    /// The request's cookie is of this session, under its id or an earlier one.
    pub(crate) has_its_cookie: bool,
    /// The session has the id with which it began this request: it was not regenerated.
    pub(crate) same_id: bool,
    /// The data differ from those with which it began.
    pub(crate) changed: bool,
    /// The handler set cookie attributes.
    pub(crate) cookie_changed: bool,
    /// … and they have not been saved since.
    pub(crate) cookie_unsaved: bool,
    /// The handler set when the session ends at all, or that its user has shown who that is.
    pub(crate) times_changed: bool,
    /// … and that has not been saved since.
    pub(crate) times_unsaved: bool,
    /// When the session began was found out by this request: that is stored with what moves its expiry.
    pub(crate) first_seen: bool,
    /// The client has another id of the session, which leads to this one.
    pub(crate) owes_its_id: bool,
    pub(crate) saved: Saved,
    /// The cookie has an `expires`: it outlives the browser.
    pub(crate) expires: bool,
    /// The cookie is for secure connections only.
    pub(crate) cookie_secure: bool,
    pub(crate) connection_secure: bool,
    /// Enough of the lifetime has passed.
    pub(crate) touch_due: bool,
    /// A cookie that the handler had changed was sent to be stored, no answer came, and it was changed again.
    pub(crate) cookie_in_doubt: bool,
    /// The store holds the session, as far as this request knows.
    pub(crate) stored: bool,
    /// It is a while since the store was last heard of this session.
    pub(crate) unconfirmed: bool,
    /// This request has moved the record's expiry already, and nobody has since.
    pub(crate) renewed: bool,
    /// It has, whatever came since: the browser is to be told.
    pub(crate) has_renewed: bool,
    /// It has not, and knows when the record ends.
    pub(crate) end_known: bool,
    /// Another request ended the session.
    pub(crate) ended_elsewhere: bool,
}

/// Whether the request still has its session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(test, derive(Hash))]
pub(crate) enum Presence {
    Present,
    /// `req.session = null`
    Unset,
    /// `req.session.destroy()` was called, and is not known to be done.
    Ending,
    /// `req.session.destroy()` was done.
    Destroyed,
}

/// What was last saved (or, with resave off, loaded) of the session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Saved {
    Never,
    /// Other data than it has now.
    Stale,
    Current,
}

/// The options that decide.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Policies {
    pub(crate) save_uninitialized: bool,
    pub(crate) rolling: bool,
    pub(crate) unset: Unset,
    pub(crate) cookie_change: CookieChange,
    pub(crate) explicit_save: ExplicitSave,
    pub(crate) removal: RemovalCookie,
    pub(crate) cookie_renewal: CookieRenewal,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(test, derive(Hash))]
pub(crate) struct Decision {
    pub(crate) write: Write,
    pub(crate) cookie: SetCookie,
}

impl Decision {
    pub(crate) const NOTHING: Self = Self { write: Write::Nothing, cookie: SetCookie::Nothing };
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(test, derive(Hash))]
pub(crate) enum Write {
    Nothing,
    Set,
    Touch,
    Destroy,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(test, derive(Hash))]
pub(crate) enum SetCookie {
    Nothing,
    Send,
    /// It would be sent, were the connection secure.
    Withheld,
    Remove,
}

pub(crate) fn decide(facts: &Facts, policies: &Policies) -> Decision {
    match facts.presence {
        Presence::Present => {
            let write = write(facts, policies);
            let decision = Decision { write, cookie: cookie(facts, policies, write) };
            if is_to_settle(facts, policies, decision) {
                return Decision { write: Write::Touch, ..decision };
            }
            decision
        }
        gone => without_session(gone, facts, policies),
    }
}

/// What is sent once a write has merged what others wrote: their lifetime counts as well.
pub(crate) fn cookie_after(facts: &Facts, policies: &Policies, decision: Decision) -> Decision {
    match facts.presence {
        Presence::Present => Decision { cookie: cookie(facts, policies, decision.write), ..decision },
        _ => decision,
    }
}

/// What goes out with an error, of what would have: the cookie of a record that would be nobody's without it (as was answered
/// last, whatever was sent since), and the attributes, or the end, that are in the record, as was heard a moment ago, and nothing
/// sent since that may be there instead.
pub(crate) fn cookie_with_error(facts: &Facts, policies: &Policies, decision: Decision) -> SetCookie {
    let nobodys = facts.stored && !facts.cookie_matches;
    let changed = facts.cookie_changed && !facts.cookie_unsaved;
    let follows = facts.stored && policies.cookie_renewal == CookieRenewal::WithRecord;
    let recorded = (changed || follows) && facts.renewed && !facts.unconfirmed && !facts.cookie_in_doubt;
    match facts.presence {
        Presence::Present if nobodys || recorded => decision.cookie,
        _ => SetCookie::Nothing,
    }
}

/// Where it is not known when the record ends, a touch says so before a cookie is sent that shall end with it.
fn is_to_settle(facts: &Facts, policies: &Policies, decision: Decision) -> bool {
    policies.cookie_renewal == CookieRenewal::WithRecord
        && decision == Decision { write: Write::Nothing, cookie: SetCookie::Send }
        && facts.stored
        && !(facts.renewed || facts.end_known)
}

/// For so long, in milliseconds, what the store said of a session is taken for true when a cookie is sent.
pub(crate) const CONFIRMED_FOR: Millis = 100;

/// And for so long where the end of the request has asked itself: a store that is slow is not asked twice as often.
pub(crate) const CONFIRMED_AT_THE_END_FOR: Millis = 1_000;

/// After how long without a word of the store it is asked again before a cookie goes out: another request may have ended the
/// session since, and given the browser a newer cookie. `None`: never. `has_asked`: the end of the request has.
/// `leads_on`: the session may have gone on under another id.
pub(crate) fn is_to_look_after(policies: &Policies, has_asked: bool, leads_on: bool) -> Option<Millis> {
    let (after, fault) = match has_asked {
        true => (CONFIRMED_AT_THE_END_FOR, Fault::SlowAnswerTrusted),
        false => (CONFIRMED_FOR, Fault::NotConfirmed),
    };
    let asks = policies.cookie_renewal == CookieRenewal::WithRecord || leads_on;
    (asks && !planted(fault)).then_some(after)
}

/// The browser's cookie is another one than the record has now, by what this request has done, and nobody else will tell it.
pub(crate) fn owes_its_cookie(facts: &Facts, policies: &Policies) -> bool {
    let is_changed = facts.cookie_changed && policies.cookie_change == CookieChange::Counts;
    facts.cookie_matches && ((facts.has_renewed && facts.expires) || is_changed)
}

/// What is done once such a look has found the session. One touch is enough (`may_touch`), and another one would have to be looked
/// after as well. Where somebody else has moved the end further, the cookie that was to go out says so.
pub(crate) fn after_look(decision: Decision, before: SetCookie, may_touch: bool) -> Decision {
    match decision {
        Decision { write: Write::Touch, cookie } if !may_touch => Decision {
            write: Write::Nothing,
            cookie: if cookie == SetCookie::Nothing { before } else { cookie },
        },
        Decision::NOTHING => Decision { cookie: before, ..decision },
        other => other,
    }
}

fn without_session(gone: Presence, facts: &Facts, policies: &Policies) -> Decision {
    let destroy = policies.unset == Unset::Destroy;
    let destroyed = destroy || gone == Presence::Destroyed;
    // The client may have been given another cookie by the request that ended the session: that one shall stay.
    let remove = destroyed
        && facts.has_its_cookie
        && !facts.ended_elsewhere
        && policies.removal == RemovalCookie::OnDestroy;
    Decision {
        write: if destroy { Write::Destroy } else { Write::Nothing },
        cookie: if remove { SetCookie::Remove } else { SetCookie::Nothing },
    }
}

fn write(facts: &Facts, policies: &Policies) -> Write {
    let cookie_counts = policies.cookie_change == CookieChange::Counts;
    let modified = is_modified(facts, policies);
    let is_unsaved = facts.times_unsaved || (cookie_counts && facts.cookie_unsaved);
    let in_store = facts.same_id && facts.saved == Saved::Current && !is_unsaved;
    let uninitialized = facts.saved == Saved::Never && !facts.cookie_matches;
    let save = if uninitialized && !policies.save_uninitialized { modified } else { !in_store };
    let with_record = policies.cookie_renewal == CookieRenewal::WithRecord;
    let touch = if facts.cookie_matches {
        facts.touch_due || policies.rolling
    } else {
        // Stored early in a long request.
        with_record && facts.stored && (facts.touch_due || policies.rolling)
    };
    match (save, touch) {
        (true, _) => Write::Set,
        (false, true) if facts.first_seen => Write::Set,
        (false, true) => Write::Touch,
        (false, false) => Write::Nothing,
    }
}

fn cookie(facts: &Facts, policies: &Policies, write: Write) -> SetCookie {
    let cookie_changed = facts.cookie_changed && policies.cookie_change == CookieChange::Counts;
    let saved = facts.saved != Saved::Never && policies.explicit_save == ExplicitSave::Counts;
    let modified = is_modified(facts, policies);
    let renewed = policies.cookie_renewal == CookieRenewal::WithRecord
        && !planted(Fault::CookieNotRenewed)
        && (facts.has_renewed || write != Write::Nothing);
    let send = if facts.cookie_matches {
        policies.rolling || cookie_changed || (facts.expires && (modified || renewed))
    } else {
        policies.save_uninitialized || modified || saved
    };
    let send = send || (facts.owes_its_id && facts.stored);
    match (send, facts.cookie_secure && !facts.connection_secure) {
        (false, _) => SetCookie::Nothing,
        (true, true) => SetCookie::Withheld,
        (true, false) => SetCookie::Send,
    }
}

fn is_modified(facts: &Facts, policies: &Policies) -> bool {
    let cookie_changed = facts.cookie_changed && policies.cookie_change == CookieChange::Counts;
    !facts.same_id || facts.changed || cookie_changed || facts.times_changed
}

/// Who writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Writer {
    /// An operation of the handler: whether a response will bring the cookie is not known.
    Handler,
    /// The same after the response: none will.
    LateHandler,
    /// The end of the request: its response brings the cookie.
    End,
}

/// To how much of its `lifetime` a write keeps a record that is held no longer, so that a touch is due immediately and tells
/// the browser; one that is held longer keeps its end. `None`: to all of it, because the browser is told, or no touch ever
/// will.
pub(crate) fn kept_to(writer: Writer, policies: &Policies, touch: Touch, lifetime: Millis) -> Option<Millis> {
    let sends_cookies = policies.cookie_renewal == CookieRenewal::WithRecord && !policies.rolling;
    let keeps = match writer {
        Writer::End => false,
        Writer::Handler => !planted(Fault::RenewedUnsent),
        Writer::LateHandler => !planted(Fault::RenewedUnseen),
    };
    touch.is_due_at(lifetime).filter(|due| *due > 0 && sends_cookies && keeps)
}

impl Touch {
    /// With how much left of a lifetime a touch is due; `None`: always.
    pub(crate) fn is_due_at(self, lifetime: Millis) -> Option<Millis> {
        match self {
            Self::EveryRequest => None,
            Self::AfterPercent(percent) => {
                let left = i128::from(lifetime) * i128::from(100 - percent.min(100)) / 100;
                Some(Millis::try_from(left).unwrap_or(lifetime))
            }
        }
    }

    /// Whether a touch is due for a record that the store will drop after `left`, of a whole `lifetime`.
    pub(crate) fn is_due(self, left: Option<Millis>, lifetime: Option<Millis>) -> bool {
        match (self, left, lifetime) {
            (Self::EveryRequest, ..) => true,
            // Held for ever: there is nothing to move.
            (Self::AfterPercent(_), None, None) => false,
            (Self::AfterPercent(percent), Some(left), Some(lifetime)) => {
                let passed = lifetime.saturating_sub(left).max(0);
                i128::from(passed) * 100 >= i128::from(lifetime) * i128::from(percent)
            }
            // The two disagree about whether it ends at all: a touch settles it.
            (Self::AfterPercent(_), ..) => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOTH: [bool; 2] = [false, true];

    /// express-session's own predicates (`shouldDestroy`, `shouldSave`, `shouldTouch`, `shouldSetCookie`, `isModified`,
    /// `isSaved`), over its own variables.
    struct Express {
        session: bool,
        unset_destroy: bool,
        cookie_id_is_sid: bool,
        save_uninitialized: bool,
        rolling: bool,
        original_id_is_id: bool,
        original_hash_is_hash: bool,
        /// `None`: undefined; else whether it is the hash of the session.
        saved_hash: Option<bool>,
        expires: bool,
    }

    impl Express {
        fn is_modified(&self) -> bool {
            !self.original_id_is_id || !self.original_hash_is_hash
        }

        fn is_saved(&self) -> bool {
            self.original_id_is_id && self.saved_hash == Some(true)
        }

        fn should_save(&self) -> bool {
            if !self.save_uninitialized && self.saved_hash.is_none() && !self.cookie_id_is_sid {
                self.is_modified()
            } else {
                !self.is_saved()
            }
        }

        fn should_touch(&self) -> bool {
            self.cookie_id_is_sid && !self.should_save()
        }

        fn should_set_cookie(&self) -> bool {
            if self.cookie_id_is_sid {
                self.rolling || (self.expires && self.is_modified())
            } else {
                self.save_uninitialized || self.is_modified()
            }
        }

        fn write(&self) -> Write {
            match self.session {
                false if self.unset_destroy => Write::Destroy,
                false => Write::Nothing,
                true if self.should_save() => Write::Set,
                true if self.should_touch() => Write::Touch,
                true => Write::Nothing,
            }
        }

        fn sends_cookie(&self) -> bool {
            self.session && self.should_set_cookie()
        }
    }

    fn combinations() -> Vec<Express> {
        let mut all = Vec::new();
        for bits in 0..256 {
            let bit = |at: u32| bits >> at & 1 == 1;
            for saved_hash in [None, Some(false), Some(true)] {
                all.push(Express {
                    session: bit(0),
                    unset_destroy: bit(1),
                    cookie_id_is_sid: bit(2),
                    save_uninitialized: bit(3),
                    rolling: bit(4),
                    original_id_is_id: bit(5),
                    original_hash_is_hash: bit(6),
                    expires: bit(7),
                    saved_hash,
                });
            }
        }
        all
    }

    fn facts(express: &Express) -> Facts {
        Facts {
            presence: if express.session { Presence::Present } else { Presence::Unset },
            cookie_matches: express.cookie_id_is_sid,
            has_its_cookie: express.cookie_id_is_sid,
            same_id: express.original_id_is_id,
            changed: !express.original_hash_is_hash,
            cookie_changed: false,
            cookie_unsaved: false,
            times_changed: false,
            times_unsaved: false,
            first_seen: false,
            owes_its_id: false,
            saved: match express.saved_hash {
                None => Saved::Never,
                Some(false) => Saved::Stale,
                Some(true) => Saved::Current,
            },
            expires: express.expires,
            cookie_secure: false,
            connection_secure: false,
            touch_due: true,
            cookie_in_doubt: false,
            stored: false,
            unconfirmed: false,
            renewed: false,
            has_renewed: false,
            end_known: false,
            ended_elsewhere: false,
        }
    }

    fn express_policies(express: &Express) -> Policies {
        Policies {
            save_uninitialized: express.save_uninitialized,
            rolling: express.rolling,
            unset: if express.unset_destroy { Unset::Destroy } else { Unset::Keep },
            cookie_change: CookieChange::Ignored,
            explicit_save: ExplicitSave::Forgotten,
            removal: RemovalCookie::Never,
            cookie_renewal: CookieRenewal::OnChange,
        }
    }

    #[test]
    fn agrees_with_express_on_all_768_combinations_of_its_predicates() {
        let all = combinations();
        assert_eq!(all.len(), 768);
        for express in all {
            let expected = Decision {
                write: express.write(),
                cookie: if express.sends_cookie() { SetCookie::Send } else { SetCookie::Nothing },
            };
            let policies = express_policies(&express);
            assert_eq!(decide(&facts(&express), &policies), expected);
            // In the express profile neither a changed cookie nor how the session went away makes a difference.
            let changed = Facts { cookie_changed: true, cookie_unsaved: true, ..facts(&express) };
            assert_eq!(decide(&changed, &policies), expected);
            if !express.session {
                let destroyed = Facts { presence: Presence::Destroyed, ..facts(&express) };
                assert_eq!(decide(&destroyed, &policies), expected);
            }
        }
    }

    #[test]
    fn a_secure_cookie_is_withheld_from_an_insecure_connection_and_the_write_still_happens() {
        for express in combinations() {
            let policies = express_policies(&express);
            let plain = decide(&facts(&express), &policies);
            for connection_secure in BOTH {
                let secure = Facts { cookie_secure: true, connection_secure, ..facts(&express) };
                let decision = decide(&secure, &policies);
                assert_eq!(decision.write, plain.write);
                match plain.cookie {
                    SetCookie::Send if !connection_secure => assert_eq!(decision.cookie, SetCookie::Withheld),
                    other => assert_eq!(decision.cookie, other),
                }
            }
        }
    }

    #[test]
    fn a_touch_is_due_after_its_part_of_the_lifetime() {
        let seconds = |seconds: Millis| Some(seconds * 1_000);
        let due = |left, lifetime| Touch::AfterPercent(20).is_due(left, lifetime);
        assert!(!due(seconds(100), seconds(100)) && !due(seconds(81), seconds(100)));
        assert!(due(seconds(80), seconds(100)) && due(seconds(0), seconds(100)));
        assert!(!due(None, None), "held for ever: there is nothing to move");
        assert!(due(None, seconds(100)) && due(seconds(100), None), "a touch settles it");
        assert!(Touch::EveryRequest.is_due(None, None));
    }

    #[test]
    fn nothing_is_touched_before_a_touch_is_due() {
        for express in combinations() {
            let policies = express_policies(&express);
            let due = decide(&facts(&express), &policies);
            let early = decide(&Facts { touch_due: false, ..facts(&express) }, &policies);
            // A cookie that is sent with every response ends with its record.
            let is_early = due.write == Write::Touch && !policies.rolling;
            let expected = if is_early { Write::Nothing } else { due.write };
            assert_eq!(early, Decision { write: expected, ..due });
        }
    }

    #[test]
    fn with_the_new_policies_a_record_and_its_cookie_come_together() {
        for express in combinations().iter().filter(|express| express.session && !express.save_uninitialized)
        {
            for (cookie_changed, cookie_unsaved) in [(false, false), (true, true), (true, false)] {
                let policies = Policies {
                    cookie_change: CookieChange::Counts,
                    explicit_save: ExplicitSave::Counts,
                    removal: RemovalCookie::OnDestroy,
                    ..express_policies(express)
                };
                let facts = Facts { cookie_changed, cookie_unsaved, ..facts(express) };
                let decision = decide(&facts, &policies);
                if !facts.cookie_matches {
                    let stored = decision.write == Write::Set || facts.saved != Saved::Never;
                    assert_eq!(decision.cookie == SetCookie::Send, stored, "{facts:?}");
                }
                if cookie_unsaved {
                    assert_eq!(
                        decision,
                        Decision { write: Write::Set, cookie: SetCookie::Send },
                        "{facts:?}"
                    );
                }
            }
        }
    }

    #[test]
    fn a_removal_cookie_goes_out_when_the_record_does_and_the_client_has_its_cookie() {
        for presence in [Presence::Unset, Presence::Destroyed] {
            for unset in [Unset::Keep, Unset::Destroy] {
                for has_its_cookie in BOTH {
                    let express = &combinations()[0];
                    let policies =
                        Policies { unset, removal: RemovalCookie::OnDestroy, ..express_policies(express) };
                    let decision = decide(&Facts { presence, has_its_cookie, ..facts(express) }, &policies);
                    let destroyed = unset == Unset::Destroy || presence == Presence::Destroyed;
                    assert_eq!(decision.cookie == SetCookie::Remove, destroyed && has_its_cookie);
                }
            }
        }
    }

    /// A session that the client and the store have, of which nothing was done in this request.
    const HELD: Facts = Facts {
        presence: Presence::Present,
        cookie_matches: true,
        has_its_cookie: true,
        same_id: true,
        changed: false,
        cookie_changed: false,
        cookie_unsaved: false,
        times_changed: false,
        times_unsaved: false,
        first_seen: false,
        owes_its_id: false,
        saved: Saved::Current,
        expires: true,
        cookie_secure: false,
        connection_secure: false,
        touch_due: false,
        cookie_in_doubt: false,
        stored: true,
        unconfirmed: false,
        renewed: false,
        has_renewed: false,
        end_known: true,
        ended_elsewhere: false,
    };

    /// In both profiles' words for when a cookie is sent again.
    fn new_and_express() -> [Policies; 2] {
        [CookieRenewal::WithRecord, CookieRenewal::OnChange].map(|cookie_renewal| Policies {
            save_uninitialized: false,
            rolling: false,
            unset: Unset::Keep,
            cookie_change: CookieChange::Counts,
            explicit_save: ExplicitSave::Counts,
            removal: RemovalCookie::OnDestroy,
            cookie_renewal,
        })
    }

    const SENDS: Decision = Decision { write: Write::Nothing, cookie: SetCookie::Send };

    #[test]
    fn with_an_error_goes_out_what_nobody_else_would_tell() {
        let [new, express] = new_and_express();
        let sends = |facts: Facts, policies: &Policies| match cookie_with_error(&facts, policies, SENDS) {
            SetCookie::Send => true,
            cookie => {
                assert_eq!(cookie, SetCookie::Nothing);
                false
            }
        };
        // A record that would be nobody's.
        let nobodys = Facts { cookie_matches: false, ..HELD };
        let renewed = Facts { renewed: true, ..HELD };
        let changed = Facts { cookie_changed: true, ..renewed };
        for policies in [&new, &express] {
            assert!(sends(nobodys, policies) && !sends(Facts { stored: false, ..nobodys }, policies));
            assert!(!sends(Facts { presence: Presence::Unset, ..nobodys }, policies));
            assert!(!sends(HELD, policies));
            // Attributes that are in the record, as was heard a moment ago.
            assert!(sends(changed, policies));
            for unheard in [
                Facts { renewed: false, ..changed },
                Facts { unconfirmed: true, ..changed },
                Facts { cookie_in_doubt: true, ..changed },
                Facts { presence: Presence::Ending, ..changed },
            ] {
                assert!(!sends(unheard, policies), "{unheard:?}");
            }
        }
        assert!(!sends(Facts { cookie_unsaved: true, ..changed }, &express));
        // As it was decided, and no more.
        for cookie in [SetCookie::Withheld, SetCookie::Nothing] {
            let decision = Decision { write: Write::Nothing, cookie };
            assert_eq!(cookie_with_error(&changed, &new, decision), cookie);
        }
        // The record's end, where the cookie follows it.
        assert!(sends(renewed, &new) && !sends(renewed, &express));
        assert!(!sends(Facts { stored: false, ..renewed }, &new));
    }

    #[test]
    fn before_a_cookie_that_ends_with_the_record_the_end_is_known() {
        let [new, express] = new_and_express();
        let unknown = Facts { end_known: false, ..HELD };
        assert!(is_to_settle(&unknown, &new, SENDS));
        assert!(!is_to_settle(&unknown, &express, SENDS));
        for known in [HELD, Facts { renewed: true, ..unknown }, Facts { stored: false, ..unknown }] {
            assert!(!is_to_settle(&known, &new, SENDS), "{known:?}");
        }
        for other in [Decision::NOTHING, Decision { write: Write::Set, ..SENDS }] {
            assert!(!is_to_settle(&unknown, &new, other), "{other:?}");
        }
    }

    /// The cookie of a session that the handler has prolonged, and whose record ends nobody knows when.
    #[test]
    fn to_know_the_end_the_record_is_touched() {
        let [new, express] = new_and_express();
        let unknown = Facts { has_renewed: true, end_known: false, ..HELD };
        let touches = Decision { write: Write::Touch, cookie: SetCookie::Send };
        assert_eq!(decide(&unknown, &new), touches);
        assert_eq!(decide(&Facts { end_known: true, ..unknown }, &new), SENDS);
        assert_eq!(decide(&unknown, &express), Decision::NOTHING);
        assert_eq!(decide(&Facts { changed: true, saved: Saved::Stale, ..unknown }, &new).write, Write::Set);
    }

    #[test]
    fn when_a_session_began_is_written_once_and_what_a_handler_has_noted_begins_one() {
        let [new, express] = new_and_express();
        for policies in [&new, &express] {
            let seen = Facts { first_seen: true, ..HELD };
            assert_eq!(decide(&seen, policies).write, Write::Nothing);
            assert_eq!(decide(&Facts { touch_due: true, ..seen }, policies).write, Write::Set);
            // Nothing is stored for a visitor without data.
            let visitor = Facts { saved: Saved::Never, cookie_matches: false, stored: false, ..HELD };
            assert_eq!(decide(&Facts { first_seen: true, ..visitor }, policies), Decision::NOTHING);
            let noted = Facts { times_changed: true, times_unsaved: true, ..visitor };
            assert_eq!(decide(&noted, policies), Decision { write: Write::Set, cookie: SetCookie::Send });
        }
    }

    #[test]
    fn a_look_is_for_cookies_that_another_request_may_have_replaced() {
        let [new, express] = new_and_express();
        let after = |policies, owes| [false, true].map(|asked| is_to_look_after(policies, asked, owes));
        assert_eq!([false, true].map(|owes| after(&new, owes)), [[Some(100), Some(1_000)]; 2]);
        // Of an id that leads on Express knows nothing.
        assert_eq!(after(&express, false), [None, None]);
        assert_eq!(after(&express, true), [Some(100), Some(1_000)]);

        let touch = |cookie| Decision { write: Write::Touch, cookie };
        let (nothing, send) = (SetCookie::Nothing, SetCookie::Send);
        for (decision, before, may_touch, after) in [
            (touch(send), nothing, true, touch(send)),
            (touch(nothing), send, true, touch(nothing)),
            // One touch is enough; the cookie that was to go out does.
            (touch(send), nothing, false, SENDS),
            (touch(nothing), send, false, SENDS),
            (touch(nothing), nothing, false, Decision::NOTHING),
            (Decision::NOTHING, send, true, SENDS),
            (
                Decision { write: Write::Set, cookie: nothing },
                send,
                true,
                Decision { write: Write::Set, cookie: nothing },
            ),
        ] {
            assert_eq!(after_look(decision, before, may_touch), after, "{decision:?} {before:?} {may_touch}");
        }
    }

    #[test]
    fn a_write_of_the_handler_keeps_back_what_the_end_of_a_request_tells_the_browser() {
        let [new, express] = new_and_express();
        let kept = |writer, policies: &Policies, touch| kept_to(writer, policies, touch, 1_000);
        let due = Touch::AfterPercent(20);
        for writer in [Writer::Handler, Writer::LateHandler] {
            assert_eq!(kept(writer, &new, due), Some(800));
            assert_eq!(kept(writer, &express, due), None);
            assert_eq!(kept(writer, &Policies { rolling: true, ..new }, due), None);
            assert_eq!(kept(writer, &new, Touch::EveryRequest), None);
            assert_eq!(kept(writer, &new, Touch::AfterPercent(100)), None, "no touch will ever tell");
        }
        assert_eq!(kept(Writer::End, &new, due), None);
    }
}
