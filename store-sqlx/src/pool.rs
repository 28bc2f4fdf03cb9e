//! Connections, and how a call has one.

use std::{
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use deadpool::managed::{Manager, Metrics, Object, PoolError, QueueMode, RecycleError, RecycleResult};
#[cfg(any(feature = "postgres", feature = "mysql"))]
use futures_util::future::BoxFuture;
#[cfg(any(feature = "postgres", feature = "mysql"))]
use sqlx::error::BoxDynError;
use sqlx::{ConnectOptions, Connection, Pool, pool::PoolConnection};

use crate::{error::Failure, run::Run, sql::Statement, store::Turn};

/// A pool of the application's, or one of the store's own.
///
/// sqlx's pool asks a connection that is given back whether it is still there. That is a round trip for each statement, and it
/// has no time limit, while nobody else can have the place: a server that goes silent takes the pool with it. Ours asks when a
/// connection has been idle for a while, and not for longer than a second.
pub(crate) enum Connections<DB: Run> {
    Shared(Pool<DB>),
    Own(deadpool::managed::Pool<Opener<DB>>),
}

/// Asks the application for what it has to say to the server now.
#[cfg(any(feature = "postgres", feature = "mysql"))]
pub(crate) type Password =
    std::sync::Arc<dyn Fn() -> BoxFuture<'static, Result<String, BoxDynError>> + Send + Sync>;

/// A connection that was idle for so long is asked whether it is still there.
const IDLE: Duration = Duration::from_secs(1);

/// And has so long for its answer.
const PING: Duration = Duration::from_secs(1);

/// A connection that nobody wanted for so long is closed, and one that is so old: what lies between may forget connections.
const LONGEST_IDLE: Duration = Duration::from_secs(600);
const LONGEST_LIFE: Duration = Duration::from_secs(1_800);

/// How often they are looked for.
const LOOK: Duration = Duration::from_secs(60);

impl<DB: Run> Connections<DB> {
    pub(crate) fn own(opener: Opener<DB>, size: usize) -> Result<Self, Failure> {
        let pool = deadpool::managed::Pool::builder(opener).max_size(size).queue_mode(QueueMode::Lifo);
        let pool = pool.build().map_err(|error| sqlx::Error::Configuration(error.into()))?;
        Ok(Self::Own(pool))
    }

    /// The same with a password that is asked for before each connection.
    #[cfg(any(feature = "postgres", feature = "mysql"))]
    pub(crate) fn with_password(self, password: Password) -> Result<Self, Failure> {
        let Self::Own(pool) = self else {
            let reason = "it is for connections that the store opens by its URL";
            return Err(Failure::Option { option: "password", reason });
        };
        let opener = pool.manager();
        let (options, begin) = (opener.options.clone(), opener.begin.clone());
        Self::own(Opener { begin, password: Some(password), ..Opener::new(options) }, pool.status().max_size)
    }

    pub(crate) async fn lend(&self) -> Result<Lent<DB>, Failure> {
        let held = match self {
            Self::Shared(pool) => Held::Shared(pool.acquire().await?),
            Self::Own(pool) => {
                close_old(pool);
                Held::Own(pool.get().await.map_err(|error| match error {
                    PoolError::Backend(failure) => failure,
                    _ => sqlx::Error::PoolClosed.into(),
                })?)
            }
        };
        Ok(Lent { held: Some(held), turn: None })
    }

    /// A call had no answer in time. Whoever has not been heard since is asked before it is lent again.
    pub(crate) fn are_doubtful(&self) {
        if let Self::Own(pool) = self {
            note(&pool.manager().doubt);
        }
    }

    #[cfg(test)]
    pub(crate) fn options(&self) -> <DB::Connection as Connection>::Options {
        match self {
            Self::Shared(pool) => (*pool.connect_options()).clone(),
            Self::Own(pool) => pool.manager().options.clone(),
        }
    }

    #[cfg(all(test, feature = "sqlite"))]
    pub(crate) fn is_lasting(&self) -> bool {
        matches!(self, Self::Own(pool) if pool.manager().is_lasting)
    }

    #[cfg(all(test, feature = "sqlite"))]
    pub(crate) fn size(&self) -> usize {
        match self {
            Self::Shared(pool) => pool.options().get_max_connections() as usize,
            Self::Own(pool) => pool.status().max_size,
        }
    }
}

impl<DB: Run> Clone for Connections<DB> {
    fn clone(&self) -> Self {
        match self {
            Self::Shared(pool) => Self::Shared(pool.clone()),
            Self::Own(pool) => Self::Own(pool.clone()),
        }
    }
}

/// Opens connections, and knows which of them are still good.
pub(crate) struct Opener<DB: Run> {
    options: <DB::Connection as Connection>::Options,
    /// What a connection begins with.
    begin: Option<Statement>,
    #[cfg(any(feature = "postgres", feature = "mysql"))]
    password: Option<Password>,
    /// What holds the database, where one file does.
    file: Option<PathBuf>,
    creates_folder: bool,
    /// A database in memory ends with its connection.
    is_lasting: bool,
    doubt: Mutex<Option<Instant>>,
    silence: Mutex<Option<Instant>>,
    looked: Mutex<Option<Instant>>,
}

/// A connection of our own.
pub(crate) struct Kept<DB: Run> {
    connection: DB::Connection,
    is_lasting: bool,
    /// When it was last known to be there.
    heard: Instant,
    file: Option<FileId>,
}

impl<DB: Run> Opener<DB> {
    pub(crate) fn new(options: <DB::Connection as Connection>::Options) -> Self {
        let [doubt, silence, looked] = [(); 3].map(|()| Mutex::default());
        Self {
            options,
            begin: None,
            #[cfg(any(feature = "postgres", feature = "mysql"))]
            password: None,
            file: None,
            creates_folder: false,
            is_lasting: false,
            doubt,
            silence,
            looked,
        }
    }

    #[cfg(any(feature = "postgres", feature = "mysql"))]
    pub(crate) fn begin(mut self, begin: &str) -> Self {
        self.begin = Some(Statement::plain(begin));
        self
    }

    #[cfg(feature = "sqlite")]
    pub(crate) fn file(mut self, file: PathBuf) -> Self {
        self.file = Some(file);
        self
    }

    #[cfg(feature = "sqlite")]
    pub(crate) fn creates_folder(mut self) -> Self {
        self.creates_folder = true;
        self
    }

    #[cfg(feature = "sqlite")]
    pub(crate) fn lasting(mut self) -> Self {
        self.is_lasting = true;
        self
    }

    #[cfg(any(feature = "postgres", feature = "mysql"))]
    async fn connect(&self) -> Result<DB::Connection, Failure> {
        let Some(password) = &self.password else { return Ok(self.options.connect().await?) };
        let password = password().await.map_err(Failure::password)?;
        Ok(DB::with_password(self.options.clone(), &password).connect().await?)
    }

    #[cfg(not(any(feature = "postgres", feature = "mysql")))]
    async fn connect(&self) -> Result<DB::Connection, Failure> {
        Ok(self.options.connect().await?)
    }

    fn file_id(&self) -> Option<FileId> {
        self.file.as_deref().and_then(FileId::of)
    }

    fn is_old(&self, kept: &Kept<DB>, metrics: &Metrics) -> bool {
        !self.is_lasting && (kept.heard.elapsed() > LONGEST_IDLE || metrics.age() > LONGEST_LIFE)
    }
}

impl<DB: Run> Manager for Opener<DB> {
    type Type = Kept<DB>;
    type Error = Failure;

    async fn create(&self) -> Result<Kept<DB>, Failure> {
        if let Some(folder) = self.file.as_deref().and_then(Path::parent).map(Path::to_owned)
            && self.creates_folder
        {
            // A file system may take its time.
            let created = tokio::task::spawn_blocking(move || std::fs::create_dir_all(folder)).await;
            created.map_err(std::io::Error::other).and_then(|created| created).map_err(sqlx::Error::Io)?;
        }
        let before = self.file_id();
        let mut connection = self.connect().await?;
        if let Some(begin) = &self.begin {
            DB::execute_raw(&mut connection, begin).await?;
        }
        // Where it changed meanwhile, nobody knows which one was opened: it is opened again.
        let file = self.file_id().filter(|file| before.is_none_or(|before| before == *file));
        Ok(Kept { connection, is_lasting: self.is_lasting, heard: Instant::now(), file })
    }

    async fn recycle(&self, kept: &mut Kept<DB>, _: &Metrics) -> RecycleResult<Failure> {
        if kept.file != self.file_id() {
            return Err(RecycleError::message("another file has its name"));
        }
        if is_since(&self.silence, kept.heard) {
            return Err(RecycleError::message("one like it was silent"));
        }
        if self.is_lasting || (kept.heard.elapsed() < IDLE && !is_since(&self.doubt, kept.heard)) {
            return Ok(());
        }
        match tokio::time::timeout(PING, kept.connection.ping()).await {
            Ok(answer) => answer.map_err(|error| Failure::from(error).into()),
            Err(_) => {
                note(&self.silence);
                Err(RecycleError::message("silent"))
            }
        }
    }
}

/// Of a URL, an address of IPv6 has them, and where it is connected to it has none.
#[cfg(any(feature = "postgres", feature = "mysql"))]
pub(crate) fn without_brackets(host: &str) -> &str {
    host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host)
}

