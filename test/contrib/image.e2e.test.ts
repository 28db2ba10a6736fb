/**
 * The Dockerfile: what it copies is there, its commands work, and what comes of it serves. No container is made: the
 * stages are acted out in folders, on this machine's Node.
 */
import assert from "node:assert/strict"
import { execFile, spawn } from "node:child_process"
import { once } from "node:events"
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from "node:fs"
import { tmpdir } from "node:os"
import { delimiter, dirname, join } from "node:path"
import { promisify } from "node:util"
import { describe, it } from "vitest"
import { settings } from "../../src/app/config/settings.ts"
import { builtPackage } from "../support/built-package.ts"
import { compileCache } from "../support/compile-cache.ts"
import { actOut, last, readCopy, readDockerfile } from "../support/dockerfile.ts"
import { freePort } from "../support/postgres.ts"
import { ofTests } from "../support/reaper.ts"
import { pause } from "../support/sip-client.ts"

const checkout = join(import.meta.dirname, "../..")
const stages = readDockerfile(readFileSync(join(checkout, "Dockerfile"), "utf8"))
const image = stages.at(-1)!

/** Without what `npm test` says of the package it runs in; `node` is the one that runs the tests. */
const environment = {
  ...compileCache,
  ...Object.fromEntries(
    Object.entries(process.env).filter(
      ([name]) => !/^(?:npm_(?!config_)|PRESENTLY_|NODE_OPTIONS$)/.test(name),
    ),
  ),
  PATH: [dirname(process.execPath), process.env["PATH"]].join(delimiter),
}

describe("the image", () => {
  it(
    "runs as nobody special, on the Node that the package asks for, and names the ports there are by default",
    { tags: ["OPS-image"] },
    () => {
      assert.deepEqual(
        stages.map(({ image: base }) => base),
        ["node:24-slim", "node:24-slim", "node:24-slim"],
      )
      assert.equal(last(image, "USER"), "node")
      const names = image.instructions.map(({ name }) => name)
      assert.ok(names.lastIndexOf("RUN") < names.indexOf("USER"))
      const port = /\d+$/.exec(settings.admin.default ?? "")?.[0]
      const sip = settings.listen.default.map((one) => one.replace(/^(\w+):.*:(\d+)$/, "$2/$1"))
      assert.deepEqual(last(image, "EXPOSE")?.split(" "), [...sip, `${port}/tcp`])
    },
  )

  it("what it copies is given to the build, and nothing else is", { tags: ["OPS-image"] }, () => {
    const given = readFileSync(join(checkout, ".dockerignore"), "utf8")
      .split("\n")
      .filter((line) => line !== "" && !line.startsWith("#"))
    assert.equal(given[0], "*")
    const copied = stages.flatMap(({ instructions }) =>
      instructions
        .filter(({ name }) => name === "COPY")
        .map(({ text }) => readCopy(text))
        .flatMap(({ from, sources }) => (from === null ? sources : [])),
    )
    for (const source of copied) assert.ok(existsSync(join(checkout, source)), source)
    assert.deepEqual(given.slice(1).sort(), [...new Set(copied)].map((source) => `!${source}`).sort())
  })

  it(
    "its commands work, it serves, and its check of health says so",
    { tags: ["OPS-image"] },
    async ({ onTestFinished }) => {
      const folder = mkdtempSync(join(tmpdir(), "presently-image-"))
      onTestFinished(() => rmSync(folder, { recursive: true, force: true, maxRetries: 5 }))
      const ran: string[] = []
      const root = await actOut(stages, {
        context: checkout,
        folder,
        run: async (stage, command, cwd, top) => {
          ran.push(command.replace(/ --.*/, ""))
          // all dependencies: those this test runs with
          if (stage === "build" && command.startsWith("npm ci")) {
            symlinkSync(join(checkout, "node_modules"), join(cwd, "node_modules"), "dir")
            return
          }
          // carried out once for all tests, with no more than what is copied before it
          if (stage === "build" && command === "npm run build") {
            cpSync(await builtPackage(), join(cwd, "dist"), { recursive: true })
            return
          }
          // packages of the base's distribution are the machine's own here
          if (command.startsWith("apt-get")) return
          const here = command.replaceAll(/ \/(?=var)/g, ` ${top}/`).replace(/ && chown .*/, "")
          await promisify(execFile)("/bin/sh", ["-c", here], { cwd, env: environment })
        },
      })
      assert.deepEqual(ran.slice(0, 3), ["npm ci", "npm ci", "npm run build"])
      const [program = "", main = "", ...rest] = JSON.parse(last(image, "ENTRYPOINT") ?? "[]") as string[]
      assert.deepEqual([program, rest], ["node", []])
      assert.deepEqual((JSON.parse(last(image, "CMD") ?? "[]") as string[])[0], "serve")
      const port = await freePort()
      const server = spawn(
        process.execPath,
        [
          join(root, main),
          "serve",
          "--memory",
          "--listen",
          "udp:127.0.0.1:0",
          "--admin",
          `127.0.0.1:${port}`,
        ],
        { cwd: join(root, last(image, "WORKDIR") ?? ""), env: environment, stdio: "ignore" },
      )
      ofTests(server)
      onTestFinished(() => void server.kill("SIGKILL"))
      const ended = once(server, "exit")

      const health = /CMD (\[.*\])$/.exec(last(image, "HEALTHCHECK") ?? "")?.[1] ?? "[]"
      const [checker = "", ...args] = JSON.parse(health) as string[]
      assert.equal(checker, "node")
      const at = (number: number): readonly string[] =>
        args.map((one) => one.replace(settings.admin.default ?? "", `127.0.0.1:${number}`))
      assert.notDeepEqual(at(port), args)
      const isWell = (number: number): Promise<boolean> =>
        promisify(execFile)(process.execPath, at(number), { env: environment }).then(
          () => true,
          () => false,
        )
      assert.equal(await isWell(await freePort()), false)
      while (!(await isWell(port))) {
        assert.equal(server.exitCode, null)
        await pause(50)
      }
      server.kill("SIGTERM")
      assert.deepEqual(await ended, [0, null])
    },
  )
})
