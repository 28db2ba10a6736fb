/**
 * Extensions out of a setting that may still name a module.
 */
import type { Extensions } from "./extensions.ts"

/** What is loaded; null: nothing is named, or a module that is not loaded yet. */
export const loadedExtensions = ({
  extensions = null,
}: {
  readonly extensions?: string | Extensions | null
}): Extensions | null => (typeof extensions === "string" ? null : extensions)
