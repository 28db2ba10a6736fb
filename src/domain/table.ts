/**
 * The one persistent map: replacing an entry gives a new table and leaves the old one as it was, so that rollback is keeping the
 * old reference. Keys are strings or integers, and entries come in ascending order of their keys.
 *
 * A B+ tree. A table of up to 32 entries is one array, key and value in turn: most tables of a presentity have none or one, and
 * take 64 octets then. A larger one is copied along the path to what changes, so a change costs the same at 100 entries and at
 * 100,000 but for the depth, log₃₂ n at most.
 */

declare const key: unique symbol
declare const value: unique symbol

/** Opaque: it is read and changed by the functions of this file only. */
export interface Table<K extends string | number, V> {
  readonly [key]: K
  readonly [value]: V
}

type Key = string | number

/** Key, value, key, value …, ascending by key. */
type Leaf = readonly unknown[]

interface Branch {
  /** Entries below it. */
  readonly size: number
  /** For each child a key that is not above any of it, and above all of the child before it. */
  readonly keys: readonly Key[]
  /** All leaves, or all branches of one depth. */
  readonly children: readonly Node[]
}

type Node = Leaf | Branch

/** Entries of a leaf, and children of a branch, at most. */
const width = 32
/** With fewer, one is joined to its neighbour. */
const narrow = 8

const empty: Leaf = Object.freeze([])

const nodeOf = <K extends Key, V>(table: Table<K, V>): Node => table as unknown as Node
const tableOf = <K extends Key, V>(node: Node): Table<K, V> => node as unknown as Table<K, V>
const isLeaf = (node: Node): node is Leaf => Array.isArray(node)

export const emptyTable = <K extends Key, V>(): Table<K, V> => tableOf(empty)

/** Whether a value from outside is a table. O(n). */
export const isTable = (something: unknown): boolean => {
  if (Array.isArray(something)) {
    const keys = something.filter((_, index) => index % 2 === 0)
    return (
      something.length % 2 === 0 &&
      keys.every((key: unknown, index) => isKey(key) && (index === 0 || (keys[index - 1] as Key) < key))
    )
  }
  if (typeof something !== "object" || something === null || !("children" in something)) return false
  const { children } = something
  return Array.isArray(children) && children.length > 1 && children.every(isTable)
}

const isKey = (something: unknown): something is Key =>
  typeof something === "string" || typeof something === "number"

/** Where the key is in a leaf; where it belongs, as the complement of its index, when it is not there. */
const placeIn = (leaf: Leaf, wanted: Key): number => {
  let low = 0
  let high = leaf.length >> 1
  // what is added has most often the greatest key, and most leaves are short
  if (high > 0 && (leaf[2 * high - 2] as Key) < wanted) return ~(2 * high)
  while (low < high) {
    const middle = (low + high) >> 1
    if ((leaf[2 * middle] as Key) < wanted) low = middle + 1
    else high = middle
  }
  return leaf[2 * low] === wanted ? 2 * low : ~(2 * low)
}

/** The child that holds the key, if any does. */
const childOf = ({ keys }: Branch, wanted: Key): number => {
  let low = 1
  let high = keys.length
  while (low < high) {
    const middle = (low + high) >> 1
    if (keys[middle]! <= wanted) low = middle + 1
    else high = middle
  }
  return low - 1
}

/** The value at `key`, or undefined. O(log n). */
export const get = <K extends Key, V>(table: Table<K, V>, wanted: K): V | undefined => {
  let node = nodeOf(table)
  while (!isLeaf(node)) node = node.children[childOf(node, wanted)]!
  const place = placeIn(node, wanted)
  return place < 0 ? undefined : (node[place + 1] as V)
}

export const has = <K extends Key, V>(table: Table<K, V>, wanted: K): boolean => {
  let node = nodeOf(table)
  while (!isLeaf(node)) node = node.children[childOf(node, wanted)]!
  return placeIn(node, wanted) >= 0
}

export const size = <K extends Key, V>(table: Table<K, V>): number => sizeOf(nodeOf(table))

