// process.stdout and process.stderr of a worker: descriptors 1 and 2, which are pipes to the engine.
//
// Node's own would write later when a pipe is full. These wait, so that what is written is in order and never lost.
'use strict';

const { Writable } = require('stream');
const { writeAll } = require('./write.js');

class Stream extends Writable {
  constructor(fd, before) {
    super({ decodeStrings: true, emitClose: false, autoDestroy: false });
    this.fd = fd;
    this._type = 'pipe';
    this._before = before;
  }

  _write(data, _encoding, done) {
    this._before(this);
    writeAll(this.fd, data);
    done();
  }

  // Later executions need it.
  _final(done) {
    done();
  }

  _destroy(_error, done) {
    done();
  }

  end() {
    return this;
  }

  destroy() {
    return this;
  }

  destroySoon() {}
}

/** The pair of them. Switching from one to the other waits until the engine has read the first. */
class Streams {
  #last = null;

  constructor(channel) {
    const before = (stream) => {
      if (this.#last !== null && this.#last !== stream) channel.mark();
      this.#last = stream;
    };
    this.out = new Stream(1, before);
    this.err = new Stream(2, before);
    for (const [name, stream] of [['stdout', this.out], ['stderr', this.err]]) {
      Object.defineProperty(process, name, { get: () => stream, configurable: true, enumerable: true });
    }
  }

  /** A cell ends. */
  settle() {
    this.#last = null;
  }
}

module.exports = { Streams };
