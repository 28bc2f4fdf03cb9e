'use strict'
// The vectors of `store-mongo/tests/data/crypto-vectors.json`: what connect-mongo stores and reads with its two ways to encrypt, and
// what the versions of kruptein store that earlier connect-mongo was installed with. What is random in them is of no meaning:
// `tests/regenerated.rs` compares it by decrypting.

const crypto = require('node:crypto')
const { promisify } = require('node:util')
const session = require('express-session')
const { MongoClient } = require('mongodb')
const { MongoStore, createKrupteinAdapter, createWebCryptoAdapter } = require('connect-mongo')

const SECRET = 'AAbb11!!squirrel'
const SESSION = {
  cookie: { originalMaxAge: null, expires: null, httpOnly: true, path: '/' },
  user: { id: 42, name: 'Zoë 日本 😀' },
}
const SMALL = '{"a":1}'
const WEB_SALT = 'connect-mongo:webcrypto-default-salt'

/** What connect-mongo 4, 5 and 6 hand to kruptein. */
const KRUPTEIN = {
  secret: SECRET,
  algorithm: 'aes-256-gcm',
  hashing: 'sha512',
  encodeas: 'base64',
  key_size: 32,
  iv_size: 16,
  at_size: 16,
}

const KNOBS = [
  { algorithm: 'aes-256-cbc' },
  { hashing: 'sha256' },
  { encodeas: 'hex' },
  { key_size: 16, iv_size: 8, at_size: 12 },
  { algorithm: 'aes-128-gcm' },
  { algorithm: 'aes-192-gcm' },
  { algorithm: 'aes-256-ctr' },
  { algorithm: 'aes-256-ccm' },
  { algorithm: 'aes-256-ecb' },
  { algorithm: 'chacha20-poly1305' },
  { use_scrypt: true },
  { use_asn1: false },
]

const WEB_KNOBS = [
  {},
  { encoding: 'base64url' },
  { encoding: 'hex' },
  { algorithm: 'AES-CBC' },
  { salt: 'my-salt', iterations: 1000 },
  { ivLength: 16 },
]

const BINARY = { secret: new Uint8Array([1, 2, 3, 4]), salt: new Uint8Array([9]) }

/** Versions of kruptein, the generation of its format, and its iterations of PBKDF2. */
const VERSIONS = [
  ['3.0.0', 1, 15_000],
  ['3.0.8', 1, 15_000],
  ['3.0.9', 1, 15_000],
  ['3.1.1', 2, 15_000],
  ['3.1.5', 2, 20_000],
  ['3.1.7', 2, 20_000],
  ['3.3.0', 2, 20_000],
  ['3.4.0', 3, 20_000],
]

/** Makes them with a collection of its own on the MongoDB of this URL. */
async function cryptoVectors(url) {
  const client = await MongoClient.connect(url)
  const collectionName = `vectors_${process.pid}`
  const mongo = { client, collectionName, sessions: client.db().collection(collectionName) }
  try {
    return {
      note: `secret for all = ${SECRET}`,
      ...(await stored(mongo)),
      ...(await knobs()),
      ...(await errors(mongo)),
      ...(await webCrypto(mongo)),
      ...(await versions()),
      ...(await legacy(url, mongo)),
    }
  } finally {
    await mongo.sessions.drop()
    await client.close()
  }
}

function storeOf({ client, collectionName }, options) {
  return new MongoStore({ client, collectionName, autoRemove: 'disabled', ...options })
}

/** Stores the session; answers the document, and what the store reads of it. */
async function kept({ sessions, ...mongo }, sid, options, session = SESSION) {
  const store = storeOf(mongo, options)
  await promisify(store.set).call(store, sid, session)
  return { doc: await sessions.findOne({ _id: sid }), read: await promisify(store.get).call(store, sid) }
}

async function stored(mongo) {
  const vectors = {}
  for (const [name, stringify] of [
    ['v6 crypto{secret} stringify:true', true],
    ['v6 crypto stringify:false', false],
  ]) {
    const { doc, read } = await kept(mongo, name, { stringify, crypto: { secret: SECRET } })
    vectors[name] = {
      stored_session: doc.session,
      analysis: analyse(doc.session, 1, 15_000),
      roundtrip: JSON.stringify(read) === JSON.stringify(SESSION),
    }
  }
  return vectors
}

async function knobs() {
  const vectors = {}
  for (const knob of KNOBS) {
    vectors[`knob ${JSON.stringify(knob)}`] = await outcome(async () => {
      const adapter = createKrupteinAdapter({ secret: SECRET, ...knob })
      const full = await adapter.encrypt(SMALL)
      const parts = octets(Buffer.from(full, knob.encodeas ?? 'base64'))
      return { full, part_lens: parts.map(part => part.length), dec: await adapter.decrypt(full) }
    })
  }
  return vectors
}

