/**
 * What names and values of a document mean while it is read (Namespaces in XML 1.0): the namespaces that prefixes are bound to,
 * and attributes with theirs. One piece for every reader, so that they differ in how they find names and values only.
 */
import type { Attribute } from "../../domain/packages/element.ts"
import { xmlNamespace, xmlnsNamespace } from "./characters.ts"
import { decodeReferences, unknownReference } from "./references.ts"

/** A binding, and the one of the same prefix that it hides until the end of its element. */
interface Binding {
  readonly namespace: string
  readonly outer: Binding | undefined
}

/** What each prefix stands for at one place in a document; the default namespace is that of the empty prefix. */
type Scope = Map<string, Binding | undefined>

/** What a reader carries along of the meaning of what it reads. */
export interface Meaning {
  readonly scope: Scope
  /** The first fault that was found; reading goes on, and its result is thrown away. Null: none. */
  fault: string | null
}

export const documentScope = (): Scope => new Map([["xml", { namespace: xmlNamespace, outer: undefined }]])

/** Character data with its references decoded. */
export const decoded = (meaning: Meaning, raw: string): string => {
  const value = decodeReferences(raw)
  if (value === null) meaning.fault ??= unknownReference
  return value ?? ""
}

/** @source XML 1.0 §3.3.3: white space as written is blanks, as a reference it stays what it is. */
export const attributeValue = (meaning: Meaning, raw: string): string =>
  decoded(meaning, /[\t\n]/.test(raw) ? raw.replace(/[\t\n]/g, " ") : raw)

/** Whether an attribute of this name declares a prefix. */
export const isDeclaration = (qualified: string): boolean =>
  qualified.startsWith("xmlns") && (qualified.length === 5 || qualified.charCodeAt(5) === 0x3a)

/** Binds the prefix that an attribute declares. @returns the prefix, to be unbound at the end of its element */
export const bind = (meaning: Meaning, qualified: string, namespace: string): string => {
  const prefix = qualified.slice(6)
  const why = misdeclared(prefix, namespace)
  if (why !== null) meaning.fault ??= why
  meaning.scope.set(prefix, { namespace, outer: meaning.scope.get(prefix) })
  return prefix
}

/** Ends the innermost binding of each prefix. */
export const unbind = ({ scope }: Meaning, prefixes: readonly string[]): void => {
  for (const prefix of prefixes) scope.set(prefix, scope.get(prefix)?.outer)
}

/**
 * What is wrong with a declaration; null: nothing.
 *
 * @source Namespaces in XML 1.0 §3
 */
const misdeclared = (prefix: string, namespace: string): string | null => {
  if (prefix === "xmlns") return "prefix xmlns is declared"
  if (prefix === "xml" ? namespace !== xmlNamespace : namespace === xmlNamespace)
    return "prefix xml is declared anew"
  if (namespace === xmlnsNamespace) return "the namespace of declarations is declared"
  if (prefix !== "" && namespace === "") return `prefix ${prefix} is declared without a namespace`
  return null
}

/** The namespace of a prefix; empty when nothing binds it. */
export const namespaceOf = (meaning: Meaning, prefix: string): string => {
  const binding = meaning.scope.get(prefix)
  if (binding !== undefined) return binding.namespace
  if (prefix !== "") meaning.fault ??= `prefix ${prefix} is not declared`
  return ""
}

/** An attribute that declares nothing, by its name as written and its value. */
export const attributeOf = (meaning: Meaning, qualified: string, value: string): Attribute => {
  const colon = qualified.indexOf(":")
  // Namespaces in XML 1.0 §6.2: the default namespace is not for attributes.
  if (colon === -1) return { namespace: "", name: qualified, prefix: "", value }
  const prefix = qualified.slice(0, colon)
  return { namespace: namespaceOf(meaning, prefix), name: qualified.slice(colon + 1), prefix, value }
}

/**
 * Finds fault with attributes of which two are one: two prefixes may stand for one namespace, so that different spellings name one
 * attribute twice.
 *
 * @source Namespaces in XML 1.0 §6.3
 */
export const checkRepeated = (meaning: Meaning, attributes: readonly Attribute[]): void => {
  let prefixed = 0
  for (const { prefix } of attributes) if (prefix !== "") prefixed += 1
  if (prefixed < 2) return
  const seen = new Set<string>()
  for (const { namespace, name } of attributes) {
    const expanded = `${name} ${namespace}`
    if (seen.has(expanded)) {
      meaning.fault ??= `attribute ${name} is there twice`
      return
    }
    seen.add(expanded)
  }
}
