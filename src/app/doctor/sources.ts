/**
 * The sources of rules and hard state: whether they can be read, and which of their documents cannot be used.
 */
import { Effect } from "effect"
import { allowEveryone } from "../../domain/presentity/context.ts"
import type { Context } from "../../domain/presentity/context.ts"
import { decide } from "../../domain/presentity/decide.ts"
import { initial } from "../../domain/presentity/state.ts"
import type { XcapTables } from "../../ports/document-source.ts"
import { keyOf } from "../../ports/document-source.ts"
import type { DocumentChange, Trouble } from "../../ports/document-source.ts"
import type { Config } from "../config/config.ts"
import { limitsOf } from "../config/limits.ts"
import { packagesOf } from "../config/packages.ts"
import { refusal } from "../node/documents/source.ts"
import type { DocumentKind, DocumentSource } from "../node/documents/source.ts"
import { hardStateSourceOf, presenceHardState } from "../node/hard-state-source.ts"
import { rulesKindOf, rulesSourceOf } from "../node/rules-source.ts"
import { bad, ok } from "./check.ts"
import type { Check } from "./check.ts"

/** So many documents are listed; of more, only the number is given. */
const shownMax = 20

/** The folder, or the files. */
export const rulesFolder = (config: Config): Effect.Effect<readonly Check[]> =>
  config.rules_dir === null && config.static_rules.length === 0
    ? Effect.succeed([])
    : checksOf(
        config.rules_dir === null ? "static_rules" : "rules_dir",
        rulesSourceOf(config, packagesOf(config), null),
        rulesKindOf(config, packagesOf(config)),
        config,
      )

/** The documents that an XCAP server keeps in the database. */
export const xcapTable = (config: Config, xcap: XcapTables["Service"]): Effect.Effect<readonly Check[]> =>
  config.integrated_xcap_server
    ? Effect.map(
        Effect.all([
          checksOf(
            "xcap rules",
            rulesSourceOf(config, packagesOf(config), xcap),
            rulesKindOf(config, packagesOf(config)),
            config,
          ),
          checksOf("xcap hard state", hardStateSourceOf(config, xcap), presenceHardState, config),
        ]),
        (all) => all.flat(),
      )
    : Effect.succeed([])

const checksOf = Effect.fnUntraced(function* (
  what: string,
  source: DocumentSource | null,
  kind: DocumentKind,
  config: Config,
) {
  if (source === null) return []
  const looked = yield* Effect.result(source.look.pipe(Effect.timeoutOption(config.rules_wait * 1000)))
  const fix =
    "the server goes on with what its log knows, and whoever it knows nothing of has his watchers wait"
  if (looked._tag === "Failure") return [bad(what, looked.failure.message, fix)]
  if (looked.success._tag === "None")
    return [bad(what, `${source.name} has not answered for ${config.rules_wait} s`, fix)]
  const { changes, troubles, listed } = looked.success.value
  const faultOf = judgeOf(kind, config)
  const unreadable = changes.flatMap((change): readonly Trouble[] => {
    const why = faultOf(change)
    const { packageName, presentity, file } = change
    return why === null ? [] : [{ of: { packageName, presentity }, file, why }]
  })
  const all = [...troubles, ...unreadable]
  // as `document-poller.ts` does
  const meanwhile = kind.decidesWhoWatches
    ? "rules that the log knows stay in force, and where it knows none watchers wait"
    : "what the log knows stays in force"
  const checks: Check[] = all.slice(0, shownMax).map(({ of: subject, file, why }) => {
    const whose = subject === null ? "" : ` (${keyOf(subject)})`
    return bad(what, `${file}${whose}: ${why}`, `mend it or take it away; until then ${meanwhile}`)
  })
  if (all.length > shownMax)
    checks.push(bad(what, `${all.length - shownMax} more cannot be used`, "GET /v1/sources names all"))
  const usable = `${source.name} holds ${listed.size} ${listed.size === 1 ? "document" : "documents"}`
  return all.length === 0 ? [ok(what, usable)] : checks
})

/** Why the server would refuse each document; null: it would not. */
const judgeOf = (kind: DocumentKind, config: Config) => {
  const context: Context = {
    now: 0,
    nonce: "",
    limits: limitsOf(config),
    packages: packagesOf(config),
    authorize: allowEveryone,
    inFlight: () => false,
    findDialog: () => null,
  }
  return ({ packageName, presentity, text }: DocumentChange): string | null =>
    refusal(decide(initial(presentity), kind.commandOf(packageName, text), context).answer)
}