fn lock(moment: &Mutex<Option<Instant>>) -> MutexGuard<'_, Option<Instant>> {
    moment.lock().unwrap_or_else(PoisonError::into_inner)
}

fn note(moment: &Mutex<Option<Instant>>) {
    *lock(moment) = Some(Instant::now());
}

fn is_since(moment: &Mutex<Option<Instant>>, heard: Instant) -> bool {
    lock(moment).is_some_and(|at| heard <= at)
}

/// In a task of its own: some servers log who leaves without a word.
fn say_farewell<DB: Run>(old: Kept<DB>) {
    tokio::spawn(tokio::time::timeout(PING, old.connection.close()));
}

fn close_old<DB: Run>(pool: &deadpool::managed::Pool<Opener<DB>>) {
    let opener = pool.manager();
    {
        let mut looked = lock(&opener.looked);
        if looked.is_some_and(|at| at.elapsed() < LOOK) {
            return;
        }
        *looked = Some(Instant::now());
    }
    for old in pool.retain(|kept, metrics| !opener.is_old(kept, &metrics)).removed {
        say_farewell(old);
    }
}

/// Which file it is, whatever its name. Known on Unix; elsewhere a file in use cannot be replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct FileId(u64, u64);

impl FileId {
    #[cfg(unix)]
    fn of(path: &std::path::Path) -> Option<Self> {
        use std::os::unix::fs::MetadataExt;
        std::fs::metadata(path).ok().map(|file| Self(file.dev(), file.ino()))
    }

