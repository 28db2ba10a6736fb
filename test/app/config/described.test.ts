/**
 * Which settings say how a server treats watchers, and which only where its log is.
 */
import assert from "node:assert/strict"
import { describe, it } from "vitest"
import { readConfig } from "../../../src/app/config/config.ts"
import { isDescribed } from "../../../src/app/config/described.ts"

const describedBy = (...set: readonly string[]): boolean =>
  isDescribed(readConfig({ flags: {}, set, env: {}, file: null, defaults: {} }))

describe("settings that describe a server", { tags: ["A3"] }, () => {
  it.for(["policy=open", "force_active=1", "no_rules=allow", "rules_dir=rules", "insecure_no_auth=1"])(
    "%s does",
    (setting) => assert.ok(describedBy(setting)),
  )

  it.for(["data=log", "database_url=postgres://a@b/c", "db_update_period=5"])("%s does not", (setting) =>
    assert.ok(!describedBy(setting)),
  )
})
