//! All sessions: counting, listing, removing. In pieces, so that neither this process nor the database has to hold all of
//! them, and nobody waits for long.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use session_core::{Record, Sid, StoreError};

use crate::{
    dialect::{Dialect, OfList, Row},
    error::Failure,
    pool::{Connections, Lent, lent},
    sql::{Statement, Values},
    store::{Does, SqlStore, again, execute, fetch, fetch_all, turn},
    time::Millis,
};

/// So many rows are listed by one statement, where they are ids and where they are records; and so many are removed.
const IDS: i64 = 1_000;
const RECORDS: i64 = 100;
const BATCH: usize = 1_000;

/// So many rows are looked at by one statement of a pruning that no index leads.
const STEP: i64 = 10_000;

/// After each batch that is removed, so that others who want to write can.
const PAUSE: Duration = Duration::from_millis(5);

/// For one piece, and for what is one statement: a server that has gone silent is not waited for for ever.
const PIECE: Duration = Duration::from_secs(60);
const WHOLE: Duration = Duration::from_secs(3_600);

impl<D: Dialect> SqlStore<D> {
    pub(crate) async fn length(&self) -> Result<u64, StoreError> {
        let values = Values { now: self.settings.now(), ..Values::default() };
        let count = lent!(on: D::Db => {
            let row = fetch::<D>(on, &self.dialect.sql().length, &values).await?;
            row.map_or(Ok(0), |row| D::number(&row, 0))
        });
        Ok(self.within(WHOLE, self.send(Does::Read, count)).await?.unsigned_abs())
    }

    pub(crate) async fn ids(&self, visit: &mut (dyn FnMut(Sid) + Send)) -> Result<(), StoreError> {
        self.list(&self.dialect.sql().ids, IDS, &mut |sid, _| visit(sid)).await
    }

    pub(crate) async fn all(&self, visit: &mut (dyn FnMut(Sid, Record) + Send)) -> Result<(), StoreError> {
        let mut each = |sid, text: Option<String>| {
            if let Ok(record) = Record::parse(text.unwrap_or_default()) {
                visit(sid, record);
            }
        };
        self.list(&self.dialect.sql().all, RECORDS, &mut each).await
    }

    async fn list(
        &self,
        statement: &Statement,
        limit: i64,
        visit: &mut (dyn FnMut(Sid, Option<String>) + Send),
    ) -> Result<(), StoreError> {
        let now = self.settings.now();
        let mut after = D::FIRST.to_owned();
        loop {
            let values = Values { now, after: &after, limit, ..Values::default() };
            let page = self.piece(statement, &values).await?;
            let failed = |failure: Failure| failure.of(D::STORE);
            let is_last = page.len() < usize::try_from(limit).unwrap_or_default();
            let mut place = None;
            for row in &page {
                if let Some(sid) = D::text(row, 0).map_err(failed)? {
                    // Of a record what cannot be read is passed over.
                    visit(Sid::from(sid), D::text(row, D::PLACE + 1).unwrap_or_default());
                }
                place = D::text(row, D::PLACE).map_err(failed)?;
            }
            match place {
                Some(place) if !is_last => after = place,
                _ => return Ok(()),
            }
        }
    }

    async fn piece(&self, statement: &Statement, values: &Values<'_>) -> Result<Vec<Row<D>>, StoreError> {
        let page = lent!(on: D::Db => fetch_all::<D>(on, statement, values).await);
        self.within(PIECE, self.send(Does::Read, page)).await
    }

    pub(crate) async fn clear(&self) -> Result<(), StoreError> {
        let sql = self.dialect.sql();
        let sweep = self.sweep(0);
        let mut after = D::FIRST.to_owned();
        loop {
            let values = Values { after: &after, limit: IDS, ..Values::default() };
            let page = self.piece(&sql.rows, &values).await?;
            let keys = keys::<D>(&page).map_err(|failure| failure.of(D::STORE))?;
            let Some(last) = keys.last() else { break };
            after.clone_from(last);
            let removed = sweep.remove(&keys, &sql.remove);
            self.within(PIECE, removed).await?;
            if keys.len() < usize::try_from(IDS).unwrap_or_default() {
                break;
            }
        }
        // What has no place in any order, and what was added meanwhile.
        let clear = lent!(on: D::Db => execute::<D>(on, &sql.clear, &Values::default()).await);
        self.within(WHOLE, self.send(Does::Write, clear)).await.map(drop)
    }

    pub(crate) async fn prune(&self) -> Result<u64, StoreError> {
        self.within(PIECE, self.ready()).await?;
        let sweep = self.sweep(self.settings.now());
        let mut pruned = sweep.prune().await;
        if pruned.as_ref().is_err_and(|failure| self.is_gone(failure)) {
            self.within(PIECE, self.ready()).await?;
            pruned = sweep.prune().await;
        }
        pruned.map_err(|failure| self.dialect.explained(failure).of(D::STORE))
    }

