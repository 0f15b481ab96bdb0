// Values as a table of plain nodes, which v8.serialize can write: with what it would drop or change by itself.
//
// A value is a primitive, or `[n]` for node n. Shared objects and cycles are one node. What cannot come back as it is
// throws Refused. See `decode.js` for the way back.
'use strict';

const { types } = require('util');
const { INDEX, standard } = require('./standard.js');
const { codeOf } = require('./code.js');
const { Refused } = require('./refused.js');
const { isObject } = require('./places.js');

const { getPrototypeOf, getOwnPropertyDescriptor, getOwnPropertySymbols, isFrozen, isSealed, isExtensible } = Object;
const { ownKeys } = Reflect;
const LARGE = 64 * 1024;
const MANY = 256; // elements
const SYMBOLS = new Map(ownKeys(Symbol).filter((key) => typeof Symbol[key] === 'symbol').map((key) => [Symbol[key], key]));

/** One table. `world` knows what has a name or a place; `meets` hears of every object. */
class Encoder {
  nodes = [];
  buffers = []; // [number of node, ArrayBuffer] of the large ones
  words = new Set(); // of the code in it
  opaque = false; // whether it may reach what no word of it names
  #numbers = new Map();
  #waiting = [];
  #world;
  #meets;

  constructor(world, meets = () => {}) {
    this.#world = world;
    this.#meets = meets;
  }

  /** Add a value with all that it reaches; return what stands for it. Throws Refused, and then nothing was added. */
  add(value, name) {
    const before = this.nodes.length;
    const large = this.buffers.length;
    try {
      const made = this.#ref(value, name);
      while (this.#waiting.length) this.#fill(...this.#waiting.pop());
      return made;
    } catch (error) {
      this.#waiting = [];
      this.nodes.length = before;
      this.buffers.length = large;
      for (const [key, number] of this.#numbers) if (number >= before) this.#numbers.delete(key);
      throw error;
    }
  }

  #ref(value, name) {
    if (!isObject(value) && typeof value !== 'symbol') return value;
    const known = this.#numbers.get(value);
    if (known !== undefined) return [known];
    const named = typeof value === 'function' ? this.#world.nameOf(value) : undefined;
    const place = isObject(value) ? this.#world.placeOf(value) : null;
    const number = this.nodes.length;
    this.#numbers.set(value, number);
    if (named !== undefined && named !== name) {
      this.nodes.push({ k: 'name', name: named });
      this.words.add(named);
    } else if (place !== null) {
      this.nodes.push({ k: 'place', place });
      if (place[0] === 'module' || place[0] === 'import') this.opaque = true;
    } else {
      if (isObject(value) || isOwn(value)) this.#meets(value);
      const node = {};
      this.nodes.push(node);
      this.#waiting.push([node, value, number]);
    }
    return [number];
  }

  #fill(node, value, number) {
    if (typeof value === 'symbol') {
      Object.assign(node, symbol(value));
      return;
    }
    if (types.isProxy(value)) throw new Refused('it is, or has in it, a Proxy');
    if (typeof value === 'function') this.#function(node, value);
    else this.#object(node, value, number);
  }

  #object(node, value, number) {
    const kind = standard(value);
    if (kind === null) throw new Refused(`it is, or has in it, ${described(value)}`);
    node.k = kind.name;
    const proto = getPrototypeOf(value);
    if (proto !== kind.prototype) this.#prototype(node, proto, value);
    const own = kind.write?.(value, (inner) => this.#ref(inner)) ?? {};
    Object.assign(node, own);
    if (node.k === 'buffer' && value.byteLength >= LARGE) {
      node.d = null;
      this.buffers.push([number, value]);
    }
    this.#properties(node, value, this.#keys(node, value, kind.skips));
    if (!isExtensible(value)) node.x = isFrozen(value) ? 'freeze' : isSealed(value) ? 'seal' : 'preventExtensions';
  }

