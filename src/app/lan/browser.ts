/**
 * What `presently dev` prepares for phones in browsers and phones over TLS: listeners, and a certificate of its own.
 */
import { join } from "node:path"
import { Effect } from "effect"
import { isWildcard } from "../../adapters/sip/transports/local-address.ts"
import { secureNames } from "../../adapters/sip/transports/names.ts"
import { LocalFailure } from "../client/failures.ts"
import type { Config } from "../config/config.ts"
import type { Given } from "../config/gather.ts"
import { hostPort } from "../config/host-port.ts"
import { localAddresses } from "./network.ts"
import { ownCertificate } from "./own-certificate.ts"
import { folderFor } from "./phones.ts"

/** Ports of `dev --browser`: that of SIP over TLS, and two that are usually free and above 1023. */
const ports = { tls: 5_061, ws: 5_066, wss: 7_443 } as const

/** The addresses listened on, and those for browsers beside them. */
export const browserListen = ({ listen }: Config): readonly string[] => {
  const written = listen.map(({ transport, host, port }) => `${transport}:${hostPort(host, port)}`)
  const hosts = [...new Set(listen.map(({ host }) => host))]
  return [
    ...written,
    ...hosts.flatMap((host) =>
      Object.entries(ports).map(([transport, port]) => `${transport}:${hostPort(host, port)}`),
    ),
  ]
}

/**
 * Settings for a certificate that is missing; none if nothing listens over TLS, or a certificate is given.
 *
 * @param config as it would be without
 */
export const certificateDefaults = Effect.fnUntraced(function* (config: Config) {
  const secured: readonly { readonly host: string }[] = [
    ...config.listen.filter(({ transport }) => secureNames.includes(transport)),
    ...(config.admin?.isSecure === true ? [config.admin] : []),
  ]
  if (secured.length === 0 || config.tls_certificate.length > 0) return {} satisfies Given["defaults"]
  const hosts = secured.flatMap(({ host }) =>
    isWildcard(host) ? localAddresses().map(({ address }) => address) : [host],
  )
  const names = [...new Set(["localhost", "127.0.0.1", ...hosts, ...config.domain])]
  const folder = yield* folderFor(config)
  const { file } = yield* Effect.tryPromise({
    try: () =>
      ownCertificate(
        folder,
        names.filter((name) => !name.startsWith("[")),
      ),
    catch: (cause) =>
      new LocalFailure({
        what: `a certificate cannot be made in ${join(folder)}: give tls_certificate = FILE`,
        cause,
      }),
  })
  const defaults: Given["defaults"] = { tls_certificate: [file] }
  return defaults
})

/** What to type into a phone in a browser; empty if nothing listens for any. */
export const browserLines = (addresses: readonly string[]): readonly string[] => {
  const at = (name: string): string | undefined =>
    addresses.find((address) => address.startsWith(`${name}:`))?.slice(name.length + 1)
  const [plain, secure] = [at("ws"), at("wss")]
  return [
    ...(plain === undefined && secure === undefined ? [] : ["For a phone in a browser (JsSIP, SIP.js):"]),
    ...(plain === undefined ? [] : [`  ws://${plain}   in pages that came over http://`]),
    ...(secure === undefined
      ? []
      : [
          `  wss://${secure}  in every page, once you have opened https://${secure} and accepted its certificate`,
        ]),
  ]
}
