'use strict'
// The vectors of `data/cookie-session-vectors.json`: one request each to the probe with the backend `cookie`, and what the real
// cookie-session answered. The clock stands at `now`. A letter of a cookie is a byte, as in Node's headers.

const { spawn } = require('node:child_process')
const { once } = require('node:events')
const http = require('node:http')
const { join } = require('node:path')
const readline = require('node:readline')
const { Keygrip } = require('./packages')

const NOW = Date.parse('2026-01-02T03:04:05.678Z')
const ONE = { keys: ['key1'] }
const OPEN = { signed: false } // without a signature the cookie alone is to be seen
const HELLO = [['set', 'message', 'hello']]
const CHANGE = [['set', 'b', 2]]
const READ = [['isNew'], ['isPopulated'], ['keys']]
const EVERYTHING = { maxAge: 60_000, path: '/p', domain: 'example.com', sameSite: 'lax', priority: 'high', partitioned: true }
const HTTPS = { 'x-forwarded-proto': 'https' }

function base64(text) {
  return Buffer.from(text).toString('base64')
}

function signature(data, key = 'key1', algorithm = 'sha1', encoding = 'base64') {
  return new Keygrip([key], algorithm, encoding).sign(data)
}

/** The two cookies of a session with this value. */
function signed(value, key, name = 'session') {
  return `${name}=${value}; ${name}.sig=${signature(`${name}=${value}`, key)}`
}

const A = base64('{"a":1}')

/** Each is a title, a configuration, the cookies that come, the operations, and other headers of the request. */
const WRITTEN = [
  ['first of keys', ONE, null, HELLO],
  ['secret', { secret: 'keyboard cat' }, null, HELLO],
  ['keys before secret', { ...ONE, secret: 'keyboard cat' }, null, HELLO],
  ['an empty key', { keys: [''] }, null, HELLO],
  ['a key of bytes', { keys: [{ hex: '00ff10' }] }, null, HELLO],
  ['a name with a dot', { ...ONE, name: 'my.session' }, null, HELLO],
  ['text of many lands', ONE, null, [['set', 'u', { n: 'é☃😀', a: [1, null, true] }]]],
  ['key1', ONE, null, [['set', 'a', 1]]],
  ['key2', { keys: ['key2'] }, null, [['set', 'a', 1]]],
  ['maxAge', { ...ONE, maxAge: 60_000 }, null, HELLO],
  ['every attribute', { ...ONE, ...EVERYTHING, httpOnly: false, proxy: true }, null, HELLO, HTTPS],
  ['every attribute on http', { ...ONE, ...EVERYTHING }, null, HELLO],
  ['unset', ONE, null, [['unset'], ['get', 'a'], ['set', 'a', 1], ['isNew']]],
  ['unset with every attribute', { ...ONE, ...EVERYTHING }, signed(A), [['unset']]],
  ['unset without a signature', OPEN, `session=${A}`, [['unset']]],
  ['the last key deleted', ONE, signed(A), [['del', 'a']]],
  ['not signed', OPEN, null, HELLO],
  ['Keygrip sha256 hex', { ...ONE, keygrip: { algorithm: 'sha256', encoding: 'hex' } }, null, HELLO],
  ['Keygrip sha384', { ...ONE, keygrip: { algorithm: 'sha384' } }, null, HELLO],
  ['Keygrip sha512', { ...ONE, keygrip: { algorithm: 'sha512', encoding: 'base64' } }, null, HELLO],
  ['maxAge 0', { ...ONE, maxAge: 0 }, null, HELLO],
  ['maxAge below 0', { ...ONE, maxAge: -1000 }, null, HELLO],
  ['maxAge of half milliseconds', { ...ONE, maxAge: 321.9 }, null, HELLO],
  ['maxAge null', { ...ONE, maxAge: null }, null, HELLO],
  ['maxAge beyond every date', { ...ONE, maxAge: 1e16 }, null, HELLO],
  ['expires', { ...ONE, expires: NOW + 5000 }, null, HELLO],
  ['maxAge before expires', { ...ONE, expires: NOW + 5000, maxAge: 60_000 }, null, HELLO],
  ['no path', { ...ONE, path: '' }, null, HELLO],
  ['sameSite true', { ...ONE, sameSite: true }, null, HELLO],
  ['sameSite false', { ...ONE, sameSite: false }, null, HELLO],
  ['sameSite none', { ...ONE, sameSite: 'none' }, null, HELLO],
  ['priority low', { ...ONE, priority: 'low' }, null, HELLO],
  ['integers before names', OPEN, null, [['set', 'b', 1], ['set', '10', 1], ['set', '2', 1], ['set', '01', 1], ['keys']]],
  ['the greatest index', OPEN, null, [['set', 'b', 1], ['set', '4294967295', 1], ['set', '4294967294', 1], ['keys']]],
  ['numbers', OPEN, null, [['set', 'n', [1e21, 1e-7, 123456789012345680000, 0.1, 1e20]]]],
  ['text to escape', OPEN, null, [['set', 't', '"\\\b\f\n\r\t\u0001\u007f\u2028/</']]],
  ['set and deleted', ONE, null, [['set', 'a', 1], ['del', 'a'], ...READ]],
  ['bigger than a browser takes', OPEN, null, [['set', 'a', 'x'.repeat(5000)]]],
  ['thrown', ONE, null, [['set', 'a', 1], ['throw']]],
]

