// What saving and restoring know of a session beside its values: names of functions, places, what functions close over.
'use strict';

const OURS_TO_MAKE = new Set(['builtin.events.prototype', 'builtin.events.EventEmitter.prototype']);
const OPEN = new Set(['Script', 'Global']);
const PRIVATE = /#[\p{ID_Start}$_]/u;

class World {
  #inspector;
  #places;
  #closes = new WeakMap();
  #names = new Map(); // of functions
  #functions = new Map(); // by name

  constructor(inspector, places) {
    this.#inspector = inspector;
    this.#places = places;
  }

  refresh() {
    this.#places.refresh();
  }

  /** A name has this value now, or, with undefined, none. */
  note(name, value) {
    const before = this.#functions.get(name);
    if (before !== undefined && this.#names.get(before) === name) this.#names.delete(before);
    this.#functions.delete(name);
    if (typeof value !== 'function') return;
    this.#functions.set(name, value);
    if (!this.#names.has(value)) this.#names.set(value, name);
  }

  /** The name by which a function or class of the session is known. */
  nameOf(value) {
    return this.placeOf(value) === null ? this.#names.get(value) : undefined;
  }

  placeOf(value) {
    return this.#places.of(value);
  }

  /** Whether objects of a class of Node's own are nothing but their properties. */
  allows(place) {
    return OURS_TO_MAKE.has(place.join('.'));
  }

  /** The kinds of scopes that a function has around it beside those of the session; nothing for none. */
  closesOver(value) {
    const known = this.#closes.get(value);
    if (known !== undefined) return known;
    const inner = this.#inspector.properties(value).internalProperties?.find((one) => one.name === '[[Scopes]]');
    const scopes = inner === undefined ? [] : this.#inspector.propertiesOf(inner.value).result;
    const closed = scopes.filter((one) => !OPEN.has(kindOf(one)) && !this.#hasOnly(one.value, value));
    const found = [...new Set(closed.map(kindOf))].join(', ');
    this.#closes.set(value, found);
    return found;
  }

  /** Whether a scope has nothing in it but a class or function under its own name, as its own code calls it. */
  #hasOnly(scope, value) {
    const { result } = this.#inspector.propertiesOf(scope);
    return result.every((one) => one.name === value.name && one.value && this.#inspector.value(one.value) === value);
  }

  /** Whether an object has fields that only the code of its class can read. */
  hasPrivate(value) {
    let proto = Object.getPrototypeOf(value);
    let possible = false;
    for (; proto !== null; proto = Object.getPrototypeOf(proto)) {
      const maker = Object.getOwnPropertyDescriptor(proto, 'constructor')?.value;
      if (typeof maker === 'function' && PRIVATE.test(Function.prototype.toString.call(maker))) possible = true;
    }
    return possible && (this.#inspector.properties(value).privateProperties ?? []).length > 0;
  }

  /** The names of what an array has beside its elements. */
  namesBesides(value) {
    const { result } = this.#inspector.properties(value, { nonIndexedPropertiesOnly: true });
    return result.filter((one) => one.symbol === undefined).map((one) => one.name);
  }

  /** Let go of what was looked at. */
  release() {
    this.#inspector.release();
  }
}

function kindOf(scope) {
  return (scope.value?.description ?? 'Scope').split(' ')[0];
}

module.exports = { World };
