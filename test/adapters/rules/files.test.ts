/**
 * Rules as files: every kind of entry that cannot be used stands in nobody else's way, is named, and is taken when it is mended.
 */
import assert from "node:assert/strict"
import { execFileSync } from "node:child_process"
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Effect } from "effect"
import { describe, it } from "vitest"
import type { TestContext } from "vitest"
import { fileNameOf, openRulesFiles, openRulesFolder } from "../../../src/adapters/rules/files.ts"
import { presentityOf } from "../../../src/app/presentity-uri.ts"
import type { Uri } from "../../../src/domain/vocabulary.ts"
import type { DocumentPlace } from "../../../src/ports/document-source.ts"

const octetsMax = 1_000
const options = { canonical: presentityOf, octetsMax }

const folderOf = ({ onTestFinished }: TestContext) => {
  const folder = mkdtempSync(join(tmpdir(), "presently-rules-"))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  const path = (file: string): string => join(folder, file)
  return { folder, path, write: (file: string, text: string | Buffer) => writeFileSync(path(file), text) }
}

/** One look, everything in it settled. */
const look = async (place: DocumentPlace, isSettled = true) => {
  const found = await Effect.runPromise(place.look)
  if (isSettled) for (const change of found.changes) place.settle(change)
  return {
    changes: found.changes
      .map(({ packageName, presentity, text }) => `${packageName} ${presentity} ${text}`)
      .sort(),
    troubles: found.troubles.map(({ of, file, why }) => ({ of: of?.presentity ?? null, file, why })),
    listed: found.listed,
    unread: [...found.unread],
  }
}

const bad: readonly (readonly [string, (path: string) => void, RegExp])[] = [
  ["a link that leads nowhere", (path) => symlinkSync("/nowhere/at/all.xml", path), /leads nowhere/],
  ["a link to itself", (path) => symlinkSync(path, path), /ELOOP/],
  ["a folder", (path) => mkdirSync(path), /no regular file/],
  ["a pipe", (path) => execFileSync("mkfifo", [path]), /no regular file/],
  ["octets that are not UTF-8", (path) => writeFileSync(path, Buffer.from([0xff, 0x00, 0xfe])), /not UTF-8/],
  ["UTF-16", (path) => writeFileSync(path, Buffer.from("<ruleset/>ü", "utf16le")), /not UTF-8/],
  ["too long a document", (path) => writeFileSync(path, "x".repeat(octetsMax + 1)), /1001 octets, more than/],
  ["a device", (path) => symlinkSync("/dev/zero", path), /no regular file/],
]

