/**
 * The reason for which a server does not start, as its log gives it.
 */
import assert from "node:assert/strict"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { describe, it } from "vitest"
import type { TestContext } from "vitest"
import { reasonIn } from "../../../../src/adapters/store/private-server/server-log.ts"

const reasonOf = ({ onTestFinished }: TestContext, lines: readonly string[], before = ""): string => {
  const folder = mkdtempSync(join(tmpdir(), "presently-log-"))
  onTestFinished(() => rmSync(folder, { recursive: true }))
  const log = join(folder, "postgres.log")
  writeFileSync(log, `${before}${lines.map((line) => `${line}\n`).join("")}`)
  return reasonIn(log, Buffer.byteLength(before))
}

const at = "2026-11-30 10:20:18.957 UTC [4711]"
const begun = [
  `${at} LOG:  starting PostgreSQL 15.18`,
  `${at} LOG:  listening on Unix socket "/x/.s.PGSQL.5432"`,
]
const ended = [
  `${at} LOG:  aborting startup due to startup process failure`,
  `${at} LOG:  database system is shut down`,
]

const cases: readonly (readonly [string, readonly string[], string | RegExp])[] = [
  [
    "a severe message, with what adds to it",
    [
      ...begun,
      `${at} FATAL:  data directory "/x" has invalid permissions`,
      `${at} DETAIL:  Permissions should be`,
      ...ended,
    ],
    'data directory "/x" has invalid permissions',
  ],
  [
    "PostgreSQL before it has a log",
    ['postgres: could not access the server configuration file "/x/postgresql.conf": Permission denied'],
    'postgres: could not access the server configuration file "/x/postgresql.conf": Permission denied',
  ],
  [
    "a message of the level LOG, before the end",
    [...begun, `${at} LOG:  could not fork startup process: Resource temporarily unavailable`, ...ended],
    "could not fork startup process: Resource temporarily unavailable",
  ],
  ["the shell", ["/bin/sh: 7: /x/postgres: Permission denied"], "/bin/sh: 7: /x/postgres: Permission denied"],
  ["nothing", [...begun, ...ended], /^it did not start; see .*postgres\.log$/],
  ["nothing at all", [], /^it did not start; see /],
]

describe("a server that does not start", { tags: ["OPS-data"] }, () => {
  for (const [who, lines, reason] of cases) {
    it(`reason of ${who}`, (context) => {
      const found = reasonOf(context, lines)
      if (typeof reason === "string") assert.equal(found, reason)
      else assert.match(found, reason)
    })
  }

  it("what an earlier start said is none", (context) => {
    const found = reasonOf(context, ["postgres: no"], `${at} FATAL:  an earlier reason, Ä\n`)
    assert.equal(found, "postgres: no")
  })
})
