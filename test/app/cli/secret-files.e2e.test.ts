/**
 * Files with secrets, and with what people said, that commands write: for their owner alone, whoever was there before.
 */
import assert from "node:assert/strict"
import {
  chmodSync,
  closeSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Effect } from "effect"
import fc from "fast-check"
import { describe, it } from "vitest"
import type { TestContext } from "vitest"
import { openSink } from "../../../src/app/case/export-case.ts"
import { narrowOutput } from "../../../src/app/cli/secret-output.ts"
import { readConfig } from "../../../src/app/config/config.ts"
import { dataFolder } from "../../../src/app/doctor/machine.ts"
import { anySteps } from "../../support/arbitraries.ts"
import { caseLines } from "../../support/case.ts"
import { play } from "../../support/history.ts"
import { worlds } from "../../support/machine.ts"
import { runHere, start } from "./command.ts"

const folderOf = ({ onTestFinished }: TestContext): string => {
  const folder = mkdtempSync(join(tmpdir(), "presently-secret-"))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

const modeOf = (path: string): number => lstatSync(path).mode & 0o7777

describe.skipIf(process.getuid === undefined)("what commands write", () => {
  it("OPS-seal-key OPS-config: keys and passwords are for their owner, a public key and settings without a password for all", async (context) => {
    const folder = folderOf(context)
    const file = (name: string): string => join(folder, name)
    const good = async (...args: readonly string[]): Promise<void> => {
      const { code, stderr } = await runHere(args)
      assert.deepEqual([code, stderr], [0, ""], args.join(" "))
    }
    const script = file("opensips.cfg")
    writeFileSync(
      script,
      'modparam("presence", "db_url", "postgres://presently:sesame@127.0.0.1/presently")\n',
    )
    await good("seal-key", file("seal.pem"))
    await good(
      "init",
      file("with.yaml"),
      "--database-url",
      "postgres://u:sesame@127.0.0.1/x",
      "--domain",
      "example.com",
      "--listen",
      "udp:127.0.0.1:5060",
    )
    await good("init", file("without.yaml"), "--data", file("data"), "--listen", "udp:127.0.0.1:5060")
    await good("config", "import", script, "-o", file("imported.yaml"))
    const modes = ["seal.pem", "seal.pem.pub", "with.yaml", "without.yaml", "imported.yaml"].map((name) => [
      name,
      modeOf(file(name)).toString(8),
      readFileSync(file(name), "utf8").includes("sesame"),
    ])
    assert.deepEqual(modes, [
      ["seal.pem", "600", false],
      ["seal.pem.pub", "644", false],
      ["with.yaml", "600", true],
      ["without.yaml", "644", false],
      ["imported.yaml", "600", true],
    ])
  })

  it(
    "what was left of an export, or put in its way, is not written into",
    { tags: ["OPS-export"] },
    async (context) => {
      const folder = folderOf(context)
      const exported = (name: string): Promise<number> =>
        Effect.runPromise(
          openSink(join(folder, name)).pipe(
            Effect.map((sink) => {
              sink.write("what somebody published\n")
              return sink.finish()
            }),
            Effect.scoped,
          ),
        )
      writeFileSync(join(folder, "a.part"), "what an export that was killed left", { mode: 0o666 })
      chmodSync(join(folder, "a.part"), 0o666)
      const reader = openSync(join(folder, "a.part"), "r")
      context.onTestFinished(() => closeSync(reader))
      writeFileSync(join(folder, "theirs"), "")
      symlinkSync(join(folder, "theirs"), join(folder, "b.part"))
      for (const name of ["a", "b"]) {
        assert.equal(await exported(name), 24)
        assert.equal(modeOf(join(folder, name)), 0o600)
        assert.equal(readFileSync(join(folder, name), "utf8"), "what somebody published\n")
        assert.ok(!existsSync(join(folder, `${name}.part`)))
      }
      // neither through what was open before, nor through the link
      assert.equal(readFileSync(reader, "utf8"), "what an export that was killed left")
      assert.equal(readFileSync(join(folder, "theirs"), "utf8"), "")
    },
  )

  it(
    "a capture file is for its owner, and nobody's file is written over",
    { tags: ["OPS-ladder"] },
    async (context) => {
      const folder = folderOf(context)
      const file = join(folder, "one.case")
      const [steps = []] = fc.sample(anySteps, { numRuns: 1, seed: 3 })
      writeFileSync(file, caseLines(play(worlds[0]!, steps)).join(""))
      const capture = join(folder, "one.pcap")
      const made = await runHere(["ladder", file, "--pcap", capture])
      assert.deepEqual([made.code, made.stderr, modeOf(capture).toString(8)], [0, "", "600"])
      assert.equal((await runHere(["ladder", file, "--pcap", capture])).code, 74)
    },
  )

  it(
    "a file that the shell has just made for a secret is narrowed, one that was there is not",
    { tags: ["OPS-users_file", "OPS-admin_tokens_file"] },
    async (context) => {
      const folder = folderOf(context)
      const asked = (name: string, text: string, mode: number): readonly [string | null, string] => {
        const file = join(folder, name)
        writeFileSync(file, text)
        chmodSync(file, mode)
        const descriptor = openSync(file, "a")
        try {
          return [narrowOutput(descriptor), modeOf(file).toString(8)]
        } finally {
          closeSync(descriptor)
        }
      }
      assert.deepEqual(asked("new", "", 0o644), [null, "600"])
      assert.deepEqual(asked("newer", "", 0o666), [null, "600"])
      assert.deepEqual(asked("grouped", "", 0o640), [null, "640"])
      assert.deepEqual(asked("own", "a line\n", 0o600), [null, "600"])
      const [advice, mode] = asked("open", "a line\n", 0o644)
      assert.match(advice ?? "", /every account of this machine can read, .*: chmod 640 it$/)
      assert.equal(mode, "644")
      assert.equal(narrowOutput(-1), null)
    },
  )
})

describe.skipIf(process.getuid === undefined)("a data folder that other accounts can read", () => {
  const checked = (data: string): readonly string[] =>
    dataFolder(readConfig({ flags: {}, set: [], env: {}, file: null, defaults: { data } })).map(
      ({ status, detail, fix }) => `${status} ${detail}; ${fix}`,
    )

  it("doctor says so, and what to do", { tags: ["OPS-data"] }, (context) => {
    const place = folderOf(context)
    const folder = join(place, "data")
    assert.equal(checked(folder).length, 1)
    mkdirSync(folder, { mode: 0o755 })
    chmodSync(folder, 0o755)
    assert.match(
      checked(folder)[0] ?? "",
      /^warn other accounts can enter .* \(mode 0755\).*; the next start narrows them; chmod -R go= .* does so at once$/,
    )
    chmodSync(folder, 0o700)
    assert.equal(checked(folder)[0], `ok ${folder} is its owner's alone; null`)
    writeFileSync(join(folder, "letters"), "")
    chmodSync(folder, 0o750)
    assert.match(checked(folder)[0] ?? "", /^bad data = .*; other accounts can read it .*: chmod 700 /)
    assert.equal(statSync(folder).mode & 0o777, 0o750)
  })

  it(
    "serve does not start on one that cannot be closed: one line, exit code 78",
    { tags: ["OPS-data"] },
    async (context) => {
      const folder = folderOf(context)
      writeFileSync(join(folder, "letters"), "")
      chmodSync(folder, 0o755)
      const args = ["--data", folder, "--admin", "off", "--listen", "udp:127.0.0.1:0"]
      const { code, stderr } = await start(["serve", ...args]).ended
      assert.equal(code, 78)
      assert.match(
        stderr,
        /^presently: data = [^\n]*: other accounts can read it \(mode 0755\), and it holds other things [^\n]*: chmod 700 [^\n]*\n$/,
      )
      assert.equal(modeOf(folder), 0o755)
    },
  )
})
