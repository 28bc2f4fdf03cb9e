'use strict'
// The vectors of `data/golden.json`: what the published packages print for these inputs.

process.env.NO_DEPRECATION = 'express-session'

const crypto = require('node:crypto')
const { serving } = require('./in-process')
const { session, cookie, cookieSignature, cookieSession, Keygrip } = require('./packages')

const KEYBOARD = 'keyboard cat'

const WIRE = [
  { name: 'connect.sid', sid: '123456789abcdefghijklmnopqrstuvw', secret: KEYBOARD },
  { name: 'connect.sid', sid: 'hello', secret: 'tobiiscool' },
  { name: 'sid', sid: 'A'.repeat(32), secret: 's3cr3t' },
  { name: 'connect.sid', sid: '_-zY09__-__abcABC0123456789-_XYZ', secret: 'another secret with spaces & ünïcödé ☃' },
  { name: 'connect.sid', sid: 'a.b.c', secret: KEYBOARD },
  { name: 'connect.sid', sid: '550e8400-e29b-41d4-a716-446655440000', secret: 'uuid-secret' },
  { name: '__Host-sid', sid: 'user:42/é☃', secret: KEYBOARD },
  { name: 'connect.sid', sid: '', secret: KEYBOARD },
  { name: 'connect.sid', sid: '!\'()*~;,"\\', secret: 'k' },
  { name: 'connect.sid', sid: '%', secret: KEYBOARD },
  { name: 'connect.sid', sid: '/foo', secret: KEYBOARD },
  { name: 'connect.sid', sid: 'hello', secretHex: 'a0abbc0c' },
  { name: 'connect.sid', sid: 'sess:id with space+plus/slash=eq', secretHex: '00ff10' },
  { name: 'connect.sid', sid: 'id3', secret: KEYBOARD },
  { name: 'connect.sid', sid: 'x'.repeat(200), secret: 'k'.repeat(200) },
]

const TAMPERED = [
  signed => signed,
  signed => `${signed}=`,
  signed => `${signed} `,
  signed => signed.slice(0, -1),
  () => 'abc',
  () => '',
  () => '.',
  signed => signed.replace('abc', 'abd'),
  signed => `x.${signed}`,
  signed => `${signed}.x`,
  signed => `${signed.slice(0, -1)}A`,
]

const KEYGRIP = [
  ['key1', 'session=eyJhIjoxfQ=='],
  ['key2', 'session=eyJhIjoxfQ=='],
  [KEYBOARD, 'foo=bar'],
  ['', 'x'],
  ['é☃', 'n=v'],
  ['key1', 'session='],
  ['key1', 'session=eyJhIjoxfQ==', 'sha256'],
  ['key1', 'session=eyJhIjoxfQ==', 'sha384'],
  ['key1', 'session=eyJhIjoxfQ==', 'sha512'],
  ['key1', 'session=eyJhIjoxfQ==', 'sha1', 'hex'],
]

const COOKIE_SESSION = [
  ['session', 'key1', { message: 'hello' }],
  ['session', 'key1', { u: { n: 'é☃😀', a: [1, null, true] } }],
  ['session', KEYBOARD, { message: 'hello' }],
  ['my.session', 'key1', { message: 'hello' }],
  ['session', 'key1', { a: 1 }],
  ['session', 'key2', { a: 1 }],
  ['session', 'key1', { a: '???>>>' }],
  ['session', 'key1', {}],
  ['session', 'key1', { passport: { user: '5f' }, views: 3, d: new Date(0) }],
]

const HASHED = [
  {},
  { a: 1 },
  { user: 'tj', views: 3 },
  { n: 'é☃😀' },
  { b: 1, a: 2 },
  { a: 2, b: 1 },
  { n: { cookie: 1 } },
]

const COOKIE_HEADERS = [
  'a=1; b=2',
  'a=1;a=2',
  'a="x y"',
  'a=%E2%98%83',
  'a=%zz',
  'a',
  '=x',
  ' a = b ',
  'a=b=c',
  'a=',
  'a=1;;b=2',
  'a;b=1',
  '\ta\t=\tb\t;c=d',
  'a="',
  'a=""',
  'a="b',
  'x',
  'a=b,c',
  'A=1;a=2',
  'a=%20b%20',
  'a=1+2',
  'a=%2B',
]

