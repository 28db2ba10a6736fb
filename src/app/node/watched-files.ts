/**
 * Files that are read again when they change: users, tokens, certificates.
 */
import { statSync } from "node:fs"
import { Effect } from "effect"
import type { Config } from "../config/config.ts"
import { certificateFiles } from "../config/tls-settings.ts"

/** The files of a configuration that a reload reads, apart from rules and hard state, whose sources look themselves. */
export const watchedFiles = (
  config: Pick<Config, "users_file" | "admin" | "admin_tokens_file" | "tls_certificate" | "tls_ca">,
): readonly string[] =>
  [
    config.users_file,
    config.admin === null ? null : config.admin_tokens_file,
    ...config.tls_certificate.flatMap(certificateFiles),
    config.tls_ca,
  ].filter((file) => file !== null)

/** What says that files are others now; the file behind a link counts, as certificates of Kubernetes and certbot are links. */
export const stateOfFiles = (files: readonly string[]): string =>
  files
    .map((file) => {
      try {
        const { ino, size, mtimeMs, ctimeMs } = statSync(file)
        return `${file} ${ino} ${size} ${mtimeMs} ${ctimeMs}`
      } catch {
        return `${file} is not there`
      }
    })
    .join("\n")

/** How files were when they were last read, and how they are now. */
export interface FileStates {
  readonly read: () => string
  readonly now: () => string
}

/**
 * Looks from time to time, for ever, and reloads when files have changed and stay as they are from one look to the next: one that is
 * being written is not read. What was refused is tried again when it changes again.
 *
 * @param every seconds between two looks
 */
export const watchFiles = (
  files: FileStates,
  every: number,
  reload: Effect.Effect<void>,
): Effect.Effect<never> =>
  Effect.suspend(() => {
    let before = files.now()
    let refused = ""
    const look = Effect.suspend(() => {
      const now = files.now()
      const isStill = now === before
      before = now
      if (!isStill || now === files.read() || now === refused) return Effect.void
      refused = now
      return reload
    })
    return Effect.forever(Effect.andThen(Effect.sleep(`${every} seconds`), look))
  })
