/**
 * Colour on a terminal.
 */
import type { Paint } from "../../../explain/ladder/draw.ts"

const codes = { dim: 2, green: 32, cyan: 36 } as const

/** Colours only on a terminal, and only while NO_COLOR is not set. */
export const paintFor = (
  stream: { readonly isTTY?: boolean },
  env: Readonly<Record<string, string | undefined>>,
): Paint =>
  stream.isTTY === true && (env["NO_COLOR"] ?? "") === ""
    ? (text, colour) => `\u001b[${codes[colour]}m${text}\u001b[0m`
    : (text) => text
