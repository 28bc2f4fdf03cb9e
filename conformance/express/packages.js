'use strict'
// The packages that express-session, connect-mongo and cookie-session themselves load: at the versions that they are installed
// with, whatever else is beside them.

const { createRequire } = require('node:module')

const from = name => createRequire(require.resolve(name))

const ofSession = from('express-session')

module.exports = {
  session: require('express-session'),
  cookie: ofSession('cookie'),
  cookieSignature: ofSession('cookie-signature'),
  // Loaded when they are asked for, so that the probe starts fast.
  get cookieSession() {
    return require('cookie-session')
  },
  get Cookie() {
    return from('cookie-session')('cookies').Cookie
  },
  get Keygrip() {
    return createRequire(from('cookie-session').resolve('cookies'))('keygrip')
  },
}
