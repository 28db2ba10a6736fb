/**
 * What an operator may ask of a running server: the seed's management commands, on committed state.
 */
import { Effect } from "effect"
import type { Management, Refused } from "../adapters/admin/management.ts"
import type { Packages } from "../domain/packages/event-package.ts"
import type { Answer } from "../domain/presentity/commands.ts"
import type { State } from "../domain/presentity/state.ts"
import { publishedDocuments } from "../domain/presentity/view.ts"
import { splitUri } from "../domain/projections/rows.ts"
import { entries, get, size, values } from "../domain/table.ts"
import { matchesWildcard } from "../domain/wildcards.ts"
import { presentityOf } from "./addresses.ts"
import type { Pump } from "./pump.ts"

export interface ManagementParts {
  readonly pump: Pump
  readonly packages: Packages
  /** Asks the source of rules now, when there is one. */
  readonly lookForRules: Effect.Effect<void>
  readonly now: () => number
}

export const makeManagement = ({ pump, packages, lookForRules, now }: ManagementParts): Management => {
  const states = (): readonly State[] =>
    [...pump.engine.presentities()].sort().flatMap((presentity) => pump.engine.state(presentity) ?? [])
  const seconds = (at: number): number => Math.floor(at / 1000)

  return {
    refreshWatchers: (presentity, event, type) =>
      Effect.gen(function* () {
        if (presentity === "") return refused(404, "Empty presentity URI")
        if (event === "") return refused(400, "Empty event")
        const uri = presentityOf(presentity)
        if (uri === null)
          return refused(400, `${presentity} is no presentity URI: write sip:alice@example.com`)
        if (packages.find(event) === null) return refused(404, `unknown event ${event}`)
        if (type === 0) yield* lookForRules
        const kind = type === 0 ? "rules" : "state"
        const command = { _tag: "RefreshWatchers", packageName: event, kind } as const
        return refusalOf(yield* pump.ask(uri, command, "management port"))
      }),
    cleanup: Effect.gen(function* () {
      const before = pump.counters.decisions
      yield* pump.settle
      return { decided: pump.counters.decisions - before }
    }),
    presentities: (event) =>
      states().flatMap((state) =>
        [...entries(state.publications)]
          .filter(([name]) => event === null || name === event)
          .flatMap(([name, publications]) => {
            const pack = packages.find(name)
            const sphere = pack?.rules?.sphere(publishedDocuments(state, pack), now()) ?? null
            return [...values(publications)]
              .sort((one, other) => one.createdIn - other.createdIn)
              .map((one) => ({
                pres_uri: state.presentity,
                event: name,
                etag_count: size(publications),
                ...(sphere === null ? {} : { sphere }),
                etag: one.entityTag,
                expires: seconds(one.expiresAt),
                received: seconds(one.receivedAt),
                sender: one.sender ?? "",
              }))
          }),
      ),
    subscriptions: (from, to) =>
      states().flatMap((state) => {
        const { user: to_user, host: to_domain } = splitUri(state.presentity)
        if (to !== null && !matchesWildcard(to, state.presentity)) return []
        return [...values(state.subscriptions)]
          .filter(({ watcher }) => from === null || matchesWildcard(from, watcher))
          .sort((one, other) => one.no - other.no)
          .flatMap((one) => {
            const dialog = get(state.dialogs, one.dialog)
            if (dialog === undefined) return []
            const { user: from_user, host: from_domain } = splitUri(one.watcher)
            return [
              {
                pres_uri: state.presentity,
                event: one.packageName,
                expires: seconds(one.expiresAt),
                db_flag: 0,
                version: one.notified,
                to_user,
                to_domain,
                to_tag: dialog.start.localTag,
                from_user,
                from_domain,
                from_tag: dialog.start.remoteTag,
                contact: dialog.remoteTarget,
                callid: dialog.start.callId,
                local_cseq: dialog.localCseq,
                remote_cseq: dialog.remoteCseq,
                status: one.status,
                reason: one.polite ? "polite-block" : one.forced ? "forced" : "",
              },
            ]
          })
      }),
  }
}

const refused = (code: number, message: string): Refused => ({ code, message })

const refusalOf = (answer: Answer): Refused | null => {
  if (answer._tag === "Accepted") return null
  const { rejection } = answer
  return refused(rejection.status, "why" in rejection ? rejection.why : rejection._tag)
}
