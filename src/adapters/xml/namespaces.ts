/**
 * Prefixes and the namespaces they are bound to while a document is read (Namespaces in XML 1.0).
 */
import type { Attribute } from "../../domain/packages/element.ts"
import { xmlNamespace, xmlnsNamespace } from "./characters.ts"

/** A binding, and the one of the same prefix that it hides until the end of its element. */
interface Binding {
  readonly namespace: string
  readonly outer: Binding | undefined
}

/** What each prefix stands for at one place in a document; the default namespace is that of the empty prefix. */
export type Scope = Map<string, Binding | undefined>

export const documentScope = (): Scope => new Map([["xml", { namespace: xmlNamespace, outer: undefined }]])

export const bind = (scope: Scope, prefix: string, namespace: string): void => {
  scope.set(prefix, { namespace, outer: scope.get(prefix) })
}

/** Ends the innermost binding of each prefix. */
export const unbind = (scope: Scope, prefixes: readonly string[]): void => {
  for (const prefix of prefixes) scope.set(prefix, scope.get(prefix)?.outer)
}

/** The namespace of a prefix; undefined when nothing binds it. */
export const bound = (scope: Scope, prefix: string): string | undefined => scope.get(prefix)?.namespace

export const isDeclaration = (qualified: string): boolean =>
  qualified.startsWith("xmlns") && (qualified.length === 5 || qualified.charCodeAt(5) === 0x3a)

/**
 * What is wrong with a declaration; null: nothing.
 *
 * @source Namespaces in XML 1.0 §3
 */
export const misdeclared = (prefix: string, namespace: string): string | null => {
  if (prefix === "xmlns") return "prefix xmlns is declared"
  if (prefix === "xml" ? namespace !== xmlNamespace : namespace === xmlNamespace)
    return "prefix xml is declared anew"
  if (namespace === xmlnsNamespace) return "the namespace of declarations is declared"
  if (prefix !== "" && namespace === "") return `prefix ${prefix} is declared without a namespace`
  return null
}

/**
 * What is wrong when two prefixes stand for one namespace, so that different spellings name one attribute twice.
 *
 * @source Namespaces in XML 1.0 §6.3
 */
export const repeated = (attributes: readonly Attribute[]): string | null => {
  const seen = new Set<string>()
  for (const { namespace, name } of attributes) {
    const expanded = `${name} ${namespace}`
    if (seen.has(expanded)) return `attribute ${name} is there twice`
    seen.add(expanded)
  }
  return null
}
