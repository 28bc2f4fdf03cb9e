// Does one thing with the real connect-sqlite3 or better-sqlite3-session-store, as they are, and prints the answer as JSON.
// Arguments: the package, the file, and `set SID DATA`, `get SID`, `touch SID` or `destroy SID`.
'use strict'

const { createRequire } = require('node:module')
const path = require('node:path')
const { promisify } = require('node:util')

const load = createRequire(process.cwd() + '/')
const loadSqlite = createRequire(path.join(process.cwd(), 'sqlite', 'package.json'))
const session = load('express-session')

const HOUR = 3_600_000
const [name, file, verb, sid, data] = process.argv.slice(2)

const open = {
  'connect-sqlite3': async () => {
    const Store = loadSqlite('connect-sqlite3')(session)
    const store = new Store({ dir: path.dirname(file), db: path.basename(file) })
    await new Promise(resolve => store.client.once('connect', resolve))
    return store
  },
  'better-sqlite3-session-store': async () => {
    const Store = loadSqlite('better-sqlite3-session-store')(session)
    return new Store({ client: new (loadSqlite('better-sqlite3'))(file) })
  },
}

const main = async () => {
  const store = await open[name]()
  const call = (...args) => promisify(store[verb].bind(store))(sid, ...args)
  const held = { ...JSON.parse(data ?? '{}'), cookie: new session.Cookie({ maxAge: HOUR }) }
  return verb === 'get' || verb === 'destroy' ? call() : call(held)
}

main().then(
  answer => process.stdout.write(JSON.stringify(answer ?? null), () => process.exit(0)),
  error => {
    console.error(error)
    process.exit(1)
  },
)
