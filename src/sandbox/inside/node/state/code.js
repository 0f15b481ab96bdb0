// Functions and classes by their source, where that is all there is to them.
'use strict';

const { Script } = require('vm');
const { types } = require('util');
const { Refused } = require('./refused.js');

const { toString } = Function.prototype;
const NATIVE = /\{\s*\[native code\]\s*\}\s*$/;
const WORD = /[\p{ID_Start}$_][\p{ID_Continue}$\u200c\u200d]*/gu;
const OF_FUNCTIONS = new Set(['length', 'name', 'prototype', 'arguments', 'caller']);

/** The words of a text: more than the names that it uses, and never less, unless it spells one with escapes. */
function wordsOf(text) {
  return text.match(WORD) ?? [];
}

/** What is to be known of a function's code. Throws Refused. */
function codeOf(value) {
  const source = toString.call(value);
  if (NATIVE.test(source)) throw new Refused('it is, or has in it, a function that has no source, as bound ones have not');
  const kind = /^class\b/.test(source) ? 'class' : 'function';
  if (kind === 'class' && /\bstatic\s*(?:#|\{|async\s*#)/.test(source)) {
    throw new Refused('a class in it has private static members or a static block, which would run again');
  }
  const method = kind === 'function' && !compiles(`(${source})`);
  if (kind === 'function' && /\bsuper\b/.test(source)) throw new Refused('a method in it uses super');
  if (method && !compiles(`({${source}})`)) throw new Refused('a function in it cannot be made again from its source');
  const defines = (of, key) => kind === 'class' && inSource(source, of, key);
  return {
    kind,
    source,
    method,
    words: wordsOf(source),
    defines,
    hasPrototype: typeof value.prototype === 'object' && value.prototype !== null,
    // A class's own methods come with it; its fields, which may have changed since, are written down.
    skips: (key, of) => (OF_FUNCTIONS.has(key) && !renamed(of, key)) || defines(of, key),
  };
}

function renamed(value, key) {
  const one = Object.getOwnPropertyDescriptor(value, key);
  return key === 'name' && one !== undefined && (one.writable || typeof one.value !== 'string');
}

/** Whether a method or accessor of a class is one that its source makes. */
function inSource(source, of, key) {
  const { value, get, set } = Object.getOwnPropertyDescriptor(of, key);
  const text = [value, get, set].filter((one) => typeof one === 'function' && !types.isProxy(one)).map((one) => toString.call(one));
  return text.some((one) => one !== source && source.includes(one));
}

function compiles(text) {
  try {
    new Script(text);
    return true;
  } catch {
    return false;
  }
}

module.exports = { codeOf, wordsOf };