const SECURE = [
  ['secure on http', { ...ONE, secure: true }, null, HELLO],
  ['secure on http, unset', { ...ONE, secure: true }, signed(A), [['unset']]],
  ['secure on http that says https', { ...ONE, secure: true }, null, HELLO, HTTPS],
  ['secure behind a proxy', { ...ONE, secure: true, proxy: true }, null, HELLO, HTTPS],
  ['secure behind a proxy that says http', { ...ONE, secure: true, proxy: true }, null, HELLO, { 'x-forwarded-proto': 'http' }],
  ['secure behind a proxy that says nothing', { ...ONE, secure: true, proxy: true }, null, HELLO],
  ['the first of two', { ...ONE, proxy: true }, null, HELLO, { 'x-forwarded-proto': 'https , http' }],
  ['the second of two', { ...ONE, proxy: true }, null, HELLO, { 'x-forwarded-proto': 'http, https' }],
  ['HTTPS', { ...ONE, proxy: true }, null, HELLO, { 'x-forwarded-proto': 'HTTPS' }],
  ['secure left out on https', { ...ONE, proxy: true }, null, HELLO, HTTPS],
  ['not secure on https', { ...ONE, secure: false, proxy: true }, null, HELLO, HTTPS],
  ['one hop', { ...ONE, trustProxy: 1 }, null, HELLO, HTTPS],
  ['no hop', { ...ONE, trustProxy: 0 }, null, HELLO, HTTPS],
  ['proxy before trustProxy', { ...ONE, proxy: false, trustProxy: true }, null, HELLO, HTTPS],
  ['a forged signature on https', { ...ONE, proxy: true }, `session=${A}; session.sig=x`, [], HTTPS],
  ['a rotated key on https', { keys: ['key2', 'key1'], proxy: true }, signed(A), [], HTTPS],
  ['a rotated key where secure is due', { keys: ['key2', 'key1'], secure: true }, signed(A), CHANGE],
]

