//! Faults that the simulation plants, to show that it would find them. Outside of this crate's own tests there are none.

/// A line that is left out, or was wrong once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Fault {
    /// A write stores the expiry that was read.
    OldExpiryWritten,
    /// A write claims that no touch will be due.
    LifetimeClaimed,
    /// A write that is under way leaves no mark.
    NoDoubt,
    /// After a conflict the record is written without being read again.
    ConflictNotRead,
    /// A renewal that finds the old record gone keeps the new one.
    OvertakenRenewal,
    /// A destruction counts as done when it begins.
    DestroyClaimed,
    /// A destruction that finds nothing answers that it is done.
    OvertakenDestroy,
    /// The end of the request does not finish a destruction.
    DestroyNotFinished,
    /// What a renewal left behind stays.
    LeftoverKept,
    /// What a renewal left behind is forgiven as if nobody had its id.
    AnybodysForgiven,
    /// After the response, what nobody can reach is stored.
    UnreachableSaved,
    /// An update changes what the request sees before it is stored.
    UpdateSeenBeforehand,
    /// What is in doubt is written without being read.
    DoubtNotRead,
    /// A first write that was lost is tried again under the same id.
    IdKeptInDoubt,
    /// An expiry that is in doubt is not settled.
    ExpiryInDoubt,
    /// What was destroyed in this request is saved again.
    SavedAfterDestroy,
    /// The cookie is sent with the lifetime that was read.
    StaleCookieSent,
    /// The record lives on, and its cookie is not sent again.
    CookieNotRenewed,
    /// Changes of a session that was ended elsewhere are dropped, and nobody is told.
    DroppedInSilence,
    /// A touch goes by the lifetime that was read, whatever somebody else has given the session since.
    TouchUnconditional,
    /// A cookie is sent for what was written a while ago, without asking whether it is still so.
    NotConfirmed,
    /// The cookie goes back to the expiry that this request gave it, though somebody else has moved it since.
    CookieSetBack,
    /// A renewal that failed has the old record destroyed.
    FailedRenewalLogsOut,
    /// A renewal answers that it is done, and the id is the same.
    IdNotRenewed,
    /// A logout does not look for what a renewal left behind.
    LogoutForgetsLeftovers,
    /// A session is let go of, and with it a logout that has failed.
    UnsetForgetsLogout,
    /// A reload keeps a lifetime that was set before it.
    ReloadKeepsCookie,
    /// A reload takes nothing over.
    ReloadKeepsData,
    /// What a write was overtaken with counts as perhaps stored.
    OvertakenInDoubt,
    /// A first write that failed ends the session.
    FailedFirstWriteEnds,
    /// A first write whose answer was lost, and which was found, does not count as a save.
    FoundNotSaved,
    /// The cookie is decided on before the session was read again.
    CookieNotDecidedAgain,
    /// A renewal that was given up may still end the session when the request is over.
    NotFenced,
    /// With an error a cookie goes out as it was to be, and not as it is stored.
    UnsavedCookieSent,
    /// What the end of a request has written is believed however long the answer took.
    SlowAnswerTrusted,
    /// A write after the response gives the record a lifetime that the browser is not told of in time.
    RenewedUnseen,
    /// A write before a response that never goes out does the same.
    RenewedUnsent,
    /// A touch that the store's options leave out counts as done.
    SkippedTouchBelieved,
    /// What a call that was given up is to do is not kept from being done once the session was read.
    LateCallNotFenced,
    /// A lifetime whose save was in doubt counts as stored once the session was read.
    LifetimeForgotten,
    /// After a conflict what was heard before it still counts.
    ConfirmedAfterConflict,
    /// How long an answer took counts as lifetime.
    AnswersTimeIgnored,
    /// Where a record ends is not known any better after a touch.
    TouchForgotten,
    /// What has lived as long as it may is served, as long as the store holds it.
    LimitNotEnforced,
    /// What has come to its last end while a request goes on is stored by it.
    LimitOutlived,
    /// A write gives a record more than it may live at all.
    LimitNotKept,
    /// A renewal begins the session anew.
    LimitRenewed,
    /// What was set of a session's times is gone after a conflict.
    TimesLost,
    /// How long a session may lie unused is what the store would hold it for.
    IdleNotKnown,
    /// An operation that finds a record whose session has gone on takes it for the session.
    NotFollowed,
    /// A renewal in time goes by no condition.
    RenewedWhateverCame,
    /// A logout ends the record under the id that the request knows, wherever the session has gone on.
    EndsWhateverCame,
    /// A logout leaves the record under the former id.
    FormerIdKept,
    /// Who has ended the record under the former id is not seen.
    OldIdNotLookedAt,
    /// What was written under the former id is not brought along.
    OldRecordIgnored,
    /// A former id is served for ever.
    GraceForEver,
    /// Who comes with a former id is not sent the new one.
    NewIdNotSent,
}