  /** An object of a class, of one of the session or of a module, or with another object for a prototype. */
  #prototype(node, proto, value) {
    if (proto === null) {
      node.p = null;
      return;
    }
    const place = this.#world.placeOf(proto);
    if (place !== null && place[0] !== 'module' && place[0] !== 'import' && !this.#world.allows(place)) {
      throw new Refused(`it is, or has in it, ${described(value)}`);
    }
    const maker = getOwnPropertyDescriptor(proto, 'constructor')?.value;
    const madeBy = typeof maker === 'function' && getOwnPropertyDescriptor(maker, 'prototype')?.value === proto;
    if (madeBy && this.#world.hasPrivate(value)) {
      throw new Refused(`it is, or has in it, ${described(value)} with private fields, which only its class can read`);
    }
    const known = madeBy && (this.#world.placeOf(maker) !== null || this.#world.nameOf(maker) !== undefined);
    if (madeBy && place === null && !known && this.#world.closesOver(maker)) {
      throw new Refused(`it is, or has in it, ${described(value)}, whose class is a closure`);
    }
    node.p = madeBy && place === null ? { of: this.#ref(maker) } : this.#ref(proto);
  }

  /** The keys of what is not written down yet. Listing those of a million elements would take the longest of all. */
  #keys(node, value, skips = () => false) {
    if (node.k !== 'typed' && node.e === undefined) return ownKeys(value).filter((key) => !skips(key));
    const symbols = getOwnPropertySymbols(value);
    if (!(value.length > MANY)) return [...Object.getOwnPropertyNames(value).filter((key) => !INDEX.test(key) && !skips(key)), ...symbols];
    return [...this.#world.namesBesides(value).filter((key) => !skips(key)), ...symbols];
  }

  #properties(node, value, keys) {
    if (!keys.length) return;
    const names = [];
    const values = [];
    const others = [];
    for (const key of keys) {
      const one = getOwnPropertyDescriptor(value, key);
      if (typeof key === 'string' && 'value' in one && one.writable && one.enumerable && one.configurable) {
        names.push(key);
        values.push(this.#ref(one.value));
      } else {
        others.push([this.#ref(key), this.#descriptor(one)]);
      }
    }
    if (names.length) Object.assign(node, { n: names, v: values });
    if (others.length) node.o = others;
  }

  #descriptor(one) {
    const flags = (one.enumerable ? 1 : 0) + (one.configurable ? 2 : 0) + (one.writable ? 4 : 0);
    if ('value' in one) return [flags, this.#ref(one.value)];
    return [flags, this.#ref(one.get), this.#ref(one.set)];
  }

  #function(node, value) {
    const scopes = this.#world.closesOver(value);
    if (scopes) throw new Refused(`a function in it has variables of its own around it (${scopes}): a closure`);
    const code = codeOf(value);
    for (const word of code.words) this.words.add(word);
    Object.assign(node, { k: code.kind, s: code.source, m: code.method });
    const parent = getPrototypeOf(value);
    if (code.kind === 'class' && parent !== Function.prototype) node.h = this.#ref(parent);
    this.#properties(node, value, ownKeys(value).filter((key) => !code.skips(key, value)));
    if (code.hasPrototype) this.#ownPrototype(node, value, code);
  }

  /** What was added to a function's prototype. */
  #ownPrototype(node, value, code) {
    const { prototype } = value;
    const added = ownKeys(prototype).filter((key) => key !== 'constructor' && !code.defines(prototype, key));
    if (added.length) {
      node.a = added.map((key) => [this.#ref(key), this.#descriptor(getOwnPropertyDescriptor(prototype, key))]);
    }
    const parent = getPrototypeOf(prototype);
    if (code.kind === 'function' && parent !== Object.prototype && parent !== null && !standardParent(parent)) {
      node.i = this.#ref(parent);
    }
  }
}

function standardParent(parent) {
  return Object.hasOwn(parent, Symbol.toStringTag) && /Generator/.test(String(parent[Symbol.toStringTag]));
}

/** Whether a symbol is nobody else's, so that two who have it share it. */
function isOwn(value) {
  return Symbol.keyFor(value) === undefined && !SYMBOLS.has(value);
}

function symbol(value) {
  const wellKnown = SYMBOLS.get(value);
  if (wellKnown !== undefined) return { k: 'symbol', known: wellKnown };
  const key = Symbol.keyFor(value);
  return key === undefined ? { k: 'symbol', text: value.description } : { k: 'symbol', key };
}

/** What to call it. Never asks the value itself. */
function described(value) {
  if (types.isPromise(value)) return 'a Promise';
  let name = 'object';
  for (let proto = getPrototypeOf(value); proto !== null && !types.isProxy(proto); proto = getPrototypeOf(proto)) {
    const maker = getOwnPropertyDescriptor(proto, 'constructor')?.value;
    const made = typeof maker === 'function' ? getOwnPropertyDescriptor(maker, 'name')?.value : undefined;
    const tag = getOwnPropertyDescriptor(proto, Symbol.toStringTag)?.value;
    if ((typeof made === 'string' && made) || typeof tag === 'string') {
      name = made || tag;
      break;
    }
  }
  return `${/^[AEIOU]/.test(name) ? 'an' : 'a'} ${name}`;
}

module.exports = { Encoder, LARGE, described };
