// A table of nodes back to values: what `encode.js` has written.
'use strict';

const { Script } = require('vm');

const FIXING = { freeze: Object.freeze, seal: Object.seal, preventExtensions: Object.preventExtensions };
const { defineProperty } = Object;

/** One table. `world` gives what has a name or a place; `buffers` the large ones by number. */
class Decoder {
  #nodes;
  #made;
  #buffers;
  #world;
  #unfilled = [];
  #last = [];

  constructor(nodes, buffers, world) {
    this.#nodes = nodes;
    this.#made = new Array(nodes.length);
    this.#buffers = buffers;
    this.#world = world;
  }

  /** The value of what stands for it, with all that it reaches. Throws what its code throws. */
  value(ref) {
    const value = this.#get(ref);
    while (this.#unfilled.length) this.#fill(...this.#unfilled.pop());
    for (const [how, object] of this.#last.splice(0)) FIXING[how](object);
    return value;
  }

  #get(ref) {
    if (!Array.isArray(ref)) return ref;
    const [number] = ref;
    if (this.#made[number] === undefined) {
      const node = this.#nodes[number];
      const value = this.#make(node, number);
      this.#made[number] = value;
      if (!['symbol', 'name', 'place'].includes(node.k)) this.#unfilled.push([node, value]);
    }
    return this.#made[number];
  }

  #make(node, number) {
    switch (node.k) {
      case 'symbol':
        return symbol(node);
      case 'name':
        return this.#world.named(node.name);
      case 'place':
        return this.#world.placed(node.place);
      case 'function':
      case 'class':
        return this.#code(node);
      default:
        return this.#object(node, number);
    }
  }

  #object(node, number) {
    const maker = this.#bare(node, number);
    if (node.p === undefined) return maker;
    return Object.setPrototypeOf(maker, this.#prototype(node.p));
  }

  #prototype(p) {
    if (p === null) return null;
    return Array.isArray(p) ? this.#get(p) : this.#get(p.of).prototype;
  }

  #bare(node, number) {
    switch (node.k) {
      case 'array':
        return new Array(node.l ?? node.e.length);
      case 'map':
        return new Map();
      case 'set':
        return new Set();
      case 'date':
        return new Date(node.d);
      case 'regexp':
        return new RegExp(node.s, node.f);
      case 'buffer':
        return this.#buffers.get(number) ?? resizable(node);
      case 'typed':
        return typed(node, this.#get(node.b));
      case 'view':
        return new DataView(this.#get(node.b), node.d, node.l);
      case 'boxed':
        return Object(this.#get(node.d));
      case 'error':
        return withStack(node);
      case 'url':
        return new URL(node.d);
      default:
        return {};
    }
  }

  #code(node) {
    if (node.h !== undefined) this.#get(node.h); // a class that it extends comes first
    if (node.k === 'class') this.#world.needed(node.s);
    const made = evaluated(node);
    if (node.i !== undefined) Object.setPrototypeOf(made.prototype, this.#get(node.i));
    return made;
  }

  #fill(node, value) {
    switch (node.k) {
      case 'array':
        if (node.e !== undefined) for (let at = 0; at < node.e.length; at += 1) value[at] = this.#get(node.e[at]);
        break;
      case 'map':
        for (const [key, one] of node.e) Map.prototype.set.call(value, this.#get(key), this.#get(one));
        break;
      case 'set':
        for (const one of node.e) Set.prototype.add.call(value, this.#get(one));
        break;
      case 'regexp':
        value.lastIndex = node.d;
        break;
    }
    node.n?.forEach((name, at) => {
      defineProperty(value, name, { value: this.#get(node.v[at]), writable: true, enumerable: true, configurable: true });
    });
    for (const [key, one] of node.o ?? []) defineProperty(value, this.#get(key), this.#descriptor(one));
    for (const [key, one] of node.a ?? []) defineProperty(value.prototype, this.#get(key), this.#descriptor(one));
    // Last, when what is in it is complete too.
    if (node.x !== undefined) this.#last.push([node.x, value]);
  }

  #descriptor([flags, ...rest]) {
    const how = { enumerable: Boolean(flags & 1), configurable: Boolean(flags & 2) };
    if (rest.length === 1) return { ...how, writable: Boolean(flags & 4), value: this.#get(rest[0]) };
    return { ...how, get: this.#get(rest[0]), set: this.#get(rest[1]) };
  }
}

function symbol(node) {
  if (node.known !== undefined) return Symbol[node.known];
  return node.key === undefined ? Symbol(node.text) : Symbol.for(node.key);
}

function resizable(node) {
  if (node.r === undefined) return node.d;
  const made = new ArrayBuffer(node.d.byteLength, { maxByteLength: node.r });
  new Uint8Array(made).set(new Uint8Array(node.d));
  return made;
}

function typed(node, buffer) {
  if (node.c === 'Buffer') return Buffer.from(buffer, node.d, node.l);
  return new globalThis[node.c](buffer, node.d, node.l);
}

/** Its message and cause are among its properties. */
function withStack(node) {
  const error = node.c === 'AggregateError' ? new AggregateError([]) : new globalThis[node.c]();
  return defineProperty(error, 'stack', { value: node.d, writable: true, configurable: true });
}

function evaluated(node) {
  const text = node.m ? `({${node.s}})` : `(${node.s})`;
  const made = new Script(text, { filename: 'restored.js' }).runInThisContext();
  if (!node.m) return made;
  const [key] = Reflect.ownKeys(made);
  const { value, get, set } = Object.getOwnPropertyDescriptor(made, key);
  return value ?? get ?? set;
}

module.exports = { Decoder };
