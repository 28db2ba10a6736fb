/**
 * Registrations as publications: presence that is open while a user is registered, and the `reg` package (RFC 3680).
 *
 * The registrar keeps its bindings in memory; what follows from them for watchers is published, so that it is in the log
 * and survives a restart until it expires.
 */
import { createHash } from "node:crypto"
import { registrarDevice } from "../../domain/packages/pidf-document.ts"
import { regInfoNamespace } from "../../domain/packages/reg.ts"
import type { Answer, Publish, Resubscribe, Subscribe } from "../../domain/presentity/commands.ts"
import type { Body, PackageName, Seconds, Uri } from "../../domain/vocabulary.ts"
import type { SipHandler } from "../../ports/sip-transport.ts"
import type { Binding } from "./registrar.ts"

/** What a registration leads to: a publication, or a subscription that the registrar makes. */
export interface RegistrationStep {
  readonly command: Publish | Subscribe | Resubscribe
  /** Takes the answer. @returns what is to be submitted instead, where that was refused; null: nothing */
  readonly answered: (answer: Answer) => RegistrationStep["command"] | null
}

export interface Registrations {
  /**
   * What to publish after a REGISTER.
   *
   * @param bindings those that are left, unexpired
   */
  readonly after: (address: Uri, bindings: readonly Binding[]) => readonly RegistrationStep[]
  /** What to publish because time has passed: some bindings have expired, or a publication ends before them. */
  readonly due: (
    bindingsOf: (address: Uri) => readonly Binding[],
  ) => readonly (readonly [Uri, RegistrationStep])[]
}

/** The packages that registrations can be published in. */
export type RegistrationPackage = "presence" | "reg"

interface Published {
  /** The contacts that it shows. */
  readonly shown: readonly string[]
  readonly untilMs: number
  /** Null: the answer has not come yet. */
  entityTag: string | null
  grantedMs: number
}

/** Publications shorter than their bindings are renewed this long before they end. */
const renewedBeforeMs = 15_000
/** How long a user who unregisters is shown as such where an earlier life of the server published the opposite. */
const endedSeconds: Seconds = 60

interface Publisher {
  readonly byAddress: Map<Uri, Map<PackageName, Published>>
  readonly packages: readonly RegistrationPackage[]
  readonly clock: () => number
  /** Until then there may be publications that this life of the server does not know. */
  readonly unknownUntilMs: number
}

/** @param clock in milliseconds; @param longestMs the longest lifetime of a binding */
export const makeRegistrations = (
  packages: readonly RegistrationPackage[],
  clock: () => number,
  longestMs: number,
): Registrations => {
  const byAddress: Publisher["byAddress"] = new Map()
  const publisher: Publisher = { byAddress, packages, clock, unknownUntilMs: clock() + longestMs }
  return {
    after: (address, bindings) => stepsFor(publisher, address, bindings, false),
    due: (bindingsOf) =>
      [...byAddress.keys()].flatMap((address) => {
        const bindings = bindingsOf(address)
        if (bindings.length > 0)
          return stepsFor(publisher, address, bindings, true).map((found) => [address, found] as const)
        // its publications end with the last binding by themselves
        byAddress.delete(address)
        return []
      }),
  }
}

/** @param isExpiry what is gone has expired, and was not removed */
const stepsFor = (
  publisher: Publisher,
  address: Uri,
  bindings: readonly Binding[],
  isExpiry: boolean,
): readonly RegistrationStep[] => {
  const { byAddress, packages } = publisher
  const found = packages.flatMap((packageName) =>
    bindings.length === 0
      ? (ending(publisher, address, packageName) ?? [])
      : (publishing(publisher, address, packageName, { bindings, isExpiry }) ?? []),
  )
  if (byAddress.get(address)?.size === 0) byAddress.delete(address)
  return found
}

const publishing = (
  publisher: Publisher,
  address: Uri,
  packageName: RegistrationPackage,
  { bindings, isExpiry }: { readonly bindings: readonly Binding[]; readonly isExpiry: boolean },
): RegistrationStep | null => {
  const { byAddress, clock } = publisher
  const known = byAddress.get(address)?.get(packageName)
  const shown = bindings.map(({ uri }) => uri)
  const untilMs = Math.max(...bindings.map(({ expiresAtMs }) => expiresAtMs))
  const isSame = known !== undefined && sameList(known.shown, shown)
  const isEnding = known !== undefined && known.grantedMs < Math.min(untilMs, clock() + renewedBeforeMs)
  if (isSame && known.untilMs === untilMs && !isEnding) return null
  const gone = (known?.shown ?? []).filter((uri) => !shown.includes(uri))
  const published: Published = { shown, untilMs, entityTag: null, grantedMs: untilMs }
  let ofAddress = byAddress.get(address)
  if (ofAddress === undefined) byAddress.set(address, (ofAddress = new Map()))
  ofAddress.set(packageName, published)
  const entityTag = known?.entityTag ?? null
  const isShownAlike = entityTag !== null && (isSame || packageName === "presence")
  const body = isShownAlike ? null : bodyOf(packageName, address, shown, gone, isExpiry)
  const expires = Math.max(1, Math.ceil((untilMs - clock()) / 1_000))
  return step(publisher, address, packageName, published, publish(packageName, entityTag, expires, body))
}

