// The variables of a session: what cells declared with let, const and class, and what they put on globalThis.
'use strict';

const { Script } = require('vm');

const GIVE = Symbol.for('sandbox.give');
const NAME = /^[\p{ID_Start}$_][\p{ID_Continue}$\u200c\u200d]*$/u;
const { getOwnPropertyDescriptor, getOwnPropertyNames, hasOwn, is } = Object;

/** Made before the first cell: what is there then is Node's and ours. */
class Bindings {
  #inspector;
  #own = new Set(getOwnPropertyNames(globalThis)); // before any cell
  #were = new Map(); // what those of them were that cells have named
  #lexical = new Set();
  #constant = new Map(); // name -> whether it is a const, which it stays
  #taken = new Set(); // of Node's own, what cells have put something else in the place of

  constructor(inspector) {
    this.#inspector = inspector;
  }

  /** Before a cell that has these words. Node makes much of its own only when somebody looks at it: fetch is 9 MB. */
  note(words) {
    for (const word of words) {
      if (!this.#own.has(word) || this.#were.has(word)) continue;
      const { value, get } = getOwnPropertyDescriptor(globalThis, word) ?? {};
      this.#were.set(word, get ?? value);
    }
  }

  /** Every name that there is now. Of Node's own only what cells have named can have become the session's. */
  names() {
    const names = this.declared();
    for (const name of this.#were.keys()) {
      if (hasOwn(globalThis, name) && !this.#isOwn(name)) this.#taken.add(name);
    }
    for (const name of this.#taken) names.add(name);
    return names;
  }

  /** The same without Node's own. */
  declared() {
    this.#lexical = new Set(this.#inspector.post('Runtime.globalLexicalScopeNames', {}).names);
    const names = new Set(this.#lexical);
    for (const name of getOwnPropertyNames(globalThis)) {
      if (!this.#own.has(name) && NAME.test(name)) names.add(name);
    }
    return names;
  }

  #isOwn(name) {
    const { value, get } = getOwnPropertyDescriptor(globalThis, name);
    // Node makes some of its own when they are first asked for.
    const before = this.#were.get(name);
    return is(before, get ?? value) || (typeof before === 'function' && get === undefined
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

  /** Declare names as cells do, with what `give` returns for each; those in `constants` with const. */
  declare(names, constants, give) {
    if (!names.length) return Promise.resolve();
    Object.defineProperty(globalThis, GIVE, { value: give, configurable: true });
    const one = (name) => `${constants.has(name) ? 'const' : 'let'} ${name} = globalThis[Symbol.for('sandbox.give')]('${name}')`;
    const script = names.map(one).join('; ');
    return new Promise((done, fail) => {
      this.#inspector.evaluate(script, (problem, answer) => {
        delete globalThis[GIVE];
        if (problem ?? answer.exceptionDetails) fail(new Error('the names could not be declared'));
        else done();
      });
    });
  }

  isLexical(name) {
    return this.#lexical.has(name);
  }

  /** Whether a name that has a value is a const: V8 tells only whoever assigns to it. */
  isConstant(name) {
    if (!this.#lexical.has(name)) return false;
    if (!this.#constant.has(name)) this.#constant.set(name, refusesItself(name));
    return this.#constant.get(name);
  }
}

function refusesItself(name) {
  try {
    new Script(`${name} = ${name}`).runInThisContext();
    return false;
  } catch {
    return true;
  }
}

module.exports = { Bindings };
