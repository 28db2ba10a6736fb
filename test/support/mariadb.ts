/**
 * A MariaDB server for the tests: private files in a temporary folder, a free port. Null if the machine has none.
 */
import { execFileSync, spawn } from "node:child_process"
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { connect } from "node:net"
import { tmpdir, userInfo } from "node:os"
import { join } from "node:path"
import { freePort } from "./postgres.ts"
import { endWithTests, ofTests } from "./reaper.ts"

export interface MariaDb {
  /** URL of an empty database. */
  readonly url: string
  readonly remove: () => void
}

const server = ["/usr/sbin/mariadbd", "/usr/libexec/mariadbd"].find((file) => existsSync(file)) ?? null

export const startMariaDb = async (): Promise<MariaDb | null> => {
  if (server === null || !existsSync("/usr/bin/mariadb-install-db")) return null
  const folder = mkdtempSync(join(tmpdir(), "presently-mariadb-"))
  const data = join(folder, "data")
  const user = userInfo().username
  execFileSync("/usr/bin/mariadb-install-db", [
    "--no-defaults",
    `--datadir=${data}`,
    `--user=${user}`,
    "--auth-root-authentication-method=normal",
    "--skip-test-db",
    "--innodb-log-file-size=8M",
  ])
  const init = join(folder, "init.sql")
  writeFileSync(
    init,
    // one statement on each line
    [
      "CREATE DATABASE opensips;",
      "CREATE USER tester@'127.0.0.1' IDENTIFIED BY 'secret';",
      "GRANT ALL ON opensips.* TO tester@'127.0.0.1';\n",
    ].join("\n"),
  )
  const port = await freePort()
  const isOver = endWithTests({ kind: "folder", path: folder })
  const child = spawn(
    server,
    [
      "--no-defaults",
      `--datadir=${data}`,
      `--user=${user}`,
      `--port=${port}`,
      "--bind-address=127.0.0.1",
      "--skip-name-resolve",
      "--innodb-buffer-pool-size=16M",
      `--socket=${join(folder, "socket")}`,
      `--pid-file=${join(folder, "pid")}`,
      `--init-file=${init}`,
    ],
    { stdio: "ignore" },
  )
  ofTests(child)
  const remove = (): void => {
    child.kill("SIGKILL")
    rmSync(folder, { recursive: true, force: true, maxRetries: 20, retryDelay: 50 })
    isOver()
  }
  for (let waited = 0; !(await answers(port)); waited += 100) {
    if (child.exitCode !== null || waited > 20_000) {
      remove()
      throw new Error("mariadbd does not start")
    }
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
  return { url: `mysql://tester:secret@127.0.0.1:${port}/opensips`, remove }
}

const answers = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1")
    socket.once("error", () => resolve(false))
    socket.once("data", () => {
      socket.destroy()
      resolve(true)
    })
  })
