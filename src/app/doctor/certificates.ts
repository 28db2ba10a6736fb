/**
 * Certificates: how long they are valid, and for whom.
 */
import { covers } from "../../adapters/sip/transports/certificate-names.ts"
import type { Config } from "../config/config.ts"
import { certificateState, certificateViews, certificateWords } from "../config/tls-settings.ts"
import type { NamedCredential } from "../config/tls-settings.ts"
import { ok, warn } from "./check.ts"
import type { Check } from "./check.ts"

/** @param now by the clock; what ends soon, or has ended, is in the advice of the configuration */
export const certificates = (
  { domain }: Config,
  credentials: readonly NamedCredential[],
  now: number,
): readonly Check[] => {
  const views = certificateViews(credentials)
  const nameless = domain.filter(
    (name) => !views.some(({ names }) => covers({ domains: names, addresses: names, users: [] }, name)),
  )
  return [
    ...views
      .filter((view) => certificateState(view, now) === "good")
      .map((view) =>
        ok(
          "certificate",
          `${view.file} ${certificateWords(view, now)}; for ${view.names.join(", ") || "no name that counts (RFC 5922 section 7.1)"}`,
        ),
      ),
    ...(views.length === 0 ? [] : nameless).map((name) =>
      warn(
        "certificate",
        `none names ${name}, so that clients cannot know that they reached it`,
        "have one issued with this name as DNS name or as URI sip:NAME (RFC 5922)",
      ),
    ),
  ]
}
