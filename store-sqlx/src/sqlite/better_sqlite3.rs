//! better-sqlite3-session-store's table: the expiry as an ISO 8601 text. That package compares whole seconds, and ends sessions
//! in the second in which they expire; here the milliseconds count.

use super::Columns;

pub(super) const BETTER_SQLITE3: Columns = Columns {
    table: "sessions",
    create: "\
        CREATE TABLE IF NOT EXISTS {table} (\
            sid TEXT NOT NULL PRIMARY KEY, \
            sess JSON NOT NULL, \
            expire TEXT NOT NULL\
        )",
    is_indexed: false,

    sid: "sid",
    text: "CAST(sess AS TEXT)",
    expiry: "expire",
    until: "strftime('%Y-%m-%dT%H:%M:%fZ', :until / 1000.0, 'unixepoch')",
    left: "CAST(round((julianday(expire) - 2440587.5) * 86400000.0) AS INTEGER) - :now",
    held: "julianday(:now / 1000.0, 'unixepoch') < julianday(expire)",
    past: "(julianday(:now / 1000.0, 'unixepoch') < julianday(expire)) IS NOT TRUE",
};
