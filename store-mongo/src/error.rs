//! What the driver says, without what it quotes: its messages carry keys (`E11000 … dup key: { _id: "…" }`), documents and
//! whole replies of the server.

use std::{
    error::Error as StdError,
    fmt::{self, Display},
    io,
    sync::Arc,
    time::Duration,
};

use mongodb::error::{Error, ErrorKind, WriteFailure};
use session_core::StoreError;

pub(crate) const STORE: &str = "mongo";

/// A unique key is taken.
const DUPLICATE_KEY: i32 = 11_000;

/// What a server says that is on its way down, or is not the primary any more, or hears nothing: another one will answer, or another
/// attempt. (What drivers retry a read after, and what they take for the end of a primary.)
const PASSING: [i32; 14] =
    [6, 7, 89, 91, 134, 189, 262, 9_001, 10_058, 10_107, 11_600, 11_602, 13_435, 13_436];

/// A right that is missing, a command that is not there, or that this kind of server does not have.
const FOR_GOOD: [i32; 7] = [13, 59, 115, 238, 303, 323, 8_000];

/// What went wrong with MongoDB: the kind of failure and the server's code, and nothing that the server or the driver
/// quoted. The source of [`StoreError::Unavailable`].
#[derive(Clone, Debug)]
pub struct MongoError {
    what: String,
    code: Option<i32>,
    refused: bool,
    /// It is not the id that is taken, but what an index of the application's allows once.
    is_of_another_index: bool,
    source: Option<Arc<io::Error>>,
}

impl MongoError {
    /// The server's code, when it was the server that refused: 13 for a right that is missing.
    #[must_use]
    pub fn code(&self) -> Option<i32> {
        self.code
    }

    pub(crate) fn timeout(after: Duration) -> Self {
        Self::plain(format!("no answer within {after:?}"))
    }

    pub(crate) fn plain(what: impl Into<String>) -> Self {
        Self { what: what.into(), code: None, refused: false, is_of_another_index: false, source: None }
    }

    pub(crate) fn is_duplicate_key(&self) -> bool {
        self.code == Some(DUPLICATE_KEY) && !self.is_of_another_index
    }

    /// The server understood and will say the same next time.
    pub(crate) fn is_refused(&self) -> bool {
        self.refused && self.code.is_none_or(|code| !PASSING.contains(&code))
    }

    pub(crate) fn is_refused_for_good(&self) -> bool {
        self.refused && self.code.is_some_and(|code| FOR_GOOD.contains(&code))
    }

    /// Another attempt may find another server, or another connection.
    pub(crate) fn may_pass(&self) -> bool {
        self.source.is_some() || self.code.is_some_and(|code| PASSING.contains(&code))
    }

    fn answered(what: &str, code: i32, name: &str) -> Self {
        let name = if name.is_empty() { String::new() } else { format!(" ({name})") };
        Self { code: Some(code), refused: true, ..Self::plain(format!("{what} code {code}{name}")) }
    }
}

/// What the application's own `serialize` refused.
#[derive(Debug, thiserror::Error)]
#[error("the serializer failed")]
struct Unwritten(#[source] Box<dyn StdError + Send + Sync>);

/// Its words, and not what it may hold.
pub(crate) fn unwritten(reason: impl Display) -> StoreError {
    StoreError::unavailable(STORE, Unwritten(reason.to_string().into()))
}

impl From<Error> for MongoError {
    fn from(error: Error) -> Self {
        match *error.kind {
            ErrorKind::Command(error) => Self::answered("the server refused:", error.code, &error.code_name),
            ErrorKind::Write(WriteFailure::WriteError(error)) => Self {
                is_of_another_index: is_of_another_index(&error.message),
                ..Self::answered(
                    "the server refused the write:",
                    error.code,
                    error.code_name.as_deref().unwrap_or(""),
                )
            },
            ErrorKind::Write(WriteFailure::WriteConcernError(error)) => Self {
                refused: false,
                ..Self::answered("the write is not acknowledged as asked for:", error.code, &error.code_name)
            },
            ErrorKind::Io(error) => {
                Self { source: Some(error), ..Self::plain("the connection to the server failed") }
            }
            ErrorKind::ServerSelection { message, .. } => Self::plain(unreachable(&message)),
            ErrorKind::ConnectionPoolCleared { .. } => {
                Self::plain("the connection was given up after another one failed")
            }
            ErrorKind::Authentication { .. } => Self::plain("the server refused the credentials"),
            ErrorKind::DnsResolve { message, .. } => {
                Self::plain(format!("the name is not resolved: {message}"))
            }
            ErrorKind::InvalidTlsConfig { message, .. } => Self::plain(format!("TLS: {message}")),
            ErrorKind::IncompatibleServer { message, .. } => {
                Self::plain(format!("this server cannot: {message}"))
            }
            ErrorKind::Transaction { message, .. } => {
                Self::plain(format!("the transaction failed: {message}"))
            }
            ErrorKind::Shutdown => Self::plain("the client is shut down"),
            ErrorKind::InvalidResponse { .. } => Self::plain("the server's answer makes no sense"),
            ErrorKind::InvalidArgument { .. } => Self::plain("the driver refused its arguments"),
            _ => Self::plain("the driver failed"),
        }
    }
}

/// `E11000 duplicate key error collection: shop.sessions index: _id_ dup key: …`. What others say in other words is taken for the id's.
fn is_of_another_index(message: &str) -> bool {
    let index = message.split_once(" dup key:").and_then(|(before, _)| before.rsplit_once(" index: "));
    let name = index.map(|(_, index)| index.split(" collation:").next().unwrap_or(index).trim());
    name.is_some_and(|name| name != "_id_")
}

/// Of the state of all servers, which the driver tells with what they said last: why the first one is not reachable.
fn unreachable(message: &str) -> String {
    let why = message.split_once("Kind: I/O error: ").and_then(|(_, rest)| rest.split(", labels").next());
    why.map_or_else(|| "no server is reachable".into(), |why| format!("no server is reachable: {why}"))
}

impl fmt::Display for MongoError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

impl StdError for MongoError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}

impl From<MongoError> for StoreError {
    fn from(error: MongoError) -> Self {
        Self::unavailable(STORE, error)
    }
}
