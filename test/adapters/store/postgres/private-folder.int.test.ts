/**
 * The embedded database is its owner's alone: what is made, what an earlier version left, and what cannot be closed.
 */
import { execFileSync, spawn, spawnSync } from "node:child_process"
import {
  chmodSync,
  copyFileSync,
  chownSync,
  existsSync,
  lchownSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { PgClient } from "@effect/sql-pg"
import { Effect } from "effect"
import fc from "fast-check"
import { assert, describe, it } from "vitest"
import type { TestContext } from "vitest"
import { embeddedClient } from "../../../../src/adapters/store/postgres/embedded.ts"
import { claimFolder, folderState } from "../../../../src/adapters/store/postgres/private-folder.ts"
import { ofTests } from "../../../support/reaper.ts"

const stranger = 65_534
const isRoot = process.getuid?.() === 0
const root = join(import.meta.dirname, "../../../..")

const placeOf = ({ onTestFinished }: TestContext): string => {
  const place = mkdtempSync(join(tmpdir(), "presently-private-"))
  onTestFinished(() => rmSync(place, { recursive: true, force: true }))
  return place
}

const modeOf = (path: string): number => lstatSync(path).mode & 0o7777

/** Everything under a folder, itself included. */
const all = (folder: string): readonly string[] => [
  folder,
  ...readdirSync(folder, { recursive: true, encoding: "utf8" }).map((name) => join(folder, name)),
]

/** What is wider than 0700 or 0600, with its mode. */
const wide = (folder: string): readonly string[] =>
  all(folder).flatMap((path) => {
    // a database takes files away meanwhile
    const status = lstatSync(path, { throwIfNoEntry: false })
    if (status === undefined) return []
    const mode = status.mode & 0o7777
    return (mode & ~(status.isDirectory() ? 0o700 : 0o600)) === 0 ? [] : [`${path} ${mode.toString(8)}`]
  })

const make = (path: string, mode: number, text: string | null = null): void => {
  if (text === null) mkdirSync(path)
  else writeFileSync(path, text)
  chmodSync(path, mode)
}

/** A folder as an earlier version left it. */
const wideFolder = (place: string): string => {
  const folder = join(place, "data")
  make(folder, 0o755)
  make(join(folder, "pg"), 0o755)
  make(join(folder, "pg/base"), 0o777)
  make(join(folder, "pg/base/1"), 0o666, "what somebody published")
  make(join(folder, "pg/PG_VERSION"), 0o644, "17\n")
  return folder
}

const refusedFor = (folder: string): string => {
  const state = folderState(folder)
  const why = state._tag === "Exposed" ? state.why : assert.fail(state._tag)
  assert.throws(() => claimFolder(folder), `data = ${folder}: ${why}`)
  return why
}

const whatStrangersRead = (folder: string): readonly string[] =>
  all(folder).filter(
    (path) =>
      statSync(path).isFile() && spawnSync("cat", [path], { uid: stranger, gid: stranger }).status === 0,
  )

describe.skipIf(process.getuid === undefined)("a data folder", () => {
  it(
    "one that was open to other accounts is narrowed with all that is in it, and doctor sees it before",
    { tags: ["OPS-data"] },
    (context) => {
      const folder = wideFolder(placeOf(context))
      chmodSync(join(folder, ".."), 0o755)
      if (isRoot) assert.lengthOf(whatStrangersRead(folder), 2)
      const before = { mode: "0755", isOuter: true, count: 4 }
      assert.deepStrictEqual(folderState(folder), { _tag: "Wide", ...before })
      assert.deepStrictEqual(claimFolder(folder).narrowed, before)
      assert.deepStrictEqual(wide(folder), [])
      if (isRoot) assert.deepStrictEqual(whatStrangersRead(folder), [])
      assert.deepStrictEqual(folderState(folder), { _tag: "Private" })
      assert.isNull(claimFolder(folder).narrowed)
    },
  )

  it(
    "whatever modes its files have, none stays wider than its owner, and none of the owner's rights goes",
    { tags: ["OPS-data"] },
    (context) => {
      const place = placeOf(context)
      const anyMode = fc.integer({ min: 0, max: 0o7777 }).map((mode) => mode | 0o700)
      const anyTree = fc.array(fc.record({ depth: fc.nat(3), mode: anyMode, isFolder: fc.boolean() }), {
        maxLength: 12,
      })
      let runs = 0
      fc.assert(
        fc.property(anyMode, anyTree, (mode, tree) => {
          const folder = join(place, `${++runs}`)
          mkdirSync(join(folder, "pg"), { recursive: true })
          const folders = [join(folder, "pg")]
          const made = tree.map(({ depth, mode: own, isFolder }, index) => {
            const path = join(folders[Math.min(depth, folders.length - 1)]!, `${index}`)
            make(path, 0o700, isFolder ? null : "text")
            if (isFolder) folders.push(path)
            return { path, own, isFolder }
          })
          for (const { path, own } of made) chmodSync(path, own)
          chmodSync(folder, mode)
          const isClosed = [mode, ...made.map(({ own }) => own)].every((one) => (one & 0o077) === 0)
          const state = folderState(folder)
          // what mkdir made itself has the umask's mode
          if (isClosed && modeOf(join(folder, "pg")) === 0o700) assert.equal(state._tag, "Private")
          else assert.equal(state._tag, "Wide")
          claimFolder(folder)
          for (const path of all(folder)) assert.equal(modeOf(path) & 0o077, 0)
          for (const { path, isFolder } of made)
            assert.equal(modeOf(path) & 0o600, 0o600, isFolder ? "folder" : "file")
          assert.deepStrictEqual(folderState(folder), { _tag: "Private" })
        }),
        { numRuns: 60 },
      )
    },
  )

  it(
    "one that is missing is made for its owner alone, with the folders above it",
    { tags: ["OPS-data"] },
    (context) => {
      const place = placeOf(context)
      const script = `
      process.umask(0)
      const { claimFolder } = await import(${JSON.stringify(join(root, "src/adapters/store/postgres/private-folder.ts"))})
      claimFolder(process.argv[1])`
      execFileSync(process.execPath, ["--input-type=module", "--eval", script, join(place, "a/b")])
      assert.deepStrictEqual(wide(join(place, "a")), [])
    },
  )

  it(
    "one that holds other things is not ours to close: it is refused while it is open, and left as it is",
    { tags: ["OPS-data"] },
    (context) => {
      const folder = wideFolder(placeOf(context))
      make(join(folder, "letters"), 0o644, "dear")
      const before = all(folder).map(modeOf)
      assert.match(
        refusedFor(folder),
        /^other accounts can read it \(mode 0755\), and it holds other things than the database, such as letters: chmod 700 /,
      )
      assert.deepStrictEqual(all(folder).map(modeOf), before)
      chmodSync(folder, 0o700)
      claimFolder(folder)
      assert.deepStrictEqual(wide(folder), [`${join(folder, "letters")} 644`])
    },
  )

  it("what presently itself may leave there is no other thing", { tags: ["OPS-data"] }, (context) => {
    const folder = wideFolder(placeOf(context))
    const left = ["server.json", "starting.pid.4194303.1", "presently.pid.4194303.1"]
    for (const name of left) make(join(folder, name), 0o600, "")
    for (const name of ["libraries", "taking-over", "pg.before"]) make(join(folder, name), 0o700)
    claimFolder(folder)
    assert.equal(modeOf(folder), 0o700)
  })

  it(
    "one that every account could replace is refused; in a folder like /tmp nobody can",
    { tags: ["OPS-data"] },
    (context) => {
      const place = placeOf(context)
      const folder = wideFolder(place)
      chmodSync(place, 0o777)
      assert.equal(
        refusedFor(folder),
        `every account can replace it, since ${place} has mode 0777: chmod o-w ${place}, or give another folder`,
      )
      chmodSync(place, 0o1777)
      claimFolder(folder)
      // nor where the way leads over a link
      const link = join(placeOf(context), "link")
      symlinkSync(folder, link)
      chmodSync(place, 0o777)
      assert.match(refusedFor(link), /^every account can replace it/)
      chmodSync(place, 0o755)
      assert.equal(claimFolder(link).path, folder)
    },
  )

  it(
    "links inside lead nowhere: they are refused, and what they lead to is left as it is",
    { tags: ["OPS-data"] },
    (context) => {
      const place = placeOf(context)
      const folder = wideFolder(place)
      make(join(place, "elsewhere"), 0o644, "somebody's")
      for (const name of ["pg/base/link", "presently.pid", "pg.unfinished"]) {
        symlinkSync(join(place, "elsewhere"), join(folder, name))
        assert.match(refusedFor(folder), / is a link out of it: /)
        rmSync(join(folder, name))
      }
      assert.equal(modeOf(join(place, "elsewhere")), 0o644)
      claimFolder(folder)
    },
  )

  it.skipIf(!isRoot)(
    "what belongs to another account is refused: the folder, a file in it, a link to it",
    { tags: ["OPS-data"] },
    (context) => {
      const place = placeOf(context)
      const folder = wideFolder(place)
      chownSync(folder, stranger, stranger)
      assert.match(refusedFor(folder), /belongs to account 65534, .* or chown -R 0 /)
      chmodSync(folder, 0o700)
      // its owner still reads it
      assert.match(refusedFor(folder), /belongs to account 65534/)
      chownSync(folder, 0, 0)
      chownSync(join(folder, "pg/base/1"), stranger, stranger)
      assert.match(refusedFor(folder), /pg\/base\/1 belongs to account 65534, .*: chown -R 0 /)
      chownSync(join(folder, "pg/base/1"), 0, 0)
      const link = join(place, "link")
      symlinkSync(folder, link)
      assert.equal(claimFolder(link).path, folder)
      lchownSync(link, stranger, stranger)
      assert.match(refusedFor(link), /is a link that belongs to account 65534/)
    },
  )

  it.skipIf(!isRoot)(
    "an account that is not root closes its own, and no other's",
    { tags: ["OPS-data"] },
    (context) => {
      const place = placeOf(context)
      chmodSync(place, 0o755)
      const folder = wideFolder(place)
      const module = join(place, "private-folder.ts")
      // where that account can read it
      for (const name of ["private-folder.ts", "system-accounts.ts"])
        copyFileSync(join(root, "src/adapters/store/postgres", name), join(place, name))
      writeFileSync(join(place, "package.json"), '{"type":"module"}')
      symlinkSync(join(root, "node_modules"), join(place, "node_modules"))
      const script = `
      const { claimFolder, folderState } = await import(${JSON.stringify(module)})
      const state = folderState(process.argv[1])
      try { claimFolder(process.argv[1]) } catch (refused) { state.message = refused.message }
      console.log(JSON.stringify(state))`
      const asStranger = (): Record<string, unknown> =>
        JSON.parse(
          execFileSync(process.execPath, ["--input-type=module", "--eval", script, folder], {
            uid: stranger,
            gid: stranger,
            encoding: "utf8",
          }),
        )
      const refused = asStranger()
      assert.equal(refused["_tag"], "Exposed")
      assert.match(String(refused["message"]), /belongs to account 0, .* or chown -R 65534 /)
      for (const path of all(folder)) chownSync(path, stranger, stranger)
      assert.equal(asStranger()["_tag"], "Wide")
      assert.deepStrictEqual(wide(folder), [])
    },
  )
})

describe.skipIf(process.getuid === undefined)("the files of an embedded database", () => {
  it(
    "none is wider than its owner, while it runs and after, new or rewritten, without any umask",
    { tags: ["OPS-data"] },
    async (context) => {
      const place = placeOf(context)
      chmodSync(place, 0o755)
      const folder = join(place, "data")
      const script = `
      import { Effect } from "effect"
      import { PgClient } from "@effect/sql-pg"
      import { embeddedClient } from ${JSON.stringify(join(root, "src/adapters/store/postgres/embedded.ts"))}
      process.umask(0)
      const work = Effect.gen(function* () {
        const sql = yield* PgClient.PgClient
        yield* sql\`CREATE TABLE t AS SELECT i, repeat('secret', 100) AS text FROM generate_series(1, 5000) i\`
        yield* sql\`CREATE INDEX ON t (i)\`
        yield* sql\`DELETE FROM t WHERE i % 2 = 0\`
        yield* sql\`VACUUM FULL t\`
        yield* sql\`TRUNCATE t\`
        yield* sql\`CHECKPOINT\`
        console.log("worked")
        yield* Effect.promise(() => new Promise((resolve) => process.stdin.once("data", resolve)))
      })
      await Effect.runPromise(work.pipe(Effect.provide(embeddedClient(process.argv[1]))))
      process.exit(0)`
      const child = spawn(process.execPath, ["--input-type=module", "--eval", script, folder], {
        cwd: root,
        stdio: ["pipe", "pipe", "inherit"],
      })
      ofTests(child)
      context.onTestFinished(() => void child.kill("SIGKILL"))
      const ended = new Promise((resolve) => child.once("exit", resolve))
      await Promise.race([new Promise((resolve) => child.stdout.once("data", resolve)), ended])
      assert.isTrue(existsSync(join(folder, "presently.pid")))
      assert.isAbove(all(folder).length, 900)
      assert.deepStrictEqual(wide(folder), [])
      if (isRoot) {
        const files = ["presently.pid", "pg/PG_VERSION", "pg/global/pg_control"]
        for (const file of files) {
          const read = spawnSync("cat", [join(folder, file)], {
            uid: stranger,
            gid: stranger,
            encoding: "utf8",
          })
          assert.notEqual(read.status, 0)
          assert.match(read.stderr, /Permission denied/)
        }
      }
      child.stdin.end("stop\n")
      assert.equal(await ended, 0)
      assert.deepStrictEqual(wide(folder), [])

      // opened again in this process, after somebody opened it to all
      execFileSync("chmod", ["-R", "a+rwX", folder])
      const told: string[] = []
      const rows = await Effect.runPromise(
        PgClient.PgClient.pipe(
          Effect.flatMap((sql) => sql`SELECT count(*)::int AS n FROM t`),
          Effect.provide(embeddedClient(folder, (line) => Effect.sync(() => void told.push(line)))),
        ),
      )
      assert.deepStrictEqual(rows, [{ n: 0 }])
      assert.lengthOf(told, 1)
      assert.match(
        told[0]!,
        /^data = .*\/data: other accounts could enter it \(mode 0777; \d{3,} of the files and folders in it were wide as well\): narrowed to its owner$/,
      )
      assert.deepStrictEqual(wide(folder), [])
    },
  )
})