function outcome(act) {
  return act().catch(error => ({ error: message(error) }))
}

/** kruptein's errors are strings. */
function message(error) {
  return error.message ?? error
}

async function errors(mongo) {
  const adapter = createKrupteinAdapter({ secret: SECRET })
  const encrypted = await adapter.encrypt(SMALL)
  const refused = (ciphertext, secret = SECRET) => {
    const reading = createKrupteinAdapter({ secret }).decrypt(ciphertext)
    return reading.then(unexpected, error => `${typeof error}: ${message(error)}`)
  }
  const store = storeOf(mongo, { crypto: { secret: SECRET } })
  const readBack = async session => {
    await mongo.sessions.insertOne({ _id: 'plain', session, expires: new Date(Date.now() + 60_000) })
    const error = await promisify(store.get).call(store, 'plain').then(unexpected, error => error)
    await mongo.sessions.deleteOne({ _id: 'plain' })
    return `${typeof error} ${message(error)}`
  }
  return {
    'err tampered': await refused(`A${encrypted.slice(1)}`),
    'err garbage': await refused('garbage'),
    'err empty': await refused(''),
    'err wrong secret': await refused(encrypted, 'another secret'),
    'plain doc read by crypto store': await readBack(JSON.stringify(SESSION)),
    'object doc read by crypto store (not string → decrypt skipped)': await readBack(SESSION),
  }
}

function unexpected() {
  throw new Error('it was read')
}

async function webCrypto(mongo) {
  const vectors = {}
  for (const knob of WEB_KNOBS) {
    const cryptoAdapter = createWebCryptoAdapter({ secret: SECRET, ...knob })
    const { doc } = await kept(mongo, 'w', { cryptoAdapter })
    const bytes = Buffer.from(doc.session, knob.encoding ?? 'base64')
    const iv = bytes.subarray(0, knob.ivLength ?? (knob.algorithm === 'AES-CBC' ? 16 : 12))
    vectors[`webcrypto ${JSON.stringify(knob)}`] = {
      stored_session: doc.session,
      key_hex: webKey(SECRET, knob.salt, knob.iterations),
      iv_hex: iv.toString('hex'),
      plaintext_utf8: await cryptoAdapter.decrypt(doc.session),
      doc,
    }
  }

  const cryptoAdapter = createWebCryptoAdapter({ secret: SECRET })
  const objects = await kept(mongo, 'o', { cryptoAdapter, stringify: false }, { ...SESSION, d: new Date(0) })
  vectors['webcrypto stringify:false plaintext'] = {
    pt: await cryptoAdapter.decrypt(objects.doc.session),
    get: objects.read,
  }
  const tampered = flipped(objects.doc.session)
  vectors['webcrypto tampered err'] = await cryptoAdapter
    .decrypt(tampered)
    .then(unexpected, error => `${error.name}: ${error.message} code=${error.code}`)

  vectors['webcrypto binary secret [1,2,3,4] salt [9] "hi"'] = {
    stored: await createWebCryptoAdapter(BINARY).encrypt('hi'),
    key_hex: webKey(BINARY.secret, BINARY.salt),
  }
  vectors['webcrypto empty secret'] = await outcome(async () => createWebCryptoAdapter({ secret: '' })).then(
    ({ error }) => error,
  )
  return vectors
}

/** The last byte is another one. */
function flipped(base64) {
  const bytes = Buffer.from(base64, 'base64')
  bytes[bytes.length - 1] ^= 1
  return bytes.toString('base64')
}

function webKey(secret, salt = WEB_SALT, iterations = 310_000) {
  return crypto.pbkdf2Sync(secret, salt, iterations, 32, 'sha256').toString('hex')
}

async function versions() {
  const vectors = {}
  for (const [version, gen, iters] of VERSIONS) {
    const name = `kruptein ${version}`
    const started = () => krupteinOf(version)
    const { set, get } = started()
    const stored_session = await set(SECRET, JSON.stringify(SESSION))
    const plaintext = await get(SECRET, stored_session)
    vectors[`${name} via connect-mongo5 opts`] = {
      gen,
      iters,
      stored_session,
      get_returns: `${typeof plaintext}: ${plaintext.slice(0, 60)}`,
      analysis: analyse(stored_session, gen, iters),
    }
    vectors[`${name} restart-read`] = await verdict(async () => {
      const restarted = started()
      await restarted.set(SECRET, SMALL) // a version that keeps a key keeps this one's
      await restarted.get(SECRET, stored_session)
    })
    vectors[`${name} weak secret "squirrel"`] = await started()
      .set('squirrel', SMALL)
      .then(() => 'accepted', message)
    vectors[`v6 reads ${version}`] = await verdict(() => createKrupteinAdapter({ secret: SECRET }).decrypt(stored_session))
  }
  return vectors
}

