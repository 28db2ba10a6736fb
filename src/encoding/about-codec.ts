/**
 * What is known of the request behind a decision, as it is written in the log and in case files (`domain/presentity/about.ts`).
 */
import { Schema } from "effect"
import type { About } from "../domain/presentity/about.ts"
import { compileCheck } from "./compiled-check.ts"

const text = Schema.optionalKey(Schema.String)

/** A part of `About` that is missing here does not compile. */
const fields = {
  command: text,
  by: Schema.optionalKey(
    Schema.Union([
      Schema.Int,
      Schema.Struct({ account: text, identity: text, from: text, userAgent: text, source: text }),
    ]),
  ),
  request: text,
  node: text,
  epoch: Schema.optionalKey(Schema.Int),
  profile: Schema.optionalKey(Schema.Union([Schema.Int, Schema.String])),
} satisfies Record<keyof About, unknown>

const AboutSchema = Schema.Struct(fields)

const decode = Schema.decodeUnknownSync(AboutSchema)
const isWhole = compileCheck(AboutSchema.ast)

/**
 * Parts that this version does not know are left out.
 *
 * @throws Error that says what does not fit
 */
export const decodeAbout = (json: unknown): About =>
  isWhole?.(json) === true ? (json as About) : decode(json)
