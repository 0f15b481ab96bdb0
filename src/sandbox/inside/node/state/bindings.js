// The variables of a session: what cells declared with let, const and class, and what they put on globalThis.
'use strict';

const { Script } = require('vm');

const NAME = /^[\p{ID_Start}$_][\p{ID_Continue}$\u200c\u200d]*$/u;
const { getOwnPropertyDescriptor, getOwnPropertyNames, hasOwn, is } = Object;

/** Made before the first cell: what is there then is Node's and ours. */
class Bindings {
  #post;
  #own = new Map(); // of globalThis, as it was
  #lexical = new Set();

  constructor(post) {
    this.#post = post;
    for (const name of getOwnPropertyNames(globalThis)) {
      const { value, get } = getOwnPropertyDescriptor(globalThis, name);
      this.#own.set(name, get ?? value);
    }
  }

  /** Every name that there is now. */
  names() {
    this.#lexical = new Set(this.#post('Runtime.globalLexicalScopeNames', {}).names);
    const names = new Set(this.#lexical);
    for (const name of getOwnPropertyNames(globalThis)) {
      if (NAME.test(name) && !this.#isOwn(name)) names.add(name);
    }
    return names;
  }

  #isOwn(name) {
    if (!this.#own.has(name)) return false;
    const { value, get } = getOwnPropertyDescriptor(globalThis, name);
    // Node makes some of its own when they are first asked for.
    return is(this.#own.get(name), get ?? value) || (typeof this.#own.get(name) === 'function' && get === undefined
      && typeof value === 'object');
  }

  /** The values of names, those of which have one: a `let` whose cell failed before it has none. */
  values(names) {
    const found = new Map();
    const lexical = [...names].filter((name) => this.#lexical.has(name));
    const readers = new Script(`[${lexical.map((name) => `() => ${name}`).join(',')}]`).runInThisContext();
    const inOrder = new Map(lexical.map((name, index) => [name, readers[index]]));
    for (const name of names) {
      try {
        if (inOrder.has(name)) found.set(name, inOrder.get(name)());
        else if (hasOwn(globalThis, name)) found.set(name, globalThis[name]);
      } catch {
        continue; // it has no value, or a getter of the session's own that throws
      }
    }
    return found;
  }

  /** Declare a name, or give it another value. */
  set(name, value, { lexical }) {
    if (!lexical) {
      globalThis[name] = value;
      return;
    }
    this.declare(name, () => value);
  }

  /** Declare a name by what gives its value, or throws. */
  declare(name, give) {
    const slot = Symbol.for('sandbox.give');
    globalThis[slot] = give;
    try {
      this.#post('Runtime.evaluate', { expression: `let ${name} = globalThis[Symbol.for('sandbox.give')]()`, replMode: true });
    } finally {
      delete globalThis[slot];
    }
  }

  isLexical(name) {
    return this.#lexical.has(name);
  }
}

module.exports = { Bindings };
