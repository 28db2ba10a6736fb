/**
 * What a step of a history means where it happens: which tag, dialog, CSeq and instant.
 */
import { nextDeadline } from "../../src/domain/presentity/deadlines.ts"
import type { State, Subscription } from "../../src/domain/presentity/state.ts"
import { get, values } from "../../src/domain/table.ts"
import { dialogKey } from "../../src/domain/vocabulary.ts"
import type { Arrival, DialogKey, DialogStart, EntityTag, Uri } from "../../src/domain/vocabulary.ts"
import { bodyFor, presentities, watchers } from "./arbitraries.ts"
import type { Step } from "./arbitraries.ts"
import { keyOf } from "./machine.ts"
import type { Input, Machine } from "./machine.ts"

/** Ways by which a refresh may come, besides that of the SUBSCRIBE before. */
const arrivals: readonly Arrival[] = (
  [
    ["udp", "192.0.2.20:40001", undefined],
    ["udp", "192.0.2.21:40002", "private"],
    ["tcp", "192.0.2.20:40003", "ob"],
    ["tcp", "192.0.2.21:40004", undefined],
  ] as const
).map(([transport, source, reach]) => ({
  localContact: "sip:192.0.2.10",
  flow: `${transport}:192.0.2.10:5060`,
  source,
  ...(reach === undefined ? {} : { reach }),
}))

/** @param id the number of the first input of this step */
export const resolve = (machine: Machine, step: Step, id: number): readonly Input[] => {
  const at = machine.now()
  const ask = (presentity: Uri | null, command: (Input & { _tag: "Ask" })["command"], more = 0): Input => ({
    _tag: "Ask",
    id: id + more,
    at,
    presentity,
    command,
  })
  switch (step._tag) {
    case "Publish": {
      const presentity = presentities[step.presentity]!
      const { packageName, expires } = step
      const body = bodyFor(packageName, step.body, step.content)
      const sender = step.sender === null ? null : deviceOf(step.sender, 0)
      const ifMatch = tagsMeant(machine, presentity, step)
      return [
        ask(presentity, { _tag: "Publish", packageName, ifMatch, expires, body, bodyFault: null, sender }),
      ]
    }
    case "Subscribe": {
      const presentity = presentities[step.presentity]!
      const { packageName, eventId, expires, accept, forceActive, rates } = step
      const watcher = watchers[step.watcher]!
      const dialog = startOf(id, presentity, watcher, step.watcher, step.device, step.routes)
      return [
        ask(presentity, {
          _tag: "Subscribe",
          packageName,
          eventId,
          watcher,
          expires,
          accept,
          dialog,
          ...(rates === null ? {} : { rates }),
          ...(step.suppresses ? { suppressIfMatch: "*" } : {}),
          forceActive,
          bodyFault: null,
        }),
      ]
    }
    case "Resubscribe": {
      const subscriptions = live(machine)
      const meant = subscriptions[step.which % Math.max(1, subscriptions.length)]
      if (step.names === "live" && meant === undefined) return []
      const state = meant === undefined ? undefined : meant.state
      const subscription = meant?.one
      const dialog =
        state === undefined || subscription === undefined
          ? undefined
          : get(state.dialogs, subscription.dialog)
      const closed = machine.oldDialogs()
      const key: DialogKey | undefined =
        step.names === "live"
          ? dialog && keyOf(dialog.start)
          : step.names === "closed"
            ? closed[step.which % Math.max(1, closed.length)]
            : dialogKey("nobody", "knows", "this")
      if (key === undefined) return []
      const last = dialog?.remoteCseq ?? 1
      const cseq = last + { next: 1, skip: 5, equal: 0, lower: -1 }[step.cseq]
      const owner = subscription?.watcher ?? watchers[0]!
      const suppressIfMatch = {
        none: undefined,
        any: "*",
        last:
          subscription === undefined || state === undefined
            ? undefined
            : machine.lastTag(state.presentity, subscription.no),
        other: "another",
      }[step.condition]
      const device = step.device === null ? null : deviceOf(watchers.indexOf(owner), step.device)
      return [
        ask(null, {
          _tag: "Resubscribe",
          dialog: key,
          packageName:
            step.further === null ? (subscription?.packageName ?? "stub") : step.further.packageName,
          eventId: step.further === null ? (subscription?.eventId ?? null) : step.further.eventId,
          watcher: step.impostor ? ("sip:mallory@example.com" as Uri) : owner,
          expires: step.expires,
          accept: null,
          cseq,
          remoteTarget: device,
          ...(step.which % 2 === 0 ? {} : { arrival: arrivals[(step.which - 1) / 2]! }),
          ...(step.rates === null ? {} : { rates: step.rates }),
          ...(suppressIfMatch === undefined ? {} : { suppressIfMatch }),
          forceActive: false,
          bodyFault: null,
        }),
      ]
    }
    case "Report": {
      const flying = machine.flying()
      const flight = flying[step.which % Math.max(1, flying.length)]
      if (flight === undefined) return []
      const { presentity, no: subscription, cseq } = flight
      return [ask(presentity, { _tag: "ReportDelivery", no: subscription, cseq, outcome: step.outcome })]
    }
    case "Arrive":
      return machine.flying().map(({ presentity, no: subscription, cseq }, index) =>
        ask(
          presentity,
          {
            _tag: "ReportDelivery",
            no: subscription,
            cseq,
            outcome: { _tag: "Accepted", remoteTarget: null },
          },
          index,
        ),
      )
    case "Advance":
      return [{ _tag: "Advance", to: at + step.by }]
    case "Aim": {
      const deadlines = [...machine.states()].flatMap((state) => nextDeadline(state) ?? [])
      if (deadlines.length === 0) return []
      return [{ _tag: "Advance", to: Math.max(at, Math.min(...deadlines) + step.beside) }]
    }
    case "Treat":
      return [{ _tag: "Treat", watcher: watchers[step.watcher]!, handling: step.handling }]
    case "Redeliver":
      return [ask(presentities[step.presentity]!, { _tag: "Redeliver", since: at - step.ago })]
    case "Erase": {
      const presentity = presentities[step.presentity]!
      const person = step.watcher === null ? presentity : watchers[step.watcher]!
      return [ask(presentity, { _tag: "Erase", person, silent: step.silent })]
    }
  }
}

