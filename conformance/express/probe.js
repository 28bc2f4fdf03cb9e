'use strict'
// The oracle: the real express-session behind the probe protocol, on the real stores.
//
// With `--many` it serves one configuration after the other: each line of standard input is one, answered by `listening URL` or
// `refused REASON`; a line `close URL` ends it, and is answered by `closed`. The end of the input ends the process.

process.env.NO_DEPRECATION = 'express-session'

const { setClock, releaseClock } = require('./clock') // before anything keeps `Date`
const http = require('node:http')
const readline = require('node:readline')
const { promisify } = require('node:util')
const cookie = require('cookie')
const express = require('express')
const session = require('express-session')
const { readConfig, Refusal } = require('./config')
const { perform } = require('./operations')
const { openStore } = require('./stores')

const MAX_HEADER_SIZE = 1024 * 1024 // bytes: room for many operations, and for cookies that are too big

main().catch(error => {
  process.stderr.write(`${reasonOf(error)}\n`)
  process.exit(error instanceof Refusal ? 2 : 1)
})

async function main() {
  process.on('SIGTERM', () => process.exit(0))
  // A store may reject a promise that nobody waits for; the request that met the error has answered 500.
  process.on('unhandledRejection', error => process.stderr.write(`unhandled: ${error}\n`))

  if (process.argv.includes('--many')) return serveMany()
  const { url } = await serve(process.env.PROBE_CONFIG)
  say(`listening ${url}`)
}

async function serveMany() {
  const running = new Map()
  for await (const line of readline.createInterface({ input: process.stdin })) {
    const [, url] = /^close (.*)$/.exec(line) ?? []
    if (url === undefined) {
      try {
        const served = await serve(line)
        running.set(served.url, served)
        say(`listening ${served.url}`)
      } catch (error) {
        say(`refused ${reasonOf(error)}`)
      }
    } else {
      await running.get(url)?.close()
      running.delete(url)
      say('closed')
    }
  }
  process.exit(0)
}

function say(line) {
  process.stdout.write(`${line}\n`)
}

function reasonOf(error) {
  return (error instanceof Refusal ? error.message : error.stack).replaceAll('\n', ' ')
}

/** Serves one configuration; answers its URL, and what ends it. */
async function serve(json) {
  const config = readConfig(json)
  const options = sessionOptions(config)
  const { store, admin, close } = await openStore(config.store)
  const context = { admin, clock: config.clock === true }
  const server = http.createServer({ maxHeaderSize: MAX_HEADER_SIZE }, app({ ...options, store }, context))
  await new Promise((resolve, reject) => {
    server.on('error', error => reject(new Refusal('port', error.message)))
    server.listen(config.port, '127.0.0.1', resolve)
  })
  return {
    url: `http://127.0.0.1:${server.address().port}`,
    async close() {
      server.closeAllConnections()
      await promisify(server.close).call(server)
      await close()
      releaseClock()
    },
  }
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

function app(options, { admin, clock }) {
  const app = express()
  app.disable('etag')
  app.disable('x-powered-by')
  if (clock) {
    app.use((req, res, next) => {
      if (req.headers['x-now'] !== undefined) setClock(Number(req.headers['x-now']))
      next()
    })
  }
  app.use(session(options))
  app.use(async (req, res) => {
    if (req.path === '/none') return answer(res, [])

    const operations = readOperations(req.headers['x-ops'])
    if (operations === null) return answer(res.status(400), { error: true, message: 'x-ops: not an array' })

    const results = await perform(operations, { req, res, admin, clock })
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
