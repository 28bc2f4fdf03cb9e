//! The world: what there is, and what may happen next.

use std::{sync::Arc, time::Duration};

use super::{
    check::{Effect, Ghost, Mine, Moment, Violation},
    explore::Budget,
    store::SimStore,
};
use crate::{
    error::{Error, StoreError},
    life::{
        Answer, Ask, Changed, Context, Done, Life, Operation, Step,
        decide::{CONFIRMED_AT_THE_END_FOR, Presence, SetCookie},
        held::ROUNDED,
    },
    options::{Options, cookie_options::CookieOptions, lifetimes::Lifetimes, policy::Unset},
    record::{Record, data::Data, times::Times},
    store::{Destroyed, Expect, Set, Stored, Touched},
    wire::{date::Millis, sid::Sid},
};

/// The lifetime of a session, in milliseconds of the virtual clock.
pub(super) const LIFETIME: Millis = 10_000;
/// The shorter one that an operation sets, and the longer one.
pub(super) const SHORTER: Millis = 5_000;
pub(super) const LONGER: Millis = 20_000;
/// How long one lives at all, under the options that say so: past two jumps of time that its record outlives.
const ABSOLUTE: Millis = 12_000;
/// Past the moment for which an answer is trusted, past the fifth after which a touch is due, past half of the lifetime,
/// and past all of it.
const JUMPS: [Millis; 4] = [500, 3_000, 6_000, 11_000];

/// The options under which a world runs.
#[derive(Clone)]
pub(super) struct Rules {
    pub(super) name: &'static str,
    pub(super) options: Options,
    /// The requests are served by one process, so that their writers take turns.
    pub(super) one_process: bool,
    /// How much of its lifetime a session has left at least after a request.
    pub(super) kept: Millis,
    /// The cookie ends when the record does.
    pub(super) cookie_follows: bool,
    /// The store does not leave touches out.
    pub(super) touches: bool,
    /// For how long the store holds a record that says nothing of that.
    ttl: Millis,
}

impl Rules {
    pub(super) fn profiles() -> Vec<Self> {
        let lifetime = || CookieOptions::new().max_age_millis(LIFETIME);
        let new = || Options::new("keyboard cat").idle(None).absolute(None);
        vec![
            Self {
                name: "new profile, one process",
                options: new().cookie(lifetime()),
                one_process: true,
                kept: LIFETIME * 8 / 10,
                cookie_follows: true,
                touches: true,
                ttl: LIFETIME,
            },
            Self {
                name: "new profile, cookies without a date",
                options: new(),
                one_process: false,
                kept: LIFETIME * 8 / 10,
                cookie_follows: true,
                touches: true,
                ttl: LIFETIME,
            },
            Self {
                name: "express profile, several processes",
                options: Options::express("keyboard cat").cookie(lifetime()),
                one_process: false,
                kept: LIFETIME,
                cookie_follows: false,
                touches: true,
                ttl: LIFETIME,
            },
        ]
    }

    /// Options that are rarer: a cookie with every response, and `req.session = null` as a logout; a store without touches.
    pub(super) fn rarer() -> Vec<Self> {
        let untouched = Self::profiles().swap_remove(0);
        let untouched = Self { name: "new profile, touches left out", touches: false, ..untouched };
        let profiles = Self::profiles().into_iter().filter(|rules| !rules.is_without_dates());
        profiles
            .map(|rules| Self {
                name: if rules.cookie_follows {
                    "new profile, rolling, unset destroys"
                } else {
                    "express profile, rolling, unset destroys, resave off"
                },
                options: rules.options.rolling(true).unset(Unset::Destroy).resave(false),
                kept: LIFETIME,
                ..rules
            })
            .chain([untouched])
            .collect()
    }

    /// Sessions that live, or lie unused, no longer than a limit: also those that Express has begun, or prolongs.
    pub(super) fn limited() -> Vec<Self> {
        let [mut dated, mut dateless, mut express] =
            <[Self; 3]>::try_from(Self::profiles()).unwrap_or_else(|_| panic!("there are three"));
        let absolute = Duration::from_millis(ABSOLUTE.unsigned_abs());
        let idle = Duration::from_millis(LIFETIME.unsigned_abs());
        dated.name = "new profile, with a limit";
        dated.options = dated.options.absolute(absolute);
        dateless.name = "new profile, cookies without a date, two limits";
        dateless.options = dateless.options.lifetimes(Lifetimes::new(idle, absolute));
        dateless.ttl = 10 * LIFETIME;
        express.name = "express profile, with a limit that is new";
        express.options = express.options.absolute(absolute);
        let unused = Self {
            name: "new profile, cookies without a date, no longer unused",
            options: Self::profiles().swap_remove(1).options.idle(idle),
            ttl: LIFETIME / 10,
            ..dateless
        };
        vec![dated, dateless, unused, express]
    }

    /// When a session ends that has begun then; the end of time where it does not.
    pub(super) fn end(&self, begun: Option<Millis>) -> Millis {
        let absolute = self.options.lifetimes.absolute;
        begun.zip(absolute).map_or(Millis::MAX, |(begun, absolute)| begun + absolute)
    }