const deviceOf = (watcher: number, device: number): string => `sip:device-${watcher}-${device}@192.0.2.20`

const startOf = (
  id: number,
  presentity: Uri,
  watcher: Uri,
  who: number,
  device: number,
  routes: number,
): DialogStart => ({
  callId: `call-${id}`,
  localTag: `local-${id}`,
  remoteTag: `remote-${id}`,
  localUri: `<${presentity}>`,
  remoteUri: `<${watcher}>`,
  remoteTarget: deviceOf(who, device),
  routeSet: ["<sip:p1.example.com;lr>", "<sip:p2.example.com>"].slice(0, routes),
  remoteCseq: 1,
  localContact: "sip:192.0.2.10",
  flow: "udp:192.0.2.10:5060",
  source: "192.0.2.20:5060",
})

const live = (machine: Machine): readonly { readonly state: State; readonly one: Subscription }[] =>
  [...machine.states()].flatMap((state) =>
    [...values(state.subscriptions)]
      .sort((left, right) => left.no - right.no)
      .map((subscription) => ({ state, one: subscription })),
  )

const tagsMeant = (
  machine: Machine,
  presentity: Uri,
  step: Step & { readonly _tag: "Publish" },
): readonly string[] => {
  const pick = (from: readonly string[]): readonly string[] =>
    from.length === 0 ? [] : [from[step.which % from.length]!]
  const tagsOf = (state: State, packageName: string | null): readonly EntityTag[] => {
    const publications = packageName === null ? undefined : get(state.publications, packageName)
    return publications === undefined
      ? []
      : [...values(publications)]
          .sort((left, right) => left.createdIn - right.createdIn)
          .map((publication) => publication.entityTag)
  }
  switch (step.names) {
    case "nothing":
      return []
    case "live":
      return pick(tagsOf(machine.state(presentity), step.packageName))
    case "superseded":
      return pick(machine.oldTags("superseded"))
    case "gone":
      return pick(machine.oldTags("gone"))
    case "elsewhere":
      return pick(
        [...machine.states()].flatMap((state) =>
          [...values(state.publications)].flatMap((table) =>
            [...values(table)]
              .sort((left, right) => left.createdIn - right.createdIn)
              .map((publication) => publication.entityTag),
          ),
        ),
      )
    case "garbage":
      return ["garbage"]
    case "two":
      return [...pick(tagsOf(machine.state(presentity), step.packageName)), "garbage", "more"]
  }
}
