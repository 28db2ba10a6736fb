/**
 * What `presently dev --lan` prints: what to type into a phone, and what to try next.
 */
import type { Config } from "../config/config.ts"
import { hostPort, inBrackets } from "../config/host-port.ts"
import { bannerHead } from "../dev-banner.ts"
import type { Introduced } from "../dev-banner.ts"
import { invocation } from "../invocation.ts"
import { shellWord } from "../shell-word.ts"
import type { PhoneAccount } from "./accounts.ts"
import { inWords, isPublic } from "./network.ts"
import type { Phones } from "./phones.ts"
import { drawCodes } from "./qr.ts"
import type { TerminalTraits } from "./qr.ts"

/** @param terminal null: no QR codes */
export const phonesBanner = async (
  config: Config,
  server: Introduced,
  phones: Phones,
  terminal: TerminalTraits | null,
): Promise<string> => {
  const { accounts, address, folder, others } = phones
  const place = placeOf(phones)
  const codes =
    terminal === null
      ? []
      : await drawCodes(
          accounts.map((account) => ({
            caption: `  account ${account.user}`,
            text: accountText(account, place),
          })),
          terminal,
        )
  return [
    ...bannerHead(config, server, "phones on this network", `${accounts.length} accounts, kept in ${folder}`),
    ...(isPublic(address)
      ? [`${address} is a public address: the whole Internet can try passwords here`]
      : []),
    `What a phone asks for (transport UDP or TCP, no proxy):`,
    ...accountTable(accounts, place),
    ...(codes.length === 0 ? [] : [`The same as text, for a camera to copy from:`, ...codes]),
    ...(others.length === 0
      ? []
      : [`Other addresses of this machine, which --lan ADDRESS chooses: ${others.map(inWords).join(", ")}`]),
    ...nextSteps(server, phones),
  ].join("\n")
}

/** What to type as server: the port only where it is not the one that phones presume. */
const placeOf = ({ address, port }: Pick<Phones, "address" | "port">): string =>
  port === 5060 ? inBrackets(address) : hostPort(address, port)

/** The three fields as a camera shows them. */
export const accountText = ({ user, password }: PhoneAccount, place: string): string =>
  `User: ${user}\nPassword: ${password}\nServer: ${place}`

const accountTable = (accounts: readonly PhoneAccount[], place: string): readonly string[] => {
  const rows = [
    ["user", "password", "server"],
    ...accounts.map(({ user, password }) => [user, password, place]),
  ]
  const widths = [0, 1].map((column) => Math.max(...rows.map((row) => row[column]!.length)))
  return rows.map(
    ([user = "", password = "", server = ""]) =>
      `  ${user.padEnd(widths[0]!)}  ${password.padEnd(widths[1]!)}  ${server}`,
  )
}

const nextSteps = ({ admin }: Pick<Introduced, "admin">, phones: Phones): readonly string[] => {
  const { accounts, address, port } = phones
  const command = invocation()
  const [publisher, watcher = publisher] = accounts
  if (publisher === undefined || watcher === undefined) return []
  const uriOf = ({ user }: PhoneAccount): string => `sip:${user}@${inBrackets(address)}`
  const as = ({ user, file }: PhoneAccount): string =>
    `--to ${hostPort(address, port)} --user ${user} --password-file ${shellWord(file)}`
  const asked = admin === null ? null : new URL(admin).host
  const adminFlag = asked === "127.0.0.1:5080" ? "" : ` --admin ${asked}`
  return [
    `Accounts may watch each other. With two phones: let ${publisher.user} share its presence, and add ${uriOf(publisher)} to the contacts of ${watcher.user}.`,
    `With one phone or none, from a second terminal:`,
    `  ${command} watch ${as(watcher)} ${uriOf(publisher)} &`,
    `  ${command} publish ${as(publisher)} ${uriOf(publisher)} --open --note "hello"`,
    ...(asked === null
      ? []
      : [
          `  ${command} why${adminFlag} ${uriOf(publisher)} --watcher ${uriOf(watcher)}`,
          `  ${command} history${adminFlag} ${uriOf(publisher)}`,
        ]),
    `Busy lamps (the package dialog) light once somebody publishes calls here, as a PBX does.`,
  ]
}