/** Of an address that is not registered any more. */
const ending = (
  publisher: Publisher,
  address: Uri,
  packageName: RegistrationPackage,
): RegistrationStep | null => {
  const { byAddress, clock, unknownUntilMs } = publisher
  const known = byAddress.get(address)?.get(packageName)
  byAddress.get(address)?.delete(packageName)
  const nowhere: Published = { shown: [], untilMs: 0, entityTag: null, grantedMs: 0 }
  if (known?.entityTag != null)
    return step(publisher, address, packageName, nowhere, publish(packageName, known.entityTag, 0, null))
  if (known === undefined && clock() > unknownUntilMs) return null
  // it cannot be removed without its entity-tag, but replaced
  const body = endedBody(packageName, address)
  return step(publisher, address, packageName, nowhere, publish(packageName, null, endedSeconds, body))
}

const step = (
  { byAddress, clock }: Publisher,
  address: Uri,
  packageName: RegistrationPackage,
  published: Published,
  command: Publish,
): RegistrationStep => ({
  command,
  answered: (answer) => {
    if (answer._tag === "Accepted") {
      if (answer.reply._tag !== "Published") return null
      published.entityTag = answer.reply.entityTag
      published.grantedMs = clock() + answer.reply.expires * 1_000
      return null
    }
    const { rejection } = answer
    // forgotten, or renewed meanwhile: what the registrar published before is replaced by its device
    if (rejection.status === 412 && (command.expires ?? 0) > 0)
      return publish(
        packageName,
        null,
        command.expires ?? 0,
        bodyOf(packageName, address, published.shown, []),
      )
    if (rejection._tag === "IntervalTooBrief" && command.expires !== rejection.minExpires)
      return { ...command, expires: rejection.minExpires }
    byAddress.get(address)?.delete(packageName)
    return null
  },
})

/** @param done called with the final answer to each step */
export const publishSteps = (
  submit: SipHandler["submit"],
  steps: readonly RegistrationStep[],
  { presentity, origin }: { readonly presentity: Uri; readonly origin: string },
  done: (answer: Answer) => void = () => {},
): void => {
  for (const { command, answered } of steps) {
    const submitOne = (wanted: RegistrationStep["command"], triesLeft: number): void =>
      submit({
        presentity: wanted._tag === "Resubscribe" ? null : presentity,
        command: wanted,
        origin,
        answer: (answer) => {
          const next = answered(answer)
          if (next === null || triesLeft === 0) done(answer)
          else submitOne(next, triesLeft - 1)
        },
      })
    submitOne(command, 2)
  }
}

/** Others do not change when the phone asks again: it is registered, and that does not show. */
const notStored: ReadonlySet<string> = new Set(["ServiceUnavailable", "ServerInternalError"])

/** Publishes what follows from a REGISTER. @param done told whether all of it is stored, when that is known */
export const publishRegistration = (
  submit: SipHandler["submit"],
  steps: readonly RegistrationStep[],
  from: { readonly presentity: Uri; readonly origin: string },
  done: (isStored: boolean) => void,
): void => {
  let left = steps.length
  let isStored = true
  publishSteps(submit, steps, from, (last) => {
    if (last._tag === "Rejected" && notStored.has(last.rejection._tag)) isStored = false
    left--
    if (left === 0) done(isStored)
  })
}

const sameList = (left: readonly string[], right: readonly string[]): boolean =>
  left.length === right.length && left.every((text, index) => text === right[index])

const publish = (
  packageName: PackageName,
  entityTag: string | null,
  expires: Seconds,
  body: Body | null,
): Publish => ({
  _tag: "Publish",
  packageName,
  ifMatch: entityTag === null ? [] : [entityTag],
  expires,
  body,
  bodyFault: null,
  sender: null,
  ...(entityTag === null ? { device: registrarDevice } : {}),
})

// ── documents ──

const escaped = (text: string): string =>
  text.replace(/[&<>"]/g, (character) => `&#${character.charCodeAt(0)};`)

const pidfOf = (address: Uri, basic: "open" | "closed"): Body => ({
  contentType: "application/pidf+xml",
  text:
    `<?xml version="1.0" encoding="UTF-8"?>\n<presence xmlns="urn:ietf:params:xml:ns:pidf" entity="${escaped(address)}">` +
    `<tuple id="registered"><status><basic>${basic}</basic></status></tuple></presence>\n`,
})

/** @source RFC 3680 §5.1: how a contact came to be, or why it is gone */
const contact = (uri: string, event: "registered" | "unregistered" | "expired"): string => {
  const id = createHash("sha256").update(uri).digest("hex").slice(0, 12)
  const state = event === "registered" ? "active" : "terminated"
  return `<contact id="${id}" state="${state}" event="${event}"><uri>${escaped(uri)}</uri></contact>`
}

const reginfo = (address: Uri, state: "active" | "terminated", contacts: readonly string[]): Body => ({
  contentType: "application/reginfo+xml",
  text:
    `<?xml version="1.0" encoding="UTF-8"?>\n<reginfo xmlns="${regInfoNamespace}" version="0" state="full">` +
    `<registration aor="${escaped(address)}" id="registrar" state="${state}">${contacts.join("")}</registration></reginfo>\n`,
})

const bodyOf = (
  packageName: RegistrationPackage,
  address: Uri,
  shown: readonly string[],
  gone: readonly string[],
  isExpiry = false,
): Body =>
  packageName === "presence"
    ? pidfOf(address, "open")
    : reginfo(address, "active", [
        ...shown.map((uri) => contact(uri, "registered")),
        ...gone.map((uri) => contact(uri, isExpiry ? "expired" : "unregistered")),
      ])

const endedBody = (packageName: RegistrationPackage, address: Uri): Body =>
  packageName === "presence" ? pidfOf(address, "closed") : reginfo(address, "terminated", [])
