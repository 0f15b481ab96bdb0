// TypeScript by taking its types out, which Node can do itself.
'use strict';

const module_ = require('module');
const { quietly } = require('./quietly.js');

const UNSUPPORTED = 'ERR_UNSUPPORTED_TYPESCRIPT_SYNTAX';

/** Return JavaScript: the same text with blanks where types were; where enums and the like are used, another text. */
function strip(code) {
  if (module_.stripTypeScriptTypes === undefined) {
    throw new SyntaxError(`TypeScript needs Node 22.13 or later, and this is ${process.version}`);
  }
  return quietly(() => {
    try {
      return module_.stripTypeScriptTypes(code);
    } catch (error) {
      if (error.code !== UNSUPPORTED) throw error;
      return module_.stripTypeScriptTypes(code, { mode: 'transform' });
    }
  });
}

module.exports = { strip };
