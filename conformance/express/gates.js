'use strict'
// Places where a handler waits for the driver, so that requests overlap in an order that is the same on both sides.

const waiting = new Map() // from the name of a gate to what lets its handler go on

/** Until the driver opens this gate. */
function wait(name) {
  return new Promise(resolve => waiting.set(name, resolve))
}

/** Whether a handler has come so far. */
function isWaitedAt(name) {
  return waiting.has(name)
}

/** The handler goes on. */
function open(name) {
  waiting.get(name)?.()
  waiting.delete(name)
}

module.exports = { wait, isWaitedAt, open }