    /// So much of a lifetime is left then.
    pub(super) fn whole(&self, lifetime: Millis, from: Millis, begun: Option<Millis>) -> Millis {
        lifetime.min(self.end(begun).saturating_sub(from)).max(0)
    }

    pub(super) fn idle(&self) -> Option<Millis> {
        self.options.lifetimes.idle
    }

    pub(super) fn is_limited(&self) -> bool {
        self.options.lifetimes.absolute.is_some()
    }

    pub(super) fn is_without_dates(&self) -> bool {
        !self.options.cookie.cookie(false, 0).has_expires()
    }

    fn context(&self, now: Millis) -> Context<'_> {
        let (options, attributes) = (&self.options, self.options.attributes);
        Context { options, cookie: &options.cookie, secure: false, attributes, now }
    }
}

/// How the browser comes: with the cookie of a session that is stored, or without.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Arrival {
    LoggedIn,
    New,
}

/// What a handler may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Op {
    Get,
    Insert,
    /// What was there at first.
    PutBack,
    Remove,
    Update,
    Save,
    Reload,
    Renew,
    Regenerate,
    Destroy,
    Unset,
    Touch,
    Shorten,
    Lengthen,
    ExpireNow,
    /// Its user has just shown who that is.
    Authenticate,
    /// The end of the request, which the adapter calls.
    End,
}

/// What the small budgets leave out comes in the others.
pub(super) const FEWER: [Op; 12] = [
    Op::Get,
    Op::Insert,
    Op::Remove,
    Op::Update,
    Op::Save,
    Op::Reload,
    Op::Renew,
    Op::Regenerate,
    Op::Destroy,
    Op::Unset,
    Op::Touch,
    Op::Shorten,
];

/// All, where sessions have limits …
pub(super) const OPS_OF_LIMITED: [Op; 16] = [
    Op::Get,
    Op::Insert,
    Op::PutBack,
    Op::Remove,
    Op::Update,
    Op::Save,
    Op::Reload,
    Op::Renew,
    Op::Regenerate,
    Op::Destroy,
    Op::Unset,
    Op::Touch,
    Op::Shorten,
    Op::Lengthen,
    Op::ExpireNow,
    Op::Authenticate,
];

/// … and where they have none, all but the last.
pub(super) const OPS: &[Op] = OPS_OF_LIMITED.split_at(15).0;

#[derive(Clone, Hash)]
pub(super) struct World {
    pub(super) now: Millis,
    pub(super) store: SimStore,
    pub(super) requests: Vec<Request>,
    /// Calls that nobody waits for any more, and that may still arrive.
    late: Vec<Late>,
    /// Who may write, and who waits.
    turn: Vec<usize>,
    /// The browser's cookie, and until when it keeps it.
    pub(super) jar: Option<(Sid, Option<Millis>)>,
    pub(super) ghost: Ghost,
    faults: u8,
    time: u8,
    express: u8,
    with_late: bool,
    with_answers: bool,
    ops: Ops,
    /// This request goes on next. What it did last was its own affair: whether others do something before or after that
    /// makes no difference, so that one of the two orders is enough.
    next: Option<usize>,
}

/// The store can hold nothing of a request but this value.
fn has_nothing_but(loaded: Option<u8>, in_doubt: &[Option<u8>], value: Option<u8>) -> bool {
    loaded == value && in_doubt.iter().all(|sent| *sent == value)
}

/// The same in all worlds of one run.
#[derive(Clone, Copy)]
struct Ops(&'static [Op]);

impl std::hash::Hash for Ops {
    fn hash<H: std::hash::Hasher>(&self, _: &mut H) {}
}

#[derive(Clone, Hash)]
pub(super) struct Request {
    pub(super) status: Status,
    pub(super) life: Option<Life>,
    pub(super) running: Option<Running>,
    operations: u8,
    /// The value that the store was seen to hold last: another one is a change.
    pub(super) loaded: Option<u8>,
    /// The values with which writes were sent since, and no answer came: they may have been stored.
    in_doubt: Vec<Option<u8>>,
    ids: u8,
    values: u8,
    /// What it did that the store shall have.
    pub(super) mine: Mine,
    /// A fault hit it.
    pub(super) faulty: bool,
    /// Its end answered without an error.
    ended_well: bool,
    /// When it last asked the store what that answered, and when that came.
    pub(super) asked: Millis,
    pub(super) heard: Millis,
    /// How long an answer took that says when the record ends; none where the question said that.
    pub(super) took: Millis,
    /// The store has said since that somebody else wrote.
    pub(super) is_behind: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) enum Status {
    NotBegun,
    Open,
    /// The response has gone out.
    Ended,
    /// The client has left, and the request was dropped.
    Left,
}

#[derive(Clone, Hash)]
pub(super) struct Running {
    operation: Operation,
    pub(super) op: Op,
    waits: Waits,
    /// The session's id when it began.
    of: Sid,
    /// When the operation began, and when its last question was asked.
    pub(super) began: Millis,
    asked: Millis,
    /// How often it has added to the counter in the store.
    pub(super) added: u8,
    /// The session was not in the store at some time while it ran.
    pub(super) saw_nothing: bool,
    /// What the store held of the key when it was last read.
    pub(super) read: Option<u8>,
    /// So many answers, two at most, took so long that the session may have ended since; a look counts as both.
    pub(super) slow: u8,
    pub(super) faulty: bool,
}

#[derive(Clone, Hash)]
#[expect(clippy::large_enum_variant, reason = "worlds are cloned all the time")]
enum Waits {
    Store(HashedAsk),
    /// The store has done it, and its answer is on its way.
    Answer(HashedAsk, Told),
    Turn,
}

impl Waits {
    /// What was asked of the store.
    fn ask(&self) -> Option<&HashedAsk> {
        match self {
            Self::Store(ask) | Self::Answer(ask, _) => Some(ask),
            Self::Turn => None,
        }
    }
}

/// What the store has answered, and nobody has heard yet.
#[derive(Clone, Hash)]
enum Told {
    Got(Option<HashedStored>),
    Set(Set),
    Touched(Touched),
    Destroyed(Destroyed),
}

#[derive(Clone)]
struct HashedStored(Stored);

impl std::hash::Hash for HashedStored {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        let Stored { record, version, left, lifetime } = &self.0;
        (&record.data, &record.cookie, &record.times, &record.ids, version, left, lifetime).hash(state);
    }
}

