//! The four verbs, the same for the three databases.

use std::{
    borrow::Cow,
    future::Future,
    sync::{Arc, atomic::AtomicBool},
    time::Duration,
};

use session_core::{Cookie, Destroyed, Expect, Record, Set, Sid, StoreError, Stored, Touched};
use sqlx::Database;
use tokio::sync::OwnedSemaphorePermit;

use crate::{
    dialect::{Connection, Dialect, Row},
    error::Failure,
    pool::{Connections, Lent, lent},
    ready::Ready,
    run::Run,
    settings::{Schedule, Settings},
    sql::{Statement, Values},
    time::Millis,
};

const ATTEMPTS: u64 = 10;

pub(crate) struct SqlStore<D: Dialect> {
    pub(crate) connections: Connections<D::Db>,
    pub(crate) dialect: Arc<D>,
    pub(crate) settings: Settings,
    pub(crate) is_pruning: Arc<AtomicBool>,
    ready: Ready,
}

impl<D: Dialect> SqlStore<D> {
    pub(crate) fn new(connections: Connections<D::Db>, dialect: D, pruning: Schedule) -> Self {
        Self {
            connections,
            dialect: Arc::new(dialect),
            settings: Settings::new(pruning),
            is_pruning: Arc::default(),
            ready: Ready::default(),
        }
    }

    /// One call for a request: all of it within the store's time-out.
    async fn call<T, F>(&self, does: Does, send: impl FnMut(Lent<D::Db>) -> F + Send) -> Result<T, StoreError>
    where
        F: Future<Output = Result<T, Failure>> + Send,
        T: Send,
    {
        self.within(self.settings.timeout, self.send(does, send)).await
    }

    /// As long as it takes, on a table that is there.
    pub(crate) async fn send<T, F>(
        &self,
        does: Does,
        mut send: impl FnMut(Lent<D::Db>) -> F + Send,
    ) -> Result<T, Failure>
    where
        F: Future<Output = Result<T, Failure>> + Send,
        T: Send,
    {
        self.ready().await?;
        // Before there is a connection: whoever waits for a turn keeps none from those who read.
        let turn = turn(&*self.dialect, does).await;
        match again::<D, _, _>(&self.connections, &turn, &mut send).await {
            Err(failure) if self.is_gone(&failure) => {
                self.ready().await?;
                again::<D, _, _>(&self.connections, &turn, &mut send).await
            }
            answer => answer,
        }
    }

    /// The table has been dropped, or the file replaced, and is to be made again.
    pub(crate) fn is_gone(&self, failure: &Failure) -> bool {
        let is_gone = self.dialect.creates() && D::is_no_table(failure);
        if is_gone {
            self.ready.undo();
        }
        is_gone
    }

    pub(crate) async fn within<T>(
        &self,
        limit: Duration,
        called: impl Future<Output = Result<T, Failure>> + Send,
    ) -> Result<T, StoreError> {
        let answer = tokio::time::timeout(limit, called).await.unwrap_or_else(|_| {
            self.connections.are_doubtful();
            Err(Failure::Late(limit))
        });
        answer.map_err(|failure| self.dialect.explained(failure).of(D::STORE))
    }

    pub(crate) async fn ready(&self) -> Result<(), Failure> {
        if !self.dialect.is_to_prepare() {
            return Ok(());
        }
        // Others wait for it: whoever has more time than a request does not take it from them.
        let limit = self.settings.timeout;
        let attempt = || {
            let (connections, dialect) = (self.connections.clone(), Arc::clone(&self.dialect));
            async move {
                let (dialect, turn) = (&*dialect, None);
                let prepare = lent!(on: D::Db => dialect.prepare(on).await);
                let prepare = again::<D, _, _>(&connections, &turn, prepare);
                tokio::time::timeout(limit, prepare).await.unwrap_or(Err(Failure::Late(limit)))
            }
        };
        self.ready.ensure(limit, attempt).await
    }

    fn until(&self, cookie: &Cookie, now: Millis) -> Option<Millis> {
        Some(self.settings.until(cookie, now)?.min(D::LAST))
    }
}

