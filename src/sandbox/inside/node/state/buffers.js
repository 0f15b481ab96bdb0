// Large ArrayBuffers: each is a part of its own, and of one that has changed only the changed pieces are sent.
'use strict';

const { hash } = require('crypto');

const PIECE = 64 * 1024;
const MOST_RANGES = 16_000;

/** Knows what the store has of each buffer. */
class Buffers {
  #ids = new WeakMap();
  #stored = new Map(); // id -> { size, digests }
  #next = 1;

  /** The number of a buffer's part. */
  idOf(buffer) {
    let id = this.#ids.get(buffer);
    if (id === undefined) {
      id = this.#next;
      this.#next += 1;
      this.#ids.set(buffer, id);
    }
    return id;
  }

  /** A buffer was restored from the part with this number. */
  adopt(id, buffer) {
    this.#ids.set(buffer, id);
    this.#stored.set(id, { size: buffer.byteLength, digests: digestsOf(buffer) });
    this.#next = Math.max(this.#next, id + 1);
  }

  /** Records for what differs from what is stored. */
  changed(buffer) {
    const id = this.idOf(buffer);
    const before = this.#stored.get(id);
    const digests = digestsOf(buffer);
    const size = buffer.byteLength;
    this.#stored.set(id, { size, digests });
    const bytes = Buffer.from(buffer);
    if (before === undefined || before.size !== size) return [{ header: { put: key(id), size }, payload: [bytes] }];
    const ranges = rangesOf(before.digests, digests, size);
    if (!ranges.length) return [];
    if (ranges.length > MOST_RANGES) return [{ header: { put: key(id), size }, payload: [bytes] }];
    const payload = ranges.map(([at, length]) => bytes.subarray(at, at + length));
    return [{ header: { patch: key(id), size, ranges }, payload }];
  }

  /** Records that drop the parts that nothing has any more. */
  dropped(used) {
    const gone = [...this.#stored.keys()].filter((id) => !used.has(id));
    for (const id of gone) this.#stored.delete(id);
    return gone.map((id) => ({ header: { drop: key(id) }, payload: [] }));
  }

  /** What the store has is not known. */
  distrust() {
    this.#stored.clear();
  }
}

function key(id) {
  return `buffer/${id}`;
}

function digestsOf(buffer) {
  const digests = [];
  for (let at = 0; at < buffer.byteLength; at += PIECE) {
    digests.push(hash('sha1', new Uint8Array(buffer, at, Math.min(PIECE, buffer.byteLength - at)), 'base64'));
  }
  return digests;
}

function rangesOf(before, after, size) {
  const ranges = [];
  after.forEach((digest, index) => {
    if (digest === before[index]) return;
    const at = index * PIECE;
    const length = Math.min(PIECE, size - at);
    const last = ranges.at(-1);
    if (last !== undefined && last[0] + last[1] === at) last[1] += length;
    else ranges.push([at, length]);
  });
  return ranges;
}

module.exports = { Buffers, key };