impl Told {
    /// `None`: that is no store's answer.
    fn of(answer: Answer) -> Option<Self> {
        Some(match answer {
            Answer::Got(stored) => Self::Got(stored.map(HashedStored)),
            Answer::Set(set) => Self::Set(set),
            Answer::Touched(touched) => Self::Touched(touched),
            Answer::Destroyed(destroyed) => Self::Destroyed(destroyed),
            _ => return None,
        })
    }

    fn answer(self) -> Answer {
        match self {
            Self::Got(stored) => Answer::Got(stored.map(|stored| stored.0)),
            Self::Set(set) => Answer::Set(set),
            Self::Touched(touched) => Answer::Touched(touched),
            Self::Destroyed(destroyed) => Answer::Destroyed(destroyed),
        }
    }
}

/// A call whose sender is gone.
#[derive(Clone, Hash)]
struct Late {
    ask: HashedAsk,
    asked: Millis,
    request: usize,
    running: Op,
    added: u8,
    mine: Mine,
    of: Sid,
    /// Its request has heard of the session since.
    is_overruled: bool,
    after_response: bool,
}

/// A question that can be compared.
#[derive(Clone)]
pub(super) struct HashedAsk(pub(super) Arc<Ask>, u64);

impl std::hash::Hash for HashedAsk {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.1.hash(state);
    }
}

impl HashedAsk {
    pub(super) fn of(ask: Ask) -> Self {
        use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
        let expect = |expect: &Expect| match expect {
            Expect::Anything => (0, None),
            Expect::Nothing => (1, None),
            Expect::Version(version) => (2, Some(version.clone())),
        };
        let hasher = BuildHasherDefault::<DefaultHasher>::default();
        let hash = match &ask {
            Ask::Get(sid) => hasher.hash_one((0, sid)),
            Ask::Set { sid, record, expect: e } => hasher.hash_one((
                1,
                sid,
                &record.data,
                &record.cookie,
                record.cookie.ends(),
                &record.times,
                &record.ids,
                expect(e),
            )),
            Ask::Touch { sid, cookie, expect: e } => {
                hasher.hash_one((2, sid, cookie, cookie.ends(), expect(e)))
            }
            Ask::Destroy { sid, expect: e } => hasher.hash_one((3, sid, expect(e))),
            Ask::Turn(sid) => hasher.hash_one((4, sid)),
            Ask::Change(_) => 5,
            Ask::NewSid => 6,
        };
        Self(Arc::new(ask), hash)
    }
}

/// What may happen next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Choice {
    Begin(usize),
    Call(usize, Op),
    /// The store does what it was asked, and its answer is on its way.
    Does(usize),
    /// The store does what it was asked, if it has not yet, and answers.
    Works(usize),
    FailsBefore(usize),
    FailsAfter(usize),
    /// The operation is dropped: before the store did it, after, or while the call is still on its way.
    DroppedBefore(usize),
    DroppedAfter(usize),
    DroppedOnItsWay(usize),
    /// The client leaves, and the whole request is dropped.
    Leaves(usize),
    TurnComes(usize),
    Arrives(usize),
    Pass(Millis),
    Express,
}

impl Choice {
    /// What happens when nothing goes wrong.
    pub(super) fn is_usual(self) -> bool {
        matches!(self, Self::Begin(_) | Self::Call(..) | Self::Does(_) | Self::Works(_) | Self::TurnComes(_))
    }
}

/// And has not lived as long as it may.
fn is_there(rules: &Rules, store: &SimStore, life: &Life, now: Millis) -> bool {
    store.held(life.sid(), now).is_some() && rules.end(life.times().begun()) > now
}

pub(super) fn value(data: &Data, key: &str) -> Option<u8> {
    data.get(key).and_then(|json| json.parse().ok())
}

