/**
 * What is published now, for the management port.
 */
import type { ExposeDesk } from "../adapters/admin/expose.ts"
import type { Packages } from "../domain/packages/event-package.ts"
import { presentityRow } from "../domain/projections/rows.ts"
import { get, values } from "../domain/table.ts"
import type { Pump } from "./pump.ts"

/** Reads committed state, so it shows nothing that has expired and nothing that may not last. */
export const makeExposeDesk = (pump: Pump, packages: Packages): ExposeDesk => ({
  expose: (packageName, matches) => {
    if (packages.find(packageName) === null) return null
    return [...pump.engine.presentities()].filter(matches).flatMap((presentity) => {
      const state = pump.engine.state(presentity)
      const publications = state === undefined ? undefined : get(state.publications, packageName)
      if (state === undefined || publications === undefined) return []
      return [...values(publications)]
        .sort((one, other) => one.createdIn - other.createdIn)
        .flatMap(({ entityTag }) => {
          const row = presentityRow(state, packageName, entityTag)
          if (row === undefined) return []
          const { username, domain, event, expires, etag, body } = row
          return [{ user: username, domain, event, expires, etag, body }]
        })
    })
  },
})
