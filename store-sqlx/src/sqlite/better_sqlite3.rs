//! better-sqlite3-session-store's table: the expiry as an ISO 8601 text. That package compares whole seconds, and ends sessions
//! in the second in which they expire; here the milliseconds count.

use super::Template;

pub(super) const BETTER_SQLITE3: Template = Template {
    name: "sessions",
    create: "\
        CREATE TABLE IF NOT EXISTS {table} (\
            sid TEXT NOT NULL PRIMARY KEY, \
            sess JSON NOT NULL, \
            expire TEXT NOT NULL\
        )",

    get: "\
        SELECT CAST(sess AS TEXT), CAST(round((julianday(expire) - 2440587.5) * 86400000.0) AS INTEGER) - ?2 \
        FROM {table} WHERE sid = ?1 AND julianday(?2 / 1000.0, 'unixepoch') < julianday(expire)",

    set: "\
        INSERT INTO {table} (sid, expire, sess) \
        VALUES (?1, strftime('%Y-%m-%dT%H:%M:%fZ', ?3 / 1000.0, 'unixepoch'), ?4) \
        ON CONFLICT (sid) DO UPDATE SET expire = excluded.expire, sess = excluded.sess",
    set_expecting_nothing: "\
        INSERT INTO {table} AS held (sid, expire, sess) \
        VALUES (?1, strftime('%Y-%m-%dT%H:%M:%fZ', ?3 / 1000.0, 'unixepoch'), ?4) \
        ON CONFLICT (sid) DO UPDATE SET expire = excluded.expire, sess = excluded.sess \
        WHERE (julianday(?2 / 1000.0, 'unixepoch') < julianday(held.expire)) IS NOT TRUE",
    set_expecting_version: "\
        UPDATE {table} SET expire = strftime('%Y-%m-%dT%H:%M:%fZ', ?3 / 1000.0, 'unixepoch'), sess = ?4 \
        WHERE sid = ?1 AND julianday(?2 / 1000.0, 'unixepoch') < julianday(expire) AND CAST(sess AS TEXT) = ?5",

    touch: "\
        UPDATE {table} SET expire = strftime('%Y-%m-%dT%H:%M:%fZ', ?3 / 1000.0, 'unixepoch') \
        WHERE sid = ?1 AND julianday(?2 / 1000.0, 'unixepoch') < julianday(expire)",
    touch_expecting_version: "\
        UPDATE {table} SET expire = strftime('%Y-%m-%dT%H:%M:%fZ', ?3 / 1000.0, 'unixepoch') \
        WHERE sid = ?1 AND julianday(?2 / 1000.0, 'unixepoch') < julianday(expire) AND CAST(sess AS TEXT) = ?4",

    destroy: "DELETE FROM {table} WHERE sid = ?1",
    destroy_expecting_version: "\
        DELETE FROM {table} WHERE sid = ?1 AND julianday(?2 / 1000.0, 'unixepoch') < julianday(expire) \
        AND CAST(sess AS TEXT) = ?3",

    length: "SELECT count(*) FROM {table} WHERE julianday(?1 / 1000.0, 'unixepoch') < julianday(expire)",
    ids: "SELECT sid FROM {table} WHERE julianday(?1 / 1000.0, 'unixepoch') < julianday(expire)",
    all: "\
        SELECT sid, CAST(sess AS TEXT) FROM {table} \
        WHERE julianday(?1 / 1000.0, 'unixepoch') < julianday(expire)",
    clear: "DELETE FROM {table}",
    prune: "\
        DELETE FROM {table} WHERE rowid > ?2 AND rowid <= ?3 \
        AND (julianday(?1 / 1000.0, 'unixepoch') < julianday(expire)) IS NOT TRUE",
    is_walked: true,
};
