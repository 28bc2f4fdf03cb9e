'use strict'
// The rows of `data/truth-3328.json`: what express-session does with its store and its cookie over four ways of arriving,
// thirteen things that a handler can do, and every combination of the options that matter.

process.env.NO_DEPRECATION = 'express-session'

const { promisify } = require('node:util')
const { serving } = require('./in-process')
const { session, cookie, cookieSignature } = require('./packages')

const SECRET = 'keyboard cat'
const PRESENTED = 'presented'
const VERBS = ['get', 'set', 'touch', 'destroy']

/** The axes, in the order of the rows: the last one turns fastest. */
const AXES = {
  kind: ['none', 'badsig', 'unknown', 'existing'],
  mod: [
    'nothing',
    'set',
    'cookie',
    'null',
    'delete',
    'save',
    'set+save',
    'save+set',
    'destroy',
    'regen',
    'regen+save',
    'regen+set+save',
    'reload',
  ],
  maxAge: ['n', 'y'],
  unset: ['keep', 'destroy'],
  resave: [0, 1],
  su: [0, 1],
  rolling: [0, 1],
  touchless: [0, 1],
}

const STEPS = {
  nothing() {},
  set: req => void (req.session.views = 2),
  cookie: req => void (req.session.cookie.maxAge = 30_000),
  null: req => void (req.session = null),
  delete: req => void delete req.session,
  save: call('save'),
  destroy: call('destroy'),
  regen: call('regenerate'),
  // Of a session that is not stored it fails, and the handler goes on.
  reload: req => call('reload')(req).catch(() => {}),
}

function call(method) {
  return req => promisify(req.session[method]).call(req.session)
}

function truth() {
  return serving(async visit => {
    const rows = []
    for (const axes of combinations(Object.entries(AXES))) rows.push({ ...axes, ...(await observe(visit, axes)) })
    return rows
  })
}

function* combinations([[name, values], ...others]) {
  for (const value of values) {
    if (others.length === 0) yield { [name]: value }
    else for (const rest of combinations(others)) yield { [name]: value, ...rest }
  }
}

async function observe(visit, { kind, mod, maxAge, unset, resave, su, rolling, touchless }) {
  const store = new session.MemoryStore()
  const options = { secret: SECRET, unset, resave: resave === 1, saveUninitialized: su === 1, rolling: rolling === 1, store }
  options.cookie = maxAge === 'y' ? { maxAge: 60_000 } : {}
  if (touchless === 1) store.touch = undefined
  if (kind === 'existing') {
    await visit(session({ ...options, genid: () => PRESENTED }), req => void (req.session.views = 1))
  }

  const calls = record(store)
  let generated = 0
  const middleware = session({ ...options, genid: () => `NEW${++generated}` })
  const headers = await visit(middleware, req => inTurn(mod.split('+'), req), presented(kind))
  return { ops: calls.join() || '-', sc: (headers['set-cookie'] ?? []).map(short).join() || '-' }
}

async function inTurn(steps, req) {
  for (const step of steps) await STEPS[step](req)
}

/** The verbs that the store is asked for from now on. */
function record(store) {
  const calls = []
  for (const verb of VERBS.filter(verb => store[verb])) {
    const real = store[verb]
    store[verb] = (...args) => {
      calls.push(verb)
      return real.apply(store, args)
    }
  }
  return calls
}

/** What the client sends. */
function presented(kind) {
  if (kind === 'none') return {}
  const signed = cookieSignature.sign(PRESENTED, kind === 'badsig' ? 'another cat' : SECRET)
  return { cookie: `connect.sid=s:${signed}` }
}

/** `1` and whose id the cookie carries. */
function short(setCookie) {
  const sid = cookieSignature.unsign(cookie.parse(setCookie)['connect.sid'].slice(2), SECRET)
  return `1${sid === PRESENTED ? 'same' : sid}`
}

module.exports = { truth }
