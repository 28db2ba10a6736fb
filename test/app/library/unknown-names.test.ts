/**
 * Names that there are not, of arguments and options, and arguments of what makes a store or a server: each is refused with an error that
 * says where it stands, what it is and what is meant.
 */
import assert from "node:assert/strict"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import fc from "fast-check"
import { describe, it } from "vitest"
import {
  Presence,
  Server,
  embeddedStore,
  memoryStore,
  postgresStore,
  storeOf,
} from "../../../src/app/index.ts"
import type { OptionsInvalid, PresenceRefused, StoreFault } from "../../../src/app/index.ts"
import { nearNames, unknownName } from "../../../src/app/library/names.ts"
import { defaultLimits } from "../../../src/domain/presentity/context.ts"

const alice = "sip:alice@example.com"
const bob = "sip:bob@example.com"
const body = '<presence xmlns="urn:ietf:params:xml:ns:pidf" entity="sip:alice@example.com"/>'

type Ask = Record<string, (...args: readonly unknown[]) => unknown>

const published = { presentity: alice, body }
const watched = { presentity: alice, watcher: bob }
/** How each call that takes an object is asked with one more name in it, and what names it has. */
const calls: readonly (readonly [
  call: string,
  path: string,
  args: (more: object) => readonly unknown[],
  names: readonly string[],
])[] = [
  [
    "publish",
    "publish: ",
    (more) => [{ ...published, ...more }],
    ["presentity", "event", "body", "headers", "entityTag", "expires", "device", "askedBy"],
  ],
  [
    "publish",
    "publish: body.",
    (more) => [{ ...published, body: { contentType: "application/pidf+xml", text: body, ...more } }],
    ["contentType", "text", "parameters", "dropped"],
  ],
  [
    "watch",
    "watch: ",
    (more) => [{ ...watched, ...more }],
    ["presentity", "watcher", "event", "expires", "accept", "device", "argument"],
  ],
  [
    "fetch",
    "fetch: ",
    (more) => [{ ...watched, ...more }],
    ["presentity", "watcher", "event", "accept", "device", "argument"],
  ],
  [
    "terminate",
    "terminate: ",
    (more) => [{ presentity: alice, ...more }],
    ["presentity", "event", "watcher", "reason", "askedBy"],
  ],
  [
    "setHardState",
    "setHardState: body.",
    (more) => [alice, { contentType: "application/pidf+xml", text: body, ...more }],
    ["contentType", "text", "parameters", "dropped"],
  ],
  ["seen", "seen: ", (more) => [bob, alice, more], ["event", "since", "until", "limit", "before"]],
  ["why", "why: ", (more) => [alice, bob, more], ["event", "at", "position"]],
  ["feed", "feed: ", (more) => [more], ["after", "types", "presentity"]],
]

const refusalOf = async (ask: () => unknown): Promise<PresenceRefused> => {
  try {
    await ask()
  } catch (error) {
    return error as PresenceRefused
  }
  return assert.fail("it was taken")
}

