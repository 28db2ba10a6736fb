/**
 * What a program changes: publications, rules, hard state, and the end of subscriptions.
 */
import { Effect } from "effect"
import { programFlow } from "../../domain/presentity/abandon.ts"
import type { State } from "../../domain/presentity/state.ts"
import { get } from "../../domain/table.ts"
import type { Body, Uri } from "../../domain/vocabulary.ts"
import type { PresentityCommands, Published } from "../operations/presentity-commands.ts"
import { eventIn, readHardState, readPublish, readTerminate, readText, uriIn } from "./arguments.ts"
import { checked, reading } from "./checks.ts"
import { unavailable } from "./health.ts"
import type { PresenceRefused } from "./refused.ts"
import type { PublishRequest, TerminateRequest } from "./requests.ts"

type Answer<A> = Effect.Effect<A, PresenceRefused>

export interface CommandCalls {
  readonly publish: (request: PublishRequest) => Answer<Published>
  /** Ends subscriptions, and notifies each watcher with the reason (RFC 3265 §3.2.4). */
  readonly terminate: (request: TerminateRequest) => Answer<void>
  /** Puts an authorization document in force; null: there is none. */
  readonly replaceRules: (presentity: string, event: string, text: string | null) => Answer<void>
  /** Asks the source of rules again. */
  readonly refreshRules: (presentity: string, event: string) => Answer<void>
  /** The document shown while nobody publishes (RFC 4827); null: none. */
  readonly setHardState: (presentity: string, event: string, body: string | Body | null) => Answer<void>
}

interface Parts {
  readonly commands: PresentityCommands<PresenceRefused>
  readonly state: (presentity: Uri) => State | undefined
  /** Whether the state in memory is certainly that of the log. */
  readonly isSure: () => boolean
  /** @returns why the answer is not in force; null: it is, or there is no source of rules to ask */
  readonly askRulesAnew: (presentity: Uri, event: string) => Effect.Effect<string | null, PresenceRefused>
  /** The most characters in a body or a document. */
  readonly bodyMax: number
}

export const makeCommandCalls = ({
  commands,
  state,
  isSure,
  askRulesAnew,
  bodyMax,
}: Parts): CommandCalls => ({
  publish: (request) =>
    reading(() => {
      const { presentity, event = "presence", body, headers, ...wish } = readPublish(request, bodyMax)
      return commands.publish(programFlow, {
        presentity: presentity as Uri,
        event,
        body: body ?? null,
        entityTag: wish.entityTag ?? null,
        expires: wish.expires ?? null,
        device: wish.device ?? null,
        ...(wish.askedBy === undefined ? {} : { askedBy: wish.askedBy as Uri }),
        ...(headers === undefined ? {} : { headers }),
      })
    }),
  terminate: (request) =>
    reading(() => {
      const {
        presentity,
        event = "presence",
        watcher,
        reason = "deactivated",
        askedBy,
      } = readTerminate(request)
      const whose = watcher === undefined ? null : (watcher as Uri)
      return commands.terminate(programFlow, presentity as Uri, event, whose, {
        reason,
        ...(askedBy === undefined ? {} : { askedBy: askedBy as Uri }),
      })
    }),
  replaceRules: (presentity, event, document) =>
    reading(() => {
      const uri = uriIn("setRules: presentity", presentity)
      const packageName = eventIn("setRules", event)
      const text = readText("setRules: text", document, bodyMax)
      const rules = state(uri)?.rules
      const inForce = rules === undefined ? undefined : get(rules, packageName)?.body.text
      if ((inForce ?? null) === text && isSure()) return Effect.void
      return commands.replaceRules(programFlow, uri, packageName, text)
    }),
  refreshRules: (presentity, event) =>
    Effect.gen(function* () {
      const uri = yield* checked(() => uriIn("refreshRules: presentity", presentity))
      const why = yield* askRulesAnew(uri, yield* checked(() => eventIn("refreshRules", event)))
      if (why !== null) yield* unavailable(`rules: ${why}`)
    }),
  setHardState: (presentity, event, document) =>
    reading(() => {
      const uri = uriIn("setHardState: presentity", presentity)
      const packageName = eventIn("setHardState", event)
      return commands.setHardState(programFlow, uri, packageName, readHardState(document, bodyMax))
    }),
})
