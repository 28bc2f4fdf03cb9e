'use strict'
// Makes the data that the tests hold against anew, from the real packages:
//
//     node regenerate.js golden          prints it; `truth`, `cookie-session` and `crypto` likewise
//     node regenerate.js --write         replaces the four files
//     node regenerate.js plaintexts      decrypts what the file of `crypto` holds
//
// `crypto` stores sessions on the MongoDB of MONGODB_URL.

const { writeFileSync } = require('node:fs')
const { join } = require('node:path')

const DATA = {
  golden: {
    file: '../data/golden.json',
    make: async () => JSON.stringify(await require('./golden').golden(), null, 1),
  },
  truth: {
    file: '../data/truth-3328.json',
    make: async () => JSON.stringify(await require('./truth').truth()),
  },
  'cookie-session': {
    file: '../data/cookie-session-vectors.json',
    make: async () => JSON.stringify(await require('./cookie-session-vectors').cookieSessionVectors(), null, 1),
  },
  crypto: {
    file: '../../store-mongo/tests/data/crypto-vectors.json',
    make: async () =>
      JSON.stringify(await require('./crypto-vectors').cryptoVectors(process.env.MONGODB_URL), null, 1),
  },
}

main(process.argv[2]).catch(error => {
  process.stderr.write(`${error.stack}\n`)
  process.exit(1)
})

async function main(word) {
  if (word === '--write') {
    for (const { file, make } of Object.values(DATA)) writeFileSync(join(__dirname, file), await make())
  } else if (Object.hasOwn(DATA, word ?? '')) {
    process.stdout.write(await DATA[word].make())
  } else if (word === 'plaintexts') {
    const vectors = require(DATA.crypto.file)
    process.stdout.write(JSON.stringify(await require('./crypto-vectors').plaintexts(vectors)))
  } else {
    throw new Error('which of golden, truth, cookie-session, crypto, plaintexts? Or --write?')
  }
}