const sizeOf = (node: Node): number => (isLeaf(node) ? node.length >> 1 : node.size)

/** A table in which `key` holds `value`; the same one when it does already. O(log n). */
export const set = <K extends Key, V>(table: Table<K, V>, at: K, to: V): Table<K, V> => {
  const root = nodeOf(table)
  const next = isLeaf(root) ? withEntry(root, at, to) : withEntryBelow(root, at, to)
  return tableOf(isTooWide(next) ? branchOf(halves(next)) : next)
}

const isTooWide = (node: Node): boolean =>
  isLeaf(node) ? node.length > 2 * width : node.children.length > width

/** The leaf with the entry: it may have one too many then. */
const withEntry = (leaf: Leaf, at: Key, to: unknown): Leaf => {
  const place = placeIn(leaf, at)
  if (place >= 0) {
    if (leaf[place + 1] === to) return leaf
    if (leaf.length === 2) return [at, to]
    const copy = leaf.slice()
    copy[place + 1] = to
    return copy
  }
  if (leaf.length === 0) return [at, to]
  // neither leaves room behind its last entry, as a push would
  if (~place === leaf.length) return leaf.concat([at, to])
  return leaf.toSpliced(~place, 0, at, to)
}

const withEntryBelow = (branch: Branch, at: Key, to: unknown): Branch => {
  const index = childOf(branch, at)
  const child = branch.children[index]!
  const next = isLeaf(child) ? withEntry(child, at, to) : withEntryBelow(child, at, to)
  if (next === child) return branch
  const { keys, size: before } = branch
  const added = sizeOf(next) - sizeOf(child)
  if (isTooWide(next)) {
    const parts = halves(next)
    return {
      size: before + added,
      keys: keys.toSpliced(index + 1, 0, firstKey(parts[1]!)),
      children: branch.children.toSpliced(index, 1, ...parts),
    }
  }
  const children = branch.children.slice()
  children[index] = next
  return { size: before + added, keys, children }
}

/** What has one too many, as two. Keys come in ascending order as a rule: then the first one stays full. */
const halves = (node: Node): readonly [Node, Node] => {
  if (isLeaf(node)) {
    const cut = 2 * Math.max(width / 2, (node.length >> 1) - narrow)
    return [node.slice(0, cut), node.slice(cut)]
  }
  const cut = Math.max(width / 2, node.children.length - narrow)
  return [branchOf(node.children.slice(0, cut)), branchOf(node.children.slice(cut))]
}

const firstKey = (node: Node): Key => {
  let first = node
  while (!isLeaf(first)) first = first.children[0]!
  return first[0] as Key
}

const branchOf = (children: readonly Node[]): Branch => {
  let total = 0
  for (const child of children) total += sizeOf(child)
  return { size: total, keys: children.map(firstKey), children }
}

/** A table without the key; the same one when it has none such. O(log n). */
export const remove = <K extends Key, V>(table: Table<K, V>, at: K): Table<K, V> => {
  let next = without(nodeOf(table), at)
  while (!isLeaf(next) && next.children.length === 1) next = next.children[0]!
  return tableOf(next)
}

const without = (node: Node, at: Key): Node => {
  if (isLeaf(node)) {
    const place = placeIn(node, at)
    if (place < 0) return node
    return node.length === 2 ? empty : node.toSpliced(place, 2)
  }
  const index = childOf(node, at)
  const child = node.children[index]!
  const next = without(child, at)
  if (next === child) return node
  const { children } = node
  if (lengthOf(next) >= narrow || children.length === 1)
    return { size: node.size - 1, keys: node.keys, children: children.with(index, next) }
  // with the neighbour that it has
  const from = index === 0 ? 0 : index - 1
  const pair = index === 0 ? ([next, children[1]!] as const) : ([children[from]!, next] as const)
  return branchOf(children.toSpliced(from, 2, ...joined(...pair)))
}

const lengthOf = (node: Node): number => (isLeaf(node) ? node.length >> 1 : node.children.length)

