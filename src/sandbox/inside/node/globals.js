// What a cell finds beside JavaScript's own: require, import, display, a process.exit that ends the cell.
'use strict';

const { createRequire } = require('module');
const path = require('path');
const { pathToFileURL } = require('url');
const vm = require('vm');
const { Exit, cleanStacks } = require('./failures.js');
const { IMPORT, META } = require('./imports.js');
const { quietly } = require('./quietly.js');

/** Put them in place; `imported` hears of what is imported, and under which name. Cells are as a file of the directory that this process was started in. */
function install(display, imported) {
  const home = process.cwd();
  const filename = path.join(home, 'cell.js');
  const ask = new vm.Script('(name, options) => import(name, options)', {
    filename,
    importModuleDynamically: vm.constants.USE_MAIN_CONTEXT_DEFAULT_LOADER,
  }).runInThisContext();
  const load = async (name, options) => {
    const namespace = await quietly(() => ask(name, options));
    imported(namespace, name);
    return namespace;
  };
  const require_ = createRequire(filename);
  const made = { exports: {} };
  const values = {
    require: require_,
    module: made,
    exports: made.exports,
    __filename: filename,
    __dirname: home,
    display,
    [IMPORT]: load,
    [META]: { url: pathToFileURL(filename).href, filename, dirname: home, resolve: require_.resolve },
  };
  for (const [name, value] of Object.entries(values)) {
    Object.defineProperty(globalThis, name, { value, writable: true, configurable: true, enumerable: false });
  }
  cleanStacks();
  process.exit = (code) => {
    throw new Exit(Number(code ?? process.exitCode ?? 0) || 0);
  };
  process.argv = [process.argv[0], filename];
  return { load, require_ };
}

module.exports = { install };