impl<D: Dialect> SqlStore<D> {
    pub(crate) async fn get(&self, sid: &Sid) -> Result<Option<Stored>, StoreError> {
        let now = self.settings.now();
        let values = Values { sid: sid.as_str(), now, ..Values::default() };
        let get = &self.dialect.sql().get;
        let mut is_first = true;
        let row = self
            .call(Does::Read, |lent| {
                // A read may be done twice: whoever closed the connection since it was last used, nobody notices.
                let may_repeat = std::mem::take(&mut is_first);
                async move {
                    match read::<D>(lent, get, &values).await {
                        Err(failure) if may_repeat && failure.ends_connection::<D::Db>() => {
                            self.connections.are_doubtful();
                            read::<D>(self.connections.lend().await?, get, &values).await
                        }
                        row => row,
                    }
                }
            })
            .await?;
        row.map(|row| D::stored(&self.settings, &row, now)).transpose()
    }

    pub(crate) async fn set(&self, sid: &Sid, record: &Record, expect: &Expect) -> Result<Set, StoreError> {
        let now = self.settings.now();
        let Some(until) = self.until(&record.cookie, now) else { return Ok(Set::Expired) };
        self.prune_when_due(now);
        let (text, version) = (record.to_json(), compared::<D>(expect));
        let values =
            Values { sid: sid.as_str(), now, until, text: &text, version: &version, ..Values::default() };
        let written =
            self.call(Does::Write, lent!(on: D::Db => self.dialect.set(on, &values, expect).await)).await?;
        Ok(written.map_or(Set::Conflict, Set::Written))
    }

    pub(crate) async fn touch(
        &self,
        sid: &Sid,
        cookie: &Cookie,
        expect: &Expect,
    ) -> Result<Touched, StoreError> {
        let now = self.settings.now();
        let Some(until) = self.until(cookie, now) else { return Ok(Touched::Expired) };
        if self.settings.disable_touch && *expect != Expect::Nothing {
            return Ok(Touched::Skipped);
        }
        self.prune_when_due(now);
        let version = compared::<D>(expect);
        let values = Values { sid: sid.as_str(), now, until, version: &version, ..Values::default() };
        let sql = self.dialect.sql();
        Ok(match self.change(&sql.touch, &sql.touch_expecting_version, &values, expect).await? {
            Changed::Done => Touched::Moved,
            Changed::Other => Touched::Conflict,
            Changed::Nothing => Touched::Unknown,
        })
    }

    pub(crate) async fn destroy(&self, sid: &Sid, expect: &Expect) -> Result<Destroyed, StoreError> {
        let version = compared::<D>(expect);
        let values =
            Values { sid: sid.as_str(), now: self.settings.now(), version: &version, ..Values::default() };
        let sql = self.dialect.sql();
        Ok(match self.change(&sql.destroy, &sql.destroy_expecting_version, &values, expect).await? {
            Changed::Done => Destroyed::Destroyed,
            Changed::Other => Destroyed::Conflict,
            Changed::Nothing => Destroyed::Unknown,
        })
    }

    /// By one statement, and where that finds nothing to do on its condition, by a look.
    async fn change(
        &self,
        anything: &Statement,
        version: &Statement,
        values: &Values<'_>,
        expect: &Expect,
    ) -> Result<Changed, StoreError> {
        let statement = match expect {
            Expect::Anything => Some(anything),
            Expect::Version(_) => Some(version),
            Expect::Nothing => None,
        };
        let does = if statement.is_some() { Does::Write } else { Does::Read };
        self.call(
            does,
            lent!(on: D::Db => {
                if let Some(statement) = statement
                    && execute::<D>(on, statement, values).await? > 0
                {
                    return Ok(Changed::Done);
                }
                if *expect == Expect::Anything {
                    return Ok(Changed::Nothing);
                }
                let held = fetch::<D>(on, &self.dialect.sql().get, values).await?;
                Ok(if held.is_some() { Changed::Other } else { Changed::Nothing })
            }),
        )
        .await
    }
}

/// What became of a change.
enum Changed {
    Done,
    /// Something else is held than was expected.
    Other,
    Nothing,
}

fn compared<D: Dialect>(expect: &Expect) -> Cow<'_, str> {
    if let Expect::Version(version) = expect { D::compared(version) } else { Cow::default() }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Does {
    Read,
    Write,
}

/// Until the last is dropped no other writer of this store writes, where the database lets one write at a time.
pub(crate) type Turn = Option<Arc<OwnedSemaphorePermit>>;

pub(crate) async fn turn<D: Dialect>(dialect: &D, does: Does) -> Turn {
    match does {
        Does::Read => None,
        // It is never closed.
        Does::Write => Arc::clone(dialect.turns()?).acquire_owned().await.ok().map(Arc::new),
    }
}

