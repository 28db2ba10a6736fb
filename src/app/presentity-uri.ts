/**
 * Presentities and watchers as people write them.
 */
import { parseUri } from "../adapters/sip/uri.ts"
import { addressOfRecord } from "../domain/uris.ts"
import type { Uri } from "../domain/vocabulary.ts"

/** The canonical URI of `sip:alice@example.com`, `alice@example.com` or `tel:+4930123`; null for anything else. */
export const presentityOf = (text: string): Uri | null => {
  const parsed = parseUri(/^[a-zA-Z][a-zA-Z0-9+.-]*:/.test(text) ? text : `sip:${text}`)
  return parsed === null ? null : addressOfRecord(parsed)
}