impl World {
    pub(super) fn new(rules: &Rules, arrival: Arrival, budget: Budget) -> Self {
        let mut world = Self {
            now: 1_000_000,
            store: SimStore::new(budget.versions, rules.touches, rules.ttl),
            requests: (0..budget.requests).map(|_| Request::new(budget.operations)).collect(),
            late: Vec::new(),
            turn: Vec::new(),
            jar: None,
            ghost: Ghost::default(),
            faults: budget.faults,
            time: budget.time,
            express: budget.express,
            with_late: budget.late,
            with_answers: budget.answers,
            ops: Ops(budget.ops),
            next: None,
        };
        if arrival == Arrival::LoggedIn {
            let sid = Sid::from("first");
            let mut data = Data::new();
            data.insert("k", "1".into());
            data.insert("n", "0".into());
            let cookie = rules.options.cookie.cookie(false, world.now);
            let until = world.now + LIFETIME;
            world.jar = Some((sid.clone(), cookie.expires_at()));
            // Express knows of no limit.
            let is_ours = rules.cookie_follows && rules.is_limited();
            let times = if is_ours { Times::begun_at(world.now) } else { Times::default() };
            world.ghost.began_with(sid.clone(), times.begun());
            world.store.put(&sid, &Record::new(cookie, data).with_times(times), until, None);
        }
        world
    }

    pub(super) fn choices(&self) -> Vec<Choice> {
        let mut choices = Vec::with_capacity(24);
        for (at, request) in self.requests.iter().enumerate() {
            if self.next.is_some_and(|next| next != at) {
                continue;
            }
            match (&request.status, &request.running) {
                // They are all alike before: one order is enough.
                (Status::NotBegun, _) => {
                    if at == 0 || self.requests[at - 1].status != Status::NotBegun {
                        choices.push(Choice::Begin(at));
                    }
                }
                (Status::Left, _) => {}
                (_, Some(running)) => {
                    match &running.waits {
                        Waits::Turn if self.is_turn_free() => choices.push(Choice::TurnComes(at)),
                        Waits::Turn => {}
                        // Whether it was heard or not, it is done.
                        Waits::Answer(..) => {
                            choices.push(Choice::Works(at));
                            if self.faults > 0 {
                                choices.extend([Choice::FailsAfter(at), Choice::DroppedAfter(at)]);
                            }
                        }
                        Waits::Store(ask) => {
                            choices.push(Choice::Works(at));
                            if self.with_answers {
                                choices.push(Choice::Does(at));
                            }
                            if self.faults > 0 {
                                choices.push(Choice::FailsBefore(at));
                                choices.push(Choice::DroppedBefore(at));
                                if !matches!(*ask.0, Ask::Get(_)) {
                                    choices.extend([
                                        Choice::FailsAfter(at),
                                        Choice::DroppedAfter(at),
                                        Choice::DroppedOnItsWay(at),
                                    ]);
                                }
                            }
                        }
                    }
                    if self.faults > 0 && request.status == Status::Open {
                        choices.push(Choice::Leaves(at));
                    }
                }
                (status, None) => {
                    if *status == Status::Open {
                        choices.push(Choice::Call(at, Op::End));
                        if self.faults > 0 {
                            choices.push(Choice::Leaves(at));
                        }
                    }
                    if request.operations > 0 && (*status == Status::Open || self.with_late) {
                        choices.extend(self.ops.0.iter().map(|op| Choice::Call(at, *op)));
                    }
                }
            }
        }
        if self.time > 0 {
            choices.extend(JUMPS.map(Choice::Pass));
        }
        if self.next.is_some() {
            return choices;
        }
        choices.extend((0..self.late.len()).map(Choice::Arrives));
        if self.express > 0 && self.store.held(&Sid::from("first"), self.now).is_some() {
            choices.push(Choice::Express);
        }
        choices
    }

    /// One step, and all that is to be true after it.
    pub(super) fn advance(&mut self, rules: &Rules, choice: Choice) -> Result<(), Violation> {
        self.step(rules, choice)?;
        // A request that has called the store, or was changed without it, goes on: unless time passes in between.
        self.next = match choice {
            Choice::Call(at, op) if self.goes_on(at, op) => Some(at),
            _ => None,
        };
        let Self { ghost, store, requests, now, jar, late, .. } = self;
        ghost.look_around(rules, store, *now, requests, !late.is_empty())?;
        ghost.browser(rules, *now, jar.as_ref())?;
        if self.is_quiet() { self.ghost.at_rest(&self.store, self.now, &self.requests) } else { Ok(()) }
    }

    /// Those who wait may come in any order.
    fn is_turn_free(&self) -> bool {
        let first = self.turn.first().and_then(|first| self.requests[*first].running.as_ref());
        first.is_none_or(|running| matches!(running.waits, Waits::Turn))
    }

    fn goes_on(&self, at: usize, op: Op) -> bool {
        let request = &self.requests[at];
        let waits = request.running.as_ref().is_some_and(|running| running.waits.ask().is_some());
        let local = matches!(
            op,
            Op::Get
                | Op::Insert
                | Op::PutBack
                | Op::Remove
                | Op::Unset
                | Op::Touch
                | Op::Shorten
                | Op::Lengthen
                | Op::ExpireNow
                | Op::Authenticate
        );
        waits || (local && (request.status == Status::Open || request.operations > 0))
    }