/// As long as it takes, and again when the database made it give way.
pub(crate) async fn again<D: Dialect, T, F>(
    connections: &Connections<D::Db>,
    turn: &Turn,
    mut send: impl FnMut(Lent<D::Db>) -> F,
) -> Result<T, Failure>
where
    F: Future<Output = Result<T, Failure>>,
{
    let mut attempts = 1;
    loop {
        let answer = match connections.lend().await {
            Ok(lent) => send(lent.for_turn(turn)).await,
            Err(failure) => Err(failure),
        };
        match answer {
            Err(failure) if attempts < ATTEMPTS && D::gave_way(&failure) => {
                // Whoever made it give way may take a while.
                tokio::time::sleep(Duration::from_millis(attempts)).await;
                attempts += 1;
            }
            answer => return answer,
        }
    }
}

async fn read<D: Dialect>(
    mut lent: Lent<D::Db>,
    get: &Statement,
    values: &Values<'_>,
) -> Result<Option<Row<D>>, Failure> {
    let row = fetch::<D>(lent.connection()?, get, values).await;
    lent.ended(row)
}

pub(crate) fn arguments<D: Dialect>(
    statement: &Statement,
    values: &Values<'_>,
) -> Result<<D::Db as Database>::Arguments, Failure> {
    let mut arguments = Default::default();
    for value in statement.values() {
        D::bind(&mut arguments, *value, values)?;
    }
    Ok(arguments)
}

pub(crate) async fn fetch<D: Dialect>(
    on: &mut Connection<D>,
    statement: &Statement,
    values: &Values<'_>,
) -> Result<Option<Row<D>>, Failure> {
    D::Db::fetch(on, statement, arguments::<D>(statement, values)?).await
}

pub(crate) async fn fetch_all<D: Dialect>(
    on: &mut Connection<D>,
    statement: &Statement,
    values: &Values<'_>,
) -> Result<Vec<Row<D>>, Failure> {
    D::Db::fetch_all(on, statement, arguments::<D>(statement, values)?).await
}

/// Answers how many rows it concerned.
pub(crate) async fn execute<D: Dialect>(
    on: &mut Connection<D>,
    statement: &Statement,
    values: &Values<'_>,
) -> Result<u64, Failure> {
    let result = D::Db::execute(on, statement, arguments::<D>(statement, values)?).await?;
    Ok(D::Db::rows_affected(&result))
}

/// The traits of a type that is an [`SqlStore`] and no more.
macro_rules! verbs {
    ($store:ty) => {
        #[session_core::async_trait]
        impl session_core::Store for $store {
            async fn get(
                &self,
                sid: &session_core::Sid,
            ) -> Result<Option<session_core::Stored>, session_core::StoreError> {
                self.0.get(sid).await
            }

            async fn set(
                &self,
                sid: &session_core::Sid,
                record: &session_core::Record,
                expect: &session_core::Expect,
            ) -> Result<session_core::Set, session_core::StoreError> {
                self.0.set(sid, record, expect).await
            }

            async fn touch(
                &self,
                sid: &session_core::Sid,
                cookie: &session_core::Cookie,
                expect: &session_core::Expect,
            ) -> Result<session_core::Touched, session_core::StoreError> {
                self.0.touch(sid, cookie, expect).await
            }

            async fn destroy(
                &self,
                sid: &session_core::Sid,
                expect: &session_core::Expect,
            ) -> Result<session_core::Destroyed, session_core::StoreError> {
                self.0.destroy(sid, expect).await
            }
        }

        #[session_core::async_trait]
        impl session_core::AdminStore for $store {
            async fn length(&self) -> Result<u64, session_core::StoreError> {
                self.0.length().await
            }

            async fn ids(
                &self,
                visit: &mut (dyn FnMut(session_core::Sid) + Send),
            ) -> Result<(), session_core::StoreError> {
                self.0.ids(visit).await
            }

            async fn all(
                &self,
                visit: &mut (dyn FnMut(session_core::Sid, session_core::Record) + Send),
            ) -> Result<(), session_core::StoreError> {
                self.0.all(visit).await
            }

            async fn clear(&self) -> Result<(), session_core::StoreError> {
                self.0.clear().await
            }

            async fn prune(&self) -> Result<u64, session_core::StoreError> {
                self.0.prune().await
            }
        }
    };
}

pub(crate) use verbs;