/** Two neighbours as one, or as two where that would be too wide. */
const joined = (left: Node, right: Node): readonly Node[] => {
  const both: Node =
    isLeaf(left) && isLeaf(right)
      ? left.concat(right)
      : branchOf([...(left as Branch).children, ...(right as Branch).children])
  return isTooWide(both) ? chunks(both) : [both]
}

/** What may be far too wide, as nodes that are not: as few as possible, of about one width. */
const chunks = (node: Node): readonly Node[] => {
  const length = lengthOf(node)
  const count = Math.ceil(length / width)
  return Array.from({ length: count }, (_, index) => {
    const [from, to] = [Math.floor((index * length) / count), Math.floor(((index + 1) * length) / count)]
    return isLeaf(node) ? node.slice(2 * from, 2 * to) : branchOf(node.children.slice(from, to))
  })
}

/** Many `set`s at once, of which the last of a key counts: each node is copied once. O(m log m + nodes that change). */
export const setAll = <K extends Key, V>(
  table: Table<K, V>,
  added: Iterable<readonly [K, V]>,
): Table<K, V> => {
  const list: unknown[] = []
  let isAscending = true
  for (const [at, to] of added) {
    if (list.length > 0 && (list[list.length - 2] as K) >= at) isAscending = false
    list.push(at, to)
  }
  if (list.length === 0) return table
  if (list.length === 2) return set(table, list[0] as K, list[1] as V)
  let next = merged(nodeOf(table), isAscending ? list : ascending(list))
  while (isTooWide(next)) next = branchOf(chunks(next))
  return tableOf(next)
}

const ascending = (list: Leaf): Leaf => {
  const byKey = new Map<Key, unknown>()
  for (let index = 0; index < list.length; index += 2) byKey.set(list[index] as Key, list[index + 1])
  return [...byKey].sort(([left], [right]) => (left < right ? -1 : 1)).flat(1)
}

/** The node with these entries: it may be far too wide then. */
const merged = (node: Node, added: Leaf): Node => {
  if (added.length === 0) return node
  if (isLeaf(node)) return mergedLeaf(node, added)
  const children: Node[] = []
  let from = 0
  for (let index = 0; index < node.children.length; index++) {
    const upTo = node.keys[index + 1]
    let to = from
    while (to < added.length && (upTo === undefined || (added[to] as Key) < upTo)) to += 2
    const child = node.children[index]!
    const next = to === from ? child : merged(child, added.slice(from, to))
    if (isTooWide(next)) children.push(...chunks(next))
    else children.push(next)
    from = to
  }
  return branchOf(children)
}

const mergedLeaf = (leaf: Leaf, added: Leaf): Leaf => {
  const slots: unknown[] = []
  let old = 0
  for (let index = 0; index < added.length; index += 2) {
    const at = added[index] as Key
    while (old < leaf.length && (leaf[old] as Key) < at) slots.push(leaf[old++], leaf[old++])
    if (leaf[old] === at) old += 2
    slots.push(at, added[index + 1])
  }
  while (old < leaf.length) slots.push(leaf[old++], leaf[old++])
  // without the room that it grew by
  return slots.slice()
}

/** All values, by key. O(n). */
export const values = <K extends Key, V>(table: Table<K, V>): readonly V[] => {
  const found: V[] = []
  each(table, (item) => found.push(item))
  return found
}

/** All entries, by key. O(n). */
export const entries = <K extends Key, V>(table: Table<K, V>): readonly (readonly [K, V])[] => {
  const found: (readonly [K, V])[] = []
  each(table, (item, at) => found.push([at, item]))
  return found
}

/** Looks at all entries, by key, without making anything. */
export const each = <K extends Key, V>(table: Table<K, V>, look: (value: V, key: K) => unknown): void =>
  eachBelow(nodeOf(table), look as (value: unknown, key: unknown) => unknown)

const eachBelow = (node: Node, look: (value: unknown, key: unknown) => unknown): void => {
  if (isLeaf(node)) for (let index = 0; index < node.length; index += 2) look(node[index + 1], node[index])
  else for (const child of node.children) eachBelow(child, look)
}
