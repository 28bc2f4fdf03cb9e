'use strict'
// The Express half of one site: who is logged in on the Rust half is logged in here, and the reverse.

const fs = require('node:fs')
const path = require('node:path')
const express = require('express')
const session = require('express-session')
const { createClient } = require('redis')
const { RedisStore } = require('connect-redis')

const html = fs.readFileSync(path.join(__dirname, 'page.html'), 'utf8')
const port = process.env.PORT || 3001
const client = createClient({ url: process.env.REDIS_URL || 'redis://127.0.0.1:6379' })
const app = express()

app.use(
  session({
    secret: process.env.SECRET || 'keyboard cat',
    resave: false,
    saveUninitialized: false,
    store: new RedisStore({ client }),
  }),
)
app.use(express.urlencoded({ extended: false }))

app.get('/', (req, res) => {
  const user = String(req.session.user ?? 'nobody').replaceAll('&', '&amp;').replaceAll('<', '&lt;')
  res.send(html.replace('{{server}}', 'Express').replace('{{user}}', () => user))
})

app.post('/login', (req, res, next) => {
  req.session.regenerate(error => {
    if (error) return next(error)
    req.session.user = req.body.user
    // Without this the browser may follow the redirect before the session is saved.
    req.session.save(error => (error ? next(error) : res.redirect(303, '/')))
  })
})

app.post('/logout', (req, res, next) => {
  req.session.destroy(error => (error ? next(error) : res.redirect(303, '/')))
})

client.connect().then(() => {
  app.listen(port, '127.0.0.1', () => console.log(`listening on http://127.0.0.1:${port}`))
})
