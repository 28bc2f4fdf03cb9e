'use strict'
// One server on a free port of the loopback, for what makes vectors of whole exchanges.

const http = require('node:http')
const { once } = require('node:events')

/**
 * Serves while `use(visit)` runs. `visit(middleware, handler, headers)` makes one request to these two, and answers the headers of
 * the response.
 */
async function serving(use) {
  let listener
  const server = http.createServer((req, res) => listener(req, res))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const agent = new http.Agent({ keepAlive: true })
  const { port } = server.address()
  try {
    return await use(async (middleware, handler, headers = {}) => {
      listener = listenerOf(middleware, handler)
      const [response] = await once(http.get({ agent, host: '127.0.0.1', port, headers }), 'response')
      await once(response.resume(), 'end')
      if (response.statusCode !== 200) throw new Error(`answered ${response.statusCode}`)
      return response.headers
    })
  } finally {
    agent.destroy()
    server.closeAllConnections()
    server.close()
  }
}

function listenerOf(middleware, handler) {
  return (req, res) =>
    middleware(req, res, async error => {
      try {
        if (error) throw error
        await handler(req)
      } catch (error) {
        process.stderr.write(`${error.stack}\n`)
        res.statusCode = 500
      }
      res.end()
    })
}

module.exports = { serving }
