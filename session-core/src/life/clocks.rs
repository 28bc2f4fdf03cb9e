//! When a session began, how long it may live, and when its user has last shown who that is: what one request knows of it, and how two
//! that changed it both keep what they did.

use super::{
    Context,
    fault::{Fault, planted},
};
use crate::{
    options::lifetimes::Limits,
    record::times::Times,
    wire::date::{self, CLOCKS_DIFFER, Maybe, Millis},
};

/// What one request knows of a session's times.
#[derive(Clone, Copy, Default)]
#[cfg_attr(test, derive(Hash))]
pub(super) struct Clocks {
    times: Times,
    /// The handler set some of them in this request.
    is_changed: bool,
    /// What was set, and is not stored yet.
    unsaved: Which,
    /// The record had any of them when it was read or written last.
    is_in_record: bool,
    /// The handler said that nobody has shown who that is.
    has_said_so: bool,
}

/// Some of the times.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[expect(clippy::struct_excessive_bools, reason = "one for each")]
struct Which {
    begun: bool,
    authenticated: bool,
    idle: bool,
    absolute: bool,
    forgotten: bool,
}

impl Clocks {
    /// Of a session that begins with a cookie of this lifetime.
    pub(super) fn new(lifetime: Option<Millis>, context: &Context<'_>) -> Self {
        let limits = &context.options.lifetimes;
        if limits.absolute.is_none() {
            return Self::default();
        }
        let mut times = Times::begun_at(context.now);
        times.make_room(limits.room_for(lifetime));
        Self { times, ..Self::default() }
    }

    /// Of a record that was found.
    pub(super) fn loaded(held: Times, lifetime: Option<Millis>, context: &Context<'_>) -> Self {
        let times = held.believed(context.now);
        let mut clocks = Self { times, is_in_record: !times.is_none(), ..Self::default() };
        clocks.begins_to_count(&times, lifetime, context);
        clocks
    }

    pub(super) fn times(&self) -> &Times {
        &self.times
    }

    /// What was begun where no session has a limit is first seen now. `held`: what the store has of them.
    fn begins_to_count(&mut self, held: &Times, lifetime: Option<Millis>, context: &Context<'_>) {
        let limits = &context.options.lifetimes;
        let has_limit = limits.absolute.is_some() || self.times.absolute.get().is_some();
        if !has_limit || held.begun().is_some() {
            return;
        }
        if self.times.begun().is_none() {
            self.times.begun = Some(context.now).into();
        }
        self.times.make_room(limits.room_for(lifetime));
        self.unsaved.begun = true;
    }

    /// The handler set some of them in this request.
    pub(super) fn is_changed(&self) -> bool {
        self.is_changed
    }

    /// … and they have not been stored since.
    pub(super) fn is_unsaved(&self) -> bool {
        let is_forgotten = self.has_said_so && self.unsaved.forgotten;
        self.unsaved.authenticated || self.unsaved.idle || self.unsaved.absolute || is_forgotten
    }

    /// When it has begun was found out by this request, and is to be stored with whatever is.
    pub(super) fn is_first_seen(&self) -> bool {
        self.unsaved.begun
    }

    /// Its end has just been set, and may be past: the record is to be destroyed then.
    pub(super) fn has_set_its_end(&self) -> bool {
        self.unsaved.absolute
    }

    /// Its user has just shown who that is.
    pub(super) fn is_authenticated(&mut self, now: Millis) {
        self.times.marks(now);
        (self.is_changed, self.unsaved.authenticated) = (true, true);
    }

    /// That counts no more, as the handler says.
    pub(super) fn is_forgotten(&mut self, now: Millis) {
        self.is_nobodys_now(now);
        self.has_said_so = true;
    }

    fn is_nobodys_now(&mut self, now: Millis) {
        self.times.forgets(now);
        self.unsaved.forgotten = true;
        (self.is_changed, self.unsaved.authenticated) = (true, true);
    }

    /// All of its data are gone, and with them who its user is: also where another request is about to note that.
    pub(super) fn is_nobodys(&mut self, now: Millis) {
        if self.times.authenticated().is_some() {
            return self.is_nobodys_now(now);
        }
        self.times.forgets(now);
        self.unsaved.forgotten = true;
    }