describe("a name that a call does not know", { tags: ["LIB-8"] }, () => {
  it(
    "law: is refused with 400 that names call and name, whatever it holds, and nothing comes of it",
    { tags: ["LIB-8"] },
    async () => {
      const presence = await Presence.make()
      const ask = presence as unknown as Ask
      for (const [call, path, args, names] of calls)
        await fc.assert(
          fc.asyncProperty(
            fc.string({ minLength: 1, maxLength: 80, unit: "binary" }),
            fc.constantFrom(undefined, null, 5, "x", {}),
            async (name, value) => {
              fc.pre(!names.includes(name) && name !== "__proto__")
              const { _tag, status, message, rejection } = await refusalOf(() =>
                ask[call]!(...args({ [name]: value })),
              )
              assert.deepEqual([_tag, status, rejection._tag], ["PresenceRefused", 400, "BadArgument"])
              assert.ok(message.startsWith(path), message)
              assert.match(message, /: there is no such argument; (?:did you mean|there are) /)
              assert.ok(message.length < 400 && message.isWellFormed() && !message.includes("\n"), message)
            },
          ),
          { numRuns: 8 },
        )
      await presence.settle()
      assert.deepEqual(await presence.history(alice), [])
      await presence.close()
    },
  )

  it(
    "what was meant is named: by letters, by what is in it, by what it is short for; else all there are",
    { tags: ["LIB-8"] },
    async () => {
      const presence = await Presence.make()
      const ask = presence as unknown as Ask
      for (const [call, given, said] of [
        [
          "publish",
          { ...published, etag: "x" },
          "publish: etag: there is no such argument; did you mean entityTag?",
        ],
        [
          "publish",
          { ...published, expire: 3 },
          "publish: expire: there is no such argument; did you mean expires?",
        ],
        [
          "publish",
          { presentty: alice },
          "publish: presentty: there is no such argument; did you mean presentity?",
        ],
        [
          "publish",
          { ...published, pacing: 1 },
          "publish: pacing: there is no such argument; there are presentity, event, body, headers, entityTag, expires, device, askedBy",
        ],
        [
          "watch",
          { ...watched, acepts: [] },
          "watch: acepts: there is no such argument; did you mean accept?",
        ],
        [
          "fetch",
          { ...watched, expires: 5 },
          "fetch: expires: there is no such argument; there are presentity, watcher, event, accept, device, argument",
        ],
        [
          "publish",
          { ...published, body: { contentType: "text/plain", txt: "" } },
          "publish: body.txt: there is no such argument; did you mean text?",
        ],
      ] as const)
        assert.equal((await refusalOf(() => ask[call]!(given))).message, said)
      await presence.close()
    },
  )

  it(
    "names that there are, and what a class or a prototype brings along, are taken",
    { tags: ["LIB-8"] },
    async () => {
      const presence = await Presence.make()
      class Request {
        presentity = alice
        body = body
        describe(): string {
          return this.presentity
        }
      }
      const inherited = Object.assign(Object.create({ colour: "red" }) as object, published)
      await presence.publish(new Request())
      await presence.publish(inherited as typeof published)
      const { entityTag } = await presence.publish({ ...published, expires: 60, event: "presence" })
      await presence.publish({ presentity: alice, entityTag, expires: 0 })
      await presence.close()
    },
  )

  it("law: a name is unknown exactly when it is its own and not among the known", { tags: ["LIB-8"] }, () => {
    fc.assert(
      fc.property(fc.dictionary(fc.string(), fc.anything()), fc.uniqueArray(fc.string()), (of, known) => {
        const found = unknownName(of, new Set(known))
        const unknown = Object.keys(of).filter((name) => !known.includes(name))
        assert.ok(found === null ? unknown.length === 0 : unknown.includes(found))
      }),
    )
  })

  it("law: whatever was written, names are offered, and only such as there are", { tags: ["LIB-8"] }, () => {
    const known = Object.keys(defaultLimits)
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          fc.constantFrom(...known).map((name) => name.slice(0, 9)),
        ),
        (word) => {
          const said = nearNames(word, known)
          const offered = said
            .replace(/^; (?:did you mean|there are) /, "")
            .replace(/\?$/, "")
            .split(/, | or /)
          assert.ok(offered.length > 0 && offered.every((name) => known.includes(name)), said)
        },
      ),
    )
  })
})

