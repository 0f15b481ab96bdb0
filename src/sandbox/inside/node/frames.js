// Length-prefixed frames on a stream socket: what `wire/frames.py` is for Python. Nothing here does I/O.
//
// A frame is a little-endian u32 length and that many bytes of JSON.
'use strict';

const { stringify, parse } = JSON; // these, whatever a cell makes of them
const { create, getPrototypeOf, hasOwn, keys, setPrototypeOf } = Object;
const OBJECT = Object.prototype;
const ARRAY = Array.prototype;
const MAX_FRAME = 32 * 1024 * 1024;
const HEADER = 4;

/** The peer sent bytes that are not a frame, or a message does not fit into one. */
class BadFrame extends Error {}

/** Return one message as a frame. Throws BadFrame if it is larger than `MAX_FRAME` bytes. */
function encode(message) {
  const text = withoutSurrogates(toText(message));
  const size = Buffer.byteLength(text);
  if (size > MAX_FRAME) {
    throw new BadFrame(`a ${size} byte message does not fit into a frame of at most ${MAX_FRAME} bytes`);
  }
  const frame = Buffer.allocUnsafe(HEADER + size);
  frame.writeUInt32LE(size, 0);
  frame.write(text, HEADER);
  return frame;
}

/** What is ours as JSON, whatever a cell has said of how objects are to be written. */
function toText(value) {
  return stringify(hasOwn(OBJECT, 'toJSON') || hasOwn(ARRAY, 'toJSON') ? alone(value) : value);
}

/** A copy that nothing is inherited by. */
function alone(value) {
  if (typeof value !== 'object' || value === null) return value;
  const copy = setPrototypeOf(getPrototypeOf(value) === ARRAY ? [] : create(null), null);
  const names = keys(value);
  for (let at = 0; at < names.length; at += 1) copy[names[at]] = alone(value[names[at]]);
  return copy;
}

/** Half a character has no form in UTF-8, and JSON has one for it that the engine refuses. */
function withoutSurrogates(text) {
  if (!text.includes('\\ud')) return text;
  return text.replace(/\\(?:(ud[89a-f][0-9a-f]{2})|.)/g, (whole, half) => (half ? '\ufffd' : whole));
}

/** Collects bytes as they arrive and gives back whole messages. */
class FrameBuffer {
  #pending = [];
  #size = 0;

  /** Add `data`; return every message that is now complete. Throws BadFrame. */
  feed(data) {
    this.#pending.push(data);
    this.#size += data.length;
    const messages = [];
    let body;
    while ((body = this.#take()) !== null) messages.push(parse(body.toString()));
    return messages;
  }

  #take() {
    if (this.#size < HEADER) return null;
    const size = this.#joined(HEADER).readUInt32LE(0);
    // Checked before the body is there, so that a forged header costs no memory.
    if (size > MAX_FRAME) throw new BadFrame(`the peer announced a frame of ${size} bytes; the limit is ${MAX_FRAME}`);
    const end = HEADER + size;
    if (this.#size < end) return null;
    const whole = this.#joined(end);
    this.#pending = whole.length > end ? [whole.subarray(end)] : [];
    this.#size -= end;
    return whole.subarray(HEADER, end);
  }

  /** What is there, the first `least` bytes of it in one piece. */
  #joined(least) {
    if (this.#pending[0].length < least) this.#pending = [Buffer.concat(this.#pending)];
    return this.#pending[0];
  }
}

module.exports = { BadFrame, FrameBuffer, HEADER, MAX_FRAME, encode, toText };
