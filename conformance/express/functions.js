'use strict'
// The functions that a configuration can name for the options `cookie` and `genid`. The Rust probes have the same ones.

/** Each answers the options of one request's cookie. */
const cookie = {
  byPath: req => ({ path: '/', maxAge: pathOf(req).startsWith('/app') ? 60_000 : 3_600_000, sameSite: 'lax' }),
  ofApp: () => ({ path: '/app', httpOnly: false, priority: 'high' }),
  byHeader: req => ({ secure: req.headers['x-forwarded-proto']?.split(',')[0] === 'https', maxAge: null }),
}

/** Each makes a function that makes ids, the first of them with the number 1. */
const genid = {
  counted: () => numbered(n => `number-${n}`),
  odd: () => numbered(n => `${n} é☃/+%;=.`),
  byPath: () => numbered((n, req) => `${pathOf(req)}#${n}`),
}

function pathOf(req) {
  return req.originalUrl.split('?')[0]
}

function numbered(id) {
  let n = 0
  return req => id(++n, req)
}

module.exports = { cookie, genid }
