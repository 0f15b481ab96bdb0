// The kinds of object that JavaScript itself has, and what of each has to be written down beside its properties.
'use strict';

const { types } = require('util');

const Typed = Object.getPrototypeOf(Uint8Array);
const sizes = Object.getOwnPropertyDescriptors(Typed.prototype);
const kindOf = sizes[Symbol.toStringTag].get;
const INDEX = /^(?:0|[1-9]\d*)$/;

/** Whether its elements are plain ones without a hole between. One that is frozen has them as properties. */
const dense = (value) => {
  for (let at = 0; at < value.length; at += 1) {
    const one = Object.getOwnPropertyDescriptor(value, at);
    if (one === undefined || !('value' in one) || !one.writable || !one.enumerable || !one.configurable) return false;
  }
  return true;
};

const KINDS = [
  {
    name: 'array',
    is: Array.isArray,
    prototype: Array.prototype,
    write: (value, ref) => (dense(value) ? { e: value.map((one) => ref(one)) } : { l: value.length }),
    skips: (key) => key === 'length',
  },
  {
    name: 'map',
    is: types.isMap,
    prototype: Map.prototype,
    write: (value, ref) => ({ e: [...Map.prototype.entries.call(value)].map(([key, one]) => [ref(key), ref(one)]) }),
  },
  {
    name: 'set',
    is: types.isSet,
    prototype: Set.prototype,
    write: (value, ref) => ({ e: [...Set.prototype.values.call(value)].map((one) => ref(one)) }),
  },
  { name: 'date', is: types.isDate, prototype: Date.prototype, write: (value) => ({ d: Date.prototype.getTime.call(value) }) },
  {
    name: 'regexp',
    is: types.isRegExp,
    prototype: RegExp.prototype,
    write: (value) => ({ s: value.source, f: value.flags, d: value.lastIndex }),
    skips: (key) => key === 'lastIndex',
  },
  {
    name: 'buffer',
    is: types.isArrayBuffer,
    prototype: ArrayBuffer.prototype,
    write: (value) => ({ d: value, r: value.resizable ? value.maxByteLength : undefined }),
  },
  {
    name: 'typed',
    is: types.isTypedArray,
    prototype: null, // of each its own: see `standard`
    write: (value, ref) => ({
      c: Buffer.isBuffer(value) ? 'Buffer' : kindOf.call(value),
      b: ref(value.buffer),
      d: value.byteOffset,
      l: value.length,
    }),
  },
  {
    name: 'view',
    is: types.isDataView,
    prototype: DataView.prototype,
    write: (value, ref) => ({ b: ref(value.buffer), d: value.byteOffset, l: value.byteLength }),
  },
  {
    name: 'boxed',
    is: types.isBoxedPrimitive,
    prototype: null,
    write: (value, ref) => ({ d: ref(value.valueOf()) }),
    skips: (key) => key === 'length' || INDEX.test(String(key)),
  },
  {
    name: 'error',
    is: types.isNativeError,
    prototype: null,
    write: (value) => ({ c: nativeError(value)?.name ?? 'Error', d: typeof value.stack === 'string' ? value.stack : '' }),
    skips: (key) => key === 'stack',
  },
  { name: 'url', is: (value) => Object.getPrototypeOf(value) === URL.prototype, prototype: URL.prototype, write: (value) => ({ d: value.href }) },
];
const ERRORS = [Error, TypeError, RangeError, SyntaxError, ReferenceError, EvalError, URIError, AggregateError];
const PLAIN = { name: 'object', prototype: Object.prototype };
// They have parts that nobody can read, or are a place in something that runs.
const CLOSED = ['isPromise', 'isWeakMap', 'isWeakSet', 'isGeneratorObject', 'isMapIterator', 'isSetIterator', 'isExternal',
  'isModuleNamespaceObject', 'isSharedArrayBuffer', 'isArgumentsObject', 'isCryptoKey', 'isKeyObject'];
const SLOTTED = [WeakRef, FinalizationRegistry, ...Object.values(Object.getOwnPropertyDescriptors(Intl))
  .map((one) => one.value).filter((one) => typeof one === 'function' && one.prototype)];

/** What kind an object is, with the prototype that it has if it is of no class; null for what cannot be kept. */
function standard(value) {
  const proto = Object.getPrototypeOf(value);
  // Nearly everything is one of these.
  if (proto === Array.prototype && Array.isArray(value)) return KINDS[0];
  if (proto === Object.prototype && !types.isArgumentsObject(value) && !odd(value)) return PLAIN;
  for (const name of CLOSED) if (types[name]?.(value)) return null;
  for (const one of SLOTTED) if (one.prototype.isPrototypeOf(value)) return null;
  const kind = KINDS.find((one) => one.is(value)) ?? PLAIN;
  return kind.prototype === null ? { ...kind, prototype: prototypeOf(kind, value) } : kind;
}

/** Whether an object that looks plain is of a kind of its own, and had its prototype changed. */
function odd(value) {
  return Symbol.toStringTag in value || types.isNativeError(value) || types.isDate(value) || types.isRegExp(value);
}

function prototypeOf(kind, value) {
  if (kind.name === 'typed') return Buffer.isBuffer(value) ? Buffer.prototype : globalThis[kindOf.call(value)].prototype;
  if (kind.name === 'boxed') return Object.getPrototypeOf(Object(value.valueOf()));
  return nativeError(value)?.prototype ?? Error.prototype;
}

/** The constructor of an error that is of no class of somebody's own. */
function nativeError(value) {
  return ERRORS.find((one) => one.prototype === Object.getPrototypeOf(value));
}

module.exports = { INDEX, standard };
