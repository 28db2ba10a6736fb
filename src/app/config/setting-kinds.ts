/**
 * The kinds of settings, and how a setting of each kind is written in the table of settings (`settings.ts`).
 */

export interface Base {
  /** The description shown in listings and error messages; one line. */
  readonly about: string
  /** Set when the value is accepted and checked but has no effect: why. Logged once at start when it is given. */
  readonly idle?: string
  /** Set when the value holds a password, which must never be shown. */
  readonly secret?: true
}

export interface Int<Default extends number | null> extends Base {
  readonly kind: "int"
  readonly default: Default
  readonly min: number
  readonly max: number
}
export interface Flag extends Base {
  readonly kind: "flag"
  readonly default: boolean
}
export interface Text extends Base {
  readonly kind: "text"
  readonly default: string | null
}
export interface List extends Base {
  readonly kind: "list"
  /** An entry may be a whole number, which YAML does not read as text. */
  readonly isNumeric?: boolean
  readonly default: readonly string[]
}
export interface Choice extends Base {
  readonly kind: "choice"
  readonly default: string
  readonly choices: readonly string[]
}

/** Rules for single requests (`request-policy-rules.ts`); the text form is YAML or JSON. */
export interface Rules<For extends "publish" | "subscribe"> extends Base {
  readonly kind: "rules"
  readonly for: For
  readonly default: readonly never[]
}
/** Entries for trusted peers (`adapters/sip/peers.ts`), each a text or an object with the same names. */
export interface Peers extends Base {
  readonly kind: "peers"
  readonly default: readonly string[]
}
/** A file of code, or the code itself when a program gives it (`request-policy-hook.ts`). */
export interface Hook extends Base {
  readonly kind: "hook"
  readonly default: null
}

/** A module, or what it would export when a program gives that (`extensions.ts`). */
export interface Module extends Base {
  readonly kind: "module"
  readonly default: null
}

export type Setting =
  | Int<number | null>
  | Flag
  | Text
  | List
  | Choice
  | Rules<"publish">
  | Rules<"subscribe">
  | Peers
  | Hook
  | Module

const base = (about: string, idle: string | undefined): Base =>
  idle === undefined ? { about } : { about, idle }

export const int = <Default extends number | null>(
  fallback: Default,
  min: number,
  max: number,
  about: string,
  idle?: string,
): Int<Default> => ({ kind: "int", default: fallback, min, max, ...base(about, idle) })
export const flag = (fallback: boolean, about: string, idle?: string): Flag => ({
  kind: "flag",
  default: fallback,
  ...base(about, idle),
})
export const text = (fallback: string | null, about: string, idle?: string): Text => ({
  kind: "text",
  default: fallback,
  ...base(about, idle),
})
export const list = (fallback: readonly string[], about: string, idle?: string): List => ({
  kind: "list",
  default: fallback,
  ...base(about, idle),
})
export const choice = (
  fallback: string,
  choices: readonly string[],
  about: string,
  idle?: string,
): Choice => ({
  kind: "choice",
  default: fallback,
  choices,
  ...base(about, idle),
})

export const rules = <For extends "publish" | "subscribe">(method: For, about: string): Rules<For> => ({
  kind: "rules",
  for: method,
  default: [],
  about,
})
export const peers = (about: string): Peers => ({ kind: "peers", default: [], about })
export const hook = (about: string): Hook => ({ kind: "hook", default: null, about })
export const module = (about: string): Module => ({ kind: "module", default: null, about })
export const secret = (setting: Text): Text => ({ ...setting, secret: true })