describe("a presentity or a watcher that is no URI", { tags: ["LIB-8"] }, () => {
  it("a word alone is the name of nobody, and of no host either", { tags: ["LIB-8"] }, async () => {
    const presence = await Presence.make()
    const ask = presence as unknown as Ask
    for (const word of ["alice", "example.com", "192.0.2.1", "localhost", ""])
      for (const [call, ...args] of [
        ["publish", { ...published, presentity: word }],
        ["watch", { ...watched, presentity: word }],
        ["watch", { ...watched, watcher: word }],
        ["fetch", { ...watched, watcher: word }],
        ["terminate", { presentity: word }],
        ["terminate", { presentity: alice, watcher: word }],
        ["setRules", word, null],
        ["refreshRules", word],
        ["setHardState", word, null],
        ["history", word],
        ["at", word, 0],
        ["seen", word, alice],
        ["seen", bob, word],
        ["why", word, bob],
        ["why", alice, word],
        ["diff", word, 0, 1],
      ] as const) {
        const { _tag, status, message } = await refusalOf(() => ask[call]!(...args))
        assert.deepEqual([_tag, status], ["PresenceRefused", 400], `${call} ${word}`)
        assert.match(message, /write sip:alice@example\.com$/)
      }
    for (const uri of ["sip:example.com", "alice@example.com", "tel:+4930123", "SIPS:alice@example.com:5061"])
      await presence.publish({ ...published, presentity: uri })
    assert.equal(presence.isPublished(alice), true)
    await presence.close()
  })
})

describe("options that are no options", { tags: ["LIB-8"] }, () => {
  const named = async (given: unknown): Promise<readonly string[]> => {
    const error = await refusalOf(() => Presence.make(given as never))
    assert.equal(error._tag as string, "OptionsInvalid", String(error))
    return (error as unknown as OptionsInvalid).faults
  }

  it(
    "a list, a date, a map, a promise and a store in their place are refused",
    { tags: ["LIB-8"] },
    async () => {
      for (const given of [
        [],
        [{}],
        new Date(0),
        new Map(),
        new Set(),
        Promise.resolve({}),
        memoryStore(),
        null,
        5,
      ])
        assert.match((await named(given)).join("\n"), /^options = .*: expected an object of options/)
      for (const name of ["limits", "watching"])
        assert.match(
          (await named({ [name]: [] })).join("\n"),
          new RegExp(`^${name} = an array of 0: expected an object`),
        )
    },
  )

  it("of limits and watching those near are named", { tags: ["LIB-8"] }, async () => {
    const limits = Object.keys(defaultLimits)
    for (const [given, said] of [
      [
        { limits: { maxExpires: 5 } },
        "limits.maxExpires: there is no such option; did you mean maxExpiresPublish or maxExpiresSubscribe?",
      ],
      [
        { limits: { expiresMaxPublish: 5 } },
        "limits.expiresMaxPublish: there is no such option; did you mean maxExpiresPublish?",
      ],
      [
        { limits: { x: 5 } },
        /^limits\.x: there is no such option; there are maxExpiresPublish, .*retryAfter$/,
      ],
      [{ watching: { polices: {} } }, "watching.polices: there is no such option; did you mean policies?"],
      [
        { watching: { lineMembers: 5 } },
        /^watching\.lineMembers = 5: expected an object with a list of URIs/,
      ],
      [{ watching: { mailboxOwners: { [alice]: bob } } }, /^watching\.mailboxOwners = an object: expected/],
      [{ watch: {} }, /^watch: there is no such option; did you mean watching/],
    ] as const) {
      const [fault, ...more] = await named(given)
      assert.deepEqual(more, [])
      if (typeof said === "string") assert.equal(fault, said)
      else assert.match(fault ?? "", said)
    }
    const [all = ""] = await named({ limits: { x: 5 } })
    assert.ok(
      limits.every((name) => all.includes(name)),
      all,
    )
  })

  it("of a wrong package all faults are named, each with its value", { tags: ["LIB-8"] }, async () => {
    const faults = await named({
      packages: [
        {
          name: "a package",
          accepts: "text/plain",
          produces: [],
          defaultExpires: 0,
          entityTags: "kept",
          notifyIntervalMillis: 0,
          parse: 5,
          compose: () => null,
          offline: () => null,
          rules: { read: () => null, filter: 5 },
          mixes: { from: { name: 5 }, blend: 5 },
          get render() {
            throw new Error("trap")
          },
        },
        null,
      ],
      queueMax: 0,
    })
    const about = faults.map((fault) => fault.split(/ = | cannot be read/)[0])
    for (const path of ["name", "accepts", "defaultExpires", "parse", "rules", "mixes"])
      assert.ok(about.includes(`packages[0].${path}`), path)
    assert.ok(faults.includes("packages[0] cannot be read: trap (render)"), faults.join("\n"))
    assert.ok(about.includes("packages[1]") && about.includes("queueMax"))
    assert.equal(new Set(about).size, about.length)
    const rules = faults.find((fault) => fault.includes("].rules")) ?? ""
    for (const name of ["judge", "names", "nextBoundary", "asksForSphere", "sphere", "filter"])
      assert.ok(rules.includes(name), rules)
    const mixes = faults.find((fault) => fault.includes("].mixes")) ?? ""
    assert.match(mixes, /from\.name = 5.*from\.parse = undefined.*blend/)
  })
})

