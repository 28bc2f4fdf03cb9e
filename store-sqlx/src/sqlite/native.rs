//! The table of this crate's own: the expiry as milliseconds in an integer, with an index.

use super::Columns;

pub(super) const NATIVE: Columns = Columns {
    table: "session",
    create: "\
        CREATE TABLE IF NOT EXISTS {table} (\
            sid TEXT NOT NULL PRIMARY KEY, \
            expire INTEGER NOT NULL, \
            sess TEXT NOT NULL\
        ) STRICT; \
        CREATE INDEX IF NOT EXISTS {index} ON {table} (expire)",
    is_indexed: true,

    sid: "sid",
    text: "sess",
    expiry: "expire",
    until: ":until",
    left: "expire - :now",
    held: "expire > :now",
    past: "expire <= :now",
};
