// Without Node's warnings that something of its is new, or meant for its own tests.
'use strict';

/** Do something; what it warns of is not said. */
function quietly(action) {
  const { emitWarning } = process;
  process.emitWarning = () => {};
  try {
    return action();
  } finally {
    process.emitWarning = emitWarning;
  }
}

module.exports = { quietly };
