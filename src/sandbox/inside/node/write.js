// Writing all of something to a descriptor, and waiting as long as that takes.
'use strict';

const { writeSync } = require('fs');

const PAUSE = new Int32Array(new SharedArrayBuffer(4));
const { wait } = Atomics;

/** Write the whole buffer. A program that shares the descriptor may have made it one that does not wait. */
function writeAll(fd, buffer) {
  let at = 0;
  while (at < buffer.length) {
    try {
      at += writeSync(fd, buffer, at);
    } catch (error) {
      if (error.code === 'EPIPE') return; // the engine is gone, and this process about to be
      if (error.code !== 'EAGAIN') throw error;
      wait(PAUSE, 0, 0, 1);
    }
  }
}

module.exports = { writeAll };
