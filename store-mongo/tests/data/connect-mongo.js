// Does one thing with the real connect-mongo and prints the answer as JSON. The argument: { url, db, collection, options,
// web, serializer, set: { sid: session }, get: [sid] } or { url, db, collection, types: sid }.
'use strict';

const { createRequire } = require('node:module');
const load = createRequire(process.cwd() + '/');
const bson = load('mongodb');
const { MongoStore, createWebCryptoAdapter } = load('connect-mongo');

const asked = JSON.parse(process.argv[2]);
const revive = (value) => {
  if (value === null || typeof value !== 'object') return value;
  if ('$date' in value) return new Date(value.$date);
  if ('$id' in value) return new bson.ObjectId(value.$id);
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, revive(inner)]));
};
const named = (value) => {
  if (value instanceof Date) return { $date: value.toISOString() };
  if (value instanceof bson.ObjectId) return { $id: value.toHexString() };
  if (value === null || typeof value !== 'object' || Array.isArray(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, named(inner)]));
};
const buffer = (value) => (Array.isArray(value) ? new Uint8Array(value) : value);

const types = () => ({
  cookie: { path: '/' },
  double: 1.5, whole: 3.0, large: 2 ** 40, exponent: 1e21, small: 1e-7, zero: -0, nan: NaN, infinite: Infinity,
  int32: 7, int64: bson.Long.fromNumber(2 ** 40), string: 'é\u2028"\\', array: [1, undefined, null, new Date(5)],
  bytes: Buffer.from('hi'), uuid: new bson.UUID('00112233-4455-6677-8899-aabbccddeeff'), empty: undefined, nothing: null,
  id: new bson.ObjectId('0123456789abcdef01234567'), date: new Date(1), early: new Date(-62167219200001),
  late: new Date(8.64e15), regex: /a.b/gi, code: new bson.Code('f()'), scoped: new bson.Code('f()', { a: 1 }),
  symbol: new bson.BSONSymbol('s'), decimal: bson.Decimal128.fromString('1.50'), timestamp: new bson.Timestamp({ t: 1, i: 2 }),
  min: new bson.MinKey(), max: new bson.MaxKey(), nested: { b: 1, 10: 2, 2: { date: new Date(2) } }, true: true,
});

const serializers = {
  wrapped: {
    serialize: (session) => ({ wrapped: JSON.stringify(session) }),
    unserialize: ({ wrapped }) => JSON.parse(wrapped),
  },
  marked: {
    serialize: (session) => asked.first + JSON.stringify(session),
    unserialize: (text) => JSON.parse(text.slice(1)),
  },
  bytes: {
    serialize: (session) => Buffer.from(JSON.stringify(session)),
    unserialize: (bytes) => JSON.parse(bytes.toString()),
  },
};

const main = async () => {
  const client = await bson.MongoClient.connect(asked.url);
  const collection = client.db(asked.db).collection(asked.collection);
  if (asked.types) {
    const document = { _id: asked.types, expires: new Date(Date.now() + 3600000), session: types() };
    await collection.insertOne(document, { ignoreUndefined: false });
    return JSON.stringify((await collection.findOne({ _id: asked.types })).session);
  }
  const options = { client, dbName: asked.db, collectionName: asked.collection, autoRemove: 'disabled', ...asked.options };
  if (options.crypto && Array.isArray(options.crypto.secret)) options.crypto.secret = Buffer.from(options.crypto.secret);
  if (asked.web) {
    options.cryptoAdapter = createWebCryptoAdapter(
      Object.fromEntries(Object.entries(asked.web).map(([key, value]) => [key, buffer(value)])));
  }
  Object.assign(options, serializers[asked.serializer]);
  const store = new MongoStore(options);
  const call = (method, ...args) => new Promise((resolve, reject) =>
    store[method](...args, (error, value) => (error ? reject(error) : resolve(value))));
  for (const [sid, session] of Object.entries(asked.set ?? {})) await call('set', sid, revive(session));
  const answers = [];
  for (const sid of asked.get ?? []) answers.push(named(await call('get', sid)));
  return JSON.stringify(answers);
};

main().then((answer) => process.stdout.write(answer, () => process.exit(0)), (error) => {
  console.error(error);
  process.exit(1);
});
