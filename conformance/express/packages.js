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
  // For the vectors alone: who only compares need not have it.
  get cookieSession() {
    return require('cookie-session')
  },
  get Keygrip() {
    return createRequire(from('cookie-session').resolve('cookies'))('keygrip')
  },
}
