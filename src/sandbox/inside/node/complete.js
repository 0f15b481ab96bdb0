// Completions from the live session. No getter is called for one.
'use strict';

const { types } = require('util');

const PATH = /[\p{ID_Continue}$.]*$/u;
const NAME = /^[\p{ID_Start}$_][\p{ID_Continue}$]*$/u;
const MOST = 200;
const MOST_LENGTH = 1000;

/** What could stand at `cursor` in `code`: the matches, and where the text that they replace begins. */
function complete(bindings, code, cursor) {
  const text = code.slice(0, cursor);
  const path = PATH.exec(text)[0];
  const start = text.length - path.length;
  const parts = path.split('.');
  const last = parts.pop();
  const before = parts.map((one) => `${one}.`).join('');
  const found = [...new Set(namesAt(bindings, parts))].filter((name) => name.startsWith(last) && NAME.test(name));
  const matches = found.map((name) => before + name).filter((one) => one.length <= MOST_LENGTH).sort().slice(0, MOST);
  return { matches, start };
}

function namesAt(bindings, parts) {
  if (!parts.length) return [...bindings.names(), ...Object.getOwnPropertyNames(globalThis)];
  const [first, ...rest] = parts;
  let value = bindings.values([first]).get(first) ?? plain(globalThis, first);
  for (const part of rest) value = plain(value, part);
  return keysOf(value);
}

/** A property that is data, of an object or of what it inherits from. */
function plain(value, key) {
  for (let at = value; at !== null && at !== undefined && !types.isProxy(at); at = Object.getPrototypeOf(at)) {
    const one = Object.getOwnPropertyDescriptor(at, key);
    if (one !== undefined) return one.value;
  }
  return undefined;
}

function keysOf(value) {
  const found = [];
  for (let at = value; at !== null && at !== undefined && !types.isProxy(at); at = Object.getPrototypeOf(at)) {
    found.push(...Object.getOwnPropertyNames(at).slice(0, 10 * MOST));
  }
  return found;
}

module.exports = { complete };
