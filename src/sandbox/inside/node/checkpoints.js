// What an execution changed goes to the engine, and a checkpoint comes back, over a socket of its own.
//
// The form is that of `python/checkpoints.py`; here a checkpoint has no descriptors: all parts come as bytes.
'use strict';

const { readSync } = require('fs');
const { complete } = require('./complete.js');
const { toText } = require('./frames.js');
const { Ambient } = require('./state/ambient.js');
const { Bindings } = require('./state/bindings.js');
const { Places } = require('./state/places.js');
const { wordsOf } = require('./state/code.js');
const { World } = require('./state/world.js');
const { writeAll } = require('./write.js');

// Of a smaller delta the engine is told when it is in the socket, so that it need not wait for any of it.
const SMALL = 64 * 1024;

class Checkpoints {
  places = new Places();
  #fd;
  #bindings;
  #world;
  #ambient = new Ambient();
  #saver = null;
  #resting = new Map();

  /** Made before the first cell. */
  constructor(fd, inspector) {
    this.#fd = fd;
    this.#bindings = new Bindings(inspector);
    this.#world = new World(inspector, this.places);
  }

  /** Before a cell that is saved, and before a restore. */
  begin(code = '') {
    const words = wordsOf(code);
    this.#bindings.note(words);
    this.places.note(words);
    if (this.#saver !== null) return;
    const { Saver } = require('./state/saver.js');
    this.#ambient.begin();
    this.#saver = new Saver(this.#bindings, this.#world, this.#ambient);
    this.#resting = counted();
  }

  /** Work out what a cell changed; return what to announce, and what sends the rest of it. */
  save({ number, code, save }) {
    if (save === 'whole') this.#saver.distrust();
    const { records, lost } = this.#saver.save(number, code, { busy: this.#isBusy() });
    const pieces = piecesOf(records);
    const bytes = pieces.reduce((sum, piece) => sum + piece.length, 0);
    const send = () => pieces.forEach((piece) => writeAll(this.#fd, piece));
    const small = bytes <= SMALL;
    if (small) send();
    return { event: { event: 'saved', number, bytes, lost }, sendRest: small ? () => {} : send };
  }

  /** Load a checkpoint; return what of it is lost. */
  async restore(how) {
    this.begin();
    const { Restoration } = require('./state/restore.js');
    const parts = this.#receive();
    const settings = this.#ambient.restore(parts);
    await new Restoration(parts, this.#bindings, this.#world, this.#saver).run(how);
    this.#resting = counted();
    return [...this.#saver.lost(), ...settings];
  }

  complete({ code, cursor }) {
    return complete(this.#bindings, code, cursor);
  }

  /** Whether something that cells have begun goes on by itself. */
  #isBusy() {
    return [...counted()].some(([kind, count]) => count > (this.#resting.get(kind) ?? 0));
  }

  #receive() {
    const size = this.#exactly(4).readUInt32LE(0);
    const header = JSON.parse(this.#exactly(size).toString());
    return new Map(header.small.map(([key, length]) => [key, this.#exactly(length)]));
  }

  #exactly(size) {
    const data = Buffer.alloc(size);
    let at = 0;
    while (at < size) {
      const count = readSync(this.#fd, data, at, size - at);
      if (!count) throw new Error('the engine closed the socket in the middle of a checkpoint');
      at += count;
    }
    return data;
  }
}

function counted() {
  const found = new Map();
  for (const kind of process.getActiveResourcesInfo()) found.set(kind, (found.get(kind) ?? 0) + 1);
  return found;
}

function piecesOf(records) {
  if (!records.length) return [];
  const pieces = [];
  for (const { header, payload } of records) {
    const head = Buffer.from(toText(header));
    pieces.push(lengthOf(head.length), head, ...payload.filter((piece) => piece.length));
  }
  return [...pieces, lengthOf(0)];
}

function lengthOf(size) {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(size, 0);
  return bytes;
}

module.exports = { Checkpoints };
