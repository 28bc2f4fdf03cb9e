'use strict'
// Opens one store. Only the packages of the kind in use are loaded, so that the probe starts fast.
// Each opener answers `{ store, admin, ready, close }`: the store for express-session, the same store for the "store"
// operation, with promises, a promise that settles when the first connection does, and what ends its connections.

const { createRequire } = require('node:module')
const path = require('node:path')
const { promisify } = require('node:util')
const session = require('express-session')
const { Refusal } = require('./config')

const CONNECT_TIMEOUT = 20_000 // ms: for a machine that is busy; where nobody listens most of them know at once

const openers = {
  memory() {
    const store = new session.MemoryStore()
    return { store, admin: adminOf(store) }
  },

  redis(url, options) {
    const { createClient } = require('redis')
    const { RedisStore } = require('connect-redis')
    const client = naming('store.url', () =>
      createClient({ url, disableOfflineQueue: true, socket: { connectTimeout: CONNECT_TIMEOUT } }),
    )
    client.on('error', () => {}) // the client reconnects by itself; the request that it failed has its error
    const store = new RedisStore({ ...options, client })
    return { store, admin: adminOf(store), ready: client.connect(), close: () => client.destroy() }
  },

  mongo(url, options) {
    const { MongoClient } = require('mongodb')
    const { MongoStore } = require('connect-mongo')
    const client = naming('store.url', () => new MongoClient(url, { serverSelectionTimeoutMS: CONNECT_TIMEOUT }))
    const store = MongoStore.create({ ...options, client })
    return { store, admin: adminOf(store), ready: client.connect(), close: () => store.close() }
  },

  postgres(url, { timeZone, ...options }) {
    const { Pool } = require('pg')
    const PgStore = require('connect-pg-simple')(session)
    // Not an option of the package, which takes the server's.
    const zone = timeZone ? { options: `-c TimeZone=${timeZone}` } : {}
    const pool = new Pool({ connectionString: url, connectionTimeoutMillis: CONNECT_TIMEOUT, ...zone })
    pool.on('error', () => {}) // an idle connection was lost; the pool opens another
    const store = new PgStore({ ...options, pool, errorLog() {} })
    const admin = adminOf(store)
    const close = async () => {
      await store.close() // ends the pruning, and leaves a pool that it was given
      await pool.end()
    }
    return { store, admin: { ...admin, ...postgresCounts(pool, options, admin) }, close }
  },

  mysql(url, options) {
    const { createPool } = require('mysql2/promise')
    const MySQLStore = require('express-mysql-session')(session)
    const pool = naming('store.url', () => createPool({ uri: url, connectTimeout: CONNECT_TIMEOUT }))
    const store = new MySQLStore(options, pool)
    const admin = adminOf(store)
    // `all` of the package finds nothing under other column names than its own.
    const close = async () => {
      await store.close() // ends the clearing, and leaves a pool that it was given
      await pool.end()
    }
    return { store, admin: { ...admin, all: admin.length }, ready: store.onReady(), close }
  },

  sqlite(url, { package: name }) {
    if (name === undefined) throw new Refusal('store.options.package', 'missing')
    return sqlitePackages[name](url.slice('sqlite:'.length))
  },
}

// Compiled by npm, and so in a folder of its own.
const sqlitePackage = createRequire(path.join(__dirname, 'sqlite', 'package.json'))

const sqlitePackages = {
  'connect-sqlite3'(file) {
    const SQLiteStore = sqlitePackage('connect-sqlite3')(session)
    const store = new SQLiteStore({ dir: path.dirname(file), db: path.basename(file), table: 'sessions' })
    const ready = new Promise((resolve, reject) => {
      store.client.once('connect', resolve) // after the table is there
      store.db.once('error', reject)
    })
    store.db.configure('busyTimeout', CONNECT_TIMEOUT)
    touchWhatHasNoEnd(store)
    const all = promisify(store.all.bind(store))
    const admin = { ...adminOf(store), all: async () => (await all()).length }
    return { store, admin, ready, close: promisify(store.db.close.bind(store.db)) }
  },

  'better-sqlite3-session-store'(file) {
    const Database = sqlitePackage('better-sqlite3')
    const SqliteStore = sqlitePackage('better-sqlite3-session-store')(session)
    const client = new Database(file, { timeout: CONNECT_TIMEOUT })
    // The second of the two rules in which ours differs: SQLite's own function has whole seconds, and no clock of a case.
    client.function('datetime', text => {
      const time = new Date(text === 'now' ? Date.now() : text)
      return Number.isNaN(time.valueOf()) ? null : time.toISOString()
    })
    // Its interval cannot be switched off, and keeps the process alive.
    const store = withoutIntervals(() => new SqliteStore({ client }))
    const all = promisify(store.all.bind(store))
    const admin = { ...adminOf(store), all: async () => (await all()).length }
    return { store, admin, close: () => client.close() }
  },
}

/** The first of the two rules in which ours differs: who is active stays logged in. */
function touchWhatHasNoEnd(store) {
  const { touch } = store
  store.touch = (sid, session, callback) => {
    if (session?.cookie?.expires) return touch.call(store, sid, session, callback)
    const now = Date.now()
    const sql = 'UPDATE sessions SET expired = ? WHERE sid = ? AND ? <= expired'
    store.db.run(sql, [now + 86_400_000, sid, now], error => callback?.(error, true))
  }
}

function withoutIntervals(make) {
  const { setInterval } = global
  global.setInterval = () => ({ unref() {} })
  try {
    return make()
  } finally {
    global.setInterval = setInterval
  }
}

/** Opens the configured store and waits a little for its server, which may also come up later. */
async function openStore({ kind, url, options }) {
  const { store, admin, ready, close } = naming('store.options', () => openers[kind](url, options))
  const patience = new Promise(resolve => setTimeout(resolve, CONNECT_TIMEOUT).unref())
  await Promise.race([Promise.resolve(ready).catch(() => {}), patience])
  // A connection that was never made cannot be closed, and need not be.
  return { store, admin, close: async () => void (await Promise.resolve(close?.()).catch(() => {})) }
}

function adminOf(store) {
  const call = name => {
    const method = store[name] // before anything is put in its place
    return promisify((...args) => method.apply(store, args))
  }
  return {
    length: call('length'),
    clear: call('clear'),
    get: call('get'),
    destroy: call('destroy'),
    all: async () => Object.keys(await call('all')()).length,
  }
}

/** connect-pg-simple has none of these three. */
function postgresCounts(pool, { schemaName, tableName = 'session' }, { get }) {
  const table = [schemaName, tableName].filter(Boolean).map(quote).join('.')
  const count = async () => {
    await get('') // the package creates the table when it is first asked
    // The client's clock, in whole seconds, as in the package's own `get`.
    const now = Math.ceil(Date.now() / 1000)
    const { rows } = await pool.query(`SELECT count(*) FROM ${table} WHERE expire >= to_timestamp($1)`, [now])
    return Number(rows[0].count)
  }
  return { length: count, all: count, clear: () => pool.query(`DELETE FROM ${table}`) }
}

function quote(name) {
  return `"${name.replaceAll('"', '""')}"`
}

function naming(key, open) {
  try {
    return open()
  } catch (error) {
    throw error instanceof Refusal ? error : new Refusal(key, error.message)
  }
}

module.exports = { openStore }
