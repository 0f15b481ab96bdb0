// Runs one cell in the realm of the session: top-level await, redeclared `const`, interrupts that keep the state.
'use strict';

const { types } = require('util');
const { Cells } = require('./cells.js');
const { Exit, asked, describe, is } = require('./failures.js');
const { PLACE } = require('./imports.js');
const { Interrupts } = require('./interrupts.js');

const MOST_LINE = 500;
const TERMINATED = 'terminated'; // as V8 says it

/** What an interrupted cell has thrown, as far as anybody is told. */
class Interrupted extends Error {
  name = 'Interrupted';
}

/** One cell at a time. What it leaves in the event loop runs on in later ones and in between. */
class Runner {
  cells = new Cells();
  #inspector;
  #show;
  #cell = null;
  #interrupts = new Interrupts();

  /** `show` is called with the value of a cell. */
  constructor(inspector, show) {
    this.#inspector = inspector;
    this.#show = show;
    process.on('uncaughtException', (error) => this.#uncaught(error));
  }

  /** Run a cell; `done` gets its last event. */
  run(request, done) {
    const { code, number, language } = request;
    const cell = { number, code, language, done, hit: false, finished: false, waits: true };
    this.#cell = cell;
    this.#guarded(cell, () => {
      this.#begin(cell, request);
      // Here and not later: only what runs within the guard can be interrupted while it does not wait.
      process._tickCallback();
    });
    if (!cell.finished) this.#interrupts.wait(() => this.#stop(cell));
  }

  #begin(cell, { code, language, key }) {
    let prepared;
    try {
      [prepared, cell.hit] = this.cells.get(code, language, key);
    } catch (error) {
      const { line, column } = error[PLACE] ?? {};
      this.#end(cell, error, line === undefined ? '' : pointer(cell, line - 1, column), hintOf(cell));
      return;
    }
    const { first, text } = prepared;
    if (first) this.#evaluate(cell, first, () => this.#evaluate(cell, text));
    else this.#evaluate(cell, text);
  }

  /** `then` goes on if nothing was thrown; without it the cell has ended. */
  #evaluate(cell, text, then = null) {
    this.#inspector.evaluate(`${text}\n//# sourceURL=cell-${cell.number}.js`, (problem, answer) => {
      if (cell.finished || problem?.message.includes(TERMINATED)) return; // an interrupt: whoever guards it sees to that
      const failed = problem || answer.exceptionDetails !== undefined;
      this.#guarded(cell, () => (then === null || failed ? this.#evaluated(cell, problem, answer) : then()));
    });
  }

  #evaluated(cell, problem, answer) {
    const { result, exceptionDetails } = answer ?? {};
    if (problem) {
      this.#end(cell, new Error(problem.message));
    } else if (exceptionDetails !== undefined) {
      const error = this.#inspector.value(exceptionDetails.exception);
      const hint = isCompiled(error, exceptionDetails) ? hintOf(cell) : '';
      this.#end(cell, error, whereOf(error, exceptionDetails, cell), hint);
    } else {
      this.#end(cell, this.#shown(this.#inspector.value(result)));
    }
  }

  /** Show the value of a cell; return what kept that from being done, else null. */
  #shown(value) {
    try {
      if (value !== undefined) this.#show(value);
      return null;
    } catch (error) {
      return error;
    }
  }

  /** Do something that SIGINT may end. Within such a guard already, it is just done. */
  #guarded(cell, action) {
    if (!cell.waits) {
      action();
      return;
    }
    cell.waits = false;
    const whole = this.#interrupts.guarded(action);
    cell.waits = true;
    if (!whole) this.#stop(cell);
  }

  #stop(cell) {
    if (cell.finished) return;
    this.#end(cell, new Interrupted('the execution was interrupted'));
    this.#inspector.renew();
  }

  #end(cell, error, where = '', hint = '') {
    if (cell.finished) return;
    cell.finished = true;
    this.#cell = null;
    this.#interrupts.resume();
    this.#inspector.release();
    const plain = error === null || (is(error, Exit) && error.exitCode === 0);
    cell.done({
      event: 'end',
      error: plain ? null : describe(error, where, hint),
      interrupted: is(error, Interrupted),
      cache_hit: cell.hit,
      compiled: this.cells.count,
    });
  }

  /** What a callback threw that nobody waits for: said, and the session goes on. */
  #uncaught(error) {
    if (is(error, Exit) && this.#cell !== null) this.#end(this.#cell, error);
    else process.stderr.write(describe(error).traceback.replace(/^(?!Uncaught )/, 'Uncaught '));
  }
}

/** Where in the cell an error was made: its line with a mark below it. */
function whereOf(error, details, cell) {
  const stack = types.isNativeError(error) ? asked(() => error.stack) : undefined;
  const found = typeof stack === 'string' ? new RegExp(`cell-${cell.number}\\.js:(\\d+):(\\d+)`).exec(stack) : null;
  if (found !== null) return pointer(cell, found[1] - 1, found[2] - 1);
  return isCompiled(error, details) ? pointer(cell, details.lineNumber, details.columnNumber) : '';
}

/** Whether V8 refused a cell before it ran: that has a place in the cell, and no frame. */
function isCompiled(error, details) {
  return is(error, SyntaxError) && details.stackTrace === undefined && details.url === undefined;
}

function pointer(cell, lineNumber, columnNumber) {
  const lines = cell.code.split('\n');
  if (lineNumber >= lines.length) return atEnd(cell); // V8 has missed something up to its end
  const line = lines[lineNumber];
  if (line.length > MOST_LINE) return '';
  return `cell-${cell.number}.js:${lineNumber + 1}\n${line}\n${' '.repeat(columnNumber)}^\n\n`;
}

function atEnd(cell) {
  const lines = cell.code.trimEnd().split('\n');
  return pointer(cell, lines.length - 1, lines.at(-1).length);
}

/** What helps where JavaScript is refused that is TypeScript. */
function hintOf(cell) {
  if (cell.language === 'typescript') return '';
  try {
    const isTyped = require('./types.js').strip(cell.code) !== cell.code;
    return isTyped ? 'this is TypeScript: run it with language="typescript"' : '';
  } catch {
    return ''; // it is not that either, or this Node knows no types
  }
}

module.exports = { Runner };
