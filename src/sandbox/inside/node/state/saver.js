// Works out what an execution changed, as records for the store.
//
// Variables that share objects are a group, and one part. A cell can only have changed what its words lead to: see
// `reach.js`. What is not reached stays as it was written.
'use strict';

const { hash } = require('crypto');
const v8 = require('v8');
const { toText } = require('../frames.js');
const { Buffers } = require('./buffers.js');
const { Encoder } = require('./encode.js');
const { Components, reachOf } = require('./reach.js');
const { entryOf, lostEntry, specialOf } = require('./entries.js');
const { Refused } = require('./refused.js');

const FORMAT = 1;
const MOST_LOST = 10_000;
const MOST_NAME = 200;
const MOST_REASON = 500;

class Saver {
  entries = new Map(); // name -> what the index says of it
  groups = new Map(); // number -> { names, size, digest, words, opaque, buffers }
  owners = new WeakMap(); // object -> the number of the group that it was last in
  buffers = new Buffers();
  #bindings;
  #world;
  #ambient;
  #next = 1;
  #everything = false;
  #written = '';
  #busy = false;

  constructor(bindings, world, ambient) {
    this.#bindings = bindings;
    this.#world = world;
    this.#ambient = ambient;
  }

  /** What the store has is not known, or not what is here: look at everything next time. */
  distrust({ known = false } = {}) {
    this.#everything = true;
    if (known) return;
    this.#written = '';
    for (const group of this.groups.values()) group.digest = '';
    this.buffers.distrust();
    this.#ambient.distrust();
  }

