//! connect-sqlite3's table: columns without types, the expiry as milliseconds in a floating-point number. To SQLite a text or
//! a blob is greater than all numbers: it is no expiry here, and not for ever.

use super::Template;

pub(super) const CONNECT_SQLITE3: Template = Template {
    name: "sessions",
    create: "CREATE TABLE IF NOT EXISTS {table} (sid PRIMARY KEY, expired, sess)",

    get: "\
        SELECT CAST(sess AS TEXT), CAST(expired - ?2 AS INTEGER) FROM {table} \
        WHERE sid = ?1 AND typeof(expired) IN ('integer', 'real') AND expired >= ?2",

    set: "\
        INSERT INTO {table} (sid, expired, sess) VALUES (?1, CAST(?3 AS REAL), ?4) \
        ON CONFLICT (sid) DO UPDATE SET expired = excluded.expired, sess = excluded.sess",
    set_expecting_nothing: "\
        INSERT INTO {table} AS held (sid, expired, sess) VALUES (?1, CAST(?3 AS REAL), ?4) \
        ON CONFLICT (sid) DO UPDATE SET expired = excluded.expired, sess = excluded.sess \
        WHERE (typeof(held.expired) IN ('integer', 'real') AND held.expired >= ?2) IS NOT TRUE",
    set_expecting_version: "\
        UPDATE {table} SET expired = CAST(?3 AS REAL), sess = ?4 \
        WHERE sid = ?1 AND typeof(expired) IN ('integer', 'real') AND expired >= ?2 \
        AND CAST(sess AS TEXT) = ?5",

    touch: "\
        UPDATE {table} SET expired = CAST(?3 AS REAL) \
        WHERE sid = ?1 AND typeof(expired) IN ('integer', 'real') AND expired >= ?2",
    touch_expecting_version: "\
        UPDATE {table} SET expired = CAST(?3 AS REAL) \
        WHERE sid = ?1 AND typeof(expired) IN ('integer', 'real') AND expired >= ?2 \
        AND CAST(sess AS TEXT) = ?4",

    destroy: "DELETE FROM {table} WHERE sid = ?1",
    destroy_expecting_version: "\
        DELETE FROM {table} \
        WHERE sid = ?1 AND typeof(expired) IN ('integer', 'real') AND expired >= ?2 \
        AND CAST(sess AS TEXT) = ?3",

    length: "SELECT count(*) FROM {table} WHERE typeof(expired) IN ('integer', 'real') AND expired >= ?1",
    ids: "SELECT CAST(sid AS TEXT) FROM {table} WHERE typeof(expired) IN ('integer', 'real') AND expired >= ?1",
    all: "\
        SELECT CAST(sid AS TEXT), CAST(sess AS TEXT) FROM {table} \
        WHERE typeof(expired) IN ('integer', 'real') AND expired >= ?1",
    clear: "DELETE FROM {table}",
    prune: "\
        DELETE FROM {table} WHERE rowid > ?2 AND rowid <= ?3 \
        AND (typeof(expired) IN ('integer', 'real') AND expired >= ?1) IS NOT TRUE",
    is_walked: true,
};
