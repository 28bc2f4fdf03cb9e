//! connect-sqlite3's table: columns without types, the expiry as milliseconds in a floating-point number. To SQLite a text or
//! a blob is greater than all numbers: it is no expiry here, and not for ever.

use super::Columns;

pub(super) const CONNECT_SQLITE3: Columns = Columns {
    table: "sessions",
    create: "CREATE TABLE IF NOT EXISTS {table} (sid PRIMARY KEY, expired, sess)",
    is_indexed: false,

    sid: "CAST(sid AS TEXT)",
    text: "CAST(sess AS TEXT)",
    expiry: "expired",
    until: "CAST(:until AS REAL)",
    left: "CAST(expired - :now AS INTEGER)",
    held: "typeof(expired) IN ('integer', 'real') AND expired >= :now",
    past: "(typeof(expired) IN ('integer', 'real') AND expired >= :now) IS NOT TRUE",
};