    /// How long it lives at all, by itself; `None`: as the options say.
    pub(super) fn lives_at_all(&mut self, absolute: Option<Millis>, now: Millis) {
        if absolute.is_some() && self.times.begun().is_none() {
            self.times.begun = Some(now).into();
            self.unsaved.begun = true;
        }
        let absolute = span(absolute);
        if self.times.absolute != absolute {
            self.times.absolute = absolute;
            (self.is_changed, self.unsaved.absolute) = (true, true);
        }
    }

    /// The handler has given it another lifetime than it had before, which may be longer than the options let others live.
    pub(super) fn is_given(&mut self, before: Option<Millis>, lifetime: Option<Millis>, limits: &Limits) {
        // With the lifetime: what it has already is no change.
        let own = span(limits.is_given(lifetime));
        if self.times.idle != own {
            self.times.idle = own;
            (self.is_changed, self.unsaved.idle) = (true, true);
        }
        self.times.make_room(limits.room_for(before.max(lifetime)));
    }

    /// What a record says of them. One that says nothing need not say that nobody has shown who that is.
    pub(super) fn to_store(self) -> Times {
        let is_only_forgotten = Times { forgotten: Maybe::NONE, ..self.times }.is_none();
        let is_to_say_so = self.is_in_record || self.has_said_so;
        if is_only_forgotten && !is_to_say_so { Times::default() } else { self.times }
    }

    /// These were stored.
    pub(super) fn written(&mut self, times: &Times) {
        self.unsaved = differing(&self.times, times, self.unsaved);
        self.is_in_record = !times.is_none();
    }

    /// The store holds these: what was set here is on top of them. `gives`: this request has given the session its lifetime, with which goes how
    /// long it may lie unused.
    pub(super) fn read(
        &mut self,
        latest: Times,
        (lifetime, gives): (Option<Millis>, bool),
        context: &Context<'_>,
    ) {
        let latest = latest.believed(context.now);
        self.is_in_record = !latest.is_none();
        let ours = if planted(Fault::TimesLost) { latest } else { self.times };
        let idle = self.unsaved.idle || gives;
        self.times = over(ours, latest, Which { idle, ..self.unsaved });
        self.unsaved = differing(&self.times, &latest, self.unsaved);
        // What was forgotten here is to be forgotten there.
        self.unsaved.authenticated |=
            latest.authenticated().is_some() && self.times.authenticated().is_none();
        self.begins_to_count(&latest, lifetime, context);
    }

    /// What was set here is dropped.
    pub(super) fn drops_changes(&mut self) {
        (self.is_changed, self.has_said_so) = (false, false);
        self.needs_no_store();
    }

    /// There is nothing that could hold it.
    pub(super) fn needs_no_store(&mut self) {
        self.unsaved = Which::default();
    }
}

/// Whether the user has shown who that is no longer ago than this.
pub(crate) fn is_recent(times: &Times, within: Millis, now: Millis) -> bool {
    // A clock that was further ahead was wrong.
    times.authenticated().is_some_and(|at| at >= now.saturating_sub(within) && is_believed(at, now))
}

/// No clock is so far ahead.
fn is_believed(at: Millis, now: Millis) -> bool {
    at <= now.saturating_add(CLOCKS_DIFFER)
}

/// A number that JavaScript writes back as it is.
fn span(span: Option<Millis>) -> Maybe {
    span.map(|span| span.min(date::LAST)).into()
}

impl Times {
    /// Its user has shown who that is: after whatever was forgotten before.
    fn marks(&mut self, now: Millis) {
        let before = self.forgotten.get().filter(|at| is_believed(*at, now));
        self.authenticated = Some(before.map_or(now, |at| now.max(at.saturating_add(1)))).into();
    }

    /// And whatever was noted before.
    fn forgets(&mut self, now: Millis) {
        let before =
            [self.authenticated, self.forgotten].map(|at| at.get().filter(|at| is_believed(*at, now)));
        self.forgotten = before.into_iter().flatten().chain([now]).max().into();
        self.authenticated = Maybe::NONE;
    }

    fn make_room(&mut self, room: Option<Millis>) {
        self.room = span(self.room.get().max(room));
    }

    /// Without what a clock has said that was wrong.
    fn believed(self, now: Millis) -> Self {
        let known = |at: Maybe| at.get().filter(|at| is_believed(*at, now)).into();
        let [begun, authenticated, forgotten] = [self.begun, self.authenticated, self.forgotten].map(known);
        Self { begun, authenticated, forgotten, ..self }
    }
}