const RANDOM_BYTES = [
  Buffer.alloc(24, 0xff),
  Buffer.alloc(24, 0xfb),
  Buffer.from(Array.from({ length: 24 }, (_, at) => at)),
]

function golden() {
  return serving(async visit => ({
    wire: await inTurn(WIRE, input => wire(visit, input)),
    tamper: TAMPERED.map(tamper),
    keygrip: KEYGRIP.map(keygrip),
    cookieSession: await inTurn(COOKIE_SESSION, input => cookieSessionValue(visit, input)),
    hash: await inTurn(HASHED, input => hash(visit, input)),
    cookieParse: COOKIE_HEADERS.map(header => ({ header, parsed: { ...cookie.parse(header) } })),
    uid: await inTurn(RANDOM_BYTES, input => uid(visit, input)),
  }))
}

async function inTurn(inputs, make) {
  const made = []
  for (const input of inputs) made.push(await make(input))
  return made
}

/** What express-session sends with these options, after what `handler` did. */
async function setCookie(visit, options, handler = () => {}) {
  const all = { secret: KEYBOARD, resave: false, saveUninitialized: true, ...options }
  return (await visit(session(all), handler))['set-cookie'][0]
}

function valueOf(setCookie) {
  return setCookie.slice(setCookie.indexOf('=') + 1, setCookie.indexOf(';'))
}

async function wire(visit, { name, sid, ...given }) {
  const secret = given.secret ?? Buffer.from(given.secretHex, 'hex')
  const setCookieDefault = await setCookie(visit, { name, secret, genid: () => sid })
  const signed = cookieSignature.sign(sid, secret)
  return { name, sid, ...given, signed, cookieValue: valueOf(setCookieDefault), setCookieDefault }
}

function tamper(change) {
  const secret = 'k'
  const input = change(cookieSignature.sign('abc', secret))
  return { input, secret, unsign: cookieSignature.unsign(input, secret) }
}

function keygrip([key, data, algorithm = 'sha1', encoding = 'base64']) {
  return { key, data, algorithm, encoding, sig: new Keygrip([key], algorithm, encoding).sign(data) }
}

/** The cookies of a second request, for cookie-session sends none of a new session that is empty. */
async function cookieSessionValue(visit, [name, key, data]) {
  const middleware = cookieSession({ name, keys: [key] })
  const first = (await visit(middleware, req => void (req.session.first = true)))['set-cookie']
  const replace = req => {
    delete req.session.first
    Object.assign(req.session, data)
  }
  const sent = first.map(header => header.split(';')[0]).join('; ')
  const [value, sig] = (await visit(middleware, replace, { cookie: sent }))['set-cookie'].map(valueOf)
  return { name, key, json: JSON.stringify(data), value, sig }
}

/** What express-session itself gave to SHA-1 last, and got. */
async function hash(visit, data) {
  let hashed
  const { createHash } = crypto
  crypto.createHash = (...algorithm) => {
    const real = createHash(...algorithm)
    const { update, digest } = real
    let text
    real.update = (...input) => {
      text = input[0]
      return update.apply(real, input)
    }
    real.digest = (...encoding) => {
      const result = digest.apply(real, encoding)
      hashed = { json: text, [algorithm[0]]: result }
      return result
    }
    return real
  }
  try {
    await setCookie(visit, {}, req => void Object.assign(req.session, data))
  } finally {
    crypto.createHash = createHash
  }
  return hashed
}

/** The id that express-session makes when these are the random bytes. */
async function uid(visit, bytes) {
  const { randomBytes } = crypto
  let id
  crypto.randomBytes = size => {
    if (size !== bytes.length) throw new Error(`${size} random bytes`)
    return bytes
  }
  try {
    await setCookie(visit, {}, req => void (id = req.sessionID))
  } finally {
    crypto.randomBytes = randomBytes
  }
  return { bytesHex: bytes.toString('hex'), id }
}

module.exports = { golden }