const SIGNED = [
  ['unchanged', ONE, signed(A), READ],
  ['set to the same', ONE, signed(A), [['set', 'a', 1]]],
  ['changed', ONE, signed(A), CHANGE],
  ['changed and changed back', ONE, signed(A), [['set', 'b', 2], ['del', 'b']]],
  ['another order', ONE, signed(base64('{"a":1,"b":2}')), [['del', 'a'], ['set', 'a', 1]]],
  ['no signature', ONE, `session=${A}`, READ],
  ['an empty signature', ONE, `session=${A}; session.sig=`, READ],
  ['a forged signature', ONE, `session=${A}; session.sig=x`, READ],
  ['a forged signature, then changed', ONE, `session=${A}; session.sig=x`, CHANGE],
  ['a forged signature, then changed, no overwrite', { ...ONE, overwrite: false }, `session=${A}; session.sig=x`, CHANGE],
  ['a forged signature, attributes', { ...ONE, ...EVERYTHING }, `session=${A}; session.sig=x`, READ],
  ['a forged signature, another name', { ...ONE, name: 's' }, `s=${A}; s.sig=x`, READ],
  ['a forged signature, no value', ONE, 'session=; session.sig=x', READ],
  ['a signature padded', ONE, `session=${A}; session.sig=${signature(`session=${A}`)}=`, READ],
  ['a signature without a value', ONE, 'session.sig=x', READ],
  ['a signature of another name', ONE, `session=${A}; session.sig=${signature(`other=${A}`)}`, READ],
  ['a signature in quotes', ONE, `session=${A}; session.sig="${signature(`session=${A}`)}"`, READ],
  ['a value in quotes', ONE, `session="${A}"; session.sig=${signature(`session=${A}`)}`, READ],
  ['quotes signed with the value', ONE, `session="${A}"; session.sig=${signature(`session="${A}"`)}`, READ],
  ['a signed value that is junk', ONE, signed('junk'), READ],
  ['a signed value that is empty', ONE, signed(''), READ],
  ['letters beyond ASCII', ONE, signed(`\u00e9${A}`), READ],
  ['the signature first', ONE, signed(A).split('; ').reverse().join('; '), READ],
  ['a rotated key', { keys: ['key2', 'key1'] }, signed(A), READ],
  ['a rotated key, then changed', { keys: ['key2', 'key1'] }, signed(A), CHANGE],
  ['a rotated key, then changed, no overwrite', { keys: ['key2', 'key1'], overwrite: false }, signed(A), CHANGE],
  ['a rotated key, then unset', { keys: ['key2', 'key1'] }, signed(A), [['unset']]],
  ['a rotated key, attributes', { keys: ['key2', 'key1'], ...EVERYTHING }, signed(A), READ],
  ['a rotated key, junk', { keys: ['key2', 'key1'] }, signed('junk'), READ],
  ['a key three back', { keys: ['key4', 'key3', 'key2', 'key1'] }, signed(A), READ],
  ['a key that is gone', { keys: ['key2'] }, signed(A), READ],
  ['Keygrip sha256 hex', { ...ONE, keygrip: { algorithm: 'sha256', encoding: 'hex' } },
    `session=${A}; session.sig=${signature(`session=${A}`, 'key1', 'sha256', 'hex')}`, CHANGE],
  ['Keygrip sha256, signed with sha1', { ...ONE, keygrip: { algorithm: 'sha256' } }, signed(A), READ],
  ['not signed, a signature comes', OPEN, `session=${A}; session.sig=x`, CHANGE],
  ['not signed, with keys', { ...ONE, ...OPEN }, `session=${A}`, CHANGE],
  ['no keys in the array', { keys: [] }, null, READ],
]

