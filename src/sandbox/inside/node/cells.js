// From a cell's text to what V8 evaluates: types taken out, imports turned into what a script may say.
'use strict';

const MOST_KNOWN = 8_000_000; // characters, of all texts that are remembered
const LEAST_KNOWN = 1_000;
// What a prompt treats otherwise than a script: it may be declared again, or waited for at the top level.
const OF_PROMPTS = /\b(?:async|await|class|const|export|function|import|let|using|var)\b/;

/** Prepared cells by their key, the least recently made let go of first. */
class Cells {
  #known = new Map();
  #size = 0;

  get count() {
    return this.#known.size;
  }

  clear() {
    this.#known.clear();
    this.#size = 0;
  }

  /** Return what to evaluate, with what goes before it as a script of its own (or '') and whether any script is run so,
   * and whether it was there already. Throws SyntaxError. */
  get(code, language, key) {
    const name = `${language}:${key ?? code}`;
    const known = this.#known.get(name);
    if (known !== undefined && known.code === code) return [known.prepared, true];
    const prepared = prepare(code, language);
    if (known !== undefined) this.#drop(name);
    this.#known.set(name, { code, prepared });
    this.#size += weight(code);
    while (this.#size > MOST_KNOWN && this.#known.size > 1) this.#drop(this.#known.keys().next().value);
    return [prepared, false];
  }

  #drop(name) {
    this.#size -= weight(this.#known.get(name).code);
    this.#known.delete(name);
  }
}

function weight(code) {
  return Math.max(code.length, LEAST_KNOWN);
}

function prepare(code, language) {
  const plain = language === 'typescript' ? require('./types.js').strip(code) : code;
  if (!OF_PROMPTS.test(plain)) return { text: plain, first: '', isScript: true };
  // Few cells have one, and the parser takes 6 ms and 2 MB.
  return /\b(?:import|export)\b/.test(plain) ? require('./imports.js').rewritten(plain) : { text: plain, first: '' };
}

module.exports = { Cells };