  /** After execution `number` of `code`: records, and every name that is lost as of now. */
  save(number, code, { busy }) {
    const everything = this.#everything || this.#busy || busy;
    const found = everything ? null : reachOf(code, this.#bindings.declared(), this);
    this.#everything = false;
    this.#busy = busy;
    const there = this.#bindings.names();
    const names = found?.reached ?? new Set([...there, ...this.entries.keys()]);
    for (const name of there) if (!this.entries.has(name)) names.add(name);
    for (const name of this.entries.keys()) if (!there.has(name)) names.add(name);
    const records = names.size ? this.#changed(names, there, number) : [];
    this.#world.release();
    records.push(...this.#index());
    if (found === null || found.words.has('process')) records.push(...this.#ambient.records());
    return { records, lost: this.lost() };
  }

  #changed(names, there, number) {
    this.#world.refresh();
    this.#widen(names);
    const values = this.#bindings.values([...names].filter((name) => there.has(name)));
    for (const name of names) this.#world.note(name, values.get(name));
    const old = new Set([...names].map((name) => this.entries.get(name)?.group).filter((one) => one !== undefined));
    const components = this.#components(names, values, old);
    for (const name of names) this.#forget(name, there, values);
    const records = [];
    const free = [...old];
    for (const component of components.all()) {
      for (const record of this.#write(component, free, number)) records.push(record);
    }
    for (const id of free) {
      this.groups.delete(id);
      records.push({ header: { drop: `group/${id}` }, payload: [] });
    }
    const used = new Set([...this.groups.values()].flatMap((group) => group.buffers));
    return [...records, ...this.buffers.dropped(used)];
  }

  /** Whoever shares a group with a name that is reached is looked at too: the group may fall apart. */
  #widen(names) {
    for (const name of [...names]) {
      const group = this.groups.get(this.entries.get(name)?.group);
      for (const other of group?.names ?? []) names.add(other);
    }
  }

  /** Which of the values share objects. A group that was not looked at is, if one of them leads into it. */
  #components(names, values, old) {
    const components = new Components();
    const waiting = [...names];
    while (waiting.length) {
      const name = waiting.shift();
      const value = values.get(name);
      const special = values.has(name) ? specialOf(value) : { missing: true };
      if (special !== null) {
        components.special(name, special, value);
        continue;
      }
      components.add(name, value, this.#encoded(name, value, components));
      for (const id of components.met(this.owners)) {
        if (old.has(id) || !this.groups.has(id)) continue;
        old.add(id);
        const more = this.groups.get(id).names.filter((one) => !names.has(one));
        for (const [one, found] of this.#bindings.values(more)) values.set(one, found);
        for (const one of more) names.add(one);
        for (const one of more) waiting.push(one); // spread, a hundred thousand would not fit the stack
      }
    }
    return components;
  }

  #encoded(name, value, components) {
    const encoder = new Encoder(this.#world, (object) => components.meet(name, object));
    try {
      return { encoder, root: encoder.add(value, name) };
    } catch (error) {
      components.unmeet(name);
      return { lost: reasonOf(error) };
    }
  }

  /** It is in no group any more. What was lost, and stands for itself, stays so. */
  #forget(name, there, values) {
    const entry = this.entries.get(name);
    if (entry !== undefined) delete entry.group;
    if (!values.has(name) && (entry?.lost === undefined || !there.has(name))) this.entries.delete(name);
  }

  /** Write one component down: a special value, one that is lost, or values in one table. */
  #write(component, free, number) {
    const { names } = component;
    if (component.special?.missing) return [];
    if (component.special) {
      this.#note(names[0], entryOf(component.values[0], component.special), number);
      return [];
    }
    if (component.lost) {
      this.#note(names[0], lostEntry(component.values[0], component.lost), number);
      return [];
    }
    const { encoder, roots } = component.table(this.#world);
    const id = free.shift() ?? this.#next++;
    const records = [];
    const buffers = [];
    for (const [node, buffer] of encoder.buffers) {
      encoder.nodes[node].q = this.buffers.idOf(buffer);
      buffers.push(encoder.nodes[node].q);
      records.push(...this.buffers.changed(buffer));
    }
    const bytes = v8.serialize({ nodes: encoder.nodes, roots });
    const digest = hash('sha1', bytes);
    if (this.groups.get(id)?.digest !== digest) {
      records.push({ header: { put: `group/${id}`, size: bytes.length }, payload: [bytes] });
    }
    const same = !records.length;
    const size = bytes.length + encoder.buffers.reduce((sum, [, one]) => sum + one.byteLength, 0);
    this.groups.set(id, { names, size, digest, buffers, words: encoder.words, opaque: encoder.opaque });
    for (const object of component.objects) this.owners.set(object, id);
    names.forEach((name, at) => this.#note(name, { ...entryOf(component.values[at], null), group: id }, number, same));
    return records;
  }

  #note(name, entry, number, same = false) {
    const before = this.entries.get(name);
    entry.lexical = this.#bindings.isLexical(name);
    if (this.#bindings.isConstant(name)) entry.constant = true;
    const unchanged = before !== undefined && (same || toText({ ...before, since: 0, group: 0 }) === toText({ ...entry, since: 0, group: 0 }) && entry.group === undefined);
    entry.since = unchanged ? before.since : number;
    this.entries.set(name, entry);
  }

  #index() {
    const groups = Object.fromEntries([...this.groups].map(([id, { size }]) => [id, { size }]));
    const text = toText({ format: FORMAT, node: process.version, names: Object.fromEntries(this.entries), groups }).toWellFormed();
    if (text === this.#written) return [];
    this.#written = text;
    const bytes = Buffer.from(text);
    return [{ header: { put: 'index', size: bytes.length }, payload: [bytes] }];
  }

  /** A checkpoint was restored: this is what the store has. */
  adopt(index, text, groups) {
    this.entries = new Map(Object.entries(index.names));
    this.groups = groups;
    this.#next = 1;
    for (const id of groups.keys()) this.#next = Math.max(this.#next, id + 1);
    this.#written = text;
  }

  /** Every name that a restore would not bring back. */
  lost() {
    const found = [...this.entries].filter(([, entry]) => entry.lost !== undefined);
    return found.slice(0, MOST_LOST).map(([name, entry]) => ({
      name: name.slice(0, MOST_NAME).toWellFormed(), type: entry.type, reason: entry.lost, since: entry.since,
    }));
  }
}

function reasonOf(error) {
  const text = error instanceof Refused ? error.message : `${error?.name}: ${error?.message}`;
  return text.slice(0, MOST_REASON).toWellFormed();
}

module.exports = { FORMAT, Saver, reasonOf };
