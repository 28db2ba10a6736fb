/**
 * The file of tokens that the management port knows.
 */
import { readFileSync } from "node:fs"
import { Effect } from "effect"
import { parseTokens } from "../../adapters/admin/tokens.ts"
import type { Token } from "../../adapters/admin/tokens.ts"
import { ConfigInvalid } from "./config.ts"
import { fileWords } from "./file-words.ts"

export const readTokens = (file: string): Effect.Effect<readonly Token[], ConfigInvalid> =>
  Effect.suspend(() => {
    let text: string
    try {
      text = readFileSync(file, "utf8")
    } catch (cause) {
      return Effect.fail(new ConfigInvalid({ faults: [`admin_tokens_file = ${file}: ${fileWords(cause)}`] }))
    }
    const { tokens, faults } = parseTokens(text)
    if (tokens.length === 0 && faults.length === 0) {
      return Effect.fail(
        new ConfigInvalid({
          faults: [
            `admin_tokens_file = ${file}: there is no token in it; make one with \`presently token NAME\``,
          ],
        }),
      )
    }
    return faults.length > 0
      ? Effect.fail(
          new ConfigInvalid({
            faults: faults.map(({ line, why }) => `admin_tokens_file ${file}:${line}: ${why}`),
          }),
        )
      : Effect.succeed(tokens)
  })
