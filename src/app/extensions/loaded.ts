/**
 * Extensions from a setting that may still be the name of a module.
 */
import type { Extensions } from "./extensions.ts"

/** The extensions; null: there are none, or they are in a module that is not loaded yet. */
export const loadedExtensions = ({
  extensions = null,
}: {
  readonly extensions?: string | Extensions | null
}): Extensions | null => (typeof extensions === "string" ? null : extensions)