const NAMES = [
  ['a tab before it', OPEN, `x=1;\tsession=${A}`, READ],
  ['spaces before it', OPEN, `x=1;   session=${A}`, READ],
  ['no space before it', OPEN, `x=1;session=${A}`, READ],
  ['a space before =', OPEN, `session =${A}`, READ],
  ['a space after =', OPEN, `session= ${A}`, READ],
  ['a space after it', OPEN, `session=${A} ; x=1`, READ],
  ['a space after it, signed', ONE, `session=${A} ; session.sig=${signature(`session=${A}`)}`, READ],
  ['a space after it, signed with the space', ONE, `session=${A} ; session.sig=${signature(`session=${A} `)}`, READ],
  ['the first of two', OPEN, `session=${A}; session=${base64('{"b":2}')}`, READ],
  ['the first of two, which is junk', OPEN, `session=junk; session=${A}`, READ],
  ['the first of two, which is empty', OPEN, `session=; session=${A}`, READ],
  ['a longer name', OPEN, `xsession=${A}; sessions=${A}; Session=${A}`, READ],
  ['inside another value', OPEN, `x=session=${A}`, READ],
  ['a comma', OPEN, `x=1, session=${A}`, READ],
  ['a dot is a dot', { ...OPEN, name: 'a.b' }, `axb=${A}`, READ],
  ['letters of patterns', { ...ONE, name: '^$\\.*+?()[]{}|/-' }, signed(A, 'key1', '^$\\.*+?()[]{}|/-'), CHANGE],
  ['a name with a space', { ...ONE, name: 'a b' }, signed(A, 'key1', 'a b'), CHANGE],
  ['a name that objects have', { ...ONE, name: '__proto__' }, signed(A, 'key1', '__proto__'), CHANGE],
  ['a name that begins as the other', { ...ONE, name: 'session.sig' }, signed(A, 'key1', 'session.sig'), CHANGE],
]

const VALUES = [
  ['an opening quote alone', OPEN, `session="${A}x`, READ],
  ['a quote alone', OPEN, 'session="', READ],
  ['quotes around nothing', OPEN, 'session=""', READ],
  ['percent encoding', OPEN, `session=${A.replaceAll('=', '%3D')}`, READ],
  ['the alphabet of URLs', OPEN, `session=${base64('{"a":"???>>>"}').replaceAll('/', '_').replaceAll('+', '-')}`, READ],
  ['no padding', OPEN, `session=${A.replaceAll('=', '')}`, READ],
  ['half of the padding', OPEN, `session=${A.slice(0, -1)}`, READ],
  ['too much padding', OPEN, `session=${A}==`, READ],
  ['padding in the middle', OPEN, 'session=eyJh=IjoxfQ==', READ],
  ['text after the padding', OPEN, `session=${A}${base64('{"b":2}')}`, READ],
  ['letters that are none', OPEN, 'session=e!y*J(h)I.j:o,x#f@Q==', READ],
  ['one letter too many', OPEN, `session=${base64('{"ab":1}')}A`, READ],
  ['bits left over', OPEN, 'session=eyJhIjoxfR==', READ],
  ['nothing but junk', OPEN, 'session=!!!!', READ],
  ['text after the JSON', OPEN, `session=${base64('{"a":1}x')}`, READ],
  ['white space', OPEN, `session=${base64(' { "a" : 1 }\n')}`, READ],
  ['a byte order mark', OPEN, `session=${base64('\ufeff{"a":1}')}`, READ],
  ['invalid UTF-8', OPEN, `session=${base64(Buffer.from('{"a":"\xff\xc3(\xe2\x82"}', 'latin1'))}`, READ],
  ['surrogates as UTF-8', OPEN, `session=${base64(Buffer.from('{"a":"\xed\xa0\x80"}', 'latin1'))}`, READ],
  ['a lone surrogate escaped', OPEN, `session=${base64('{"a":"\\ud800"}')}`, READ],
  ['escapes that need not be', OPEN, `session=${base64('{"a":"\\u0041\\/\\u00e9"}')}`, [['get', 'a']]],
  ['an empty object', OPEN, `session=${base64('{}')}`, READ],
  ['an array', OPEN, `session=${base64('["x",{"y":[]}]')}`, READ],
  ['an empty array', OPEN, `session=${base64('[]')}`, READ],
  ['a string', OPEN, `session=${base64('"aé😀"')}`, READ],
  ['an empty string', OPEN, `session=${base64('""')}`, READ],
  ['null', OPEN, `session=${base64('null')}`, READ],
  ['a number', OPEN, `session=${base64('5')}`, READ],
  ['true', OPEN, `session=${base64('true')}`, READ],
  ['false', OPEN, `session=${base64('false')}`, READ],
  ['null, then changed', OPEN, `session=${base64('null')}`, CHANGE],
  ['keys that it keeps for itself', OPEN,
    `session=${base64('{"isNew":1,"isChanged":2,"isPopulated":3,"_ctx":4,"a":5}')}`, [...READ, ['get', 'isNew']]],
  ['keys that are not kept any more', OPEN,
    `session=${base64('{"length":1,"inspect":2,"save":3,"_new":4,"cookie":5,"toJSON":6}')}`, READ],
  ['keys that every object has', OPEN,
    `session=${base64('{"constructor":1,"toString":2,"valueOf":3,"hasOwnProperty":4,"__defineGetter__":5,"a":6}')}`, READ],
  ['the other keys that every object has', OPEN,
    `session=${base64('{"toLocaleString":1,"isPrototypeOf":2,"propertyIsEnumerable":3,"__defineSetter__":4}')}`,
    READ],
  ['only keys that it keeps', OPEN, `session=${base64('{"isNew":1}')}`, READ],
  ['__proto__', OPEN, `session=${base64('{"__proto__":{"x":1},"a":1}')}`, [...READ, ['get', 'x']]],
  ['__proto__ inside', OPEN, `session=${base64('{"a":{"__proto__":{"x":1},"isNew":1}}')}`, READ],
  ['integers before names', OPEN, `session=${base64('{"b":1,"10":2,"2":3}')}`, READ],
  ['integers before names, inside', OPEN, `session=${base64('{"a":{"b":1,"10":2,"2":3}}')}`, READ],
  ['a key twice', OPEN, `session=${base64('{"a":1,"b":2,"a":3}')}`, [...READ, ['get', 'a']]],
  ['numbers that are written in another way', OPEN, `session=${base64('{"a":[1.0,1e3,-0,12345678901234567890,1e400,1E-7]}')}`,
    [['get', 'a']]],
  ['numbers as they are written', OPEN, `session=${base64('{"a":[1.5,1e+21,1e-7,100000000000000000000]}')}`, [['get', 'a']]],
  ['a key without a name', OPEN, `session=${base64('{"":1}')}`, READ],
]

