/**
 * Accounts for phones, made on the spot and kept in the data folder: a file for each, `201.password`, with the password on its
 * first line.
 *
 * The password itself is kept, because a person has to type it into a phone, and because the hashes in the file of users
 * depend on the realm, which is the machine's address and may be another one tomorrow.
 */
import { randomInt } from "node:crypto"
import { chmodSync, mkdirSync, readFileSync, readdirSync, renameSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import type { Uri } from "../../domain/vocabulary.ts"
import { userLine } from "../config/users.ts"

export interface PhoneAccount {
  readonly user: string
  readonly password: string
  /** Path of the file that holds the password. */
  readonly file: string
}

/** Why a file of an account cannot be used, in one line with what to do. */
export class AccountFileInvalid extends Error {}

/** Made when they are missing. To give one of them a new password, delete its file. */
const usual = ["201", "202", "203"] as const

const ending = ".password"

/** Lower-case letters, for the first keyboard that a phone shows, without those that are mistaken for another or for a digit. */
const letters = "abcdefghjkmnpqrstuvwxyz"

/** 23^14 passwords, 63 bits: whoever hears a digest response cannot try them all. */
const passwordLength = 14

const newPassword = (): string =>
  Array.from({ length: passwordLength }, () => letters[randomInt(letters.length)]).join("")

/**
 * The accounts kept in a folder, which is made when it is missing. Files and folder are readable for their owner only.
 *
 * @throws AccountFileInvalid; the error of the system when the folder cannot be used
 */
export const phoneAccounts = (folder: string): readonly PhoneAccount[] => {
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  chmodSync(folder, 0o700)
  const present = readdirSync(folder).filter((name) => name.endsWith(ending))
  for (const user of usual) {
    if (!present.includes(`${user}${ending}`)) writePrivately(join(folder, `${user}${ending}`), newPassword())
  }
  const users = new Set([...usual, ...present.map((name) => name.slice(0, -ending.length))])
  return [...users].toSorted().map((user) => readAccount(user, join(folder, `${user}${ending}`)))
}

const readAccount = (user: string, file: string): PhoneAccount => {
  // what `userLine` and the user part of a URI take without escapes (RFC 3261 §25.1)
  if (!/^[A-Za-z0-9_.+-]{1,64}$/.test(user)) {
    throw new AccountFileInvalid(`${file}: ${user} is no name of an account: use letters, digits and . _ + -`)
  }
  chmodSync(file, 0o600)
  const password = readFileSync(file, "utf8").split(/\r?\n/)[0] ?? ""
  if (!/^[\x21-\x7e]+$/.test(password)) {
    throw new AccountFileInvalid(
      `${file}: expected a password on the first line, letters, digits and signs without blanks: write one, or delete the file`,
    )
  }
  return { user, password, file }
}

/**
 * Writes the file of users for these accounts (setting `users_file`), for phones that know SHA-256 and for those that know
 * MD5 only.
 *
 * @param host of their addresses, as in a URI
 * @returns its path
 */
export const writeUsers = (
  folder: string,
  accounts: readonly PhoneAccount[],
  realm: string,
  host: string,
): string => {
  // a server at another address keeps its own, also one that is refused because this folder is in use
  const file = join(folder, `users-${host.replaceAll(/[^0-9A-Za-z.]+/g, "_")}`)
  const lines = accounts.flatMap(({ user, password }) =>
    (["SHA-256", "MD5"] as const).map((algorithm) =>
      userLine(user, realm, password, algorithm, `sip:${user}@${host}` as Uri),
    ),
  )
  writePrivately(file, ["# made at each start of presently dev --lan", ...lines].join("\n"))
  return file
}

/** Written beside its place and moved there whole, so that no crash leaves half a file. */
const writePrivately = (file: string, text: string): void => {
  const half = `${file}.new`
  writeFileSync(half, `${text}\n`, { mode: 0o600 })
  chmodSync(half, 0o600)
  renameSync(half, file)
}
