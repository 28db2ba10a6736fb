/**
 * Phone profiles: what families of phones need, by User-Agent. A profile is data; what its words do stands where
 * documents are made (`domain/packages/phone-needs.ts`) and requests are read.
 */
import { documentNeeds, needsIdleDialog } from "../../domain/packages/phone-needs.ts"
import { withNeed } from "../../domain/vocabulary.ts"
import { matchesWildcard } from "../../domain/wildcards.ts"
import type { DeviceRecognition } from "./device.ts"
import type { readEvent } from "./headers.ts"
import type { RawMessage } from "./message-reader.ts"

export interface PhoneProfile {
  readonly name: string
  /** Wildcards for User-Agents, in lower case. */
  readonly agents: readonly string[]
  readonly needs: readonly string[]
}

/** Its Accept header says other things than what the phone can read, and is not looked at. */
export const ignoresAccept = "any-accept"
/** It writes names of event packages in another case (`Event: Presence`). */
const writesAnyCase = "any-case"

/** By what the phone is recognized when it publishes again, instead of `device_recognition`. */
const recognitions: ReadonlyMap<string, DeviceRecognition> = new Map([
  ["recognized-by-nothing", "none"],
  ["recognized-by-instance", "instance"],
  ["recognized-by-contact", "contact"],
])

const needsKnown: ReadonlySet<string> = new Set([
  ...[...documentNeeds.values()].flat(),
  ignoresAccept,
  writesAnyCase,
  ...recognitions.keys(),
])

/**
 * The profiles that come along: of what public reports say that a family needs it, and nothing else. docs/phones.md
 * names each report.
 */
export const builtInProfiles: readonly PhoneProfile[] = [
  { name: "yealink", agents: ["yealink*"], needs: [needsIdleDialog] },
]

/** The entry for no profile at all. */
const nobody = "none"

/** `NAME=NEED+NEED:PATTERN|PATTERN`, or `NAME:PATTERN|PATTERN` for further User-Agents of a built-in profile. */
const profileIn = (entry: string): PhoneProfile | null => {
  const read = /^([a-z0-9][a-z0-9._-]{0,63})(?:=([a-z-]+(?:\+[a-z-]+)*))?:(.+)$/i.exec(entry)
  if (read === null) return null
  const [, name = "", words, patterns = ""] = read
  const agents = patterns.split("|").map((pattern) => pattern.trim().toLowerCase())
  if (agents.includes("")) return null
  const needs =
    words === undefined ? builtInProfiles.find((known) => known.name === name)?.needs : words.split("+")
  return needs === undefined || !needs.every((need) => needsKnown.has(need)) ? null : { name, agents, needs }
}

/** The entries that are no profiles. */
export const profileFaults = (entries: readonly string[]): readonly string[] =>
  entries.filter((entry) => (entry === nobody ? entries.length > 1 : profileIn(entry) === null))

/** For error messages. */
export const profileForm =
  `expected NAME=NEED+NEED:USER-AGENT|USER-AGENT with needs out of ${[...needsKnown].join(", ")}, ` +
  `or NAME:USER-AGENT|USER-AGENT with the name of a built-in profile (${builtInProfiles.map(({ name }) => name).join(", ")}), ` +
  "for example lobby=one-tuple+plain-names:Acme 2*, or none alone"

/** The profile of the phone that sent a request, or null. */
export type ProfileOf = (message: Pick<RawMessage, "headers">) => PhoneProfile | null

/** So many User-Agents are remembered; a sender that makes up more only costs time. */
const rememberedMax = 1_000
/** A longer User-Agent fits no profile. */
const agentMax = 256

/** @param entries of the setting `phone_profiles`; they come before the built-in ones, and the first that fits counts */
export const profilesBy = (entries: readonly string[]): ProfileOf => {
  if (entries.includes(nobody)) return () => null
  const profiles = [...entries.flatMap((entry) => profileIn(entry) ?? []), ...builtInProfiles]
  const remembered = new Map<string, PhoneProfile | null>()
  return ({ headers }) => {
    const agent = headers.first("user-agent")
    if (agent === undefined || agent.length > agentMax) return null
    const known = remembered.get(agent)
    if (known !== undefined) return known
    const text = agent.toLowerCase()
    const found =
      profiles.find(({ agents }) => agents.some((pattern) => matchesWildcard(pattern, text))) ?? null
    if (remembered.size >= rememberedMax) remembered.clear()
    remembered.set(agent, found)
    return found
  }
}

/** What documents of the package a phone with this profile needs, besides `needs`. */
export const documentNeedsOf = (
  packageName: string,
  profile: PhoneProfile,
  needs: string | undefined,
): string | undefined => {
  const met = documentNeeds.get(packageName)
  if (met === undefined) return needs
  let all = needs
  for (const need of profile.needs) if (met.includes(need)) all = withNeed(all, need)
  return all
}

export const recognitionOf = (
  profile: PhoneProfile | null,
  otherwise: DeviceRecognition,
): DeviceRecognition => {
  for (const need of profile?.needs ?? []) {
    const recognition = recognitions.get(need)
    if (recognition !== undefined) return recognition
  }
  return otherwise
}

/** The Event header of a phone, which may write names of packages in another case (RFC 3265 §7.2.1 has them exact). */
export const spelledFor = (
  profile: PhoneProfile | null,
  event: ReturnType<typeof readEvent>,
  { registeredName }: { readonly registeredName: (packageName: string) => string },
): ReturnType<typeof readEvent> =>
  profile === null || event === null || event === "malformed" || !profile.needs.includes(writesAnyCase)
    ? event
    : { ...event, packageName: registeredName(event.packageName) }