#[cfg(test)]
impl Fault {
    pub(crate) const ALL: [Self; 49] = [
        Self::OldExpiryWritten,
        Self::LifetimeClaimed,
        Self::NoDoubt,
        Self::ConflictNotRead,
        Self::OvertakenRenewal,
        Self::DestroyClaimed,
        Self::OvertakenDestroy,
        Self::DestroyNotFinished,
        Self::LeftoverKept,
        Self::AnybodysForgiven,
        Self::UnreachableSaved,
        Self::UpdateSeenBeforehand,
        Self::DoubtNotRead,
        Self::IdKeptInDoubt,
        Self::ExpiryInDoubt,
        Self::SavedAfterDestroy,
        Self::StaleCookieSent,
        Self::CookieNotRenewed,
        Self::DroppedInSilence,
        Self::TouchUnconditional,
        Self::NotConfirmed,
        Self::CookieSetBack,
        Self::FailedRenewalLogsOut,
        Self::IdNotRenewed,
        Self::LogoutForgetsLeftovers,
        Self::UnsetForgetsLogout,
        Self::ReloadKeepsCookie,
        Self::ReloadKeepsData,
        Self::OvertakenInDoubt,
        Self::FailedFirstWriteEnds,
        Self::FoundNotSaved,
        Self::CookieNotDecidedAgain,
        Self::NotFenced,
        Self::UnsavedCookieSent,
        Self::SlowAnswerTrusted,
        Self::RenewedUnseen,
        Self::RenewedUnsent,
        Self::SkippedTouchBelieved,
        Self::LateCallNotFenced,
        Self::LifetimeForgotten,
        Self::ConfirmedAfterConflict,
        Self::AnswersTimeIgnored,
        Self::TouchForgotten,
        Self::LimitNotEnforced,
        Self::LimitOutlived,
        Self::LimitNotKept,
        Self::LimitRenewed,
        Self::TimesLost,
        Self::IdleNotKnown,
    ];

    /// Where ids are renewed in time.
    pub(crate) const OF_RENEWAL: [Self; 8] = [
        Self::NotFollowed,
        Self::RenewedWhateverCame,
        Self::EndsWhateverCame,
        Self::FormerIdKept,
        Self::OldIdNotLookedAt,
        Self::OldRecordIgnored,
        Self::GraceForEver,
        Self::NewIdNotSent,
    ];
}

#[cfg(not(test))]
pub(crate) const fn planted(_: Fault) -> bool {
    false
}

#[cfg(test)]
pub(crate) use self::planting::{plant, planted};

#[cfg(test)]
mod planting {
    use std::cell::Cell;

    use super::Fault;

    thread_local!(static PLANTED: Cell<Option<Fault>> = const { Cell::new(None) });

    pub(crate) fn planted(fault: Fault) -> bool {
        PLANTED.get() == Some(fault)
    }

    pub(crate) fn plant(fault: Option<Fault>) {
        PLANTED.set(fault);
    }
}