    fn step(&mut self, rules: &Rules, choice: Choice) -> Result<(), Violation> {
        match choice {
            Choice::Begin(at) => return self.begin(rules, at),
            Choice::Call(at, op) => return self.call(rules, at, op),
            Choice::Does(at) => {
                let told = Told::of(self.effect(rules, at)?);
                if let Some(running) = &mut self.requests[at].running
                    && let (Some(ask), Some(told)) = (running.waits.ask().cloned(), told)
                {
                    running.waits = Waits::Answer(ask, told);
                }
            }
            Choice::Works(at) => {
                let answer = match self.told(at) {
                    Some(told) => told.answer(),
                    None => self.effect(rules, at)?,
                };
                self.hears(at, &answer);
                return self.answer(rules, at, answer);
            }
            Choice::FailsBefore(at) => {
                self.fault(at);
                return self.answer(rules, at, Answer::Failed(StoreError::unavailable("simulated", "down")));
            }
            Choice::FailsAfter(at) => {
                self.fault(at);
                if self.told(at).is_none() {
                    self.effect(rules, at)?;
                }
                return self.answer(rules, at, Answer::Failed(StoreError::unavailable("simulated", "lost")));
            }
            Choice::DroppedBefore(at) => {
                self.fault(at);
                self.drop_operation(at);
            }
            Choice::DroppedAfter(at) => {
                self.fault(at);
                if self.told(at).is_none() {
                    self.effect(rules, at)?;
                }
                self.drop_operation(at);
            }
            Choice::DroppedOnItsWay(at) => {
                self.fault(at);
                self.send_late(at);
                self.drop_operation(at);
            }
            Choice::Leaves(at) => {
                self.fault(at);
                self.send_late(at);
                self.drop_operation(at);
                let request = &mut self.requests[at];
                request.status = Status::Left;
                if let Some(life) = request.life.take() {
                    self.ghost.lost(life.sid());
                }
            }
            Choice::TurnComes(at) => {
                self.turn.retain(|waiting| *waiting != at);
                self.turn.insert(0, at);
                return self.answer(rules, at, Answer::Turn);
            }
            Choice::Arrives(at) => {
                let late = self.late.remove(at);
                let (before, now) = (self.store.clone(), self.now);
                // Where the same data have the same version, a call that names it cannot be fenced off.
                let is_settled = self.store.counts() && self.requests[late.request].is_settled(&late.of);
                let answer = self.store.answer(&late.ask.0, now, usize::MAX);
                let effect = Effect {
                    rules,
                    before: &before,
                    after: &self.store,
                    now,
                    asked: late.asked,
                    ask: &late.ask.0,
                    answer: &answer,
                    op: late.running,
                    request: late.request,
                    of: &late.of,
                    late: true,
                    is_settled,
                    is_overruled: late.is_overruled,
                    after_response: late.after_response,
                    jar: self.jar.as_ref(),
                    is_in_doubt: true,
                };
                let (mut added, mut mine) = (late.added, late.mine.clone());
                self.ghost.effect(&effect, &mut added, &mut mine)?;
                self.requests[late.request].mine.arrived(&mine);
            }
            Choice::Pass(time) => {
                self.time -= 1;
                self.now += time;
                self.store.sweep(self.now);
                for request in &mut self.requests {
                    if let (Some(running), Some(life)) = (&mut request.running, &request.life) {
                        running.saw_nothing |= !is_there(rules, &self.store, life, self.now);
                    }
                }
            }
            Choice::Express => {
                self.express -= 1;
                let sid = Sid::from("first");
                if let Some(stored) = self.store.get(&sid, self.now) {
                    let mut record = stored.record;
                    Arc::make_mut(&mut record.data).insert("k", "99".into());
                    record.cookie.touch(self.now);
                    if let Some(until) = self.store.until(&record.cookie, self.now) {
                        self.store.put(&sid, &record, until, None);
                        self.ghost.express_wrote(rules, &sid, until);
                        if self.jar.as_ref().is_some_and(|(held, _)| *held == sid) {
                            self.jar = Some((sid, record.cookie.expires_at()));
                        }
                    }
                }
            }
        }
        Ok(())
    }

    /// What each request asks, to be read by people.
    pub(super) fn asks(&self) -> String {
        let cookie = |cookie: &crate::record::cookie::Cookie| {
            format!("{:?} ms until {:?}", cookie.lifetime(), cookie.expires_at())
        };
        let running = self.requests.iter().filter_map(|request| request.running.as_ref());
        let asks = running.map(|Running { op, waits, .. }| {
            let asks = match waits {
                Waits::Turn => "its turn".into(),
                Waits::Answer(..) => "nothing more".into(),
                Waits::Store(HashedAsk(ask, _)) => match &**ask {
                    Ask::Set { sid, record, expect } => {
                        let [k, n] = ["k", "n"].map(|key| value(&record.data, key));
                        format!("set {sid:?} k={k:?} n={n:?} {} {expect:?}", cookie(&record.cookie))
                    }
                    Ask::Touch { sid, cookie: touched, expect } => {
                        format!("touch {sid:?} {} {expect:?}", cookie(touched))
                    }
                    ask => format!("{ask:?}"),
                },
            };
            format!("{op:?} asks {asks}; ")
        });
        let held = |(sid, until): &(Sid, Option<Millis>)| format!("the browser has {sid:?} until {until:?}");
        asks.chain(self.jar.as_ref().map(held)).collect()
    }

