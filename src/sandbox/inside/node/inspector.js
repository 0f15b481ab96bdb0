// V8's inspector, asked from within: it runs cells as a prompt does, and sees scopes and private fields.
'use strict';

const { Session } = require('inspector');
const { promiseHooks } = require('v8');

const TAKE = Symbol.for('sandbox.take');
const SLOT = Symbol.for('sandbox.slot');
const OF_CELL = { objectGroup: 'cell' };
const { defineProperty, getOwnPropertyDescriptor, hasOwn } = Object;
const OBJECT = Object.prototype;

class Inspector {
  #session = null;
  #taken = undefined;
  #held = new Map();
  #given = false; // whether something was asked since `release` that it may hold objects for

  constructor() {
    this.#connect();
    Object.defineProperty(globalThis, TAKE, { value: (value) => { this.#taken = value; } });
  }

  #connect() {
    this.#session = new Session();
    this.#session.connect();
  }

  /** Ask something that is answered at once. */
  post(method, params) {
    let found;
    let refused;
    this.#given = true;
    const ask = () => this.#session.post(method, params, (problem, answer) => {
      refused = problem;
      found = answer;
    });
    asOurs(ask);
    if (refused) throw new Error(`${method}: ${refused.message}`);
    return found;
  }

  /** Evaluate a script as a prompt does; `done` gets what came of it, sooner or later. */
  evaluate(expression, done) {
    const key = {};
    this.#given = true;
    // The script's own promise is the first that is made, and is held: if V8 collects what it awaits, it tells whoever
    // asked in the middle of that, and Node ends.
    const stop = promiseHooks.onInit((promise) => {
      if (!this.#held.has(key)) this.#held.set(key, promise);
    });
    const ask = () => this.#session.post('Runtime.evaluate', { expression, replMode: true, ...OF_CELL }, (problem, answer) => {
      this.#held.delete(key);
      done(problem, answer);
    });
    try {
      asOurs(ask);
    } finally {
      stop();
    }
  }

  /** After an interrupt: what was asked and not answered would be told when it is collected, and then Node ends. */
  renew() {
    this.#session.disconnect();
    this.#held.clear();
    this.#connect();
  }

  /** Let go of what cells had. */
  release() {
    if (this.#given) this.post('Runtime.releaseObjectGroup', OF_CELL);
    this.#given = false;
  }

  /** The value that an answer tells of. */
  value(remote) {
    if (remote.objectId === undefined) return primitive(remote);
    this.post('Runtime.callFunctionOn', {
      functionDeclaration: `function () { 'use strict'; globalThis[Symbol.for('sandbox.take')](this); }`,
      objectId: remote.objectId,
    });
    const value = this.#taken;
    this.#taken = undefined;
    return value;
  }

  /** What the inspector knows of an object's properties. */
  properties(value, how = {}) {
    globalThis[SLOT] = value;
    try {
      const params = { expression: `globalThis[Symbol.for('sandbox.slot')]`, ...OF_CELL };
      return this.propertiesOf(this.post('Runtime.evaluate', params).result, how);
    } finally {
      delete globalThis[SLOT];
    }
  }

  propertiesOf(remote, how = {}) {
    return this.post('Runtime.getProperties', { objectId: remote.objectId, ownProperties: true, ...how });
  }
}

/** Send a message of Node's own, which writes it as JSON: not as a cell has said that all objects are to be written. */
function asOurs(ask) {
  const said = getOwnPropertyDescriptor(OBJECT, 'toJSON');
  if (said === undefined || !said.configurable) {
    ask();
    return;
  }
  delete OBJECT.toJSON;
  try {
    ask();
  } finally {
    if (!hasOwn(OBJECT, 'toJSON')) defineProperty(OBJECT, 'toJSON', said);
  }
}

function primitive(remote) {
  if (remote.unserializableValue !== undefined) {
    const text = remote.unserializableValue;
    return text.endsWith('n') ? BigInt(text.slice(0, -1)) : Number(text);
  }
  return remote.subtype === 'null' ? null : remote.value;
}

module.exports = { Inspector };
