// Imports and exports of a cell, which a script may not have: rewritten in their lines, so that the others keep theirs.
'use strict';

const IMPORT = 'sandboxImport';
const META = 'sandboxImportMeta';
const PLACE = Symbol('place'); // lines from 1, columns from 0
const STATIC = /^\s*(?:import\b(?!\s*[.(])|export\b)/m;

/** The parser that Node has within, for its own prompt: --expose-internals shows it. */
const acorn = () => require('internal/deps/acorn/acorn/dist/acorn');

/** Return the code with every import as a call, and what loads those that it begins with: nothing is declared before
 * they are there, as a name that a cell declares and gives no value can be declared no more. What does not parse stays
 * as it is: V8 says what is wrong with it. Throws SyntaxError, with its place, where V8 would find fault with an import. */
function rewritten(code) {
  const edits = [];
  const tree = parsed(code);
  if (tree === null) return { text: code, first: '' };
  for (const statement of tree.body) fromStatement(code, statement, edits);
  walk(tree, (node) => {
    if (node.type === 'ImportExpression') edits.push([node.start, node.start + 'import'.length, IMPORT]);
    if (node.type === 'MetaProperty' && node.meta.name === 'import') edits.push([node.start, node.end, META]);
  });
  edits.sort((one, other) => other[0] - one[0]);
  const text = edits.reduce((sofar, [start, end, by]) => sofar.slice(0, start) + by + sofar.slice(end), code);
  return { text, first: loading(code, tree.body) };
}

/** Calls for the imports that a cell begins with, each in its line. */
function loading(code, body) {
  const other = body.findIndex((node) => node.type !== 'ImportDeclaration' && node.directive === undefined);
  const imports = body.slice(0, other < 0 ? body.length : other).filter((node) => node.type === 'ImportDeclaration');
  let text = '';
  for (const node of imports) {
    const lines = lineOf(code, node.start) - lineOf(text, text.length);
    text += `${'\n'.repeat(lines)}${called(code, node)};`;
  }
  return text && `${text} undefined`;
}

function lineOf(text, position) {
  return text.slice(0, position).split('\n').length - 1;
}

function parsed(code) {
  const options = {
    ecmaVersion: 'latest',
    sourceType: 'script',
    allowAwaitOutsideFunction: true,
    allowImportExportEverywhere: true,
    allowHashBang: true,
  };
  try {
    return acorn().parse(code, options);
  } catch (error) {
    if (!STATIC.test(code)) return null;
    const refused = new SyntaxError(error.message.replace(/ \(\d+:\d+\)$/, ''));
    const value = { line: error.loc?.line ?? 1, column: error.loc?.column ?? 0 };
    throw Object.defineProperty(refused, PLACE, { value });
  }
}

function fromStatement(code, node, edits) {
  if (node.type === 'ImportDeclaration') {
    const lines = code.slice(node.start, node.end).split('\n').length - 1;
    edits.push([node.start, node.end, imported(code, node) + '\n'.repeat(lines)]);
  } else if (node.type === 'ExportNamedDeclaration' && node.declaration) {
    edits.push([node.start, node.declaration.start, '']);
  } else if (node.type === 'ExportDefaultDeclaration') {
    edits.push([node.start, node.declaration.start, '']);
  } else if (node.type === 'ExportNamedDeclaration' && !node.source) {
    edits.push([node.start, node.end, ';']); // export { names }: they are there already
  }
}

function imported(code, node) {
  const call = called(code, node);
  const space = node.specifiers.find((one) => one.type === 'ImportNamespaceSpecifier');
  const names = node.specifiers.filter((one) => one !== space).map(binding);
  if (space === undefined) return names.length ? `const { ${names.join(', ')} } = ${call};` : `${call};`;
  const rest = names.length ? ` const { ${names.join(', ')} } = ${space.local.name};` : '';
  return `const ${space.local.name} = ${call};${rest}`;
}

function called(code, node) {
  const attributes = (node.attributes ?? []).map((one) => code.slice(one.start, one.end)).join(', ');
  return `await ${IMPORT}(${node.source.raw}${attributes ? `, { with: { ${attributes} } }` : ''})`;
}

function binding(one) {
  if (one.type === 'ImportDefaultSpecifier') return `default: ${one.local.name}`;
  const from = one.imported.raw ?? one.imported.name;
  return from === one.local.name ? from : `${from}: ${one.local.name}`;
}

function walk(node, visit) {
  visit(node);
  for (const value of Object.values(node)) {
    for (const child of Array.isArray(value) ? value : [value]) {
      if (child !== null && typeof child === 'object' && typeof child.type === 'string') walk(child, visit);
    }
  }
}

module.exports = { IMPORT, META, PLACE, rewritten };
