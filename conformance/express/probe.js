'use strict'
// The oracle: the real express-session behind the probe protocol, on the real stores; or, with the backend `cookie`, the real
// cookie-session.
//
// With `--many` it serves one configuration after the other: each line of standard input is one, answered by `listening URL` or
// `refused REASON`; a line `close URL` ends it, and is answered by `closed`. The end of the input ends the process. A line
// `gate NAME` asks whether a handler waits there (`waiting`, `nobody`), and `open NAME` lets it go on (`opened`).

process.env.NO_DEPRECATION = 'express-session'

const { setClock, releaseClock } = require('./clock') // before anything keeps `Date`
const http = require('node:http')
const https = require('node:https')
const readline = require('node:readline')
const { promisify } = require('node:util')
const { cookie } = require('./packages')
const express = require('express')
const session = require('express-session')
const { clientSide, clientSideOperations } = require('./client-side')
const { readConfig, bytesOf, Refusal } = require('./config')
const gates = require('./gates')
const { perform, serverSideOperations } = require('./operations')
const functions = require('./functions')
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
    const [, word, argument] = /^(close|gate|open) (.*)$/.exec(line) ?? []
    if (word === 'close') {
      await running.get(argument)?.close()
      running.delete(argument)
      say('closed')
    } else if (word === 'gate') {
      say(gates.isWaitedAt(argument) ? 'waiting' : 'nobody')
    } else if (word === 'open') {
      gates.open(argument)
      say('opened')
    } else {
      try {
        const served = await serve(line)
        running.set(served.url, served)
        say(`listening ${served.url}`)
      } catch (error) {
        say(`refused ${reasonOf(error)}`)
      }
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
  const { close, ...backend } = config.backend === 'cookie' ? openCookie(config) : await openStored(config)
  const handler = app({ ...backend, clock: config.clock === true })
  const server = config.tls
    ? https.createServer({ maxHeaderSize: MAX_HEADER_SIZE, cert: config.tls.certificate, key: config.tls.key }, handler)
    : http.createServer({ maxHeaderSize: MAX_HEADER_SIZE }, handler)
  await new Promise((resolve, reject) => {
    server.on('error', error => reject(new Refusal('port', error.message)))
    server.listen(config.port, '127.0.0.1', resolve)
  })
  return {
    url: `${config.tls ? 'https' : 'http'}://127.0.0.1:${server.address().port}`,
    async close() {
      server.closeAllConnections()
      await promisify(server.close).call(server)
      await close()
      releaseClock()
    },
  }
}

/** Sessions that a store holds: their layers, the outermost first, and what ends their connections. */
async function openStored(config) {
  const options = sessionOptions(config)
  const outer = config.outer && sessionOptions({ ...config.outer, cookie: config.outer.cookie ?? {} })
  const { store, admin, close } = await openStore(config.store)
  if (config.storeWithoutTouch === true) store.touch = undefined
  if (config.storeFails !== undefined) failing(store, config.storeFails)
  if (config.storeWaits !== undefined) waiting(store, config.storeWaits)
  const layers = [session({ ...options, store })]
  if (outer) layers.unshift(session(outer)) // on a memory store of its own
  return { layers, operations: serverSideOperations, admin, trustProxy: config.trustProxy, close }
}

/** Sessions in the cookie itself. cookie-session has no option `proxy`, and asks Express whether a request is secure. */
function openCookie(config) {
  const trustProxy = config.proxy ?? config.trustProxy
  return { layers: [clientSide(config)], operations: clientSideOperations, trustProxy, async close() {} }
}

function sessionOptions(config) {
  const { name, resave, saveUninitialized, rolling, unset, cookie, cookieFunction, genidFunction, trustProxy } = config
  const options = { name, resave, saveUninitialized, rolling, unset, cookie }
  options.secret = Array.isArray(config.secret) ? config.secret.map(bytesOf) : bytesOf(config.secret)
  // Without either only the connection tells.
  options.proxy = config.proxy ?? (trustProxy === undefined ? false : undefined)
  if (cookie.expires !== undefined) options.cookie = { ...cookie, expires: new Date(cookie.expires) }
  if (cookieFunction !== undefined) options.cookie = functions.cookie[cookieFunction]
  if (genidFunction !== undefined) options.genid = functions.genid[genidFunction]()
  checkSerializable(name, cookie)
  return options
}

/** One call of a verb fails, counted from 1. */
function failing(store, { verb, call }) {
  striking(store, verb, call, (real, args) => setImmediate(args.at(-1), new Error('the store was told to fail')))
}

/** One call of a verb waits at a gate. */
function waiting(store, { verb, call, gate }) {
  striking(store, verb, call, (real, args) => gates.wait(gate).then(() => real.apply(store, args)))
}

function striking(store, verb, call, strike) {
  const real = store[verb]
  let calls = 0
  store[verb] = function (...args) {
    return ++calls === call ? strike(real, args) : real.apply(this, args)
  }
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

function app({ layers, trustProxy, clock, ...context }) {
  const app = express()
  app.disable('etag')
  app.disable('x-powered-by')
  if (trustProxy !== undefined) app.set('trust proxy', trustProxy)
  if (clock) {
    app.use((req, res, next) => {
      if (req.headers['x-now'] !== undefined) setClock(Number(req.headers['x-now']))
      next()
    })
  }
  for (const layer of layers) app.use(layer)
  app.use(async (req, res) => {
    if (req.path === '/none') return answer(res, [])

    void req.session // which is when cookie-session reads it
    const operations = readOperations(req.headers['x-ops'])
    if (operations === null) return answer(res.status(400), { error: true, message: 'x-ops: not an array' })

    const results = await perform(operations, { ...context, clock, req, res })
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
  if (res.locals.stream) {
    res.write(body.slice(0, 1))
    return res.end(body.slice(1))
  }
  res.setHeader('Content-Length', Buffer.byteLength(body))
  res.end(body)
}
