// SIGINT: ends what runs, whatever it does, and leaves everything else as it is.
//
// Node can end a script by a signal (`breakOnSigint`), by a thread that it makes for that script. Made for each cell it
// would cost as much as the cell; so it is kept, which takes functions of Node's own. While a cell waits for something,
// nothing runs that could be ended, and the signal is an event as others are.
'use strict';

const { Script } = require('vm');
const { quietly } = require('./quietly.js');
// Node's own modules, which --expose-internals shows.
const { startSigintWatchdog, stopSigintWatchdog } = quietly(() => require('internal/test/binding')).internalBinding('contextify');

const CALL = Symbol.for('sandbox.call');
const STOPPED = 'ERR_SCRIPT_EXECUTION_INTERRUPTED';
const GUARD = 'guard';

class Interrupts {
  #script = new Script(`globalThis[Symbol.for('sandbox.call')]()`, { filename: GUARD });
  #action = null;
  #waiting = null;

  constructor() {
    Object.defineProperty(globalThis, CALL, { value: () => this.#action() });
    startSigintWatchdog();
  }

  /** Do something that SIGINT may end; return whether it came to its end. */
  guarded(action) {
    if (this.#waiting !== null) this.#leave();
    const listeners = this.#withoutListeners();
    this.#action = action;
    try {
      this.#script.runInThisContext({ breakOnSigint: true });
      return true;
    } catch (error) {
      if (error?.code !== STOPPED) throw error;
      return false;
    } finally {
      for (const one of listeners) process.on('SIGINT', one);
      if (this.#waiting !== null) this.#enter();
    }
  }

  /** Whoever listens to the signal has taken it away from the thread: return them, and let it have it again. */
  #withoutListeners() {
    const listeners = process.rawListeners('SIGINT');
    if (listeners.length) {
      process.removeAllListeners('SIGINT');
      stopSigintWatchdog();
      startSigintWatchdog();
    }
    return listeners;
  }

  /** Until `resume`, call `interrupted` for the signal: nothing runs that would have to be ended. */
  wait(interrupted) {
    this.#waiting = interrupted;
    this.#enter();
  }

  resume() {
    if (this.#waiting !== null && process.listeners('SIGINT').includes(this.#waiting)) this.#leave();
    this.#waiting = null;
  }

  #enter() {
    const listeners = process.rawListeners('SIGINT');
    process.removeAllListeners('SIGINT');
    if (stopSigintWatchdog()) setImmediate(this.#waiting); // it came just now
    for (const one of [...listeners, this.#waiting]) process.on('SIGINT', one);
  }

  #leave() {
    process.removeListener('SIGINT', this.#waiting);
    startSigintWatchdog();
  }
}

module.exports = { GUARD, Interrupts };