/** By the option `secret` of connect-mongo 3, which had a cipher of its own. */
async function legacy(url, { sessions }) {
  const LegacyStore = require('connect-mongo-3.2.0')(session)
  const unchanged = text => text
  const vectors = {}
  for (const [name, options] of [
    ['stringify', {}],
    ['serialize', { serialize: unchanged, unserialize: JSON.parse }],
    ['objects', { stringify: false }],
  ]) {
    const collection = sessions.collectionName
    const store = new LegacyStore({ url, collection, secret: SECRET, autoRemove: 'disabled', ...options })
    await store.set(name, SESSION)
    const { session: stored } = await sessions.findOne({ _id: name })
    const read = await verdict(() => store.get(name))
    // Without `stringify` it stores the letters of the text one by one, and cannot read them.
    vectors[`connect-mongo-3 ${name}`] = typeof stored === 'string' ? { stored, read } : { read }
    await store.client.close()
  }
  return vectors
}

/** As the store of connect-mongo 3 does with what it has unserialized. */
function legacyReader() {
  const cipher = require('connect-mongo-3.2.0/src/crypto')
  cipher.init({ secret: SECRET })
  return async stored => cipher.get(stored.startsWith('"') ? JSON.parse(stored) : stored)
}

function krupteinOf(version) {
  const kruptein = require(`kruptein-${version}`)(KRUPTEIN)
  const call = verb => async (...args) => promisify(kruptein[verb]).call(kruptein, ...args)
  return { set: call('set'), get: call('get') }
}

function verdict(act) {
  return act().then(() => 'ok', error => `FAILS: ${message(error)}`)
}

/** The octet strings in a DER sequence of nothing else. */
function octets(der) {
  const [, sequence] = element(der)
  const strings = []
  for (let left = sequence; left.length > 0; ) {
    const [tag, value, rest] = element(left)
    if (tag !== 0x04) throw new Error(`no octet string: tag ${tag}`)
    strings.push(value)
    left = rest
  }
  return strings
}

/** The tag and the value of a DER element, and what follows it. */
function element(der) {
  let start = 2
  let length = der[1]
  if (length > 0x7f) {
    start += length - 0x80
    length = der.readUIntBE(2, length - 0x80)
  }
  return [der[0], der.subarray(start, start + length), der.subarray(start + length)]
}

/** What is in a record of kruptein's, found without it: text fields in generations 1 and 2, bytes in 3. */
function analyse(stored, gen, iterations) {
  const [ct, hmac, iv, salt, tag, aad] = octets(Buffer.from(stored, 'base64'))
  const key = crypto.pbkdf2Sync(SECRET, salt, iterations, 32, 'sha512')
  const bytes = field => (gen === 3 ? field : Buffer.from(field.toString(), 'base64'))
  const authenticated = {
    1: ct,
    2: `${ct}${salt}${iv}`,
    3: Buffer.concat([ct, salt, iv]),
  }[gen]
  const decipher = crypto.createDecipheriv('aes-256-gcm', key, iv, { authTagLength: 16 })
  decipher.setAuthTag(tag)
  decipher.setAAD(bytes(aad))
  return {
    hmac_ok: crypto.createHmac('sha512', key).update(authenticated).digest().equals(bytes(hmac)),
    ct_len: ct.length,
    hmac_len: hmac.length,
    iv_hex: iv.toString('hex'),
    salt_len: salt.length,
    tag_hex: tag.toString('hex'),
    aad_len: aad.length,
    key_hex: key.toString('hex'),
    plaintext_utf8: Buffer.concat([decipher.update(bytes(ct)), decipher.final()]).toString(),
  }
}

/** What the packages of today read in vectors of another day: the text under each name that has a ciphertext. */
async function plaintexts(vectors) {
  const read = {}
  for (const [name, vector] of Object.entries(vectors)) {
    const ciphertext = vector.stored_session ?? vector.full ?? vector.stored
    if (ciphertext !== undefined) read[name] = unquoted(await readerOf(name)(ciphertext))
  }
  return read
}

function readerOf(name) {
  const [, kind, rest] = /^(v6|knob|webcrypto|kruptein|connect-mongo-3) (.*)$/.exec(name)
  const readers = {
    v6: () => createKrupteinAdapter({ secret: SECRET }).decrypt,
    knob: () => createKrupteinAdapter({ secret: SECRET, ...JSON.parse(rest) }).decrypt,
    webcrypto: () => createWebCryptoAdapter(rest.startsWith('{') ? { secret: SECRET, ...JSON.parse(rest) } : BINARY).decrypt,
    kruptein: () => krupteinOf(rest.split(' ')[0]).get.bind(null, SECRET),
    'connect-mongo-3': legacyReader,
  }
  return readers[kind]()
}

/** kruptein encrypts the JSON of a text, which connect-mongo takes off again. */
function unquoted(text) {
  return text.startsWith('"') ? JSON.parse(text) : text
}

module.exports = { cryptoVectors, plaintexts }
