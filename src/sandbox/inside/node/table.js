// What console.table prints, as HTML.
'use strict';

const { inspect } = require('util');

const MOST_ROWS = 1000;
const MOST_COLUMNS = 100;
const ENTITIES = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' };

/** Return a table of rows that are objects, arrays or plain values; null for what is no table. */
function htmlOf(data, wanted) {
  if (data === null || typeof data !== 'object') return null;
  const rows = rowsOf(data).slice(0, MOST_ROWS);
  const own = new Set(rows.flatMap(([, row]) => (isRow(row) ? Object.keys(row) : [])));
  const columns = (wanted ?? [...own]).slice(0, MOST_COLUMNS);
  const values = rows.some(([, row]) => !isRow(row));
  const head = ['(index)', ...columns, ...(values ? ['Values'] : [])].map((name) => `<th>${escaped(name)}</th>`);
  const body = rows.map(([key, row]) => {
    const cells = columns.map((name) => (isRow(row) && name in row ? shown(row[name]) : ''));
    if (values) cells.push(isRow(row) ? '' : shown(row));
    return `<tr><th>${escaped(key)}</th>${cells.map((cell) => `<td>${cell}</td>`).join('')}</tr>`;
  });
  return `<table><thead><tr>${head.join('')}</tr></thead><tbody>${body.join('')}</tbody></table>`;
}

function rowsOf(data) {
  if (data instanceof Map) return [...data].map(([key, value], index) => [index, { Key: key, Values: value }]);
  if (data instanceof Set) return [...data].map((value, index) => [index, value]);
  return Object.entries(data);
}

function isRow(value) {
  return value !== null && typeof value === 'object';
}

function shown(value) {
  return escaped(typeof value === 'string' ? value : inspect(value, { depth: 0 }));
}

function escaped(value) {
  return String(value).replace(/[&<>"]/g, (found) => ENTITIES[found]);
}

module.exports = { htmlOf };
