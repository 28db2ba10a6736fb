/**
 * One check, and how its result is printed.
 */

export interface Check {
  /** `bad`: a server does not run like this, or not correctly. `warn`: it does, for now. */
  readonly status: "ok" | "warn" | "bad"
  readonly what: string
  readonly detail: string
  /** What to do about it; null: nothing. */
  readonly fix: string | null
}

export const ok = (what: string, detail: string): Check => ({ status: "ok", what, detail, fix: null })
export const warn = (what: string, detail: string, fix: string): Check => ({
  status: "warn",
  what,
  detail,
  fix,
})
export const bad = (what: string, detail: string, fix: string): Check => ({
  status: "bad",
  what,
  detail,
  fix,
})

/** `warn  udp buffer: 212992 bytes at most; sysctl -w …` */
export const checkText = ({ status, what, detail, fix }: Check): string =>
  `${status.padEnd(4)}  ${what}: ${detail}${fix === null ? "" : `; ${fix}`}`

export const checkJson = (check: Check): string => JSON.stringify({ v: 1, ...check })