const REPLACED = [
  ['nothing', ONE, signed(A), [['replace', {}], ...READ]],
  ['nothing, new', ONE, null, [['replace', {}]]],
  ['an object', ONE, signed(A), [['replace', { b: 2 }], ...READ]],
  ['the same again', ONE, signed(A), [['replace', { a: 1 }], ...READ]],
  ['null', ONE, signed(A), [['replace', null], ['get', 'a']]],
  ['null, then an object', ONE, signed(A), [['replace', null], ['replace', { b: 2 }], ...READ]],
  ['nothing, then null', ONE, signed(A), [['replace', {}], ['unset']]],
  ['an array', OPEN, null, [['replace', ['x', 'y']], ...READ]],
  ['an empty array', OPEN, `session=${A}`, [['replace', []], ...READ]],
  ['a string', ONE, signed(A), [['replace', 'text'], ...READ]],
  ['a number', ONE, signed(A), [['replace', 5], ...READ]],
  ['false', ONE, signed(A), [['replace', false], ...READ]],
  ['reserved keys', OPEN, null, [['replace', { isNew: 1, _ctx: 2, toString: 3, cookie: 4 }], ...READ]],
  ['only reserved keys', OPEN, `session=${A}`, [['replace', { isNew: 1 }], ...READ]],
  ['an object for what was forged', ONE, `session=${A}; session.sig=x`, [['replace', { b: 2 }]]],
]

