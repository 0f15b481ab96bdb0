// The worker's end of the control socket: requests in, events out, and marks that keep outputs in order.
//
// As `python/channel.py` has it: the engine takes what is in the pipes before it looks at an event, and `mark` waits
// until it has done so.
'use strict';

const fs = require('fs');
const { Socket } = require('net');
const { FrameBuffer, encode } = require('./frames.js');
const { writeAll } = require('./write.js');

const MOST_ACKS = 64;
const MOST_READ = 64 * 1024;

/** Sends events, and gives each request to `handle` when the one before it is answered. */
class Channel {
  #control;
  #ack;
  #buffer = new FrameBuffer();
  #waiting = [];
  #held = [];
  #busy = false;
  #handle = null;
  #marks = 0;
  #acked = 0;
  #acks = Buffer.alloc(MOST_ACKS);

  constructor(control, ack) {
    this.#control = control;
    this.#ack = ack;
  }

  /** Call `handle(request, done)` for each request, and `end` when the engine has closed the socket. */
  listen(handle, end) {
    this.#handle = handle;
    const take = (count, buffer) => {
      this.#waiting.push(...this.#buffer.feed(Buffer.from(buffer.subarray(0, count))));
      this.#next();
      return true;
    };
    // One buffer for all: Node's own way makes one of 64 kB for each read, which it then has to collect.
    const onread = { buffer: Buffer.alloc(MOST_READ), callback: take };
    const socket = new Socket({ fd: this.#control, readable: true, writable: false, onread });
    socket.on('error', end);
    socket.on('close', end);
    socket.resume();
  }

  #next() {
    if (this.#busy || !this.#waiting.length) return;
    this.#busy = true;
    this.#marks = this.#acked = 0; // an interrupt may have come between a mark and its acknowledgement
    this.#handle(this.#waiting.shift(), () => {
      this.#busy = false;
      // Never from within a promise's reaction: what runs there cannot be interrupted.
      if (this.#waiting.length) setImmediate(() => this.#next());
    });
  }

  send(message) {
    const frame = encode(message);
    writeAll(this.#control, this.#held.length ? Buffer.concat([...this.#held.splice(0), frame]) : frame);
  }

  /** Send with the next: the engine need not wake up for each. */
  hold(message) {
    this.#held.push(encode(message));
  }

  /** Send `message` and wait until the engine has read everything that was written before it. */
  mark(message = { event: 'mark' }) {
    this.#marks += 1;
    this.send({ ...message, ack: true });
    while (this.#acked < this.#marks) {
      const count = fs.readSync(this.#ack, this.#acks);
      if (!count) throw new Error('the engine is gone');
      this.#acked += count;
    }
  }
}

module.exports = { Channel };
