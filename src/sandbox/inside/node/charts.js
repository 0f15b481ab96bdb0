// The data behind a figure, which the readers of sessions in Python find in its specification: `python/charts`.
//
// They run in a process of their own beside this one, as confined as it is. That takes some 50 ms, for figures alone.
'use strict';

const path = require('path');

const INSIDE = path.dirname(__dirname);
// As the keeper loads it: the directory that this is in may not be there to be searched.
const PROGRAM = `import sys, types
package = types.ModuleType('sandbox_inside')
package.__path__ = [sys.argv[1]]
sys.modules[package.__name__] = package
from sandbox_inside.python.charts.from_json import main
main(sys.argv[2])`;
const MOST_MS = 1500; // less than the grace that an interrupted cell has
const MOST_BYTES = 8_000_000;
const SPECIFICATIONS = [
  [/^application\/vnd\.plotly\.v\d+\+json$/, 'plotly'],
  [/^application\/vnd\.vegalite\.v\d+\+json$/, 'vega-lite'],
];

/** Finds charts with the interpreter `python`. */
class Charts {
  #python;

  constructor(python) {
    this.#python = python;
  }

  /** The chart of a bundle, or null if it has none. Throws if it could not be looked for. */
  of(data) {
    for (const [mime, specification] of Object.entries(data)) {
      const found = SPECIFICATIONS.find(([pattern]) => pattern.test(mime));
      if (found !== undefined) return this.#read(found[1], JSON.stringify(specification));
    }
    return null;
  }

  #read(whose, specification) {
    const { spawnSync } = require('child_process'); // few sessions show figures
    const { error, status, stdout, stderr } = spawnSync(
      this.#python,
      ['-I', '-S', '-c', PROGRAM, INSIDE, whose],
      { input: specification, timeout: MOST_MS, killSignal: 'SIGKILL', maxBuffer: MOST_BYTES, env: {}, cwd: '/' },
    );
    if (error !== undefined) throw error;
    if (status !== 0) throw new Error(`the reader ended with ${status}: ${stderr.toString().slice(-500)}`);
    return JSON.parse(stdout);
  }
}

module.exports = { Charts };
