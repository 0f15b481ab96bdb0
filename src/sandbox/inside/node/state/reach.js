// Which variables a cell can have changed, and which of them share objects.
'use strict';

const { Encoder } = require('./encode.js');
const { wordsOf } = require('./code.js');

// Whoever says one of these may mean any variable, or reach it by another way than its name.
const OPEN = new Set(['globalThis', 'global', 'this', 'eval', 'Function', 'vm', 'inspector', 'self', 'Module', 'sandboxImport']);

/** The names that code can reach over functions that it can call, and all its words; null for all that there are. */
function reachOf(code, there, saver) {
  if (code.includes('\\u')) return null;
  const reached = new Set();
  const seen = new Set();
  const waiting = wordsOf(code);
  while (waiting.length) {
    const word = waiting.pop();
    if (seen.has(word)) continue;
    seen.add(word);
    if (OPEN.has(word)) return null;
    if (!there.has(word) && !saver.entries.has(word)) continue;
    reached.add(word);
    const entry = saver.entries.get(word);
    if (entry === undefined) continue;
    const group = saver.groups.get(entry.group);
    // What could not be written down was not looked through either.
    if (entry.lost !== undefined || group?.opaque) return null;
    for (const more of [group?.words, group?.names]) for (const one of more ?? []) waiting.push(one);
  }
  return { reached, words: seen };
}

/** Values that share objects, found while they are written down one by one. */
class Components {
  #parts = [];
  #of = new Map(); // object -> the part that met it first
  #joined = new Map();
  #met = [];

  special(name, special, value) {
    this.#parts.push({ names: [name], values: [value], special });
  }

  meet(name, object) {
    this.#met.push(object);
    const first = this.#of.get(object);
    if (first === undefined) this.#of.set(object, name);
    else if (first !== name) this.#join(first, name);
  }

  /** It cannot be kept: what it shares it does not keep either. */
  unmeet(name) {
    for (const object of this.#met) if (this.#of.get(object) === name) this.#of.delete(object);
    this.#met = [];
    this.#joined.delete(name);
  }

  add(name, value, { encoder, root, lost }) {
    this.#parts.push({ names: [name], values: [value], encoder, root, lost, objects: this.#met });
  }

  /** The numbers of the groups that the last value leads into. */
  met(owners) {
    const found = new Set();
    for (const object of this.#met) {
      const id = owners.get(object);
      if (id !== undefined) found.add(id);
    }
    this.#met = [];
    return found;
  }

  #join(one, other) {
    const [first, second] = [this.#root(one), this.#root(other)];
    if (first !== second) this.#joined.set(second, first);
  }

  #root(name) {
    let at = name;
    while (this.#joined.has(at)) at = this.#joined.get(at);
    return at;
  }

  /** Each with `names`, `values` in their order, and `table` or what else it is. */
  *all() {
    const together = new Map();
    for (const part of this.#parts) {
      if (part.special || part.lost) {
        yield part;
        continue;
      }
      const root = this.#root(part.names[0]);
      if (!together.has(root)) together.set(root, []);
      together.get(root).push(part);
    }
    for (const parts of together.values()) yield joined(parts);
  }
}

function joined(parts) {
  const names = parts.flatMap((part) => part.names);
  const values = parts.flatMap((part) => part.values);
  const objects = parts.flatMap((part) => part.objects);
  const table = (world) => {
    if (parts.length === 1) return { encoder: parts[0].encoder, roots: { [names[0]]: parts[0].root } };
    const encoder = new Encoder(world);
    const roots = {};
    names.forEach((name, at) => { roots[name] = encoder.add(values[at], name); });
    return { encoder, roots };
  };
  return { names, values, objects, table };
}

module.exports = { Components, reachOf };