    #[cfg(not(unix))]
    fn of(_: &std::path::Path) -> Option<Self> {
        None
    }
}

/// A connection for one call, which hands it back when it has [ended](Self::ended). Dropped before (the client went away, the
/// time was up), it is closed: it may be half-way through an answer, its host may be gone, its statement may wait for a lock.
/// Another one can then be opened in its place, so that nobody else waits for it. Not so one that writes to SQLite: it goes on
/// with what it was told, and keeps its turn until that is done. Nor that of a database in memory, which would go with it, nor
/// SQLite's from the application's pool.
pub(crate) struct Lent<DB: Run> {
    /// Until it is handed back.
    held: Option<Held<DB>>,
    turn: Turn,
}

enum Held<DB: Run> {
    Shared(PoolConnection<DB>),
    Own(Object<Opener<DB>>),
}

/// `lent!(on: Database => …)`: a call that uses `on`, a connection, and hands it back.
macro_rules! lent {
    ($on:ident: $database:ty => $call:expr) => {
        |mut lent: $crate::pool::Lent<$database>| async move {
            let answer = async {
                let $on = lent.connection()?;
                $call
            }
            .await;
            lent.ended(answer)
        }
    };
}

pub(crate) use lent;

impl<DB: Run> Lent<DB> {
    /// Which lasts for as long as the database is at work.
    pub(crate) fn for_turn(mut self, turn: &Turn) -> Self {
        self.turn.clone_from(turn);
        self
    }

