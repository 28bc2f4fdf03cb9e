'use strict'
// The backend `cookie`: the real cookie-session, and the operations on what it makes. Its session is in the cookie itself.

const { cookieSession, Cookie, Keygrip } = require('./packages')
const { bytesOf, Refusal } = require('./config')
const { onExchange, attributeOf, valueOf } = require('./operations')

const GIVEN = [
  'name',
  'signed',
  'overwrite',
  'httpOnly',
  'secure',
  'sameSite',
  'domain',
  'path',
  'maxAge',
  'priority',
  'partitioned',
]

/** What `options` changes beside the attributes that `cookieSet` has. */
const SWITCHES = ['maxAge', 'overwrite', 'signed']

/** The middleware that this configuration asks for. */
function clientSide(config) {
  const options = optionsOf(config)
  checkSerializable(options)
  return naming('keys', () => cookieSession(options))
}

function optionsOf({ keys, secret, keygrip, expires, ...config }) {
  // An option that is there without a value is not the same as none: the attribute's default would be gone.
  const options = Object.fromEntries(GIVEN.filter(key => config[key] !== undefined).map(key => [key, config[key]]))
  if (secret !== undefined) options.secret = bytesOf(secret)
  if (keys !== undefined) options.keys = keys.map(bytesOf)
  if (keygrip !== undefined) {
    const all = options.keys ?? (secret === undefined ? [] : [options.secret])
    options.keys = naming('keys', () => new Keygrip(all, keygrip.algorithm, keygrip.encoding))
  }
  if (expires !== undefined) options.expires = new Date(expires)
  return options
}

// cookie-session would find this out with the first cookie, and send none.
function checkSerializable(options) {
  try {
    new Cookie(options.name ?? 'session', 'value', options)
  } catch (error) {
    const [, key] = /^(?:argument|option) (\w+)/.exec(error.message) ?? []
    throw new Refusal(key ?? 'PROBE_CONFIG', error.message)
  }
}

function naming(key, make) {
  try {
    return make()
  } catch (error) {
    throw new Refusal(key, error.message)
  }
}

const clientSideOperations = {
  onSession: {
    get: (session, key) => (isData(session, key) ? session[key] : null),
    set: (session, key, value) => void (session[writable(session, key)] = value),
    del: (session, key) => void delete session[writable(session, key)],
    keys: session => Object.keys(session),
    isNew: session => session.isNew,
    isPopulated: session => session.isPopulated,
  },
  onRest: {
    ...onExchange,
    replace: ({ req }, value) => void (req.session = value),
    options({ req }, changes) {
      for (const [name, value] of Object.entries(changes)) {
        req.sessionOptions[SWITCHES.includes(name) ? name : attributeOf(name)] = valueOf(name, value)
      }
    },
  },
}

function isData(session, key) {
  return Object.prototype.propertyIsEnumerable.call(session, key)
}

// A key that cookie-session keeps for itself, or any object inherits: of a cookie it would not be read.
function writable(session, key) {
  if (key in session && !isData(session, key)) throw new Error(`${JSON.stringify(key)} is a reserved key`)
  return key
}

module.exports = { clientSide, clientSideOperations }
