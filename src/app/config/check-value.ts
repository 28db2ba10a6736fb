/**
 * Whether a value is valid for a setting of its kind, and its parsed form.
 */
import { readPeers } from "../../adapters/sip/peers.ts"
import { parseValue } from "./file.ts"
import { policyFault } from "./request-policy-hook.ts"
import { readPolicyRules } from "./request-policy-rules.ts"
import type { At } from "./request-policy-rules.ts"
import type { Setting } from "./setting-kinds.ts"
import { peersInText } from "./trusted-peers.ts"

type Checked =
  | { readonly _tag: "Good"; readonly value: unknown }
  | { readonly _tag: "Bad"; readonly allowed: string }
  /** Several things inside the value are wrong. */
  | { readonly _tag: "Faulty"; readonly faults: readonly string[] }

const isScalar = (value: unknown): value is string | number | boolean =>
  typeof value === "string" || typeof value === "number" || typeof value === "boolean"

const isDigits = (value: unknown): value is number => Number.isSafeInteger(value) && Number(value) >= 0

export const checkValue = (setting: Setting, value: unknown, at: At): Checked => {
  const word = isScalar(value) ? String(value) : ""
  switch (setting.kind) {
    case "int": {
      const number = typeof value === "number" ? value : /^-?\d+$/.test(word) ? Number(word) : Number.NaN
      return Number.isInteger(number) && number >= setting.min && number <= setting.max
        ? { _tag: "Good", value: number }
        : { _tag: "Bad", allowed: `expected a whole number from ${setting.min} to ${setting.max}` }
    }
    case "flag": {
      const truth = flags.get(word.toLowerCase())
      return truth === undefined
        ? { _tag: "Bad", allowed: "expected 1 or 0 (also true, false, yes, no, on, off)" }
        : { _tag: "Good", value: truth }
    }
    case "text":
      if (typeof value === "number" || typeof value === "boolean") {
        return { _tag: "Bad", allowed: `expected text, put it in quotes: ${setting.about}` }
      }
      return typeof value === "string" && !/[\r\n\0]/.test(value)
        ? { _tag: "Good", value }
        : { _tag: "Bad", allowed: `expected one line of text: ${setting.about}` }
    case "rules": {
      const rules = typeof value === "string" ? parseValue(value) : value
      const faults: string[] = []
      readPolicyRules(setting.for, rules, at, faults)
      return faults.length === 0 ? { _tag: "Good", value: rules } : { _tag: "Faulty", faults }
    }
    case "hook": {
      const fault = typeof value === "string" && value !== "" ? null : policyFault(value)
      return fault === null
        ? { _tag: "Good", value }
        : { _tag: "Bad", allowed: `expected a file of code, for example ./policy.ts: ${fault}` }
    }
    case "module": {
      // what a program gives in place of a module is checked when a module would be loaded
      const isGiven = typeof value === "string" ? value !== "" : typeof value === "object"
      return isGiven
        ? { _tag: "Good", value }
        : { _tag: "Bad", allowed: "expected a module, for example ./extensions.ts" }
    }
    case "list":
      return checkList(setting, value)
    case "peers":
      return checkPeers(value, at)
    case "choice":
      return setting.choices.includes(word)
        ? { _tag: "Good", value: word }
        : { _tag: "Bad", allowed: `expected ${setting.choices.join(" or ")}` }
  }
}

const checkList = (setting: Setting & { readonly kind: "list" }, value: unknown): Checked => {
  const isNumber = (item: unknown): boolean => setting.isNumeric === true && isDigits(item)
  const items: readonly unknown[] | null = Array.isArray(value)
    ? value
    : isNumber(value)
      ? [value]
      : typeof value === "string"
        ? value.split(",")
        : null
  const texts = items?.map((item) => (isNumber(item) ? String(item) : item)) ?? null
  if (texts === null || texts.some((item) => typeof item !== "string" || item.trim() === "")) {
    return { _tag: "Bad", allowed: `expected ${setting.about}, separated by commas` }
  }
  return { _tag: "Good", value: (texts as readonly string[]).map((item) => item.trim()) }
}

const checkPeers = (value: unknown, at: At): Checked => {
  const given = typeof value === "string" ? peersInText(value) : value
  const items: readonly unknown[] = Array.isArray(given) ? given : [given]
  const { peers, faults } = readPeers(items)
  return faults.length === 0
    ? { _tag: "Good", value: peers.map(({ text }) => text) }
    : {
        _tag: "Faulty",
        faults: faults.map(
          ({ index, entry, why }) =>
            `trusted_peers = ${entry.length > 80 ? `${entry.slice(0, 77)}...` : entry} (${at(index)}): ${why}`,
        ),
      }
}

const flags = new Map([
  ["1", true],
  ["true", true],
  ["yes", true],
  ["on", true],
  ["0", false],
  ["false", false],
  ["no", false],
  ["off", false],
])
