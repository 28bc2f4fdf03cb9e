'use strict'
// Opens one store. Only the packages of the kind in use are loaded, so that the probe starts fast.
// Each opener answers `{ store, admin, ready, close }`: the store for express-session, the same store for the "store"
// operation, with promises, a promise that settles when the first connection does, and what ends its connections.

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

  postgres(url, options) {
    const { Pool } = require('pg')
    const PgStore = require('connect-pg-simple')(session)
    const pool = new Pool({ connectionString: url, connectionTimeoutMillis: CONNECT_TIMEOUT })
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