    /// By whoever writes when it is due, in a task of its own.
    pub(crate) fn prune_when_due(&self, now: Millis) {
        if !self.settings.pruning.is_due(now) || self.is_pruning.swap(true, Ordering::AcqRel) {
            return;
        }
        let (sweep, is_pruning) = (self.sweep(now), IsPruning(Arc::clone(&self.is_pruning)));
        tokio::spawn(async move {
            let _until_the_end = is_pruning;
            if let Err(error) = sweep.prune().await {
                tracing::warn!(store = D::STORE, %error, "expired sessions stay for now");
            }
        });
    }

    fn sweep(&self, now: Millis) -> Sweep<D> {
        Sweep { connections: self.connections.clone(), dialect: Arc::clone(&self.dialect), now }
    }
}

/// However it ends: the runtime may end before the store.
struct IsPruning(Arc<AtomicBool>);

impl Drop for IsPruning {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

/// What has expired is found without locks, and removed by its keys, a batch at a time: a statement that looks for what it
/// deletes locks all that it looks at.
struct Sweep<D: Dialect> {
    connections: Connections<D::Db>,
    dialect: Arc<D>,
    now: Millis,
}

impl<D: Dialect> Sweep<D> {
    async fn prune(&self) -> Result<u64, Failure> {
        if self.send(Does::Read, lent!(on: D::Db => self.dialect.is_indexed(on).await)).await? {
            self.prune_by_index().await
        } else {
            self.prune_by_steps().await
        }
    }

    async fn prune_by_index(&self) -> Result<u64, Failure> {
        let (sql, mut pruned) = (self.dialect.sql(), 0);
        let limit = i64::try_from(BATCH).unwrap_or(i64::MAX);
        let values = Values { now: self.now, limit, ..Values::default() };
        loop {
            let found = self.found(&sql.expired, &values).await?;
            let removed = self.remove(&found, self.dialect.remove_expired()).await?;
            pruned += removed;
            // A rule of the database's own may keep rows that have expired, and so may whoever has locked them.
            if found.len() < BATCH || removed == 0 {
                return Ok(pruned);
            }
        }
    }

    /// From the first row to the last: to look for what has expired from the beginning each time would take ever longer.
    async fn prune_by_steps(&self) -> Result<u64, Failure> {
        let (sql, mut pruned, mut after) = (self.dialect.sql(), 0, D::FIRST.to_owned());
        loop {
            let values = Values { now: self.now, after: &after, limit: STEP - 1, ..Values::default() };
            let end = self.found(&sql.step, &values).await?.pop();
            let found = match &end {
                Some(end) => self.found(&sql.expired_of_step, &Values { end, ..values }).await?,
                None => self.found(&sql.expired_of_last_step, &values).await?,
            };
            pruned += self.remove(&found, self.dialect.remove_expired()).await?;
            match end {
                Some(end) => after = end,
                None => return Ok(pruned),
            }
        }
    }

    async fn found(&self, statement: &Statement, values: &Values<'_>) -> Result<Vec<String>, Failure> {
        let page = lent!(on: D::Db => fetch_all::<D>(on, statement, values).await);
        let page = self.send(Does::Read, page).await?;
        keys::<D>(&page)
    }

    async fn remove(&self, keys: &[String], statement: &OfList) -> Result<u64, Failure> {
        let mut removed = 0;
        for batch in keys.chunks(BATCH) {
            // In one order: two who remove the same rows then wait for one another once.
            let mut batch = batch.to_vec();
            batch.sort_unstable();
            // Of few lengths, the last key as often as is needed: so a connection has these statements prepared, by a name, and
            // PgBouncer finds them.
            let length = (0..).map(|zeros| 10_usize.pow(zeros)).find(|length| *length >= batch.len());
            let last = batch.last().cloned().unwrap_or_default();
            batch.resize(length.unwrap_or(BATCH), last);
            let (statement, sids) = (&statement.of(batch.len()), &batch[..]);
            let values = Values { now: self.now, sids, ..Values::default() };
            let remove = lent!(on: D::Db => execute::<D>(on, statement, &values).await);
            removed += self.send(Does::Write, remove).await?;
            tokio::time::sleep(PAUSE).await;
        }
        Ok(removed)
    }

    async fn send<T, F>(&self, does: Does, send: impl FnMut(Lent<D::Db>) -> F) -> Result<T, Failure>
    where
        F: Future<Output = Result<T, Failure>>,
    {
        let sent = async {
            let turn = turn(&*self.dialect, does).await;
            again::<D, _, _>(&self.connections, &turn, send).await
        };
        tokio::time::timeout(PIECE, sent).await.unwrap_or_else(|_| {
            self.connections.are_doubtful();
            Err(Failure::Late(PIECE))
        })
    }
}

/// Of rows that are gone through; one without is in no order.
fn keys<D: Dialect>(page: &[Row<D>]) -> Result<Vec<String>, Failure> {
    page.iter().filter_map(|row| D::text(row, 0).transpose()).collect()
}
