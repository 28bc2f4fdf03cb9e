'use strict'
// The packages that express-session, connect-mongo and cookie-session themselves load: at the versions that they are installed
// with, whatever else is beside them.

const { createRequire } = require('node:module')

const from = name => createRequire(require.resolve(name))

const ofSession = from('express-session')
const ofCookieSession = from('cookie-session')

module.exports = {
  session: require('express-session'),
  cookie: ofSession('cookie'),
  cookieSignature: ofSession('cookie-signature'),
  cookieSession: require('cookie-session'),
  Keygrip: createRequire(ofCookieSession.resolve('cookies'))('keygrip'),
}
