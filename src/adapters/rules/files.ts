/**
 * Rules documents as files: those of a folder, one per presentity, or those that are named one by one; read at the start
 * and again whenever one changes.
 *
 * A file of a folder is named after its presentity: `alice@example.com.xml` for sip:alice@example.com, `tel:+4930123.xml`; characters
 * that a file name cannot hold are percent-encoded. Files that do not end so are left alone. A folder in it may hold the documents
 * of another package.
 *
 * Whatever one file is, it stands in nobody else's way: it is named, and the others are read.
 */
import { constants } from "node:fs"
import type { BigIntStats } from "node:fs"
import { lstat, open, readdir, stat } from "node:fs/promises"
import { join } from "node:path"
import { Effect } from "effect"
import type { PackageName, Uri } from "../../domain/vocabulary.ts"
import { SourceUnusable, keyOf } from "../../ports/document-source.ts"
import type { DocumentChange, DocumentPlace, Look, Trouble } from "../../ports/document-source.ts"
import { textOf, tooLarge } from "./documents.ts"

export interface FilesOptions {
  /** Longer documents are not read. */
  readonly octetsMax: number
}

export interface FolderOptions extends FilesOptions {
  /** Makes a canonical URI of text, null when it is none. */
  readonly canonical: (text: string) => Uri | null
  /** The package whose documents a folder of that name holds; null: such a folder is left alone. Absent: all are. */
  readonly packageOfFolder?: (name: string) => PackageName | null
}

/** The package of documents that lie in the folder itself. */
const presence: PackageName = "presence"

/** Reading more at a time would not be quicker. */
const concurrency = 16

/** A file that changed so short a time ago may change once more without its times telling. */
const restlessMillis = 2_000

export const openRulesFolder = (folder: string, options: FolderOptions): DocumentPlace =>
  openFiles(`folder ${folder}`, () => listed(folder, options), options)

/** Each file holds the rules of one presentity; one that is not there is a fault, not an absence of rules. */
export const openRulesFiles = (files: readonly RulesFile[], options: FilesOptions): DocumentPlace =>
  openFiles(
    files.length === 1 ? `file ${files[0]?.path}` : "files",
    () => Promise.resolve({ files, misnamed: [], troubles: [], unread: [] }),
    options,
  )

export interface RulesFile {
  readonly path: string
  readonly presentity: Uri
  /** `presence` when left out. */
  readonly packageName?: PackageName
}

interface Listing {
  readonly files: readonly RulesFile[]
  /** Whose name says more than an address: nobody can tell what they are meant for. */
  readonly misnamed: readonly RulesFile[]
  readonly troubles: readonly Trouble[]
  /** Packages whose folder cannot be read: nothing is known of their documents. */
  readonly unread: readonly PackageName[]
}

const listed = async (folder: string, options: FolderOptions): Promise<Listing> => {
  const files: RulesFile[] = []
  const misnamed: RulesFile[] = []
  const troubles: Trouble[] = []
  const unread: PackageName[] = []
  const add = (path: string, file: string, packageName: PackageName): void => {
    if (!file.endsWith(".xml") || file.startsWith(".")) return
    const name = nameIn(file)
    const presentity = name === null ? null : options.canonical(name)
    if (name === null || presentity === null)
      troubles.push({ of: null, file: path, why: "its name is no address of anybody" })
    else (isBare(name) ? files : misnamed).push({ path, presentity, packageName })
  }
  for (const { name } of await entriesOf(folder)) {
    const path = join(folder, name)
    const inner = options.packageOfFolder?.(name) ?? null
    if (inner === null) {
      add(path, name, presence)
      continue
    }
    try {
      for (const below of await entriesOf(path)) add(join(path, below.name), below.name, inner)
    } catch (cause) {
      troubles.push({ of: null, file: path, why: reasonOf(cause) })
      unread.push(inner)
    }
  }
  return { files, misnamed, troubles, unread }
}

const entriesOf = async (folder: string) =>
  (await readdir(folder, { withFileTypes: true })).sort((one, other) => (one.name < other.name ? -1 : 1))

interface Counting {
  readonly path: string
  readonly of: { readonly packageName: PackageName; readonly presentity: Uri }
}

