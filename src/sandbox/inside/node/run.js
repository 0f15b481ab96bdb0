// Runs one cell in the realm of the session: top-level await, redeclared `const`, interrupts that keep the state.
'use strict';

const { Session } = require('inspector');
const { types } = require('util');
const { promiseHooks } = require('v8');
const { Script } = require('vm');
const { Cells } = require('./cells.js');
const { Exit, describe } = require('./failures.js');

const TAKE = Symbol.for('sandbox.take');
const CALL = Symbol.for('sandbox.call');
const AWAITS = /\bawait\b/;
const STOPPED = 'ERR_SCRIPT_EXECUTION_INTERRUPTED';
const MOST_LINE = 500;

/** What an interrupted cell has thrown, as far as anybody is told. */
class Interrupted extends Error {
  name = 'Interrupted';
}

/** One cell at a time. What it leaves in the event loop runs on in later ones and in between. */
class Runner {
  cells = new Cells();
  #session = new Session();
  #show;
  #cell = null;
  #call = null;
  #taken = undefined;
  #held = new Map();
  #script = new Script(`globalThis[Symbol.for('sandbox.call')]()`, { filename: 'guard' });

  constructor(show) {
    this.#show = show;
    this.#session.connect();
    Object.defineProperty(globalThis, CALL, { value: () => this.#call() });
    Object.defineProperty(globalThis, TAKE, { value: (value) => { this.#taken = value; } });
    process.on('SIGINT', () => this.#interrupted());
    process.on('uncaughtException', (error) => this.#uncaught(error));
  }

  get inspector() {
    return this.#session;
  }

  /** Run a cell; `done` gets its last event. */
  run(request, done) {
    const { code, number } = request;
    this.#cell = { number, code, done, hit: false, finished: false, waits: true };
    const cell = this.#cell;
    this.#guarded(cell, () => {
      cell.waits = false;
      let text;
      try {
        [text, cell.hit] = this.cells.get(code, request.language, request.key);
      } catch (error) {
        this.#end(cell, error);
        return;
      }
      this.#evaluate(cell, text);
      // Here and not later: only what runs within the guard can be interrupted while it does not wait.
      process._tickCallback();
    });
    cell.waits = true;
  }

  #evaluate(cell, text) {
    const params = { expression: `${text}\n//# sourceURL=cell-${cell.number}.js`, replMode: true, objectGroup: 'cell' };
    const stop = AWAITS.test(text) ? this.#holdFirst(cell) : null;
    this.#session.post('Runtime.evaluate', params, (problem, answer) => {
      this.#held.delete(cell);
      this.#guarded(cell, () => this.#evaluated(cell, problem, answer));
    });
    stop?.();
  }

  /** Hold on to the cell's own promise, the first that is made: V8 ends Node when it collects what is awaited. */
  #holdFirst(cell) {
    return promiseHooks.onInit((promise) => {
      if (!this.#held.has(cell)) this.#held.set(cell, promise);
    });
  }

  #evaluated(cell, problem, answer) {
    if (cell.finished) return;
    const { result, exceptionDetails } = answer ?? {};
    if (problem) {
      this.#end(cell, new Error(problem.message));
    } else if (exceptionDetails !== undefined) {
      const error = this.value(exceptionDetails.exception);
      this.#end(cell, error, whereOf(error, exceptionDetails, cell));
    } else {
      const value = this.value(result);
      if (value !== undefined) this.#show(value);
      this.#end(cell, null);
    }
  }

  /** Ask the inspector, which answers at once. */
  post(method, params) {
    let found;
    this.#session.post(method, params, (problem, answer) => {
      if (problem) throw new Error(`${method}: ${problem.message}`);
      found = answer;
    });
    return found;
  }

  /** Do something that SIGINT ends, whatever it does. Within such a guard already, it is just done. */
  #guarded(cell, action) {
    if (!cell.waits) {
      action();
      return;
    }
    this.#call = action;
    try {
      this.#script.runInThisContext({ breakOnSigint: true });
    } catch (error) {
      if (error.code !== STOPPED) throw error;
      this.#stop(cell);
    }
  }

  /** The value that the inspector tells of. */
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

  #end(cell, error, where = '') {
    if (cell.finished) return;
    cell.finished = true;
    this.#cell = null;
    this.post('Runtime.releaseObjectGroup', { objectGroup: 'cell' });
    const plain = error === null || (error instanceof Exit && error.exitCode === 0);
    const end = {
      event: 'end',
      error: plain ? null : describe(error, where),
      interrupted: error instanceof Interrupted,
      cache_hit: cell.hit,
      compiled: this.cells.count,
    };
    cell.done(end);
  }

  #stop(cell) {
    this.#end(cell, new Interrupted('the execution was interrupted'));
  }

  /** SIGINT while the cell waits for something; between cells it came too late. */
  #interrupted() {
    if (this.#cell !== null) this.#stop(this.#cell);
  }

  /** What a callback threw that nobody waits for: said, and the session goes on. */
  #uncaught(error) {
    if (error instanceof Exit && this.#cell !== null) {
      this.#end(this.#cell, error);
      return;
    }
    process.stderr.write(`Uncaught ${describe(error).traceback}`);
  }
}

/** Where in the cell an error was made: its line with a mark below it. */
function whereOf(error, details, cell) {
  const stack = types.isNativeError(error) ? error.stack : undefined;
  const found = typeof stack === 'string' ? new RegExp(`cell-${cell.number}\\.js:(\\d+):(\\d+)`).exec(stack) : null;
  if (found !== null) return pointer(cell, found[1] - 1, found[2] - 1);
  // What V8 refuses before the cell runs has a place in the cell, and no frame.
  const compiled = error instanceof SyntaxError && details.stackTrace === undefined && details.url === undefined;
  return compiled ? pointer(cell, details.lineNumber, details.columnNumber) : '';
}

function pointer(cell, lineNumber, columnNumber) {
  const line = cell.code.split('\n', lineNumber + 1)[lineNumber];
  if (line === undefined || line.length > MOST_LINE) return '';
  return `cell-${cell.number}.js:${lineNumber + 1}\n${line}\n${' '.repeat(columnNumber)}^\n\n`;
}

function primitive(remote) {
  if (remote.unserializableValue !== undefined) {
    const text = remote.unserializableValue;
    return text.endsWith('n') ? BigInt(text.slice(0, -1)) : Number(text);
  }
  return remote.subtype === 'null' ? null : remote.value;
}

module.exports = { Runner };
