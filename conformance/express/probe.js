'use strict'
// The oracle: one configured express-session behind the probe protocol, on the real stores.

process.env.NO_DEPRECATION = 'express-session'

const http = require('node:http')
const cookie = require('cookie')
const express = require('express')
const session = require('express-session')
const { readConfig, Refusal } = require('./config')
const { perform } = require('./operations')
const { openStore } = require('./stores')

const MAX_HEADER_SIZE = 1024 * 1024 // bytes: room for many operations, and for cookies that are too big

main().catch(error => {
  const reason = error instanceof Refusal ? error.message : error.stack
  process.stderr.write(`${reason.replaceAll('\n', ' ')}\n`)
  process.exit(error instanceof Refusal ? 2 : 1)
})

async function main() {
  process.on('SIGTERM', () => process.exit(0))
  // A store may reject a promise that nobody waits for; the request that met the error has answered 500.
  process.on('unhandledRejection', error => process.stderr.write(`unhandled: ${error}\n`))

  const config = readConfig(process.env.PROBE_CONFIG)
  const options = sessionOptions(config)
  const { store, admin } = await openStore(config.store)

  const server = http.createServer({ maxHeaderSize: MAX_HEADER_SIZE }, app({ ...options, store }, admin))
  server.on('error', error => {
    process.stderr.write(`port: ${error.message}\n`)
    process.exit(2)
  })
  server.listen(config.port, '127.0.0.1', () => {
    process.stdout.write(`listening http://127.0.0.1:${server.address().port}\n`)
  })
}

function sessionOptions({ name, secret, resave, saveUninitialized, rolling, unset, proxy, cookie }) {
  const options = { name, secret, resave, saveUninitialized, rolling, unset, cookie }
  options.proxy = proxy === true // else only the connection tells
  checkSerializable(name, cookie)
  return options
}

// express-session would find this out with the first cookie, after the response has begun.
function checkSerializable(name = 'connect.sid', { path, domain }) {
  try {
    cookie.serialize(name, '', { path, domain })
  } catch (error) {
    const [, key] = /option (\w+)/.exec(error.message) ?? []
    throw new Refusal(key ? `cookie.${key}` : 'name', error.message)
  }
}

function app(options, admin) {
  const app = express()
  app.disable('etag')
  app.disable('x-powered-by')
  app.use(session(options))
  app.use(async (req, res) => {
    if (req.path === '/none') return answer(res, [])

    const operations = readOperations(req.headers['x-ops'])
    if (operations === null) return answer(res.status(400), { error: true, message: 'x-ops: not an array' })

    const results = await perform(operations, { req, res, admin })
    if (req.path === '/head-only') return res.status(204).end()
    answer(res, results)
  })
  // Four parameters make an error handler. Nothing of the error goes out.
  app.use((error, req, res, next) => {
    if (!res.headersSent) answer(res.status(500), { error: true, message: 'internal error' })
  })
  return app
}

function readOperations(header = '[]') {
  try {
    const operations = JSON.parse(decodeURIComponent(header))
    return Array.isArray(operations) ? operations : null
  } catch {
    return null
  }
}

// What `res.json` does, without the charset that it adds.
function answer(res, value) {
  const body = JSON.stringify(value)
  if (res.statusCode === 204 || res.statusCode === 304) return res.end()
  res.setHeader('Content-Type', 'application/json')
  res.setHeader('Content-Length', Buffer.byteLength(body))
  res.end(body)
}