const openFiles = (
  name: string,
  list: () => Promise<Listing>,
  { octetsMax }: FilesOptions,
): DocumentPlace => {
  /** Stamps of what was settled, by path. */
  const known = new Map<string, string>()
  /** Of what was told; null: it is to be read again whatever its times say. */
  const told = new WeakMap<DocumentChange, string | null>()
  /** Documents that are there, or were and nobody has settled that they are gone, by key. */
  const there = new Map<string, Counting>()

  const look = async (): Promise<Look> => {
    const { files, misnamed, troubles: found, unread } = await list()
    const troubles = [...found]
    const changes: DocumentChange[] = []
    const counting = new Map<string, Counting>()
    for (const { path, presentity, packageName = presence } of files) {
      const of = { packageName, presentity }
      const other = counting.get(keyOf(of))
      if (other !== undefined) {
        const why = `${path} is of the same presentity, and counts`
        troubles.push({ of, file: other.path, why, spare: true })
      }
      counting.set(keyOf(of), { path, of })
    }
    // what was meant for somebody may hide something: it is not as if there were nothing
    const doubtful = new Set<string>()
    for (const { path, presentity, packageName = presence } of misnamed) {
      const of = { packageName, presentity }
      const why = `its name says more than an address: ${fileNameOf(presentity)}.xml would be of ${presentity}, and other packages have folders`
      if (counting.has(keyOf(of))) troubles.push({ of, file: path, why, spare: true })
      else {
        doubtful.add(keyOf(of))
        troubles.push({ of, file: path, why })
      }
    }
    const paths = new Set([...counting.values()].map(({ path }) => path))
    for (const path of known.keys()) if (!paths.has(path)) known.delete(path)
    await eachOf([...counting.values()], async ({ path, of }) => {
      const read = await readChanged(path, known.get(path) ?? null, octetsMax)
      if (read._tag === "Unusable") {
        troubles.push({ of, file: path, why: read.why })
        // whatever it is when it can be used again, it is news
        known.delete(path)
      } else if (read._tag === "Changed") {
        known.delete(path)
        const change: DocumentChange = { ...of, text: read.text, file: path }
        told.set(change, read.stamp)
        changes.push(change)
      }
    })
    for (const [key, { path, of }] of there) {
      if (counting.has(key) || doubtful.has(key) || unread.includes(of.packageName)) continue
      changes.push({ ...of, text: null, file: path })
    }
    for (const [key, one] of counting) there.set(key, one)
    return { changes, troubles, listed: new Set([...counting.keys(), ...doubtful]), unread: new Set(unread) }
  }

  return {
    name,
    look: Effect.tryPromise({
      try: look,
      catch: (cause) => new SourceUnusable({ source: name, why: reasonOf(cause) }),
    }),
    settle: (change) => {
      if (change.text === null) return void there.delete(keyOf(change))
      const stamp = told.get(change) ?? null
      if (stamp !== null) known.set(change.file, stamp)
    },
  }
}

type Read =
  | { readonly _tag: "Same" }
  /** `stamp` null: it is to be read again, its times may not tell of a change. */
  | { readonly _tag: "Changed"; readonly text: string; readonly stamp: string | null }
  | { readonly _tag: "Unusable"; readonly why: string }

/** @param settled the stamp of what is known of it */
const readChanged = async (path: string, settled: string | null, octetsMax: number): Promise<Read> => {
  try {
    const { isRegular, stamp, octets } = await statusOf(stat(path, { bigint: true }))
    if (!isRegular) return unusable("it is no regular file")
    if (stamp === settled) return { _tag: "Same" }
    if (octets > octetsMax) return unusable(tooLarge(octets, octetsMax))
    // a pipe that has come in its place would keep whoever opens it waiting
    const file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK)
    try {
      const opened = await statusOf(file.stat({ bigint: true }))
      if (!opened.isRegular) return unusable("it is no regular file")
      if (opened.octets > octetsMax) return unusable(tooLarge(opened.octets, octetsMax))
      const bytes = await file.readFile()
      if (bytes.length > octetsMax) return unusable(tooLarge(bytes.length, octetsMax))
      const read = textOf(bytes)
      if ("why" in read) return unusable(read.why)
      const isRestless = Date.now() - opened.changedAt < restlessMillis
      return { _tag: "Changed", text: read.text, stamp: isRestless ? null : opened.stamp }
    } finally {
      await file.close()
    }
  } catch (cause) {
    return unusable(await missing(path, cause))
  }
}

const unusable = (why: string): Read => ({ _tag: "Unusable", why })

const statusOf = async (asked: Promise<BigIntStats>) => {
  const found = await asked
  const { dev, ino, size, mtimeNs, ctimeNs } = found
  return {
    isRegular: found.isFile(),
    octets: Number(size),
    changedAt: Number(found.ctimeMs),
    // one that was put in its place, or written without its time telling, is another
    stamp: [dev, ino, size, mtimeNs, ctimeNs].join(" "),
  }
}

/** Why it is not there, where it should be. */
const missing = async (path: string, cause: unknown): Promise<string> => {
  if ((cause as NodeJS.ErrnoException).code !== "ENOENT") return reasonOf(cause)
  return lstat(path).then(
    () => "it is a link that leads nowhere",
    () => "there is no such file",
  )
}

const eachOf = async <A>(all: readonly A[], work: (one: A) => Promise<void>): Promise<void> => {
  let next = 0
  const worker = async (): Promise<void> => {
    while (next < all.length) await work(all[next++]!)
  }
  await Promise.all(Array.from({ length: concurrency }, worker))
}

const reasonOf = (cause: unknown): string => (cause instanceof Error ? cause.message : String(cause))

/** The name of the file of a presentity, without `.xml`: what `nameIn` reads. */
export const fileNameOf = (presentity: Uri): string =>
  presentity
    .replace(/^sip:/, "")
    .replaceAll(/^\.|[%/]/g, (one) => `%${one.charCodeAt(0).toString(16).toUpperCase()}`)

/** What a file is named after, as a URI; null: that cannot be read. */
const nameIn = (file: string): string | null => {
  try {
    const name = decodeURIComponent(file.slice(0, -".xml".length))
    return /^(?:sips?|tel):/.test(name) ? name : `sip:${name}`
  } catch {
    return null
  }
}

/** Without password, port, parameters and headers, which make no other address. Of a telephone number parameters do. */
const isBare = (name: string): boolean =>
  name.startsWith("tel:") || /^sips?:(?:[^@:]*@)?(?:\[[^\]]*\]|[^:;?]*)$/.test(name)