describe("what makes a store or a server", { tags: ["LIB-8"] }, () => {
  it(
    "an argument that cannot be meant is refused at once, with function, argument and what is expected",
    { tags: ["LIB-8"] },
    () => {
      const make = { postgresStore, embeddedStore, storeOf } as unknown as Ask
      const urls = [
        undefined,
        null,
        5,
        "",
        "hello",
        "http://127.0.0.1/x",
        "postgres://",
        "postgres://a b:x/y",
        {},
      ]
      for (const [name, argument, expected, values] of [
        ["postgresStore", "url", "postgres://USER:PASSWORD@HOST:PORT/NAME", urls],
        [
          "embeddedStore",
          "folder",
          "the path of a folder",
          [undefined, null, 5, "", " ", "a\0b", {}, new URL("file:///tmp/x")],
        ],
        [
          "storeOf",
          "store",
          "an object with functions append, load, read, history",
          [undefined, null, 5, "x", []],
        ],
      ] as const)
        for (const value of values)
          assert.throws(
            () => make[name]!(value),
            (error: OptionsInvalid) => {
              assert.equal(error._tag, "OptionsInvalid", `${name}: ${String(error)}`)
              assert.ok(error.message.startsWith(`${name}: ${argument} = `), error.message)
              assert.ok(error.message.includes(`: expected ${expected}`), error.message)
              return true
            },
          )
      for (const url of ["alice:secret@host/db", "postgre://alice:secret@host/db"])
        assert.throws(
          () => postgresStore(url),
          (error: Error) => !error.message.includes("secret"),
        )
    },
  )

  it(
    "what cannot be opened is named with function and argument, and without its password",
    { tags: ["LIB-8"] },
    async () => {
      const folder = mkdtempSync(join(tmpdir(), "presently-names-"))
      const file = join(folder, "file")
      writeFileSync(file, "")
      try {
        for (const [store, said] of [
          [
            embeddedStore(file),
            /embeddedStore: folder = ".*file": .*EEXIST.*: expected the path of a folder/,
          ],
          [
            postgresStore("postgres://alice:secret@127.0.0.1:1/x"),
            /postgresStore: url = "postgres:\/\/\*\*\*@127\.0\.0\.1:1\/x": .*ECONNREFUSED.*: expected a PostgreSQL that answers at postgres:/,
          ],
        ] as const)
          await assert.rejects(Presence.make({ store }), (error: StoreFault) => {
            assert.deepEqual([error._tag, error.operation], ["StoreFault", "open"])
            assert.match(error.message, said)
            assert.doesNotMatch(error.message, /secret/)
            assert.ok(error.cause instanceof Error)
            return true
          })
      } finally {
        rmSync(folder, { recursive: true })
      }
    },
  )

  it("Server.start refuses what are no settings, and a clock that is none", { tags: ["LIB-8"] }, async () => {
    const start = Server.start as (...args: readonly unknown[]) => Promise<unknown>
    for (const args of [[null], [5], ["x"], [[]], [new Map()], [() => ({})]])
      await assert.rejects(
        start(...args),
        /^ConfigInvalid: Server\.start: options = .*: expected an object of settings/,
      )
    for (const now of [5, "now", {}, new Date(0)])
      await assert.rejects(start({}, now), /^ConfigInvalid: Server\.start: now = .*: expected a function/)
  })
})
