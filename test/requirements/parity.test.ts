/**
 * Every name of the OpenSIPS presence modules is here, is proven by a test, and stands in the documents.
 */
import assert from "node:assert/strict"
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { describe, it } from "vitest"
import { readConfig } from "../../src/app/config/config.ts"
import type { Given } from "../../src/app/config/gather.ts"
import { importOpensips } from "../../src/app/config/opensips-config.ts"
import { settings } from "../../src/app/config/settings.ts"
import { fileOf } from "../app/cli/command.ts"
import { generatedPage, generatedPages } from "./generated.ts"
import { opensipsNames, opensipsParameters } from "./parity-names.ts"
import { proofsOf } from "./proofs.ts"
import { root } from "./titles.ts"

const nothing: Given = { flags: {}, set: [], env: {}, file: null, defaults: {} }

describe("OPS-parity", () => {
  it("every name has a test that says so", { tags: ["OPS-parity"] }, () => {
    const missing = proofsOf(opensipsNames).filter(({ tests }) => tests.length === 0)
    assert.deepEqual(
      missing.map(({ seed }) => seed.name),
      [],
    )
  })

  it("no name is listed twice, and no two have one proof without need", { tags: ["OPS-parity"] }, () => {
    const names = opensipsNames.map(({ kind, name }) => `${kind} ${name}`)
    assert.deepEqual(
      names.filter((name, index) => names.indexOf(name) !== index),
      [],
    )
    const ids = opensipsNames.map(({ id }) => id)
    assert.deepEqual(
      ids.filter((id, index) => ids.indexOf(id) !== index),
      [],
    )
  })

  it("every parameter is a setting of that name, with the default there is", { tags: ["OPS-parity"] }, () => {
    assert.deepEqual(
      opensipsParameters.map(({ name }) => [name, settings[name].default]),
      opensipsParameters.map(({ name, fallback }) => [name, fallback]),
    )
  })

  it(
    "every parameter is taken from a file, from the environment and from the command line",
    { tags: ["OPS-parity"] },
    (context) => {
      for (const { name, example, fallback } of opensipsParameters) {
        const [text, value] = example
        const file = fileOf(context, "presently.yaml", `${name}: ${text}\n`)
        const variable = `PRESENTLY_${name.toUpperCase()}`
        for (const [given, source] of [
          [{ file }, `file ${file}:1`],
          [{ env: { [variable]: text } }, `env ${variable}`],
          [{ set: [`${name}=${text}`] }, "flag --set"],
        ] as const) {
          const config = readConfig({ ...nothing, ...given })
          assert.deepEqual([config[name], config.sources[name]], [value, source], name)
        }
        assert.notDeepEqual(value, fallback, name)
      }
    },
  )

  it("every parameter of a script is taken over, or said why not", { tags: ["OPS-parity"] }, () => {
    for (const { name, modules, example } of opensipsParameters) {
      for (const module of modules) {
        const { text, missed } = importOpensips(
          `loadmodule "${module}.so"\nmodparam("${module}", "${name}", "${example[0]}")\n`,
          "opensips.cfg",
        )
        const setting = name === "db_url" ? "database_url" : name
        assert.ok(new RegExp(`^${setting}: `, "m").test(text), `${name}: ${text} ${missed[0]?.what}`)
      }
    }
  })

  it.each(generatedPages)(
    "tables of %s are those of the lists (npm run docs)",
    { tags: ["OPS-parity"] },
    (page) => {
      assert.equal(readFileSync(join(root, page), "utf8"), generatedPage(page))
    },
  )
})