    pub(crate) fn connection(&mut self) -> Result<&mut DB::Connection, Failure> {
        match &mut self.held {
            Some(Held::Shared(connection)) => Ok(connection),
            Some(Held::Own(kept)) => Ok(&mut kept.connection),
            None => Err(sqlx::Error::PoolClosed.into()),
        }
    }

    /// The call has come to its end, with this answer.
    pub(crate) fn ended<T>(mut self, answer: Result<T, Failure>) -> Result<T, Failure> {
        if answer.as_ref().is_err_and(|failure| DB::hangs_up(failure.code())) {
            self.close();
            return answer;
        }
        if let Err(failure) = &answer
            && (failure.ends_connection::<DB>()
                || (DB::is_read_only(failure.code()) && !self.is_newer_than_the_others()))
        {
            if let Some(Held::Own(kept)) = &self.held
                && let Some(pool) = Object::pool(kept)
            {
                // The others lead to the same server.
                note(&pool.manager().silence);
            }
            self.close();
            return answer;
        }
        match self.held.take() {
            Some(Held::Shared(connection)) => give_back(connection),
            Some(Held::Own(kept)) if !kept.is_lasting && Object::metrics(&kept).age() > LONGEST_LIFE => {
                say_farewell(Object::take(kept));
            }
            Some(Held::Own(mut kept)) => kept.heard = Instant::now(),
            None => {}
        }
        answer
    }

    /// It was opened a moment ago, after all that were there had to go: the server is what it says, and to open another one for
    /// each write would help nobody. Where the application's pool leads to is the application's business.
    fn is_newer_than_the_others(&self) -> bool {
        let Some(Held::Own(kept)) = &self.held else { return true };
        let silence = Object::pool(kept).and_then(|pool| *lock(&pool.manager().silence));
        let metrics = Object::metrics(kept);
        silence.is_some_and(|at| at < metrics.created) && metrics.age() < IDLE
    }

    fn close(&mut self) {
        match self.held.take() {
            Some(Held::Shared(connection)) => drop(connection.detach()),
            Some(Held::Own(kept)) => drop(Object::take(kept)),
            None => {}
        }
    }
}

impl<DB: Run> Drop for Lent<DB> {
    fn drop(&mut self) {
        let is_lasting = matches!(&self.held, Some(Held::Own(kept)) if kept.is_lasting);
        let is_shared = matches!(&self.held, Some(Held::Shared(_)));
        if DB::IS_REMOTE || (self.turn.is_none() && !is_lasting && !is_shared) {
            return self.close();
        }
        let (Some(held), turn) = (self.held.take(), self.turn.take()) else { return };
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move {
                let mut lent = Self { held: Some(held), turn };
                let answer = match lent.connection() {
                    Ok(connection) => connection.ping().await.map_err(Failure::from),
                    Err(failure) => Err(failure),
                };
                _ = lent.ended(answer);
            });
        }
    }
}

/// To sqlx's pool, which asks it whether it is still there: not for ever.
fn give_back<DB: Run>(mut connection: PoolConnection<DB>) {
    if DB::IS_REMOTE {
        tokio::spawn(async move { tokio::time::timeout(PING, connection.return_to_pool()).await });
    }
}
