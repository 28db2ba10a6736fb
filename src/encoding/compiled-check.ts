/**
 * Schemas as plain functions: whether a value is one that the schema takes and leaves as it is. Compiled once; a schema's own decoder
 * costs some microseconds for each value, which is most of the time in which a log is read.
 *
 * A check is on the safe side: what it does not accept may still be accepted by the schema, which then decides, and says what does
 * not fit. So there is one description of a value, the schema.
 */
import { Schema } from "effect"

export type Check = (value: unknown) => boolean

type Ast = Schema.Top["ast"]
type Node<Tag extends Ast["_tag"]> = Extract<Ast, { readonly _tag: Tag }>

/** @returns null: the schema has something in it that is not known here */
export const compileCheck = (ast: Ast): Check | null => {
  // what is decoded to something else is not left as it is
  if (ast.encoding !== undefined) return null
  if (ast._tag === "Number") return numberCheck(ast)
  if (ast.checks !== undefined) return null
  switch (ast._tag) {
    case "String":
      return (value) => typeof value === "string"
    case "Boolean":
      return (value) => typeof value === "boolean"
    case "Null":
      return (value) => value === null
    case "Unknown":
      return () => true
    case "ObjectKeyword":
      return (value) => typeof value === "object" && value !== null
    case "Literal": {
      const { literal } = ast
      return (value) => value === literal
    }
    case "Union":
      return unionCheck(ast)
    case "Arrays":
      return arrayCheck(ast)
    case "Objects":
      return objectCheck(ast)
    default:
      return null
  }
}

const numberCheck = ({ checks }: Ast): Check | null => {
  if (checks === Schema.Int.ast.checks) return (value) => Number.isSafeInteger(value)
  if (checks === Schema.Finite.ast.checks) return (value) => Number.isFinite(value)
  return null
}

const allOf = (asts: readonly Ast[]): readonly Check[] | null => {
  const checks = asts.map(compileCheck)
  return checks.every((check) => check !== null) ? checks : null
}

const unionCheck = ({ types }: Node<"Union">): Check | null => {
  const literals = new Set<unknown>()
  for (const type of types) if (type._tag === "Literal") literals.add(type.literal)
  if (literals.size === types.length) return (value) => literals.has(value)
  const checks = allOf(types)
  if (checks === null) return null
  const [first, second] = checks
  return checks.length === 2
    ? (value) => first!(value) || second!(value)
    : (value) => checks.some((check) => check(value))
}

const arrayCheck = ({ elements, rest }: Node<"Arrays">): Check | null => {
  const fixed = allOf(elements)
  const [more = null] = rest.length === 1 ? [compileCheck(rest[0]!)] : []
  if (fixed === null || rest.length > 1 || (rest.length === 1 && more === null)) return null
  return (value) => {
    if (!Array.isArray(value) || value.length < fixed.length) return false
    if (more === null && value.length !== fixed.length) return false
    for (let index = 0; index < value.length; index++) {
      if (!(fixed[index] ?? more!)(value[index])) return false
    }
    return true
  }
}

/** An object with all the fields that it must have, and none but those that it may have. */
const objectCheck = ({ propertySignatures, indexSignatures }: Node<"Objects">): Check | null => {
  if (indexSignatures.length > 0) return null
  const fields = new Map<string, Check>()
  const required: string[] = []
  for (const { name, type } of propertySignatures) {
    const check = compileCheck(type)
    if (check === null || typeof name !== "string") return null
    fields.set(name, check)
    if (type.context?.isOptional !== true) required.push(name)
  }
  return (value) => {
    if (typeof value !== "object" || value === null || Array.isArray(value)) return false
    const object = value as Readonly<Record<string, unknown>>
    let known = 0
    for (const name in object) {
      if (fields.get(name)?.(object[name]) !== true) return false
      known++
    }
    // nothing that is missing is inherited: every name that was counted is a field of the schema
    if (known === fields.size) return true
    for (const name of required) if (!Object.hasOwn(object, name)) return false
    return true
  }
}
