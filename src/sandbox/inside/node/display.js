// Shows values: the cell's own, and what display() is given.
'use strict';

const { Bundle } = require('./mime.js');
const { htmlOf } = require('./table.js');

const MOST_HELD = 100;

/** Sends values to the engine as results. What is shown while no cell runs waits for the next one. */
class Display {
  #channel;
  #streams;
  #charts;
  #running = false;
  #held = [];
  #dropped = 0;

  constructor(channel, streams, charts) {
    this.#channel = channel;
    this.#streams = streams;
    this.#charts = charts;
    this.display = this.display.bind(this);
    this.#watchTables();
  }

  begin() {
    this.#running = true;
    for (const event of this.#held.splice(0)) this.#channel.send(event);
    if (this.#dropped) {
      this.#streams.err.write(`${this.#dropped} values that were displayed before are lost: they were too many\n`);
    }
    this.#dropped = 0;
  }

  end() {
    this.#running = false;
  }

  /** The value of a cell. */
  show(value) {
    this.#send(this.#asked(new Bundle().ask(value), true), false);
  }

  /** What cells call: show a value now, or with `{ raw: true }` a MIME bundle. */
  display(value, { raw = false } = {}) {
    const bundle = raw ? new Bundle().addAll(Object(value)) : new Bundle().ask(value);
    this.#send(this.#asked(bundle, false), true);
  }

  #asked(bundle, main) {
    const chart = bundle.chart(this.#charts);
    for (const problem of bundle.problems) this.#streams.err.write(problem);
    return { event: bundle.figure ? 'figure' : 'result', main, data: bundle.finish(), chart };
  }

  /** With `wait` what is printed afterwards stays behind it. */
  #send(event, wait) {
    if (this.#running) {
      if (wait) this.#channel.mark(event);
      else this.#channel.hold(event);
    } else if (this.#held.length < MOST_HELD) {
      this.#held.push(event);
    } else {
      this.#dropped += 1;
    }
  }

  /** console.table prints, as ever, and is shown as a table too. */
  #watchTables() {
    const { table } = console;
    console.table = (data, columns) => {
      table.call(console, data, columns);
      const html = htmlOf(data, columns);
      if (html !== null) this.display({ 'text/html': html }, { raw: true });
    };
  }
}

module.exports = { Display };
