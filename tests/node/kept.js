// Each block is a declaration, and after //= an expression that is true of it, before and after a restore.

const n = 1, s = 'hi', t = true, z = null, u = undefined
//= n === 1 && s === 'hi' && t && z === null && u === undefined

const big = -12345678901234567890n
//= big === -12345678901234567890n

const odd = [NaN, -0, Infinity], neg = -0
//= Number.isNaN(odd[0]) && Object.is(odd[1], -0) && Object.is(neg, -0)

const long = 'x'.repeat(5000) + '\ud800'
//= long.length === 5001 && long.charCodeAt(5000) === 0xd800

const list = [1, { a: 2 }]; const inner = list[1]
//= list[1] === inner && inner.a === 2

const sparse = [1, , 3]; sparse.tag = 'x'
//= !(1 in sparse) && sparse.length === 3 && sparse.tag === 'x'

const map = new Map([[inKey = { k: 1 }, 'v']]); var inKey
//= map.get(inKey) === 'v'

const set = new Set([1, 'a'])
//= set.has('a') && set.size === 2

const cycle = {}; cycle.me = cycle
//= cycle.me === cycle

const when = new Date(5), never = new Date(NaN)
//= when.getTime() === 5 && Number.isNaN(never.getTime())

const re = /a+(?<q>b)/giu; re.lastIndex = 2
//= re.source === 'a+(?<q>b)' && re.flags === 'giu' && re.lastIndex === 2

const err = new TypeError('bad', { cause: new Error('why') }); err.code = 7
//= err instanceof TypeError && err.cause.message === 'why' && err.code === 7 && err.stack.includes('bad')

const bytes = Buffer.from('hello')
//= Buffer.isBuffer(bytes) && String(bytes) === 'hello'

const whole = new Float64Array(20000).fill(2); const part = whole.subarray(5, 7); whole.note = 'n'
//= part.buffer === whole.buffer && part.length === 2 && whole[19999] === 2 && whole.note === 'n'

const view = new DataView(new ArrayBuffer(8), 2); view.setInt8(0, 5)
//= view.byteOffset === 2 && view.getInt8(0) === 5

const bare = Object.create(null); bare.x = 1
//= Object.getPrototypeOf(bare) === null && bare.x === 1

const proto = { hi() { return this.n } }; const heir = Object.create(proto); heir.n = 4
//= heir.hi() === 4 && Object.getPrototypeOf(heir) === proto

const cold = Object.freeze({ a: [1] }); const row = Object.freeze([1, 2])
//= Object.isFrozen(cold) && Object.isFrozen(row) && row[1] === 2

const got = { get twice() { return this.n * 2 }, n: 3 }
//= got.twice === 6 && 'get' in Object.getOwnPropertyDescriptor(got, 'twice')

const shared = Symbol.for('s'), own = Symbol('own'), at = { [own]: 1, [Symbol.iterator]: null }
//= shared === Symbol.for('s') && at[own] === 1 && Symbol.iterator in at

const address = new URL('http://a.b/?q=1')
//= address.searchParams.get('q') === '1'

const base = 10; function add(x) { return x + base } const twice = (x) => 2 * add(x); add.tag = [1]
//= twice(1) === 22 && add.tag[0] === 1 && add.name === 'add'

async function later() { return 7 } function* count() { yield 1; yield 2 }
//= [...count()].length === 2 && later() instanceof Promise

const o = { m(x) { return x + this.k }, async am() {}, k: 1 }
//= o.m(1) === 2 && o.am() instanceof Promise

class A { static made = 0; x = 1; constructor(y) { this.y = y; A.made += 1 } get z() { return this.x + this.y } }
class B extends A { z2() { return super.z * 2 } }
const a = new A(2), b = new B(3); A.made = 40
//= a instanceof A && b instanceof A && b.z2() === 8 && a.z === 3 && A.made >= 40 && new B(1).z === 2

function Old(a) { this.a = a }
Old.prototype.hey = function () { return 'hey' + this.a }; const old = new Old(3)
//= old.hey() === 'hey3' && old instanceof Old

class Told extends Error { name = 'Told' }
const told = new Told('it')
//= told instanceof Told && told instanceof Error && told.message === 'it'

class Table extends Map { twice(k) { return 2 * this.get(k) } }
const table = new Table([['k', 4]])
//= table.twice('k') === 8 && table.size === 1

const fs = require('fs'); const { join } = require('path'); const { max } = Math
//= fs === require('fs') && join('a', 'b') === 'a/b' && max(1, 2) === 2

import { readFile } from 'fs/promises'
//= typeof readFile === 'function'

globalThis.shown = { k: 1 }; var v = [1]; implicit = 3
//= shown.k === 1 && v[0] === 1 && implicit === 3

const originalFetch = fetch; fetch = () => 'mine'
//= fetch() === 'mine'
