/**
 * What `presently dev --lan` prepares before the server starts: the address, the port and the accounts of phones, as defaults
 * of settings.
 */
import { mkdtempSync, rmSync } from "node:fs"
import { isIP } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Effect } from "effect"
import { LocalFailure } from "../client/failures.ts"
import { ConfigInvalid } from "../config/config.ts"
import type { Config } from "../config/config.ts"
import type { Given } from "../config/gather.ts"
import { hostPort, inBrackets } from "../config/host-port.ts"
import { AccountFileInvalid, phoneAccounts, writeUsers } from "./accounts.ts"
import type { PhoneAccount } from "./accounts.ts"
import { chooseAddress, defaultRouteAddress, freePort, localAddresses, portsInWords } from "./network.ts"
import type { LocalAddress } from "./network.ts"

export interface Phones {
  readonly address: string
  readonly port: number
  /** Other addresses of this machine. */
  readonly others: readonly LocalAddress[]
  readonly accounts: readonly PhoneAccount[]
  /** Where the accounts are kept. */
  readonly folder: string
  /** Settings that follow from all this. */
  readonly defaults: Given["defaults"]
}

/** Settings that `--lan` gives; whoever wants others does not want `--lan`. */
const own = ["listen", "users_file", "realm", "domain"] as const

/**
 * @param config as it would be without `--lan`
 * @param wanted the address that was asked for; null: that of the default route
 */
export const preparePhones = Effect.fnUntraced(function* (config: Config, wanted: string | null) {
  const given = own.filter((name) => config.sources[name] !== "default")
  if (given.length > 0) {
    return yield* new ConfigInvalid({
      faults: given.map(
        (name) =>
          `${name} (${config.sources[name]}): --lan gives this setting itself: leave one of the two out`,
      ),
    })
  }
  const choice = chooseAddress(wanted, yield* Effect.promise(defaultRouteAddress), localAddresses())
  if (choice._tag === "None") return yield* new ConfigInvalid({ faults: [choice.why] })
  const { address, others } = choice
  const port = yield* Effect.tryPromise({
    try: () => freePort(address),
    catch: (cause) => new LocalFailure({ what: `--lan: ${address} cannot be listened on`, cause }),
  })
  if (port === null) {
    return yield* new ConfigInvalid({
      faults: [`--lan: no port of ${address} is free among ${portsInWords}: stop what uses them`],
    })
  }
  const folder = yield* folderFor(config)
  const host = inBrackets(address)
  // colons separate the fields of the file of users
  const realm = isIP(address) === 6 ? "presently" : address
  const { accounts, usersFile } = yield* Effect.try({
    try: () => {
      const kept = phoneAccounts(folder)
      return { accounts: kept, usersFile: writeUsers(folder, kept, realm, host) }
    },
    catch: (cause) =>
      cause instanceof AccountFileInvalid
        ? new ConfigInvalid({ faults: [`--lan: ${cause.message}`] })
        : new LocalFailure({ what: `--lan: accounts cannot be kept in ${folder}`, cause }),
  })
  const defaults: Given["defaults"] = {
    listen: [`udp:${hostPort(address, port)}`, `tcp:${hostPort(address, port)}`],
    domain: [host],
    realm,
    users_file: usersFile,
    digest_md5: true,
    // some phones (baresip 1.0) give up when they read of SHA-256, and MD5 is what RFC 3261 §22.4 asks of all; that it is weak is made up for by the length of passwords
    digest_md5_only: true,
    no_rules: "allow",
  }
  const phones: Phones = { address, port, others, accounts, folder, defaults }
  return phones
})

/** In the data folder; for a server that keeps nothing, in a folder that is removed at its end. */
export const folderFor = ({ data, memory }: Config) =>
  memory || data === null
    ? Effect.acquireRelease(
        Effect.sync(() => mkdtempSync(join(tmpdir(), "presently-phones-"))),
        (folder) => Effect.sync(() => rmSync(folder, { recursive: true, force: true })),
      )
    : Effect.succeed(join(data, "phones"))
