// What the index of a checkpoint says of a name: for people to read, and plain values as they are.
'use strict';

const { inspect } = require('util');
const { described } = require('./encode.js');

const MOST_INLINE = 1000;
const MOST_TEXT = 200;
const MOST_TYPE = 100;
const SHORT = { depth: 1, breakLength: Infinity, maxArrayLength: 10, maxStringLength: 100, getters: false };

/** How a primitive stands in the index: `{ value }`, or `{ special }` for what JSON has no form for; null for others. */
function specialOf(value) {
  switch (typeof value) {
    case 'string':
      return value.length <= MOST_INLINE && value.isWellFormed() ? { value } : null;
    case 'boolean':
      return { value };
    case 'number':
      return Number.isFinite(value) && !Object.is(value, -0) ? { value } : { special: ['number', inspect(value)] };
    case 'undefined':
      return { special: ['undefined', ''] };
    case 'bigint':
      return { special: ['bigint', value.toString(36)] };
    default:
      return value === null ? { value } : null;
  }
}

/** A value that `specialOf` wrote down. */
function specialBack([kind, text]) {
  if (kind === 'undefined') return undefined;
  return kind === 'number' ? Number(text) : bigBack(text);
}

function bigBack(text) {
  const digits = text.replace('-', '');
  let value = 0n;
  for (const digit of digits) value = value * 36n + BigInt(parseInt(digit, 36));
  return text.startsWith('-') ? -value : value;
}

function entryOf(value, special) {
  return { type: typeOf(value), text: textOf(value), ...special };
}

function lostEntry(value, reason) {
  return { type: typeOf(value), lost: reason };
}

function typeOf(value) {
  if (typeof value === 'function') return /^class\b/.test(Function.prototype.toString.call(value)) ? 'class' : 'function';
  if (typeof value !== 'object' || value === null) return value === null ? 'null' : typeof value;
  return described(value).replace(/^an? /, '').slice(0, MOST_TYPE).toWellFormed();
}

function textOf(value) {
  try {
    return inspect(value, SHORT).replace(/\s*\n\s*/g, ' ').slice(0, MOST_TEXT).toWellFormed();
  } catch {
    return ''; // its own code may throw
  }
}

module.exports = { entryOf, lostEntry, specialBack, specialOf, typeOf };
