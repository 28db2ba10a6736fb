/** What a stack does with the registrations of its registrar: publishing them, and telling phones that have not subscribed. */
import { canonicalUri, sameUri } from "../../domain/uris.ts"
import type { SipHandler } from "../../ports/sip-transport.ts"
import type { SipOptions } from "./options.ts"
import type { Registrar } from "./registrar.ts"
import { publishSteps } from "./registrations.ts"
import type { Registrations } from "./registrations.ts"
import type { RequestRules } from "./request-rules.ts"

interface Registering {
  readonly registrar: Registrar | null
  readonly registrations: Registrations
  readonly clock: () => number
}

export const registeredBy = (
  { publishRegistrations = [] }: SipOptions,
  { registrar, registrations }: Registering,
): RequestRules["registered"] =>
  registrar === null || publishRegistrations.length === 0
    ? null
    : (address) => registrations.after(address, registrar.bindingsOf(address))

export const boundForBy = (
  { unsolicitedMwi = false }: SipOptions,
  { registrar, clock }: Registering,
): RequestRules["boundFor"] =>
  registrar === null || !unsolicitedMwi
    ? null
    : (address, contact) => {
        const canonical = canonicalUri(contact)
        const binding = registrar.bindingsOf(address).find((bound) => sameUri(bound.canonical, canonical))
        return binding === undefined ? 0 : Math.max(1, Math.round((binding.expiresAtMs - clock()) / 1_000))
      }

const registrationTickMs = 5_000

/** Looks every few seconds whether registrations have changed by time alone. */
export const makeRegistrationTick = (
  { registrar, registrations, clock }: Registering,
  submit: SipHandler["submit"],
): (() => void) => {
  let dueAt = clock()
  return () => {
    const now = clock()
    if (registrar === null || now < dueAt) return
    dueAt = now + registrationTickMs
    for (const [address, step] of registrations.due(registrar.bindingsOf))
      publishSteps(submit, [step], { presentity: address, origin: "" })
  }
}
