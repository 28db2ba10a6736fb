/**
 * Colour on a terminal.
 */
import type { Paint } from "../../../explain/ladder/draw.ts"

const codes = { dim: 2, green: 32, cyan: 36 } as const

/** Colour on a terminal only, and not against the user's wish. */
export const paintFor = (
  stream: { readonly isTTY?: boolean },
  env: Readonly<Record<string, string | undefined>>,
): Paint =>
  stream.isTTY === true && (env["NO_COLOR"] ?? "") === ""
    ? (text, colour) => `\u001b[${codes[colour]}m${text}\u001b[0m`
    : (text) => text