describe("a folder of rules", () => {
  it(
    "a document in another encoding that it declares is converted, and one in an unknown encoding says which",
    { tags: ["AUT-7"] },
    async (context) => {
      const { folder, path } = folderOf(context)
      const declared = (name: string): string => `<?xml version="1.0" encoding="${name}"?><a>B\u00fcro</a>`
      for (const [file, name] of [
        ["ann", "ISO-8859-1"],
        ["bob", "windows-1252"],
        ["zed", "x-none"],
      ] as const)
        writeFileSync(path(`${file}@example.com.xml`), Buffer.from(declared(name), "latin1"))
      writeFileSync(path("cy@example.com.xml"), Buffer.from(`\r\n${declared("UTF-8")}\0`, "utf8"))
      const { changes, troubles } = await look(openRulesFolder(folder, options))
      assert.deepEqual(
        changes,
        ["ann", "bob", "cy"].map((user) => `presence sip:${user}@example.com ${declared("UTF-8")}`),
      )
      assert.match(troubles[0]?.why ?? "", /encoding x-none is not supported: write it in UTF-8/)
    },
  )

  for (const [what, make, why] of bad) {
    it(
      `${what} stops nobody else's document, at the start and later`,
      { tags: ["AUT-7"] },
      async (context) => {
        const { folder, path, write } = folderOf(context)
        write("ann@example.com.xml", "1")
        write("zed@example.com.xml", "1")
        make(path("mike@example.com.xml"))
        const place = openRulesFolder(folder, options)
        const first = await look(place)
        assert.deepEqual(first.changes, ["presence sip:ann@example.com 1", "presence sip:zed@example.com 1"])
        assert.equal(first.troubles.length, 1)
        assert.equal(first.troubles[0]?.of, "sip:mike@example.com")
        assert.match(first.troubles[0]?.why ?? "", why)
        // it is there all the same: nobody says that there are no rules
        assert.ok(first.listed.has("presence sip:mike@example.com"))

        write("ann@example.com.xml", "2")
        write("zed@example.com.xml", "2")
        const later = await look(place)
        assert.deepEqual(later.changes, ["presence sip:ann@example.com 2", "presence sip:zed@example.com 2"])
        assert.equal(later.troubles.length, 1)

        rmSync(path("mike@example.com.xml"), { recursive: true })
        write("mike@example.com.xml", "3")
        const mended = await look(place)
        assert.ok(mended.changes.includes("presence sip:mike@example.com 3"))
        assert.deepEqual(mended.troubles, [])
      },
    )
  }

  it(
    "a document that became bad is named and is not taken for one that is gone; gone, it is gone",
    { tags: ["AUT-7"] },
    async (context) => {
      const { folder, path, write } = folderOf(context)
      write("ann@example.com.xml", "1")
      const place = openRulesFolder(folder, options)
      await look(place)
      rmSync(path("ann@example.com.xml"))
      symlinkSync("/nowhere", path("ann@example.com.xml"))
      const dangling = await look(place)
      assert.deepEqual([dangling.changes, dangling.troubles.length], [[], 1])
      rmSync(path("ann@example.com.xml"))
      const gone = await look(place)
      assert.deepEqual([gone.changes, gone.troubles], [["presence sip:ann@example.com null"], []])
      assert.deepEqual((await look(place)).changes, [])
    },
  )

  it(
    "a file that the account may not read is named, whoever else is in the folder",
    { tags: ["AUT-7"] },
    async (context) => {
      const { folder, path, write } = folderOf(context)
      write("ann@example.com.xml", "1")
      write("mike@example.com.xml", "1")
      chmodSync(path("mike@example.com.xml"), 0o000)
      // whoever is root may read everything: nobody's account looks
      const script =
        'import { openRulesFolder } from "./src/adapters/rules/files.ts";' +
        'import { Effect } from "effect";' +
        "if (process.getuid() === 0) { process.setgroups([]); process.setgid(65534); process.setuid(65534) }" +
        "const look = await Effect.runPromise(openRulesFolder(process.argv[1], { octetsMax: 1000," +
        " canonical: (text) => text }).look);console.log(JSON.stringify({ changes: look.changes, troubles: look.troubles }))"
      chmodSync(folder, 0o755)
      const said = execFileSync(process.execPath, ["--input-type=module", "--eval", script, folder], {
        encoding: "utf8",
      })
      const { changes, troubles } = JSON.parse(said) as {
        changes: readonly { presentity: string }[]
        troubles: readonly { of: { presentity: string }; why: string }[]
      }
      assert.deepEqual(
        changes.map(({ presentity }) => presentity),
        ["sip:ann@example.com"],
      )
      assert.deepEqual(
        troubles.map(({ of }) => of.presentity),
        ["sip:mike@example.com"],
      )
      assert.match(troubles[0]?.why ?? "", /EACCES/)
    },
  )

  it(
    "names that are no address are named; other files and hidden ones are left alone",
    { tags: ["AUT-7"] },
    async (context) => {
      const { folder, write } = folderOf(context)
      for (const file of [
        "%zz.xml",
        "not an address.xml",
        "@.xml",
        "README",
        ".swp.xml",
        "alice@example.com.xml~",
      ])
        write(file, "1")
      write("alice@example.com.xml", "1")
      write("tel:+4930123.xml", "1")
      const { changes, troubles } = await look(openRulesFolder(folder, options))
      assert.deepEqual(changes, ["presence sip:alice@example.com 1", "presence tel:+4930123 1"])
      assert.deepEqual(troubles.map(({ of, file }) => `${of} ${file.slice(folder.length + 1)}`).sort(), [
        "null %zz.xml",
        "null @.xml",
        "null not an address.xml",
      ])
    },
  )

  it.for([
    "alice@example.com;dialog.xml",
    "alice@example.com%3Bdialog.xml",
    "alice@example.com;transport=tcp.xml",
    "alice@example.com:5060.xml",
    "sip:alice@example.com;user=phone.xml",
    "sips:alice@example.com;dialog.xml",
    "alice:secret@example.com.xml",
    "alice@example.com?subject=dialog.xml",
  ])(
    "%s says more than an address: it is named, and hers are not read from it",
    { tags: ["AUT-7"] },
    async (file, context) => {
      const { folder, path, write } = folderOf(context)
      mkdirSync(path("dialog"))
      for (const of of ["", "dialog"]) {
        write(join(of, file), "odd")
        write(join(of, "bob@example.com.xml"), "1")
      }
      const place = openRulesFolder(folder, {
        ...options,
        packageOfFolder: (name) => (name === "dialog" ? name : null),
      })
      const alone = await look(place)
      assert.deepEqual(alone.changes, ["dialog sip:bob@example.com 1", "presence sip:bob@example.com 1"])
      assert.deepEqual(
        alone.troubles.map((one) => `${one.of} ${one.file}`).sort(),
        ["", "dialog"].map((of) => `sip:alice@example.com ${path(join(of, file))}`).sort(),
      )
      for (const { why } of alone.troubles)
        assert.match(why, /^its name says more than an address: alice@example\.com\.xml would be of/)
      // nobody says that she has none: it may have been meant for her
      assert.ok(alone.listed.has("presence sip:alice@example.com"))

      write("alice@example.com.xml", "right")
      const beside = await look(place)
      const ofAlice = ({ changes }: { readonly changes: readonly string[] }): readonly string[] =>
        changes.filter((one) => one.includes("alice"))
      assert.deepEqual(ofAlice(beside), ["presence sip:alice@example.com right"])
      assert.equal(beside.troubles.length, 2)
      rmSync(path("alice@example.com.xml"))
      assert.deepEqual(ofAlice(await look(place)), [])
      rmSync(path(file))
      assert.deepEqual(ofAlice(await look(place)), ["presence sip:alice@example.com null"])
    },
  )

  it(
    "the file of a presentity is found under the name that it is told to have",
    { tags: ["AUT-7"] },
    async (context) => {
      const { folder, path, write } = folderOf(context)
      const all = [
        "sip:alice@example.com",
        "sip:a%20b%2F@example.com",
        "sip:/etc/passwd@example.com",
        "sip:.hidden@example.com",
        "sip:ann;x=1@example.com",
        "sip:ann@[2001:db8::1]",
        "tel:+4930123",
        "tel:123;phone-context=+49",
      ] as Uri[]
      for (const of of all) write(`${fileNameOf(of)}.xml`, "1")
      assert.equal(path(`${fileNameOf(all[0]!)}.xml`), join(folder, "alice@example.com.xml"))
      const { changes, troubles } = await look(openRulesFolder(folder, options))
      assert.deepEqual(troubles, [])
      assert.deepEqual(changes, all.map((of) => `presence ${of} 1`).sort())
    },
  )

  it(
    "of several files of one presentity one counts and the others are named; without it they do",
    { tags: ["AUT-7"] },
    async (context) => {
      const { folder, path, write } = folderOf(context)
      write("alice@EXAMPLE.com.xml", "upper")
      write("alice@example.com.xml", "lower")
      write("sip:alice@example.com.xml", "scheme")
      const place = openRulesFolder(folder, options)
      const first = await look(place)
      assert.deepEqual(first.changes, ["presence sip:alice@example.com scheme"])
      assert.equal(first.troubles.length, 2)
      for (const { why } of first.troubles) assert.match(why, /is of the same presentity, and counts/)
      rmSync(path("sip:alice@example.com.xml"))
      // not "there are none": another one is there
      assert.deepEqual((await look(place)).changes, ["presence sip:alice@example.com lower"])
    },
  )

  it(
    "what is not settled is told again; what is settled is not, until it changes",
    { tags: ["AUT-7"] },
    async (context) => {
      const { folder, path, write } = folderOf(context)
      write("ann@example.com.xml", "1")
      const place = openRulesFolder(folder, options)
      assert.equal((await look(place, false)).changes.length, 1)
      assert.equal((await look(place, false)).changes.length, 1)
      // of the same length and with the same time of change: it is told all the same
      const { mtime } = statSync(path("ann@example.com.xml"))
      await look(place)
      write("ann@example.com.xml", "2")
      utimesSync(path("ann@example.com.xml"), mtime, mtime)
      assert.deepEqual((await look(place)).changes, ["presence sip:ann@example.com 2"])
      // one that is put in its place, older than what was there
      write("new", "3")
      utimesSync(path("new"), 1_000, 1_000)
      renameSync(path("new"), path("ann@example.com.xml"))
      assert.deepEqual((await look(place)).changes, ["presence sip:ann@example.com 3"])
      rmSync(path("ann@example.com.xml"))
      assert.equal((await look(place, false)).changes.length, 1)
      assert.equal((await look(place)).changes.length, 1)
      assert.equal((await look(place)).changes.length, 0)
    },
  )

  it("a byte order mark is no part of the document", { tags: ["AUT-7"] }, async (context) => {
    const { folder, write } = folderOf(context)
    write("ann@example.com.xml", "\uFEFF<ruleset/>")
    assert.deepEqual((await look(openRulesFolder(folder, options))).changes, [
      "presence sip:ann@example.com <ruleset/>",
    ])
  })

  it(
    "folders in it hold documents of other packages; one that cannot be read says nothing of these",
    { tags: ["AUT-7"] },
    async (context) => {
      const { folder, path, write } = folderOf(context)
      for (const inner of ["dialog", "reg", "other"]) {
        mkdirSync(path(inner))
        write(join(inner, "alice@example.com.xml"), inner)
      }
      write("alice@example.com.xml", "top")
      const place = openRulesFolder(folder, {
        ...options,
        packageOfFolder: (name) => (name === "dialog" || name === "reg" ? name : null),
      })
      assert.deepEqual((await look(place)).changes, [
        "dialog sip:alice@example.com dialog",
        "presence sip:alice@example.com top",
        "reg sip:alice@example.com reg",
      ])
      rmSync(path("reg"), { recursive: true })
      symlinkSync("/nowhere", path("reg"))
      const { changes, unread, troubles } = await look(place)
      assert.deepEqual(unread, ["reg"])
      assert.equal(troubles.length, 1)
      assert.ok(!changes.includes("reg sip:alice@example.com null"))
    },
  )

  it(
    "the folder itself cannot be read: nothing is said of any document",
    { tags: ["AUT-7"] },
    async (context) => {
      const { path, write } = folderOf(context)
      mkdirSync(path("rules"))
      write(join("rules", "ann@example.com.xml"), "1")
      const place = openRulesFolder(path("rules"), options)
      await look(place)
      renameSync(path("rules"), path("away"))
      const failed = await Effect.runPromise(Effect.result(place.look))
      assert.ok(failed._tag === "Failure")
      assert.match(failed.failure.message, /^folder .*rules cannot be read: ENOENT/)
      write("rules", "a file")
      assert.equal((await Effect.runPromise(Effect.result(place.look)))._tag, "Failure")
      rmSync(path("rules"))
      renameSync(path("away"), path("rules"))
      assert.ok(!(await look(place)).changes.some((one) => one.endsWith("null")))
    },
  )

  it(
    "files that come and go while they are looked at fail no look and hide no other",
    { tags: ["AUT-7"] },
    async (context) => {
      const { folder, path, write } = folderOf(context)
      write("ann@example.com.xml", "1")
      const place = openRulesFolder(folder, options)
      let isOver = false
      const coming = (async () => {
        for (let count = 0; !isOver; count++) {
          write(`u${count % 20}@example.com.xml`, "x")
          rmSync(path(`u${(count + 7) % 20}@example.com.xml`), { force: true })
          await new Promise((resolve) => setImmediate(resolve))
        }
      })()
      for (let count = 0; count < 100; count++) {
        const { listed } = await look(place)
        assert.ok(listed.has("presence sip:ann@example.com"))
      }
      isOver = true
      await coming
    },
  )
})

describe("files named one by one", () => {
  it("one that is gone is a fault, not an absence of rules", { tags: ["AUT-7"] }, async (context) => {
    const { path, write } = folderOf(context)
    write("a.xml", "1")
    write("b.xml", "1")
    const files = [
      { path: path("a.xml"), presentity: "sip:a@example.com" as Uri },
      { path: path("b.xml"), presentity: "sip:b@example.com" as Uri },
    ]
    const place = openRulesFiles(files, { octetsMax })
    assert.equal((await look(place)).changes.length, 2)
    rmSync(path("a.xml"))
    write("b.xml", "2")
    const { changes, troubles, listed } = await look(place)
    assert.deepEqual(changes, ["presence sip:b@example.com 2"])
    assert.deepEqual(
      troubles.map(({ why }) => why),
      ["there is no such file"],
    )
    assert.ok(listed.has("presence sip:a@example.com"))
  })
})
