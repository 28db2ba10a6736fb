/**
 * Where the log is kept: one of three settings, from the strongest source.
 */
import assert from "node:assert/strict"
import fc from "fast-check"
import { describe, it } from "vitest"
import { ConfigInvalid, readConfig } from "../../../src/app/config/config.ts"
import type { Given } from "../../../src/app/config/gather.ts"
import { fileOf } from "../cli/command.ts"

const given = { database_url: "postgres://a:secret@b/c", data: "log", memory: "1" }
type Choice = keyof typeof given
const choices = Object.keys(given) as Choice[]
/** From weak to strong. */
const places = ["default", "file", "env", "flag"] as const
type Place = (typeof places)[number]

describe("where the log is kept", { tags: ["OPS-config"] }, () => {
  it("is what the strongest source says; two of the same source contradict each other", (context) => {
    const anyPlaces = fc.record(
      {
        database_url: fc.constantFrom(...places),
        data: fc.constantFrom(...places),
        memory: fc.constantFrom(...places),
      },
      { requiredKeys: [] },
    )
    fc.assert(
      fc.property(anyPlaces, (chosen: Partial<Record<Choice, Place>>) => {
        const at = (place: Place) =>
          choices.filter((name) => chosen[name] === place).map((name) => [name, given[name]] as const)
        const file = at("file").map(([name, value]) => `${name}: ${value}\n`)
        const read = () =>
          readConfig({
            flags: Object.fromEntries(at("flag").map(([name, value]) => [name, [value]])),
            set: [],
            env: Object.fromEntries(
              at("env").map(([name, value]) => [`PRESENTLY_${name.toUpperCase()}`, value]),
            ),
            file: file.length === 0 ? null : fileOf(context, "presently.yaml", file.join("")),
            defaults: Object.fromEntries(at("default")) as Given["defaults"],
          })
        const strongest = places.findLast((place) => at(place).length > 0)
        const winners = strongest === undefined ? [] : at(strongest).map(([name]) => name)
        if (winners.length > 1) {
          assert.throws(read, (error) => {
            assert.ok(error instanceof ConfigInvalid)
            const [fault, ...more] = error.faults
            assert.deepEqual(more, [])
            for (const name of winners) assert.ok(fault!.includes(`${name} = `), fault)
            assert.ok(!fault!.includes("secret"), fault)
            return true
          })
          return
        }
        const config = read()
        assert.deepEqual(
          choices.filter((name) => config[name] !== null && config[name] !== false),
          winners,
        )
        const losers = choices.filter(
          (name) => chosen[name] !== undefined && chosen[name] !== "default" && !winners.includes(name),
        )
        assert.deepEqual(
          losers.filter((name) => !config.notices.some((line) => line.startsWith(`${name} (`))),
          [],
        )
      }),
    )
  })
})
