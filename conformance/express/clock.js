'use strict'
// Node's `Date`, which can be made to stand still: the clock of express-session and of every store.

const RealDate = Date

let now // ms since 1970; undefined: the real time

globalThis.Date = new Proxy(RealDate, {
  construct: (target, args, self) => Reflect.construct(target, args.length === 0 ? [dateNow()] : args, self),
  get: (target, key, self) => (key === 'now' ? dateNow : Reflect.get(target, key, self)),
})

function dateNow() {
  return now ?? RealDate.now()
}

/** The clock stands at `ms` from now on. */
function setClock(ms) {
  if (!Number.isFinite(ms)) throw new Error(`no time: ${ms}`)
  now = ms
}

/** The clock shows the real time again. */
function releaseClock() {
  now = undefined
}

module.exports = { setClock, releaseClock }
