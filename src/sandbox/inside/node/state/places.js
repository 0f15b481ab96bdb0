// Objects that every Node has, or that a module of the workspace makes when it is loaded: kept by where they are.
'use strict';

const Module = require('module');
const path = require('path');
const { types } = require('util');

const MOST_DEEP = 3;
const MOST_OF_MODULE = 500;
const { keys } = Object;
// What is there without being made when it is looked at, which costs memory: the rest is added when a cell names it.
const COMMON = `
  Object Function Array Number Boolean String Symbol BigInt Date Promise RegExp Error AggregateError EvalError RangeError
  ReferenceError SyntaxError TypeError URIError JSON Math Reflect Map Set WeakMap WeakSet WeakRef Proxy Intl ArrayBuffer
  DataView Int8Array Uint8Array Uint8ClampedArray Int16Array Uint16Array Int32Array Uint32Array BigInt64Array
  BigUint64Array Float32Array Float64Array parseFloat parseInt isFinite isNaN decodeURI decodeURIComponent encodeURI
  encodeURIComponent console process Buffer URL URLSearchParams setTimeout clearTimeout setInterval clearInterval
  setImmediate clearImmediate queueMicrotask structuredClone require display
`.trim().split(/\s+/);

/** Finds a place for an object, and the object for a place. */
class Places {
  #found = null;
  #own = new Set(Object.getOwnPropertyNames(globalThis)); // before any cell
  #named = new Map(COMMON.filter((name) => this.#own.has(name)).map((name) => [name, undefined]));
  #new = true;
  #modules = new Map(); // exports -> specifier
  #seen = 0; // of Node's own modules
  #imported = new Map(); // namespaces of import() -> specifier

  /** A namespace that a cell has imported under a name. */
  imported(namespace, specifier) {
    this.#imported.set(namespace, specifier);
  }

  /** Before a cell that has these words: what of Node's own it may have taken. */
  note(words) {
    for (const word of words) {
      if (!this.#own.has(word) || this.#named.get(word) !== undefined) continue;
      this.#named.set(word, valueOf(word)); // now: the cell may put something else in its place
      this.#new = true;
    }
  }

  /** Look at what was named or loaded since the last time. */
  refresh() {
    if (this.#new) {
      this.#found = globals(this.#named);
      this.#seen = 0;
      this.#new = false;
    }
    this.#lookAtModules();
  }

  /** Where an object stands: `['global', 'Math', 'max']`, `['module', './lib.js', 'helper']`; null for nowhere. */
  of(value) {
    return this.#found.get(value) ?? this.#modules.get(value) ?? null;
  }

  /** Modules that were loaded since the last look. */
  #lookAtModules() {
    for (const [namespace, specifier] of this.#imported) {
      if (!this.#modules.has(namespace)) note(this.#modules, namespace, ['import', specifier], 1);
    }
    if (process.moduleLoadList.length !== this.#seen) {
      this.#seen = process.moduleLoadList.length;
      builtins(this.#found);
    }
    const home = process.cwd();
    // Each time: one that was still loading may have been loaded since, or made again.
    for (const file of keys(Module._cache)) {
      const loaded = Module._cache[file];
      if (loaded?.loaded && !this.#modules.has(loaded.exports) && !file.startsWith(path.dirname(__dirname))) {
        const inside = path.relative(home, file);
        note(this.#modules, loaded.exports, ['module', inside.startsWith('..') ? file : `./${inside}`], 1);
      }
    }
  }
}

/** The object at a place. Throws what loading a module throws. */
async function at(place, { load, require_ }) {
  const [kind, ...rest] = place;
  const start = { global: () => globalThis, builtin: () => require_(rest[0]), module: () => require_(rest[0]), import: () => load(rest[0]) };
  let found = await start[kind]();
  for (const key of kind === 'global' ? rest : rest.slice(1)) {
    const of = typeof key === 'string' && key.startsWith('get ') ? Object.getOwnPropertyDescriptor(found, key.slice(4))?.get : undefined;
    found = of ?? found[key];
  }
  if (found === undefined) throw new Error(`there is no ${place.join('.')} any more`);
  return found;
}

function globals(names) {
  const found = new Map([[globalThis, ['global']]]);
  for (const [name, known] of names) {
    const value = known ?? valueOf(name);
    if (isObject(value) && value !== globalThis) note(found, value, ['global', name], MOST_DEEP);
  }
  return found;
}

function valueOf(name) {
  return Object.getOwnPropertyDescriptor(globalThis, name)?.value;
}

/** Node's own modules that were loaded. */
function builtins(found) {
  for (const entry of process.moduleLoadList) {
    const name = /^NativeModule ([\w/]+)$/.exec(entry)?.[1];
    if (name === undefined || name.startsWith('internal') || !Module.isBuiltin(name)) continue;
    note(found, require(name), ['builtin', name], 2);
  }
}

function note(found, value, place, deep) {
  if (!isObject(value) || found.has(value) || types.isProxy(value)) return;
  found.set(value, place);
  // What was loaded is kept by its file: by its place in the cache it would not be there before it is loaded.
  if (!deep || value === Module._cache) return;
  const names = Reflect.ownKeys(value).slice(0, MOST_OF_MODULE);
  for (const name of names) {
    if (typeof name === 'symbol') continue;
    const { value: inner, get } = described(value, name);
    if (isObject(inner)) note(found, inner, [...place, name], deep - 1);
    // Of a module in TypeScript's or a bundler's style each name is a getter.
    else if (get !== undefined && place[0] === 'module' && deep === 1) noteGot(found, value, name, place);
  }
}

/** A property; nothing for what a module has not given a value yet. */
function described(value, name) {
  try {
    return Object.getOwnPropertyDescriptor(value, name) ?? {};
  } catch {
    return {};
  }
}

function noteGot(found, value, name, place) {
  try {
    note(found, value[name], [...place, name], 0);
  } catch {
    // it is its module's mistake, and nobody has it then
  }
}

function isObject(value) {
  return (typeof value === 'object' && value !== null) || typeof value === 'function';
}

module.exports = { Places, at, isObject };
