//! The table of this crate's own: the expiry as milliseconds in an integer, with an index.

use super::Template;

pub(super) const NATIVE: Template = Template {
    name: "session",
    create: "\
        CREATE TABLE IF NOT EXISTS {table} (\
            sid TEXT NOT NULL PRIMARY KEY, \
            expire INTEGER NOT NULL, \
            sess TEXT NOT NULL\
        ) STRICT; \
        CREATE INDEX IF NOT EXISTS {index} ON {table} (expire)",

    get: "SELECT sess, expire - ?2 FROM {table} WHERE sid = ?1 AND expire > ?2",

    set: "\
        INSERT INTO {table} (sid, expire, sess) VALUES (?1, ?3, ?4) \
        ON CONFLICT (sid) DO UPDATE SET expire = excluded.expire, sess = excluded.sess",
    set_expecting_nothing: "\
        INSERT INTO {table} AS held (sid, expire, sess) VALUES (?1, ?3, ?4) \
        ON CONFLICT (sid) DO UPDATE SET expire = excluded.expire, sess = excluded.sess \
        WHERE held.expire <= ?2",
    set_expecting_version: "\
        UPDATE {table} SET expire = ?3, sess = ?4 WHERE sid = ?1 AND expire > ?2 AND sess = ?5",

    touch: "UPDATE {table} SET expire = ?3 WHERE sid = ?1 AND expire > ?2",
    touch_expecting_version: "UPDATE {table} SET expire = ?3 WHERE sid = ?1 AND expire > ?2 AND sess = ?4",

    destroy: "DELETE FROM {table} WHERE sid = ?1",
    destroy_expecting_version: "DELETE FROM {table} WHERE sid = ?1 AND expire > ?2 AND sess = ?3",

    length: "SELECT count(*) FROM {table} WHERE expire > ?1",
    ids: "SELECT sid FROM {table} WHERE expire > ?1",
    all: "SELECT sid, sess FROM {table} WHERE expire > ?1",
    clear: "DELETE FROM {table}",
    prune: "\
        DELETE FROM {table} WHERE rowid IN (SELECT rowid FROM {table} WHERE expire <= ?1 LIMIT ?2)",
    is_walked: false,
};