/// What one request has `set` of these, on top of the latest ones. A session has begun once; of two who have shown who they are the
/// last one counts, and what was forgotten after both is forgotten.
fn over(ours: Times, latest: Times, set: Which) -> Times {
    let mark = match (ours.authenticated(), latest.authenticated()) {
        (mark, theirs) if !set.authenticated || mark.is_none() => theirs,
        (mark, theirs) => mark.max(theirs),
    };
    let forgotten = latest.forgotten.get().max(ours.forgotten.get().filter(|_| set.forgotten));
    let is_forgotten = mark.is_some() && mark <= forgotten;
    let pick = |is_set, ours, theirs| if is_set { ours } else { theirs };
    Times {
        begun: if latest.begun == Maybe::NONE { ours.begun } else { latest.begun },
        authenticated: mark.filter(|_| !is_forgotten).into(),
        idle: pick(set.idle, ours.idle, latest.idle),
        absolute: pick(set.absolute, ours.absolute, latest.absolute),
        forgotten: forgotten.into(),
        room: ours.room.get().max(latest.room.get()).into(),
    }
}

/// Of what was `set`, what is another time in one than in the other.
fn differing(one: &Times, other: &Times, set: Which) -> Which {
    Which {
        begun: set.begun && one.begun != other.begun,
        authenticated: set.authenticated && one.authenticated != other.authenticated,
        idle: set.idle && one.idle != other.idle,
        absolute: set.absolute && one.absolute != other.absolute,
        forgotten: set.forgotten && one.forgotten != other.forgotten,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn times(begun: Option<Millis>, authenticated: Option<Millis>, absolute: Option<Millis>) -> Times {
        let [begun, authenticated, absolute] = [begun, authenticated, absolute].map(Maybe::from);
        Times { begun, authenticated, absolute, ..Times::default() }
    }

    #[test]
    fn of_parallel_requests_each_keeps_what_it_has_set() {
        let base = times(Some(10), Some(20), None);
        let set = |authenticated, absolute| Which { authenticated, absolute, ..Which::default() };
        let (ours, theirs) = (times(Some(10), Some(40), None), times(Some(10), Some(20), Some(7)));
        assert_eq!(over(ours, theirs, set(true, false)), times(Some(10), Some(40), Some(7)));
        // Who has only read sets nothing back.
        assert_eq!(over(base, ours, set(false, false)), ours);
        assert_eq!(over(base, ours, set(true, false)), ours, "the last one counts, whoever writes last");
        assert_eq!(over(base, theirs, set(false, true)), base, "set to none");
        // What is forgotten later is forgotten, whoever writes last, and whether it was seen.
        let forgets = Which { forgotten: true, ..Which::default() };
        for before in [base, times(Some(10), None, None)] {
            let mut forgotten = before;
            forgotten.forgets(50);
            assert_eq!(forgotten.authenticated(), None);
            assert_eq!(over(forgotten, ours, forgets).authenticated(), None);
            assert_eq!(over(ours, forgotten, set(true, false)).authenticated(), None);
            forgotten.marks(50);
            assert_eq!(forgotten.authenticated(), Some(51), "it was done after that");
            let both = Which { authenticated: true, ..forgets };
            assert_eq!(over(forgotten, ours, both).authenticated(), Some(51));
            assert_eq!(over(ours, forgotten, set(true, false)).authenticated(), Some(51));
        }
        // Of a request that took long, whoever writes last.
        let later = times(Some(10), Some(40 + CLOCKS_DIFFER + 1), None);
        assert_eq!(over(ours, later, set(true, false)), later);
        // What is forgotten is forgotten as late as it was before, by whichever clock.
        let mut twice = base;
        twice.forgets(60);
        twice.forgets(50);
        assert_eq!(twice.forgotten.get(), Some(60));
        // A session that an Express app began is seen by two.
        let first = Times::begun_at(5);
        let seen = Which { begun: true, ..Which::default() };
        assert_eq!(over(Times::begun_at(6), first, seen), first);
        assert_eq!(over(first, Times::begun_at(6), seen), Times::begun_at(6), "whoever wrote first");
        let ahead = Times::begun_at(7 + CLOCKS_DIFFER);
        assert_eq!((ahead.believed(6), ahead.believed(7)), (Times::default(), ahead));
        assert_eq!(over(first, Times::default(), Which::default()), first);
        assert_eq!(differing(&ours, &base, set(true, true)), set(true, false));
    }
}
