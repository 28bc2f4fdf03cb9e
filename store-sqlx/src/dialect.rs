//! What a database has of its own: its statements, its types and its errors. Each of the three is one file; all else is the
//! same for them.

use std::{borrow::Cow, future::Future, sync::Arc};

use session_core::{Expect, StoreError, Stored, Version};
use sqlx::{Database, error::BoxDynError};
use tokio::sync::Semaphore;

use crate::{
    error::Failure,
    run::Run,
    settings::Settings,
    sql::{Statement, Style, Value, Values, fill},
    time::Millis,
};

pub(crate) type Connection<D> = <<D as Dialect>::Db as Database>::Connection;
pub(crate) type Arguments<D> = <<D as Dialect>::Db as Database>::Arguments;
pub(crate) type Row<D> = <<D as Dialect>::Db as Database>::Row;

pub(crate) trait Dialect: Send + Sync + 'static {
    type Db: Run;

    /// What errors call the store.
    const STORE: &'static str;

    /// The latest end that a session can have.
    const LAST: Millis = Millis::MAX;

    /// Where rows are gone through in order: before the first, and which column of a list says where its row stands.
    const FIRST: &'static str = "";
    const PLACE: usize = 0;

    /// Whether a table is created where there is none.
    fn creates(&self) -> bool;

    /// Whether [`prepare`](Self::prepare) has anything to do.
    fn is_to_prepare(&self) -> bool {
        self.creates()
    }

    fn sql(&self) -> &Sql;

    fn bind(arguments: &mut Arguments<Self>, value: Value, values: &Values<'_>) -> Result<(), BoxDynError>;

    /// Sees to it that the connections are as they must be, and that there is a table.
    fn prepare(&self, on: &mut Connection<Self>) -> impl Future<Output = Result<(), Failure>> + Send;

    fn text(row: &Row<Self>, column: usize) -> Result<Option<String>, Failure>;

    fn number(row: &Row<Self>, column: usize) -> Result<i64, Failure>;

    /// Of a row that was read.
    fn stored(settings: &Settings, row: &Row<Self>, now: Millis) -> Result<Stored, StoreError>;

    /// The version, if it is written.
    fn set(
        &self,
        on: &mut Connection<Self>,
        values: &Values<'_>,
        expect: &Expect,
    ) -> impl Future<Output = Result<Option<Version>, Failure>> + Send;

    /// What the statements compare a version by.
    fn compared(version: &Version) -> Cow<'_, str>;

    /// Whether an index leads to what has expired.
    fn is_indexed(&self, on: &mut Connection<Self>) -> impl Future<Output = Result<bool, Failure>> + Send;

    /// Of the keys that a pruning has found, those that have still expired. Asked for after [`is_indexed`](Self::is_indexed).
    fn remove_expired(&self) -> &OfList {
        &self.sql().remove_expired
    }

    /// Nothing was written, and the same statement is to be sent again: a deadlock, a serialization failure.
    fn gave_way(failure: &Failure) -> bool;

    fn is_no_table(failure: &Failure) -> bool;

    /// With words that help.
    fn explained(&self, failure: Failure) -> Failure;

    /// Writers that would only wait for one another: one at a time, in order.
    fn turns(&self) -> Option<&Arc<Semaphore>> {
        None
    }
}

/// Of one kind of table. The first column of `rows`, and of what looks for the expired, is what [`remove`](Self::remove) takes.
pub(crate) struct Templates {
    pub(crate) get: &'static str,
    pub(crate) set: &'static str,
    pub(crate) set_expecting_nothing: &'static str,
    pub(crate) set_expecting_version: &'static str,
    pub(crate) touch: &'static str,
    pub(crate) touch_expecting_version: &'static str,
    pub(crate) destroy: &'static str,
    pub(crate) destroy_expecting_version: &'static str,
    pub(crate) length: &'static str,
    pub(crate) ids: &'static str,
    pub(crate) all: &'static str,
    pub(crate) rows: &'static str,
    pub(crate) clear: &'static str,
    /// So many of those that have expired, where an index leads to them.
    pub(crate) expired: &'static str,
    /// The last row of the next step, where none does; and those of the step that have expired.
    pub(crate) step: &'static str,
    pub(crate) expired_of_step: &'static str,
    pub(crate) expired_of_last_step: &'static str,
    /// Of these, those that have expired; and all.
    pub(crate) remove_expired: &'static str,
    pub(crate) remove: &'static str,
    pub(crate) create: &'static str,
}

/// Of one table.
pub(crate) struct Sql {
    pub(crate) get: Statement,
    pub(crate) set: Statement,
    pub(crate) set_expecting_nothing: Statement,
    pub(crate) set_expecting_version: Statement,
    pub(crate) touch: Statement,
    pub(crate) touch_expecting_version: Statement,
    pub(crate) destroy: Statement,
    pub(crate) destroy_expecting_version: Statement,
    pub(crate) length: Statement,
    pub(crate) ids: Statement,
    pub(crate) all: Statement,
    pub(crate) rows: Statement,
    pub(crate) clear: Statement,
    pub(crate) expired: Statement,
    pub(crate) step: Statement,
    pub(crate) expired_of_step: Statement,
    pub(crate) expired_of_last_step: Statement,
    pub(crate) remove_expired: OfList,
    pub(crate) remove: OfList,
    pub(crate) create: Statement,
}

/// A statement that is made for each list.
pub(crate) struct OfList(String, Style);

impl OfList {
    pub(crate) fn new(template: &str, names: &[(&str, &str)], style: Style) -> Self {
        Self(fill(template, names), style)
    }

    pub(crate) fn of(&self, length: usize) -> Statement {
        Statement::with_list(&self.0, self.1, length)
    }
}

impl Sql {
    #[cfg(any(feature = "postgres", feature = "sqlite"))]
    pub(crate) fn set_for(&self, expect: &Expect) -> &Statement {
        match expect {
            Expect::Anything => &self.set,
            Expect::Nothing => &self.set_expecting_nothing,
            Expect::Version(_) => &self.set_expecting_version,
        }
    }
}

impl Templates {
    pub(crate) fn fill(&self, names: &[(&str, &str)], style: Style) -> Sql {
        let statement = |template| Statement::new(template, names, style);
        let of_list = |template| OfList::new(template, names, style);
        Sql {
            get: statement(self.get),
            set: statement(self.set),
            set_expecting_nothing: statement(self.set_expecting_nothing),
            set_expecting_version: statement(self.set_expecting_version),
            touch: statement(self.touch),
            touch_expecting_version: statement(self.touch_expecting_version),
            destroy: statement(self.destroy),
            destroy_expecting_version: statement(self.destroy_expecting_version),
            length: statement(self.length),
            ids: statement(self.ids),
            all: statement(self.all),
            rows: statement(self.rows),
            clear: statement(self.clear),
            expired: statement(self.expired),
            step: statement(self.step),
            expired_of_step: statement(self.expired_of_step),
            expired_of_last_step: statement(self.expired_of_last_step),
            remove_expired: of_list(self.remove_expired),
            remove: of_list(self.remove),
            create: statement(self.create),
        }
    }
}
