// What a session has beside its variables: the directory it works in, and the environment that it has changed.
'use strict';

const path = require('path');
const { toText } = require('../frames.js');

const KEY = 'ambient/process';

class Ambient {
  #environment = null;
  #home = '';
  #written = '';

  /** Before the first cell, and before a restore. */
  begin() {
    this.#environment = { ...process.env };
    this.#home = process.cwd();
    this.#written = this.#text();
  }

  records() {
    const text = this.#text();
    if (text === this.#written) return [];
    this.#written = text;
    const bytes = Buffer.from(text);
    return [{ header: { put: KEY, size: bytes.length }, payload: [bytes] }];
  }

  distrust() {
    this.#written = '';
  }

  /** What could not be restored. */
  restore(parts) {
    const text = parts.get(KEY)?.toString();
    if (text === undefined) return [];
    const { directory, environment } = JSON.parse(text);
    for (const [name, value] of Object.entries(environment)) {
      if (value === null) delete process.env[name];
      else process.env[name] = value;
    }
    this.#written = text;
    try {
      if (directory !== null) process.chdir(path.resolve(this.#home, directory));
      return [];
    } catch (error) {
      return [{ name: 'process.cwd()', type: 'directory', reason: error.message, since: 0 }];
    }
  }

  #text() {
    const environment = {};
    for (const name of Object.keys(this.#environment)) if (!(name in process.env)) environment[name] = null;
    for (const [name, value] of Object.entries(process.env)) {
      if (this.#environment[name] !== value) environment[name] = value;
    }
    return toText({ directory: directoryNow(this.#home), environment }).toWellFormed();
  }
}

/** Where the session works, if that is another directory than at its beginning; below that, by the way from there. */
function directoryNow(home) {
  try {
    const now = process.cwd();
    const way = path.relative(home, now);
    if (way === '') return null;
    return way.split(path.sep)[0] === '..' ? now : way;
  } catch {
    return null; // it was removed
  }
}

module.exports = { Ambient };