    pub(super) fn is_quiet(&self) -> bool {
        self.late.is_empty()
            && self.requests.iter().all(|request| {
                request.running.is_none() && matches!(request.status, Status::Ended | Status::Left)
            })
    }

    fn begin(&mut self, rules: &Rules, at: usize) -> Result<(), Violation> {
        if self.jar.as_ref().is_some_and(|(_, until)| until.is_some_and(|until| until <= self.now)) {
            self.jar = None;
        }
        let presented = self.jar.as_ref().map(|(sid, _)| sid.clone());
        let context = rules.context(self.now);
        let stored = presented.as_ref().and_then(|sid| Some((sid.clone(), self.store.get(sid, self.now)?)));
        let life = match stored {
            // As the driver does it.
            Some((_, stored)) if context.has_ended(&stored.record) => {
                Life::created(self.new_sid(at), presented, &context)
            }
            Some((sid, stored)) => {
                self.ghost.answers(rules, &sid, self.now)?;
                Life::loaded(sid, stored, self.now, &context)
            }
            None => Life::created(self.new_sid(at), presented, &context),
        };
        self.requests[at].status = Status::Open;
        self.requests[at].asked = self.now;
        self.requests[at].heard = self.now;
        self.requests[at].loaded = value(life.data(), "k");
        self.requests[at].life = Some(life);
        Ok(())
    }

    fn new_sid(&mut self, at: usize) -> Sid {
        self.requests[at].ids += 1;
        format!("{at}-{}", self.requests[at].ids).into()
    }

    fn call(&mut self, rules: &Rules, at: usize, op: Op) -> Result<(), Violation> {
        let new = if matches!(op, Op::Renew | Op::Regenerate) { Some(self.new_sid(at)) } else { None };
        let now = self.now;
        let request = &mut self.requests[at];
        if op != Op::End {
            request.operations -= 1;
        }
        let Some(life) = &mut request.life else { return Ok(()) };
        let present = life.presence() == Presence::Present;
        self.ghost.begins(op, at, life.sid(), present);
        let operation = match (op, new) {
            (Op::Get, _) => None,
            (
                Op::Insert
                | Op::PutBack
                | Op::Remove
                | Op::Touch
                | Op::Shorten
                | Op::Lengthen
                | Op::ExpireNow
                | Op::Authenticate,
                _,
            ) if !present => None,
            (Op::Insert | Op::PutBack, _) => {
                request.values += 1;
                let new = u8::try_from(at).unwrap_or(0) * 20 + 10 + request.values;
                let value = if op == Op::PutBack { 1 } else { new };
                // What a key has already is no change.
                if self::value(life.data(), "k") == Some(value) {
                    return Ok(());
                }
                life.insert("k", value.to_string().into());
                request.mine.wants(Some(value));
                if has_nothing_but(request.loaded, &request.in_doubt, Some(value)) {
                    request.mine.wants_nothing();
                }
                None
            }
            (Op::Remove, _) => {
                if life.data().contains("k") {
                    life.remove("k");
                    request.mine.wants(None);
                    if has_nothing_but(request.loaded, &request.in_doubt, None) {
                        request.mine.wants_nothing();
                    }
                }
                None
            }
            (Op::Touch, _) => {
                life.touch(&rules.context(now));
                None
            }
            (Op::Authenticate, _) => {
                life.is_authenticated(true, now);
                request.mine.authenticates(now);
                None
            }
            (Op::Shorten | Op::Lengthen | Op::ExpireNow, _) => {
                let mut cookie = life.cookie().clone();
                let lifetime = match op {
                    Op::Shorten => SHORTER,
                    Op::Lengthen => LONGER,
                    _ => 0,
                };
                cookie.live_for(Some(lifetime), now);
                // As with data: what it has already is no change.
                if cookie != *life.cookie() {
                    request.mine.gives_lifetime(lifetime);
                }
                let before = life.cookie().clone();
                life.change_cookie(&before, cookie);
                life.is_given_its_lifetime(before.lifetime(), &rules.options.lifetimes);
                None
            }
            (Op::Unset, _) => {
                let destroys = rules.options.policies.unset == Unset::Destroy;
                life.unset(destroys);
                if present && destroys {
                    request.mine.begins_logout();
                } else {
                    request.mine.lets_go();
                }
                None
            }
            (Op::Update, _) => Some(Operation::change()),
            (Op::Save, _) => Some(Operation::save()),
            (Op::Reload, _) => Some(Operation::reload()),
            (Op::Destroy, _) => Some(Operation::destroy(present)),
            (Op::End, _) => Some(Operation::end()),
            (Op::Renew, Some(new)) => Some(Operation::renew(new)),
            (Op::Regenerate, Some(new)) => Some(Operation::regenerate(new)),
            (Op::Renew | Op::Regenerate, None) => None,
        };
        let Some(mut operation) = operation else { return Ok(()) };
        let saw_nothing = !is_there(rules, &self.store, life, now);
        let of = life.sid().clone();
        if op == Op::Destroy {
            if present {
                request.mine.begins_logout();
            } else {
                request.mine.forgets();
            }
        }
        let step = operation.step(life, &rules.context(now), None);
        request.running = Some(Running {
            operation,
            of,
            op,
            waits: Waits::Turn,
            began: now,
            asked: now,
            added: 0,
            saw_nothing,
            read: None,
            slow: 0,
            faulty: false,
        });
        self.go_on(rules, at, step)
    }

