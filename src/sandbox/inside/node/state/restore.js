// Puts a checkpoint into a fresh worker.
'use strict';

const { hash } = require('crypto');
const v8 = require('v8');
const { wordsOf } = require('./code.js');
const { Decoder } = require('./decode.js');
const { specialBack } = require('./entries.js');
const { at } = require('./places.js');
const { FORMAT, reasonOf } = require('./saver.js');
const { key } = require('./buffers.js');

/** A name is used whose value could not be kept. */
class StateLost extends ReferenceError {
  name = 'StateLost';
}

/** One restore. `parts`: every part by its key. */
class Restoration {
  #parts;
  #bindings;
  #saver;
  #entries;
  #decoders = new Map(); // number of group -> { decoder, roots }
  #placed = new Map();
  #groups = new Map();
  #values = new Map();
  #loading = new Set();
  #before = new Map(); // what globalThis had under a name
  #world;

  constructor(parts, bindings, world, saver) {
    this.#parts = parts;
    this.#bindings = bindings;
    this.#world = world;
    this.#saver = saver;
  }

  /** All of it. What is lost has a placeholder. `how`: `load` and `require_`, as cells have them. */
  async run(how) {
    const text = this.#parts.get('index').toString();
    const index = JSON.parse(text);
    if (index.format !== FORMAT || index.node === undefined) {
      throw new Error('the checkpoint is not one of a session in JavaScript');
    }
    this.#entries = new Map(Object.entries(index.names));
    await this.#open(Object.keys(index.groups), how);
    for (const name of this.#entries.keys()) this.#load(name);
    await this.#declare();
    this.#saver.adopt(index, text, this.#groups);
    this.#saver.distrust({ known: true });
  }

  async #open(ids, how) {
    for (const id of ids) {
      const bytes = this.#parts.get(`group/${id}`);
      const { nodes, roots } = v8.deserialize(bytes);
      const buffers = new Map();
      const used = [];
      nodes.forEach((node, number) => {
        if (node.q === undefined) return;
        used.push(node.q);
        buffers.set(number, this.#buffer(node));
      });
      for (const node of nodes) if (node.k === 'place') await this.#place(node.place, how);
      this.#decoders.set(Number(id), { decoder: new Decoder(nodes, buffers, this.#asked()), roots });
      this.#groups.set(Number(id), {
        names: Object.keys(roots), size: bytes.length, digest: hash('sha1', bytes), buffers: used, words: new Set(), opaque: true,
      });
    }
  }

  #buffer(node) {
    const bytes = this.#parts.get(key(node.q));
    const made = new ArrayBuffer(bytes.length, node.r === undefined ? undefined : { maxByteLength: node.r });
    new Uint8Array(made).set(bytes);
    this.#saver.buffers.adopt(node.q, made);
    return made;
  }

  /** Modules are loaded before the values that are in them: import() takes its time. */
  async #place(place, how) {
    const name = JSON.stringify(place);
    if (this.#placed.has(name)) return;
    try {
      this.#placed.set(name, { value: await at(place, how) });
    } catch (error) {
      this.#placed.set(name, { error });
    }
  }

  #asked() {
    return {
      named: (name) => this.#named(name),
      placed: (place) => {
        const { value, error } = this.#placed.get(JSON.stringify(place));
        if (error !== undefined) throw error;
        return value;
      },
      needed: (source) => {
        for (const word of wordsOf(source)) if (this.#entries.has(word)) this.#load(word);
      },
    };
  }

  #named(name) {
    this.#load(name);
    if (!this.#values.has(name)) throw new Error(`${name}, which it needs, is lost`);
    return this.#values.get(name);
  }

  /** Give a name its value, or a placeholder. One that is just being loaded is left to who does that. */
  #load(name) {
    if (this.#loading.has(name)) return;
    this.#loading.add(name);
    const entry = this.#entries.get(name);
    if (entry.lost !== undefined) {
      this.#lose(name, entry, entry.lost);
      return;
    }
    try {
      const value = this.#value(name, entry);
      this.#values.set(name, value);
      this.#put(name, value);
      this.#world.note(name, value);
    } catch (error) {
      this.#lose(name, entry, reasonOf(error));
    }
  }

  /** On globalThis until all are there: code of classes that is run meanwhile finds it. */
  #put(name, value) {
    this.#before.set(name, Object.getOwnPropertyDescriptor(globalThis, name));
    Object.defineProperty(globalThis, name, { value, writable: true, enumerable: true, configurable: true });
  }

  async #declare() {
    const lexical = [...this.#values.keys()].filter((name) => this.#entries.get(name).lexical);
    const constants = new Set(lexical.filter((name) => this.#entries.get(name).constant));
    await this.#bindings.declare(lexical, constants, (name) => this.#values.get(name));
    for (const name of lexical) {
      const before = this.#before.get(name);
      if (before === undefined) delete globalThis[name];
      else Object.defineProperty(globalThis, name, before);
    }
  }

  #value(name, entry) {
    if (entry.special !== undefined) return specialBack(entry.special);
    if (entry.group === undefined) return entry.value;
    const { decoder, roots } = this.#decoders.get(entry.group);
    return decoder.value(roots[name]);
  }

  #lose(name, entry, reason) {
    const made = entry.since ? `, made by execution ${entry.since},` : '';
    const text = `${name} (${entry.type})${made} could not be kept: ${reason}`;
    Object.assign(entry, { lost: reason });
    delete entry.group;
    Object.defineProperty(globalThis, name, {
      get() {
        throw new StateLost(text);
      },
      set(value) {
        Object.defineProperty(globalThis, name, { value, writable: true, enumerable: true, configurable: true });
      },
      enumerable: true,
      configurable: true,
    });
  }
}

module.exports = { Restoration };