const OPTIONS = [
  ['path', ONE, null, [...HELLO, ['options', { path: '/app', domain: 'example.com' }]]],
  ['maxAge', { ...ONE, maxAge: 60_000 }, null, [...HELLO, ['options', { maxAge: 1000, sameSite: 'none', httpOnly: false }]]],
  ['maxAge null', { ...ONE, maxAge: 60_000 }, null, [...HELLO, ['options', { maxAge: null }]]],
  ['maxAge of an unset session', ONE, signed(A), [['unset'], ['options', { maxAge: 1000 }]]],
  ['expires', ONE, null, [...HELLO, ['options', { expires: NOW + 1000 }]]],
  ['of what is unchanged', ONE, signed(A), [['options', { maxAge: 1000 }]]],
  ['secure on http', ONE, null, [...HELLO, ['options', { secure: true }]]],
  ['secure no more', { ...ONE, secure: true }, null, [...HELLO, ['options', { secure: false }]]],
  ['a word that sameSite has not', ONE, null, [...HELLO, ['options', { sameSite: 'bogus' }]]],
  ['capitals', ONE, null, [...HELLO, ['options', { sameSite: 'LAX', priority: 'High' }]]],
  ['a word that priority has not', ONE, null, [...HELLO, ['options', { priority: 'bogus' }]]],
  ['a path that no header holds', ONE, null, [...HELLO, ['options', { path: '/\u2603' }]]],
  ['a path with more', ONE, null, [...HELLO, ['options', { path: '/; x=1' }]]],
  ['signed no more', ONE, signed(A), [...CHANGE, ['options', { signed: false }]]],
  ['signed without keys', OPEN, null, [...HELLO, ['options', { signed: true }]]],
  ['overwrite', ONE, null, [['header', 'Set-Cookie', 'session=theirs'], ['header', 'Set-Cookie', 'session.sig=theirs'],
    ['header', 'Set-Cookie', 'x=1'], ...HELLO]],
  ['overwrite no more', ONE, null, [['header', 'Set-Cookie', 'session=theirs'], ...HELLO, ['options', { overwrite: false }]]],
  ['overwrite, unchanged', ONE, signed(A), [['header', 'Set-Cookie', 'session=theirs']]],
]

const GROUPS = {
  written: WRITTEN,
  secure: SECURE,
  signed: SIGNED,
  names: NAMES,
  values: VALUES,
  replaced: REPLACED,
  options: OPTIONS,
}

async function cookieSessionVectors() {
  const probe = spawn(process.execPath, [join(__dirname, 'probe.js'), '--many'], { stdio: ['pipe', 'pipe', 'inherit'] })
  const lines = readline.createInterface({ input: probe.stdout })[Symbol.asyncIterator]()
  const ask = async line => {
    probe.stdin.write(`${line}\n`)
    return (await lines.next()).value
  }
  const vectors = { now: NOW }
  for (const [group, cases] of Object.entries(GROUPS)) {
    vectors[group] = []
    for (const one of cases) vectors[group].push(await observe(ask, one))
  }
  probe.stdin.end()
  return vectors
}

async function observe(ask, [title, config, cookie, operations, headers = {}]) {
  const answer = await ask(JSON.stringify({ ...config, backend: 'cookie', clock: true }))
  const [, url] = /^listening (.*)$/.exec(answer) ?? []
  if (url === undefined) throw new Error(`${title}: ${answer}`)

  const sent = { ...headers, 'x-now': NOW, 'x-ops': encodeURIComponent(JSON.stringify(operations)) }
  if (cookie !== null) sent.cookie = cookie
  const [response] = await once(http.get(url, { agent: false, headers: sent }), 'response')
  let body = ''
  for await (const chunk of response.setEncoding('utf8')) body += chunk
  await ask(`close ${url}`)

  const { statusCode: status } = response
  const results = status === 200 ? JSON.parse(body).map(withoutMessage) : null
  return { title, config, cookie, headers, operations, status, results, setCookie: response.headers['set-cookie'] ?? [] }
}

/** The words of an error are nobody's contract. */
function withoutMessage(result) {
  return result?.error === true ? { error: true } : result
}

module.exports = { cookieSessionVectors }
