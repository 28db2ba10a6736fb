/**
 * The unit for systemd: systemd understands all of it, and its command starts the server and ends it in time.
 */
import assert from "node:assert/strict"
import { spawnSync } from "node:child_process"
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { describe, it } from "vitest"
import { exitCodes } from "../../src/app/exit-codes.ts"
import { fileOf, patient, start } from "../app/cli/command.ts"

const checkout = join(import.meta.dirname, "../..")
const unit = readFileSync(join(checkout, "contrib/presently.service"), "utf8")

const valueOf = (key: string): string => new RegExp(`^${key}=(.*)$`, "m").exec(unit)?.[1] ?? ""

/** What the comments offer counts as well. */
const inFull = unit.replaceAll(/^#(?=LoadCredential=|Environment=)/gm, "")

const hasSystemd = spawnSync("systemd-analyze", ["--version"]).status === 0

describe("the unit for systemd", () => {
  it.skipIf(!hasSystemd)(
    "systemd knows every key and value of it, and it may do little",
    { tags: ["OPS-service"] },
    (context) => {
      const folder = mkdtempSync(join(tmpdir(), "presently-unit-"))
      context.onTestFinished(() => rmSync(folder, { recursive: true }))
      const file = join(folder, "presently.service")
      writeFileSync(file, inFull.replace("ExecStart=presently", `ExecStart=${checkout}/bin/presently.js`))
      const analyze = (...args: readonly string[]) =>
        spawnSync("systemd-analyze", ["--man=no", ...args, file], { encoding: "utf8" })
      const { status, stdout, stderr } = analyze("verify")
      assert.deepEqual([status, stdout, stderr], [0, "", ""])
      // of ten
      assert.equal(analyze("security", "--offline=yes", "--threshold=20").status, 0)
      writeFileSync(file, `${readFileSync(file, "utf8")}[Service]\nProtectClocks=yes\n`)
      assert.match(analyze("verify").stderr, /ProtectClocks/)
    },
  )

  it(
    "its command starts a server, which ends with 0 when it is told to",
    { ...patient, tags: ["OPS-service"] },
    async (context) => {
      const [command, ...args] = valueOf("ExecStart").split(" ")
      assert.deepEqual([command, args.at(-1)], ["presently", "/etc/presently/presently.yaml"])
      const file = fileOf(
        context,
        "presently.yaml",
        "memory: true\nlisten: [udp:127.0.0.1:0]\nadmin: off\nlog: json\n",
      )
      const server = start([...args.slice(0, -1), file])
      await server.says(/ready in \d/)
      server.signal("SIGTERM")
      assert.equal((await server.ended).code, 0)
    },
  )

  it(
    "is not started again for what starting again does not mend, and is given the ten seconds of its stop",
    { tags: ["OPS-service"] },
    () => {
      assert.equal(valueOf("Restart"), "on-failure")
      assert.equal(valueOf("ExecReload"), "kill -HUP $MAINPID")
      const codes = valueOf("RestartPreventExitStatus").split(" ").map(Number)
      assert.deepEqual(codes, [exitCodes.usage, exitCodes.config])
      assert.ok(Number(valueOf("TimeoutStopSec")) > 10)
    },
  )
})