    /// An answer has come.
    fn answer(&mut self, rules: &Rules, at: usize, answer: Answer) -> Result<(), Violation> {
        let now = self.now;
        let request = &mut self.requests[at];
        let (Some(running), Some(life)) = (&mut request.running, &mut request.life) else { return Ok(()) };
        running.saw_nothing |= !is_there(rules, &self.store, life, now);
        let step = running.operation.step(life, &rules.context(now), Some(answer));
        self.go_on(rules, at, step)
    }

    /// What an operation wants next. The application answers immediately.
    fn go_on(&mut self, rules: &Rules, at: usize, step: Step) -> Result<(), Violation> {
        match step {
            Step::Done(done) => self.done(rules, at, &done),
            Step::Ask(Ask::Change(seen)) => {
                let mut data = (*seen).clone();
                let count = value(&data, "n").unwrap_or(0) + 1;
                data.insert("n", count.to_string().into());
                self.answer(rules, at, Answer::Changed(Changed::To(data)))
            }
            Step::Ask(Ask::NewSid) => {
                let sid = self.new_sid(at);
                if let Some(life) = &self.requests[at].life {
                    self.ghost.renamed(life.sid(), &sid);
                }
                self.answer(rules, at, Answer::NewSid(sid))
            }
            Step::Ask(Ask::Turn(_)) => {
                if let Some(running) = &mut self.requests[at].running {
                    running.waits = Waits::Turn;
                }
                if !rules.one_process {
                    return self.answer(rules, at, Answer::Turn);
                }
                self.turn.push(at);
                if self.turn.first() == Some(&at) { self.answer(rules, at, Answer::Turn) } else { Ok(()) }
            }
            // Without a call.
            Step::Ask(ask @ Ask::Touch { .. }) if !rules.touches => {
                let answer = self.store.answer(&ask, self.now, at);
                self.answer(rules, at, answer)
            }
            Step::Ask(ask) => {
                if let Some(running) = &mut self.requests[at].running {
                    running.waits = Waits::Store(HashedAsk::of(ask));
                    running.asked = self.now;
                }
                Ok(())
            }
        }
    }

    fn done(&mut self, rules: &Rules, at: usize, done: &Result<Done, Error>) -> Result<(), Violation> {
        self.turn.retain(|holder| *holder != at);
        let Some(running) = self.requests[at].running.take() else { return Ok(()) };
        let before = running.of.clone();
        if let Ok(Done::Ended(ended)) = done {
            self.requests[at].status = Status::Ended;
            self.requests[at].ended_well = ended.error.is_none();
            if ended.error.is_none() || ended.set_cookie == SetCookie::Send {
                self.respond(rules, at, ended, &running)?;
            }
        }
        let now = self.now;
        let Self { ghost, store, requests, .. } = self;
        let moment = Moment { rules, store, now, running: &running, at, before: &before };
        ghost.done(&moment, &mut requests[at], done)
    }

    /// The response reaches the browser.
    fn respond(
        &mut self,
        rules: &Rules,
        at: usize,
        ended: &crate::life::Ended,
        running: &Running,
    ) -> Result<(), Violation> {
        match ended.set_cookie {
            SetCookie::Send => {
                let until = ended.cookie.expires_at();
                let world = (&self.store, self.jar.as_ref());
                self.ghost.sent(rules, world, self.now, at, ended, (&self.requests[at], running))?;
                let over = until.is_some_and(|until| until <= self.now);
                self.jar = (!over).then(|| (ended.sid.clone(), until));
            }
            SetCookie::Remove => {
                self.ghost.removed(rules, &self.store, self.now, &ended.sid, self.jar.as_ref(), at)?;
                self.jar = None;
            }
            SetCookie::Nothing | SetCookie::Withheld => {
                let world = (&self.store, self.jar.as_ref());
                self.ghost.not_sent(rules, world, self.now, at, &self.requests[at], running.faulty)?;
            }
        }
        Ok(())
    }

    /// The store does what the request has asked.
    fn effect(&mut self, rules: &Rules, at: usize) -> Result<Answer, Violation> {
        let now = self.now;
        let Self { store, ghost, requests, jar, .. } = self;
        let Request { running: Some(running), mine, life, status, faulty, took, .. } = &mut requests[at]
        else {
            return Ok(Answer::Again);
        };
        let Waits::Store(ask) = running.waits.clone() else { return Ok(Answer::Again) };
        let Some(life) = life else { return Ok(Answer::Again) };
        let before = store.clone();
        running.saw_nothing |= !is_there(rules, &before, life, now);
        let answer = store.answer(&ask.0, now, at);
        let effect = Effect {
            rules,
            before: &before,
            after: store,
            now,
            asked: running.asked,
            ask: &ask.0,
            answer: &answer,
            op: running.op,
            request: at,
            of: life.sid(),
            late: false,
            is_settled: false,
            is_overruled: false,
            after_response: *status == Status::Ended,
            jar: jar.as_ref(),
            is_in_doubt: *faulty || *took >= ROUNDED,
        };
        ghost.effect(&effect, &mut running.added, mine)?;
        if let Answer::Got(Some(stored)) = &answer {
            running.read = value(&stored.record.data, "k");
        }
        Ok(answer)
    }

