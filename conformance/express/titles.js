'use strict'
// Holds COVERAGE.md against the titles of express-session's own suite: `node titles.js FOLDER`, a checkout of the release. (The npm
// package has no tests.) The test files are loaded and none of their tests is run, so nothing that they need is installed.

const fs = require('node:fs')
const Module = require('node:module')
const path = require('node:path')

const [folder] = process.argv.slice(2)
if (!folder) throw new Error('whose titles? node titles.js FOLDER')

/** A module that does anything, and nothing. */
const anything = new Proxy(function () {}, {
  get: (_, key) => (key === Symbol.toPrimitive ? () => '' : anything),
  apply: () => anything,
  construct: () => anything,
})
const load = Module._load
Module._load = (name, parent, isMain) =>
  parent?.filename?.startsWith(path.resolve(folder, 'test')) ? anything : load(name, parent, isMain)

const titles = []
let groups = []
let file
global.describe = (title, define) => {
  groups.push(title)
  define()
  groups.pop()
}
global.it = (title) => titles.push([file, groups.join(' '), title].join(' | '))
for (const hook of ['before', 'after', 'beforeEach', 'afterEach']) global[hook] = () => {}

for (file of ['cookie.js', 'session.js']) require(path.resolve(folder, 'test', file))

/** What a row of the table names, whose groups leave out the one around all of `session.js`. */
const TOP = 'session()'
const covered = fs
  .readFileSync(path.join(__dirname, '../COVERAGE.md'), 'utf8')
  // Behind it stand those of another suite.
  .split('\n## ')[0]
  .split('\n')
  .filter((line) => /^\| \d/.test(line))
  .map((line) => line.split(' | ').slice(1, 4))
  .map(([file, group, title]) => {
    const whole = file === 'cookie.js' ? group : group === '(top level)' ? TOP : `${TOP} ${group}`
    return [file, whole, title].join(' | ')
  })

const less = (these, those) => those.reduce((left, one) => left.filter((_, at) => at !== left.indexOf(one)), these)
for (const title of less(titles, covered)) console.log(`not in COVERAGE.md: ${title}`)
for (const title of less(covered, titles)) console.log(`not in the suite: ${title}`)
console.log(`${titles.length} titles, ${covered.length} rows`)
process.exitCode = titles.length > 0 && [...titles].sort().join('\n') === [...covered].sort().join('\n') ? 0 : 1
