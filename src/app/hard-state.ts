/**
 * Hard state: from the table of an XCAP server, and what the management port may do with it.
 */
import type { PgClient } from "@effect/sql-pg"
import { Effect } from "effect"
import type { HardStateDesk, HardStateReport } from "../adapters/admin/hard-state.ts"
import { openXcapTable, pidfManipulation } from "../adapters/rules/xcap-table.ts"
import type { Packages } from "../domain/packages/event-package.ts"
import { get } from "../domain/table.ts"
import type { Config } from "./config.ts"
import { refusal } from "./follow.ts"
import type { DocumentKind, DocumentSource } from "./follow.ts"
import type { Pump } from "./pump.ts"
import { presentityOf } from "./addresses.ts"

/** As a source has it: the documents of RFC 4827 are PIDF. */
export const presenceHardState: DocumentKind = {
  name: "hard state",
  commandOf: (text) => ({
    _tag: "SetHardState",
    packageName: "presence",
    body: text === null ? null : { contentType: "application/pidf+xml", text },
  }),
  isInForce: (state) => get(state.hardState, "presence") !== undefined,
}

/** The table, or nothing: what the settings name. */
export const hardStateSourceOf = (config: Config, sql: PgClient.PgClient | null): DocumentSource | null =>
  config.pidf_manipulation && config.integrated_xcap_server && sql !== null
    ? {
        ...openXcapTable(sql, config.xcap_table ?? "xcap", presentityOf, pidfManipulation),
        everySeconds: config.xcap_poll_interval,
      }
    : null

/** What the management port may do with hard state. */
export const makeHardStateDesk = (pump: Pump, packages: Packages): HardStateDesk => ({
  presentityOf,
  read: (presentity, packageName) => {
    const state = pump.engine.state(presentity)
    return (state === undefined ? undefined : get(state.hardState, packageName)) ?? null
  },
  set: (presentity, packageName, document) => {
    const types = packages.find(packageName)?.accepts ?? []
    const [usual] = types
    if (usual === undefined) {
      const why = `event = ${packageName}: there is no such event package, or it cannot be published`
      return Effect.succeed<HardStateReport>({ _tag: "Refused", why })
    }
    const contentType = document?.contentType ?? null
    const body =
      document === null
        ? null
        : {
            contentType: contentType !== null && types.includes(contentType) ? contentType : usual,
            text: document.text,
          }
    return Effect.map(
      pump.ask(presentity, { _tag: "SetHardState", packageName, body }, "management port"),
      (answer): HardStateReport => {
        const why = refusal(answer)
        return why === null ? { _tag: "Done" } : { _tag: "Refused", why }
      },
    )
  },
})