    /// What the store has answered already.
    fn told(&self, at: usize) -> Option<Told> {
        match &self.requests[at].running.as_ref()?.waits {
            Waits::Answer(_, told) => Some(told.clone()),
            _ => None,
        }
    }

    /// What the request knows by this answer.
    fn hears(&mut self, at: usize, answer: &Answer) {
        let request = &mut self.requests[at];
        if let Some(running) = &mut request.running {
            let is_slow = self.now - running.asked >= CONFIRMED_AT_THE_END_FOR;
            // Only the end looks; what is read because of a conflict, or in doubt, is any other answer.
            let is_look = running.op == Op::End && !request.is_behind && !running.faulty;
            let count = if is_look && matches!(answer, Answer::Got(Some(_))) { 2 } else { 1 };
            running.slow = if is_slow { (running.slow + count).min(2) } else { running.slow };
        }
        let (Some(running), Some(life)) = (&request.running, &request.life) else { return };
        // A conflict says that something is there, and not that it is this session.
        let is_conflict = matches!(answer, Answer::Set(Set::Conflict) | Answer::Touched(Touched::Conflict));
        let Some(ask) = running.waits.ask() else { return };
        let is_of_this_one = match &*ask.0 {
            Ask::Get(sid) | Ask::Set { sid, .. } | Ask::Touch { sid, .. } => sid == life.sid(),
            _ => false,
        };
        if !is_conflict {
            (request.asked, request.heard) = (running.asked, self.now);
        }
        if !is_conflict && is_of_this_one {
            let gave_its_end =
                matches!(answer, Answer::Set(Set::Written(_)) | Answer::Touched(Touched::Moved));
            request.took = if gave_its_end { 0 } else { self.now - running.asked };
        }
        let of = match &*ask.0 {
            Ask::Set { sid, .. } | Ask::Touch { sid, .. } => Some(sid),
            _ => None,
        };
        request.is_behind = is_conflict && of == Some(life.sid());
        // What comes after its end sees to nothing any more.
        if request.status == Status::Open
            && matches!(answer, Answer::Got(Some(_)) | Answer::Set(Set::Written(_)))
        {
            let given_up = self.late.iter_mut().filter(|late| late.request == at && late.of == *life.sid());
            given_up.for_each(|late| late.is_overruled = true);
        }
        match (&*ask.0, answer) {
            // What was sent before may still arrive.
            (_, Answer::Got(Some(stored))) => request.loaded = value(&stored.record.data, "k"),
            (Ask::Set { sid, record, .. }, Answer::Set(Set::Written(_))) if sid == life.sid() => {
                request.knows(value(&record.data, "k"));
            }
            _ => {}
        }
    }

    fn fault(&mut self, at: usize) {
        self.faults -= 1;
        if let Request { running: Some(Running { waits, .. }), life: Some(life), .. } = &self.requests[at]
            && let Some(ask) = waits.ask()
            && matches!(&*ask.0, Ask::Set { sid, .. } if sid == life.sid())
        {
            let seen = value(life.data(), "k");
            self.requests[at].in_doubt.push(seen);
        }
        self.requests[at].faulty = true;
        if let Some(running) = &mut self.requests[at].running {
            running.faulty = true;
        }
    }

    fn send_late(&mut self, at: usize) {
        let request = &self.requests[at];
        if let Some(Running { waits: Waits::Store(ask), op, added, asked, .. }) = &request.running
            && !matches!(*ask.0, Ask::Get(_))
            && let Some(life) = &request.life
        {
            self.late.push(Late {
                ask: ask.clone(),
                asked: *asked,
                request: at,
                running: *op,
                added: *added,
                mine: request.mine.clone(),
                of: life.sid().clone(),
                is_overruled: false,
                after_response: request.status == Status::Ended,
            });
        }
    }

    fn drop_operation(&mut self, at: usize) {
        self.turn.retain(|holder| *holder != at);
        let request = &mut self.requests[at];
        let ended = request.running.take().is_some_and(|running| running.op == Op::End);
        if ended {
            // Nobody gets this response.
            request.status = Status::Left;
            if let Some(life) = request.life.take() {
                self.ghost.lost(life.sid());
            }
        }
    }
}

impl Request {
    /// It has ended well, and its session is the one of this id.
    fn is_settled(&self, sid: &Sid) -> bool {
        let is_of = |life: &Life| life.sid() == sid && life.presence() == Presence::Present;
        self.ended_well && self.life.as_ref().is_some_and(is_of)
    }

    /// The store holds this value.
    pub(super) fn knows(&mut self, value: Option<u8>) {
        self.loaded = value;
        self.has_no_doubt();
    }

    pub(super) fn has_no_doubt(&mut self) {
        self.in_doubt.clear();
    }

    fn new(operations: u8) -> Self {
        Self {
            status: Status::NotBegun,
            life: None,
            running: None,
            operations,
            loaded: None,
            in_doubt: Vec::new(),
            ids: 0,
            values: 0,
            mine: Mine::default(),
            faulty: false,
            ended_well: false,
            asked: 0,
            heard: 0,
            took: 0,
            is_behind: false,
        }
    }
}
