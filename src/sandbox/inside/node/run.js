// Runs one cell in the realm of the session: top-level await, redeclared `const`, interrupts that keep the state.
'use strict';

const { Session } = require('inspector');
const { Script } = require('vm');
const { Cells } = require('./cells.js');
const { Exit, describe } = require('./failures.js');

const TAKE = Symbol('take');
const CALL = Symbol.for('sandbox.call');
const STOPPED = new Set(['ERR_SCRIPT_EXECUTION_INTERRUPTED']);

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
  #script = new Script(`globalThis[Symbol.for('sandbox.call')]()`, { filename: 'evalmachine.<anonymous>' });
  #taker = null;

  constructor(show) {
    this.#show = show;
    this.#session.connect();
    Object.defineProperty(globalThis, CALL, { value: () => this.#call() });
    Object.defineProperty(globalThis, TAKE, { value: (value) => { this.#taken = value; }, configurable: true });
    process.on('SIGINT', () => this.#interrupted());
    process.on('uncaughtException', (error) => this.#uncaught(error));
  }

  get inspector() {
    return this.#session;
  }

  /** Run a cell; `done` gets its last event. */
  run(request, done) {
    const { code, number } = request;
    this.#cell = { number, code, done, hit: false, finished: false };
    const cell = this.#cell;
    this.#guarded(cell, () => {
      let text;
      try {
        [text, cell.hit] = this.cells.get(code, request.language, request.key);
      } catch (error) {
        this.#end(cell, error);
        return;
      }
      const params = {
        expression: `${text}\n//# sourceURL=cell-${number}.js`,
        replMode: true,
        awaitPromise: true,
        objectGroup: 'cell',
      };
      this.#session.post('Runtime.evaluate', params, (problem, answer) => this.#evaluated(cell, problem, answer));
      // Here and not later: only what runs within the guard can be interrupted while it does not wait.
      process._tickCallback();
    });
  }

  /** Do something that SIGINT ends, whatever it does. */
  #guarded(cell, action) {
    this.#call = action;
    try {
      this.#script.runInThisContext({ breakOnSigint: true });
    } catch (error) {
      if (!STOPPED.has(error.code)) throw error;
      this.#stop(cell);
    }
  }

  #evaluated(cell, problem, answer) {
    if (cell.finished) return;
    if (cell.returned) {
      // It waited for something: what shows its value is guarded anew.
      cell.returned = false;
      this.#guarded(cell, () => this.#take(cell, problem, answer));
    } else {
      this.#take(cell, problem, answer);
    }
  }

  #take(cell, problem, answer) {
    if (problem) {
      this.#end(cell, problem);
      return;
    }
    const details = answer.exceptionDetails;
    if (details !== undefined) {
      const error = this.value(details.exception);
      this.#end(cell, error, whereOf(details, cell));
      return;
    }
    const value = this.value(answer.result);
    if (value !== undefined) this.#show(value);
    this.#end(cell, null);
  }

  /** The value that the inspector tells of. */
  value(remote) {
    if (remote.objectId === undefined) return primitive(remote);
    this.#taker ??= this.#object(TAKE);
    this.#session.post('Runtime.callFunctionOn', {
      functionDeclaration: `function (take) { 'use strict'; take(this); }`,
      objectId: remote.objectId,
      arguments: [{ objectId: this.#taker }],
    });
    const value = this.#taken;
    this.#taken = undefined;
    return value;
  }

  #object(symbol) {
    let id;
    globalThis[CALL].found = globalThis[symbol];
    const params = { expression: `globalThis[Symbol.for('sandbox.call')].found`, objectGroup: 'own' };
    this.#session.post('Runtime.evaluate', params, (_, answer) => { id = answer.result.objectId; });
    delete globalThis[CALL].found;
    return id;
  }

  #end(cell, error, where = '') {
    if (cell.finished) return;
    cell.finished = true;
    this.#cell = null;
    this.#session.post('Runtime.releaseObjectGroup', { objectGroup: 'cell' });
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

/** Where V8 saw the mistake: the line of the cell with a mark below it. */
function whereOf(details, cell) {
  const frame = details.stackTrace?.callFrames.find((one) => one.url === `cell-${cell.number}.js`);
  const own = frame ?? (details.url === `cell-${cell.number}.js` ? details : undefined);
  const line = own === undefined ? undefined : cell.code.split('\n')[own.lineNumber];
  if (line === undefined || line.length > 500) return '';
  return `cell-${cell.number}.js:${own.lineNumber + 1}\n${line}\n${' '.repeat(own.columnNumber)}^\n\n`;
}

function primitive(remote) {
  if (remote.unserializableValue !== undefined) {
    const text = remote.unserializableValue;
    return text.endsWith('n') ? BigInt(text.slice(0, -1)) : Number(text);
  }
  return remote.subtype === 'null' ? null : remote.value;
}

module.exports = { Runner };
