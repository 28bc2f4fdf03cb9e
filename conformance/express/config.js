'use strict'
// Reads PROBE_CONFIG and checks every key of it. What cannot be honoured becomes a Refusal that names the key.

const functions = require('./functions')

class Refusal extends Error {
  constructor(key, reason) {
    super(`${key}: ${reason}`)
  }
}

const text = ['a string', value => typeof value === 'string']
const word = ['a string that is not empty', value => typeof value === 'string' && value !== '']
const flag = ['a boolean', value => typeof value === 'boolean']
const number = ['a number', value => typeof value === 'number']
const object = ['an object', isObject]
const port = ['a port number', value => Number.isInteger(value) && value >= 0 && value <= 65535]
const age = ['a number of milliseconds or null', value => value === null || typeof value === 'number']
const secret = value => word[1](value) || (isObject(value) && /^([0-9a-f]{2})+$/.test(value.hex))
const secrets = [
  'a secret or an array of secrets, none of them empty: strings, or bytes as {"hex": "…"}',
  value => [].concat(value).length > 0 && [].concat(value).every(secret),
]
const oneSecret = ['a secret that is not empty: a string, or bytes as {"hex": "…"}', secret]
const keys = [
  'an array of secrets: strings, or bytes as {"hex": "…"}',
  value => Array.isArray(value) && value.every(key => key === '' || secret(key)),
]
const hops = ['true or a number of hops', value => value === true || (Number.isInteger(value) && value >= 0)]
const never = ['false', value => value === false]
const oneOf = (...values) => [
  `one of ${values.map(value => JSON.stringify(value)).join(', ')}`,
  value => values.includes(value),
]

const CONFIG = {
  port,
  profile: ['"express", the only profile that Express has', value => value === 'express'],
  name: word,
  secret: secrets,
  resave: flag,
  saveUninitialized: flag,
  rolling: flag,
  unset: oneOf('keep', 'destroy'),
  backend: oneOf('cookie'),
  proxy: flag,
  trustProxy: hops,
  cookie: object,
  cookieFunction: oneOf(...Object.keys(functions.cookie)),
  genidFunction: oneOf(...Object.keys(functions.genid)),
  store: object,
  storeFails: object,
  storeWaits: object,
  storeWithoutTouch: flag,
  tls: object,
  clock: flag,
}

// What an outer layer has; where it is served from is the server's.
const { port: _, backend: __, store: ___, tls: ____, clock: _____, ...OUTER } = CONFIG
CONFIG.outer = object

const TLS = { certificate: text, key: text }

const STORE_FAILS = { verb: oneOf('get', 'set', 'touch', 'destroy'), call: number }
const STORE_WAITS = { ...STORE_FAILS, gate: text }

const COOKIE = {
  path: text,
  domain: text,
  httpOnly: flag,
  secure: oneOf(true, false, 'auto'),
  sameSite: oneOf(true, false, 'lax', 'strict', 'none', 'auto'),
  maxAge: age,
  expires: number,
  partitioned: flag,
  priority: oneOf('low', 'medium', 'high'),
}

/** With the backend `cookie`, whose middleware has the attributes of its cookie at the top. */
const CLIENT_SIDE = {
  port,
  profile: CONFIG.profile,
  backend: CONFIG.backend,
  name: word,
  keys,
  secret: oneSecret,
  keygrip: object,
  signed: flag,
  overwrite: flag,
  ...COOKIE,
  secure: flag,
  sameSite: oneOf(true, false, 'lax', 'strict', 'none'),
  proxy: flag,
  trustProxy: hops,
  tls: object,
  clock: flag,
}

const KEYGRIP = { algorithm: oneOf('sha1', 'sha256', 'sha384', 'sha512'), encoding: oneOf('base64', 'hex') }

const STORE = {
  kind: oneOf('memory', 'redis', 'mongo', 'postgres', 'mysql', 'sqlite'),
  url: word,
  options: object,
}

const STORE_OPTIONS = {
  memory: {},
  redis: { prefix: text, ttl: number, disableTouch: flag, disableTTL: flag },
  mongo: {
    dbName: word,
    collectionName: word,
    ttl: number,
    touchAfter: number,
    stringify: flag,
    autoRemove: oneOf('native', 'interval', 'disabled'),
    timestamps: flag,
    crypto: object,
  },
  postgres: {
    tableName: word,
    schemaName: word,
    ttl: number,
    createTableIfMissing: flag,
    disableTouch: flag,
    pruneSessionInterval: never,
    timeZone: word,
  },
  mysql: {
    expiration: number,
    createDatabaseTable: flag,
    disableTouch: flag,
    schema: object,
    clearExpired: never,
  },
  // Two packages have SQLite; the Rust probe takes its own table where none is named.
  sqlite: { package: oneOf('connect-sqlite3', 'better-sqlite3-session-store') },
}

/** The configuration in `json`, with the defaults that the rest of the probe relies on. */
function readConfig(json = '{}') {
  const config = parse(json)
  if (config.backend === 'cookie') return readClientSide(config)
  check(config, CONFIG, '')
  if (config.secret === undefined) throw new Refusal('secret', 'missing')

  const cookie = config.cookie ?? {}
  check(cookie, COOKIE, 'cookie.')
  if (config.storeFails !== undefined) check(config.storeFails, STORE_FAILS, 'storeFails.')
  if (config.storeWaits !== undefined) check(config.storeWaits, STORE_WAITS, 'storeWaits.')
  if (config.tls !== undefined) check(config.tls, TLS, 'tls.')
  if (config.outer !== undefined) readOuter(config)

  const store = { kind: 'memory', options: {}, ...config.store }
  check(store, STORE, 'store.')
  check(store.options, STORE_OPTIONS[store.kind], 'store.options.')
  if (store.kind !== 'memory' && !URL.canParse(store.url ?? '')) throw new Refusal('store.url', 'not a URL')

  return { port: 0, ...config, cookie, store }
}

function readClientSide(config) {
  check(config, CLIENT_SIDE, '')
  if (config.keygrip !== undefined) check(config.keygrip, KEYGRIP, 'keygrip.')
  if (config.tls !== undefined) check(config.tls, TLS, 'tls.')
  return { port: 0, ...config }
}

function readOuter({ outer, trustProxy }) {
  check(outer, OUTER, 'outer.')
  if (outer.secret === undefined) throw new Refusal('outer.secret', 'missing')
  check(outer.cookie ?? {}, COOKIE, 'outer.cookie.')
  if (outer.trustProxy !== undefined && outer.trustProxy !== trustProxy) {
    throw new Refusal('outer.trustProxy', 'Express has one `trust proxy` for the whole application')
  }
}

/** What a secret in a configuration stands for. */
function bytesOf(secret) {
  return typeof secret === 'string' ? secret : Buffer.from(secret.hex, 'hex')
}

function parse(json) {
  let config
  try {
    config = JSON.parse(json)
  } catch {
    throw new Refusal('PROBE_CONFIG', 'not JSON')
  }
  if (!isObject(config)) throw new Refusal('PROBE_CONFIG', 'not an object')
  return config
}

function check(values, rules, prefix) {
  for (const [key, value] of Object.entries(values)) {
    if (!Object.hasOwn(rules, key)) throw new Refusal(prefix + key, 'unknown key')
    const [wanted, holds] = rules[key]
    if (!holds(value)) throw new Refusal(prefix + key, `must be ${wanted}`)
  }
}

function isObject(value) {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

module.exports = { readConfig, bytesOf, Refusal }
