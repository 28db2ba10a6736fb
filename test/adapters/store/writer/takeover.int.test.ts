/**
 * A log changes hands while its holder does not know, rows of it are removed by hand, and roles lack one right or another.
 */
import { spawnSync } from "node:child_process"
import { readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { afterAll, assert, describe, it } from "@effect/vitest"
import { Effect, Exit } from "effect"
import { claimOn } from "../../../../src/adapters/store/writer/claim.ts"
import { processIdentity } from "../../../../src/adapters/store/writer/processes.ts"
import {
  functionRights,
  neededRights,
  sequenceRights,
  tableRights,
} from "../../../../src/adapters/store/writer/rights.ts"
import type { WriterOptions } from "../../../../src/adapters/store/writer/writer-row.ts"
import { decisionOf, freshStream } from "../../../../src/app/testing/store-samples.ts"
import { moduleTableNames } from "../../../../src/ports/presence-tables.ts"
import { on } from "../../../support/checked-store.ts"
import { holds } from "../../../support/condition.ts"
import { startHalfCut } from "../../../support/half-cut.ts"
import { started as start } from "../../../support/log-writer.ts"
import { sharedPostgres } from "../../../support/postgres.ts"

const cluster = await sharedPostgres()
afterAll(() => cluster?.remove())

/** One that waits for the log when somebody has it. */
const started = (url: string, more: Partial<WriterOptions> = {}) => start(url, { standby: true, ...more })

describe.skipIf(cluster === null)("a log that changes hands", () => {
  it(
    "a holder whose sessions ended without its knowledge is sure of nothing when another one gets the log, and can stop",
    { tags: ["OPS-writer"] },
    async () => {
      const url = cluster!.database()
      const way = await startHalfCut(url)
      const one = await started(way.url)
      await Effect.runPromise(one.store.append([decisionOf(freshStream(), 1)]))
      way.cut()
      // a transaction that waits for ever, as tables are written
      const waiting = Effect.runFork(one.sql.withTransaction(one.sql`SELECT 1`))
      const other = await started(url)
      assert.isFalse(claimOn(one.sql).isSure())
      assert.strictEqual(other.writer.holder.epoch, 2)
      await holds("it noticed", () => one.lapses.length > 0)
      await one.stop()
      assert.isDefined(waiting.pollUnsafe())
      await Effect.runPromise(other.store.append([decisionOf(freshStream(), 1)]))
      await other.stop()
      way.stop()
    },
  )

  it("whoever was killed on this machine is not waited for", { tags: ["OPS-writer"] }, async () => {
    const identity = processIdentity()
    if (identity === "") return
    const url = cluster!.database()
    await (await started(url)).stop()
    const ended = spawnSync(process.execPath, ["-e", "console.log(process.pid)"])
    const parts = identity.split(" ")
    parts[2] = ended.stdout.toString().trim()
    // a lease that no test would live to see the end of
    await on(
      url,
      `UPDATE writers SET application = 'presently writer x', lease = 600, process = '${parts.join(" ")}'`,
    )
    await (await started(url)).stop()
  })

  it(
    "the number of a taking never comes again, whatever rows are removed or changed by hand",
    { tags: ["OPS-writer"] },
    async () => {
      const url = cluster!.database()
      const one = await started(url)
      for (const change of [
        ["DELETE FROM writers", "DELETE FROM claims"],
        ["UPDATE writers SET epoch = 0, application = ''"],
        ["DELETE FROM claims", "UPDATE writers SET epoch = 0, application = ''"],
      ]) {
        const before = (await on(url, "SELECT last_value::int AS n FROM writers_epoch")) as { n: number }[]
        await on(url, ...change)
        const next = await started(url)
        assert.isAbove(next.writer.holder.epoch, before[0]!.n)
        await next.stop()
      }
      const late = await Effect.runPromiseExit(one.store.append([decisionOf(freshStream(), 1)]))
      assert.isTrue(Exit.isFailure(late))
      await one.stop()
    },
  )

  it(
    "an old holder under the same number is kept out by the name of the present one",
    { tags: ["OPS-writer"] },
    async () => {
      const url = cluster!.database()
      const one = await started(url)
      await on(url, "UPDATE writers SET application = 'presently writer of another'")
      const stream = freshStream()
      assert.isTrue(Exit.isFailure(await Effect.runPromiseExit(one.store.append([decisionOf(stream, 1)]))))
      assert.isTrue(
        Exit.isFailure(
          await Effect.runPromiseExit(one.store.saveCheckpoint("delivery", { position: 1, at: 1 })),
        ),
      )
      await Effect.runPromiseExit(one.writer.lost)
      await one.stop()
      assert.deepStrictEqual(await on(url, "SELECT application FROM writers"), [
        { application: "presently writer of another" },
      ])
    },
  )
})

describe.skipIf(cluster === null)("the rights of a role", () => {
  it("are asked for by every table and sequence of the layout", { tags: ["OPS-writer"] }, async () => {
    const url = cluster!.database()
    await (await started(url)).stop()
    const there = (await on(
      url,
      `SELECT c.relname AS name, c.relkind = 'S' AS sequence FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
       WHERE n.nspname = 'public' AND c.relkind IN ('r', 'p', 'S') AND c.relname !~ '^events_\\d' ORDER BY 1`,
    )) as { name: string; sequence: boolean }[]
    const names = (isSequence: boolean) =>
      there.filter(({ sequence }) => sequence === isSequence).map(({ name }) => name)
    assert.deepStrictEqual(Object.keys(tableRights).toSorted(), names(false).toSorted())
    assert.deepStrictEqual(Object.keys(sequenceRights).toSorted(), names(true).toSorted())
  })

  it("are asked for by every function that statements call", { tags: ["OPS-writer"] }, async () => {
    const url = cluster!.database()
    await (await started(url)).stop()
    const there = (await on(
      url,
      "SELECT p.proname AS name FROM pg_proc p WHERE p.pronamespace = 'public'::regnamespace",
    )) as { name: string }[]
    const source = join(import.meta.dirname, "../../../../src")
    const text = readdirSync(source, { recursive: true, encoding: "utf8" })
      .filter(
        (file) => file.startsWith("adapters/store/") && file.endsWith(".ts") && !file.endsWith("rights.ts"),
      )
      .map((file) => readFileSync(join(source, file), "utf8"))
      .join("\n")
    const called = there.map(({ name }) => name).filter((name) => text.includes(`${name}(`))
    assert.deepStrictEqual(Object.keys(functionRights).toSorted(), called.toSorted())
  })

  it("hold all that statements of the code write", { tags: ["OPS-writer"] }, () => {
    const source = join(import.meta.dirname, "../../../../src")
    const files = readdirSync(source, { recursive: true, encoding: "utf8" }).filter((file) =>
      /^adapters\/(store|webhooks)\/.*\.ts$/.test(file),
    )
    const text = files.map((file) => readFileSync(join(source, file), "utf8")).join("\n")
    let found = 0
    for (const [, statement, table] of text.matchAll(
      /\b(INSERT INTO|UPDATE|DELETE FROM) ([a-z_]+)(?= (?:\(|AS|SET|WHERE|USING|[a-z] SET|[a-z] USING))/g,
    )) {
      const rights = tableRights[table!]
      if (rights === undefined) continue
      found++
      assert.include(rights, statement!.split(" ")[0] as never, `${statement} ${table}`)
    }
    assert.isAbove(found, 30)
  })

  it("are missed one by one, by name, before anything is written", { tags: ["OPS-writer"] }, async () => {
    const url = cluster!.database()
    await (await started(url)).stop()
    const role = `little_${new URL(url).pathname.slice(1)}`
    const as = url.replace("postgres@", `${role}@`)
    await on(
      url,
      `CREATE ROLE ${role} LOGIN`,
      `GRANT ALL ON ALL TABLES IN SCHEMA public TO ${role}`,
      `GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO ${role}`,
    )
    await (await started(as)).stop()
    for (const name of ["presentity", "watchers", "claims", "webhooks", "seals", "writers_epoch"]) {
      const one = neededRights(moduleTableNames).findLast((needed) => needed.name === name)!
      await on(url, `REVOKE ${one.right} ON ${name} FROM ${role}`)
      const told = await started(as).then(
        () => "nothing",
        (cause: Error) => cause.message,
      )
      assert.include(told, `the role ${role} may not read and write ${name} (${one.right}): `)
      await on(url, `GRANT ${one.right} ON ${name} TO ${role}`)
    }
    for (const [name, signature] of [
      ["presently_append", await signatureOf(url, "presently_append")],
      ["presently_make_partition", "presently_make_partition(timestamptz)"],
    ] as const) {
      await on(url, `REVOKE EXECUTE ON FUNCTION ${signature} FROM PUBLIC`)
      const told = await started(as).then(
        () => "nothing",
        (cause: Error) => cause.message,
      )
      assert.include(told, `the role ${role} may not read and write ${name}: `)
      await on(url, `GRANT EXECUTE ON FUNCTION ${signature} TO ${role}`)
    }
    await (await started(as)).stop()
  })
})

/** A function with the types of its parameters, as GRANT wants it. */
const signatureOf = async (url: string, name: string): Promise<string> => {
  const [row] = (await on(
    url,
    `SELECT oid::regprocedure::text AS signature FROM pg_proc WHERE proname = '${name}'`,
  )) as {
    signature: string
  }[]
  return row!.signature
}
