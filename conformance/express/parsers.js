// What the real packages make of hostile input: a question a line, `[parser, ...arguments]` as JSON, and an answer a line.
'use strict';

const { createRequire } = require('node:module');
const readline = require('node:readline');
const { cookie } = require('./packages');
const session = require('express-session');
const Keygrip = require('keygrip');
const { createKrupteinAdapter, createWebCryptoAdapter } = require('connect-mongo');
const { BSON } = createRequire(require.resolve('connect-mongo'))('mongodb');
// The versions that express-session itself uses, and Express.
const signature = createRequire(require.resolve('express-session'))('cookie-signature');

const proxyaddr = createRequire(require.resolve('express'))('proxy-addr');

const store = new session.Store();

// Whom Express trusts, and null where it refuses the word.
const trusts = (word, peer) => {
  try {
    return proxyaddr.compile(word)(peer);
  } catch {
    return null;
  }
};

// What an app stores again of what it has read; null for what it cannot read.
const rewritten = (text) => {
  try {
    return JSON.stringify(store.createSession({ sessionID: '', sessionStore: store }, JSON.parse(text)));
  } catch {
    return null;
  }
};

const json = (text) => {
  try {
    return JSON.stringify(JSON.parse(text));
  } catch {
    return null;
  }
};

// As its driver reads and writes documents.
const fromBson = (hex) => {
  try {
    return JSON.stringify(BSON.deserialize(Buffer.from(hex, 'hex')));
  } catch {
    return null;
  }
};

const toBson = (text) => {
  try {
    return Buffer.from(BSON.serialize({ value: JSON.parse(text) })).toString('hex');
  } catch {
    return null;
  }
};

// The record inside, which kruptein has as a string in a string.
const opened = async (adapter, stored) => {
  try {
    const plaintext = await adapter.decrypt(stored);
    const inside = JSON.parse(plaintext);
    return typeof inside === 'string' ? inside : plaintext;
  } catch {
    return null;
  }
};

const adapters = new Map();
const adapter = (create, options) => {
  const key = create.name + JSON.stringify(options);
  if (!adapters.has(key)) adapters.set(key, create(options));
  return adapters.get(key);
};

const parsers = {
  cookie: (header) => Object.entries(cookie.parse(header)),
  unsign: (value, secret) => signature.unsign(value, secret),
  trusts,
  record: (...texts) => texts.map(rewritten),
  json,
  fromBson,
  toBson,
  date: (text) => Date.parse(text),
  keygrip: (keys, algorithm, encoding, data, digest) => {
    const keygrip = new Keygrip(keys, algorithm, encoding);
    return [keygrip.sign(data), keygrip.index(data, digest)];
  },
  kruptein: (options, stored) => opened(adapter(createKrupteinAdapter, options), stored),
  web: (options, stored) => opened(adapter(createWebCryptoAdapter, options), stored),
};

const main = async () => {
  for await (const line of readline.createInterface({ input: process.stdin })) {
    const [parser, ...args] = JSON.parse(line);
    process.stdout.write(JSON.stringify(await parsers[parser](...args)) + '\n');
  }
};

main();
