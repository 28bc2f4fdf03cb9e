'use strict'
// The operations of the probe protocol, on the session that express-session made; and `["now", ms]`, which moves the clock within
// a request; `["stream"]`, which has the answer sent in two chunks; and `["wait", gate]`. Those of cookie-session are in
// `client-side.js`.

const { setClock } = require('./clock')
const gates = require('./gates')
const { promisify } = require('node:util')
const { setTimeout: sleep } = require('node:timers/promises')

/** Performs `operations` in order; one that fails leaves an error in its place and the next one runs. */
async function perform(operations, context) {
  const results = []
  for (const operation of operations) {
    // The handler ends with an error, which goes where Express's errors go.
    if (operation?.[0] === 'throw') throw new Error('thrown by the handler')
    try {
      results.push((await performOne(operation, context)) ?? null)
    } catch (error) {
      results.push({ error: true, message: String(error?.message ?? error) })
    }
  }
  return results
}

function performOne(operation, context) {
  if (!Array.isArray(operation)) throw new Error('an operation is an array')
  const [name, ...args] = operation
  const { onSession, onRest } = context.operations
  if (Object.hasOwn(onSession, name)) return onSession[name](sessionOf(context.req), ...args)
  if (Object.hasOwn(onRest, name)) return onRest[name](context, ...args)
  throw new Error(`unknown operation ${JSON.stringify(name)}`)
}

// `regenerate` and `reload` put another session on the request, so every operation asks the request anew.
function sessionOf(req) {
  if (req.session === undefined || req.session === null) throw new Error('the request has no session')
  return req.session
}

const onExpressSession = {
  get: (session, key) => (isData(session, key) ? session[key] : null),
  set: (session, key, value) => void (session[writable(session, key)] = value),
  del: (session, key) => void delete session[writable(session, key)],
  keys: session => Object.keys(session).filter(key => key !== 'cookie'),
  id: session => session.id,
  cookie: session => session.cookie.toJSON(),
  maxAge: (session, ms) => void (session.cookie.maxAge = ms),
  cookieSet: (session, attribute, value) => void (session.cookie[attributeOf(attribute)] = valueOf(attribute, value)),
  resetMaxAge: session => void session.resetMaxAge(),
  touch: session => void session.touch(),
  regenerate: call('regenerate'),
  destroy: call('destroy'),
  reload: call('reload'),
  save: call('save'),
}

/** On the request and the response, whatever made the session. */
const onExchange = {
  unset: ({ req }) => void (req.session = null),
  status: ({ res }, code) => void res.status(code),
  header: ({ res }, name, value) => void res.appendHeader(name, value),
  wait: async (context, gate) => void (await gates.wait(gate)),
  stream: ({ res }) => void (res.locals.stream = true),
  sleep: async (context, ms) => void (await sleep(ms)),
  now({ clock }, ms) {
    if (!clock) throw new Error('the clock is the real one')
    setClock(ms)
  },
}

const onStore = {
  async store({ admin }, verb, sid) {
    if (!Object.hasOwn(admin, verb)) throw new Error(`unknown store operation ${JSON.stringify(verb)}`)
    const answer = await (verb === 'get' || verb === 'destroy' ? admin[verb](sid) : admin[verb]())
    return verb === 'clear' || verb === 'destroy' ? null : answer
  },
}

function call(method) {
  return async session => void (await promisify(session[method]).call(session))
}

const ATTRIBUTES = ['path', 'domain', 'secure', 'httpOnly', 'sameSite', 'priority', 'partitioned', 'expires']

function attributeOf(name) {
  if (!ATTRIBUTES.includes(name)) throw new Error(`unknown attribute ${JSON.stringify(name)}`)
  return name
}

function valueOf(attribute, value) {
  return attribute === 'expires' && value !== null ? new Date(value) : value
}

function isData(session, key) {
  return key !== 'cookie' && Object.prototype.propertyIsEnumerable.call(session, key)
}

// A key that express-session keeps for itself, or any object inherits, is no key for data.
function writable(session, key) {
  if (key in session && !isData(session, key)) throw new Error(`${JSON.stringify(key)} is a reserved key`)
  return key
}

/** Those of a session that a store holds. */
const serverSideOperations = { onSession: onExpressSession, onRest: { ...onExchange, ...onStore } }

module.exports = { perform, serverSideOperations, onExchange, attributeOf, valueOf }
