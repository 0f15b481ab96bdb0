// What went wrong in a cell, as Node would show it: without this package's frames, and of bounded size.
'use strict';

const { inspect, types } = require('util');

const MOST_TEXT = 200_000;
const MOST_MESSAGE = 20_000;
const MOST_TYPE = 200;
const OURS = __dirname;
const PLUMBING = /^(?:node:(?:inspector|vm|events|internal\/.*)|guard)$/;
// What getaddrinfo answers without a network has no number of the kernel's.
const UNREACHABLE = { EAI_AGAIN: 101, ENOTFOUND: 101 };

/** What process.exit throws: the cell ends, and the session goes on. */
class Exit extends Error {
  constructor(code) {
    super(`process.exit(${code})`);
    Object.defineProperty(this, 'name', { value: 'Exit' });
    Object.defineProperty(this, 'exitCode', { value: code });
  }
}

/** Whether an error is of a class. What was thrown may throw something itself when that is asked. */
function is(error, kind) {
  return types.isNativeError(error) && asked(() => error instanceof kind) === true;
}

/** Return the error's type, message, traceback, errno and exit code. `at`: where it was, as V8 tells; `hint`: what to do. */
function describe(error, at = '', hint = '') {
  return {
    type: cut(typeOf(error), MOST_TYPE),
    message: cut(messageOf(error), MOST_MESSAGE) + (hint && ` (${hint})`),
    traceback: cut(at + stackOf(error), MOST_TEXT) + (hint && `(${hint})\n`),
    errno: errnoOf(error),
    exit_code: is(error, Exit) ? error.exitCode & 0xff : 1,
  };
}

function typeOf(error) {
  if (!types.isNativeError(error)) return 'Thrown';
  const name = asked(() => error.name);
  return typeof name === 'string' && name ? name : 'Error';
}

function messageOf(error) {
  if (!types.isNativeError(error)) return `${shown(error)} was thrown, which is not an Error`;
  const message = asked(() => error.message);
  return typeof message === 'string' ? message : shown(message);
}

/** A value as text, whatever it does when it is looked at. */
function shown(value) {
  return asked(() => inspect(value)) ?? `[${typeof value} that cannot be shown]`;
}

/** The user's own getters may throw anything. */
function asked(question) {
  try {
    return question();
  } catch {
    return undefined;
  }
}

function stackOf(error) {
  if (!types.isNativeError(error)) return `Uncaught ${shown(error)}\n`;
  const text = asked(() => inspect(error)) ?? `${typeOf(error)}: ${messageOf(error)}`;
  return `${text}\n`;
}

/** Let stacks end where a cell begins: below that are this package's frames, and those of Node that called it. */
function cleanStacks() {
  Error.prepareStackTrace = (error, frames) => {
    const ours = frames.findIndex((frame) => frame.getFileName()?.startsWith(OURS));
    let count = ours < 0 ? frames.length : ours;
    while (ours >= 0 && count && PLUMBING.test(frames[count - 1].getFileName() ?? '')) count -= 1;
    const lines = frames.slice(0, count).map((frame) => `\n    at ${frame}`);
    return (asked(() => Error.prototype.toString.call(error)) ?? 'Error') + lines.join('');
  };
}

/** A number of the kernel's, if that is what it is about: its own or that of what caused it. */
function errnoOf(error) {
  for (let link = error, left = 10; types.isNativeError(link) && left; link = asked(() => link.cause), left -= 1) {
    const [code, errno] = [asked(() => link.code), asked(() => link.errno)];
    if (typeof code === 'string' && Object.hasOwn(UNREACHABLE, code)) return UNREACHABLE[code];
    if (Number.isInteger(errno) && errno < 0 && errno > -4096) return -errno;
  }
  return null;
}

/** Keep the start and the end of a text that is too long. */
function cut(text, most) {
  if (text.length <= most) return text;
  const half = most >> 1;
  return `${text.slice(0, half)}\n... ${text.length - 2 * half} characters left out ...\n${text.slice(-half)}`;
}

module.exports = { Exit, asked, cleanStacks, cut, describe, is, shown };
