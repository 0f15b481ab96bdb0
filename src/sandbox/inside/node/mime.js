// One value as a MIME bundle, by the conventions of notebooks, and no larger than the engine takes.
'use strict';

const { inspect, types } = require('util');
const { cut, shown } = require('./failures.js');

const { stringify, parse } = JSON; // these, whatever a cell makes of them
const TEXT = 'text/plain';
const MB = 1_000_000;
const MOST_TEXT = MB;
const MOST_CONTENT = 16 * MB;
const MOST_TOGETHER = 28 * MB; // a frame may have 32 MiB
const MOST_TYPES = 32;
const NAME = /^[\w.+-]{1,100}\/[\w.+;= -]{1,90}$/;
const BINARY = /^(?:image\/(?!svg)|audio\/|video\/|application\/pdf|application\/octet)/;
const OPTIONS = { depth: 4, maxArrayLength: 200, maxStringLength: 20_000 };
const DISPLAY = Symbol.for('Jupyter.display');
// By their first bytes, in latin1.
const MAGIC = [
  ['image/png', '\x89PNG\r\n\x1a\n'],
  ['image/jpeg', '\xff\xd8\xff'],
  ['image/gif', 'GIF8'],
  ['application/pdf', '%PDF-'],
];
const SCHEMA = /^https?:\/\/vega\.github\.io\/schema\/(vega(?:-lite)?)\/v(\d)/;

/** Collects representations. What cannot be had or sent is said, in `problems` or below the text. */
class Bundle {
  data = {};
  problems = [];
  figure = false;
  #notes = [];
  #left = MOST_TOGETHER;

  /** Take every representation that `value` offers, its plain text among them. */
  ask(value) {
    const offered = this.#offered(value);
    if (typeof offered[TEXT] !== 'string') this.add(TEXT, this.#text(value));
    this.addAll(offered);
    return this;
  }

  /** Take a bundle that user code made. */
  addAll(data) {
    for (const [mime, content] of Object.entries(data)) {
      if (content !== null && content !== undefined) this.add(mime, content);
    }
    return this;
  }

  add(mime, content) {
    if (!NAME.test(mime) || Object.keys(this.data).length >= MOST_TYPES) {
      this.problems.push(`${inspect(mime)} is not a MIME type, or one of more than ${MOST_TYPES}\n`);
      return;
    }
    this.#trying(`${mime} is not shown`, () => {
      const [sent, size] = sendable(mime, content);
      const most = Math.min(MOST_CONTENT, this.#left);
      if (size > most) {
        this.#notes.push(`[${mime} left out: it has ${(size / MB).toFixed(1)} MB, and ${most / MB} MB fit]`);
        return;
      }
      this.#left -= size;
      this.data[mime] = sent;
    });
  }

  /** Return the data behind what is shown, if that is the specification of a figure. */
  chart(charts) {
    let found = null;
    this.#trying('the data of the figure could not be read', () => { found = charts.of(this.data); });
    return found;
  }

  /** Return the data, its plain text first. */
  finish() {
    const { [TEXT]: text = '', ...rest } = this.data;
    return { [TEXT]: [text, ...this.#notes].filter(Boolean).join('\n'), ...rest };
  }

  #offered(value) {
    if (value === null || typeof value !== 'object' || types.isProxy(value)) return {};
    let offered = {};
    for (const hook of [DISPLAY, 'toMIME']) {
      this.#trying(`${String(hook)} failed`, () => {
        const method = value[hook];
        if (typeof method === 'function') offered = { ...offered, ...method.call(value) };
      });
    }
    if (Object.keys(offered).length) return offered;
    this.#trying('the value could not be looked at', () => {
      const known = pictureOf(value) ?? chartOf(value);
      if (known !== null) {
        this.figure = true;
        offered = known;
      }
    });
    return offered;
  }

  #text(value) {
    let text = `[${typeof value} that cannot be shown]`;
    this.#trying('its text could not be made', () => { text = inspect(value, OPTIONS); });
    return text;
  }

  #trying(what, action) {
    try {
      action();
    } catch (error) {
      this.problems.push(`${what}: ${shown(error)}\n`);
    }
  }
}

/** An image that is bytes, or what draws one as canvases do. */
function pictureOf(value) {
  const bytes = types.isUint8Array(value) ? value : drawn(value);
  if (bytes === null) return null;
  const start = Buffer.from(bytes.buffer, bytes.byteOffset, Math.min(bytes.length, 16)).latin1Slice();
  const found = MAGIC.find(([, magic]) => start.startsWith(magic));
  const text = `<${found === undefined ? 'bytes' : found[0]}, ${bytes.length} bytes>`;
  return found === undefined ? null : { [TEXT]: text, [found[0]]: bytes };
}

function drawn(value) {
  if (typeof value.toBuffer !== 'function' || typeof value.getContext !== 'function') return null;
  const bytes = value.toBuffer('image/png');
  return types.isUint8Array(bytes) ? bytes : null;
}

/** A specification of Vega, Vega-Lite or Plotly. */
function chartOf(value) {
  const schema = typeof value.$schema === 'string' ? SCHEMA.exec(value.$schema) : null;
  if (schema !== null) {
    const [, kind, version] = schema;
    return { [`application/vnd.${kind.replace('-', '')}.v${version}+json`]: value };
  }
  const plotly = Array.isArray(value.data) && isObject(value.layout) && value.data.every(isObject);
  return plotly ? { 'application/vnd.plotly.v1+json': { data: value.data, layout: value.layout } } : null;
}

function isObject(value) {
  return value !== null && typeof value === 'object' && !Array.isArray(value);
}

/** A representation in the form in which it is sent, and how many bytes it takes in a frame. */
function sendable(mime, content) {
  if (mime.endsWith('json') && !BINARY.test(mime)) {
    const text = stringify(content);
    return [parse(text), Buffer.byteLength(text)];
  }
  const text = textOf(mime, content);
  return [text, Buffer.byteLength(stringify(text))];
}

function textOf(mime, content) {
  if (typeof content === 'string') return mime === TEXT ? cut(content, MOST_TEXT) : content;
  if (BINARY.test(mime)) return Buffer.from(content).toString('base64');
  return mime === TEXT ? cut(String(content), MOST_TEXT) : String(content);
}

module.exports = { Bundle };
