// Signals that a worker sends itself.
//
// It is process 1 of its pid namespace, to which the kernel delivers none that it has no handler for; and Node, asked
// to signal its own process, takes the inspector down first, by which cells are run. So they are carried out here.
'use strict';

const { constants } = require('os');

const HARMLESS = new Set(['SIGCHLD', 'SIGCONT', 'SIGURG', 'SIGWINCH', 'SIGSTOP', 'SIGTSTP', 'SIGTTIN', 'SIGTTOU']);
const SHELL = 128; // as a shell tells of it
const NAMES = new Map(Object.entries(constants.signals).map(([name, number]) => [number, name]));

/** Let process.kill and process.abort end this process as they would end another. `end` does it, with an exit code. */
function install(end) {
  const { kill } = process;
  process.kill = (pid, signal = 'SIGTERM') => {
    const number = constants.signals[signal] ?? signal;
    const itself = pid === 0 || pid === process.pid || pid === -process.pid;
    if (!itself || !NAMES.has(number)) return kill.call(process, pid, signal);
    const name = NAMES.get(number);
    const heard = name !== 'SIGKILL' && name !== 'SIGSTOP' && process.emit(name, name, number);
    if (!heard && !HARMLESS.has(name)) end(SHELL + number);
    return true;
  };
  process.abort = () => end(SHELL + constants.signals.SIGABRT);
}

module.exports = { install };
