#!/usr/bin/env node
// The command. CommonJS, as its bundle is: Node starts it without its loader of ES modules, which costs 20 ms.
const { existsSync } = require("node:fs")
const { join } = require("node:path")
const { readyText } = require("./ready-text.js")

const [needed] = /\d+\.\d+/.exec(require("../package.json").engines.node)
const [neededMajor, neededMinor] = needed.split(".").map(Number)
const [major, minor] = process.versions.node.split(".").map(Number)
if (major < neededMajor || (major === neededMajor && minor < neededMinor)) {
  const how = `in a checkout after \`npm ci\`, \`npx presently\` brings its own; elsewhere install Node ${needed}`
  console.error(`presently: needs Node ${needed} or newer, this is ${process.versions.node}: ${how}`)
  process.exit(78)
}
const args = process.argv.slice(2)
// a server reads its files again on a hangup; until it is there to do so, it reads them anyway
if (["serve", "dev"].includes(args[0])) process.on("SIGHUP", () => {})

const source = join(__dirname, "../src/app/main.ts")
const isCheckout = existsSync(source)

/** In a checkout made of the present sources; null: it cannot be made here. */
const findBundle = () => {
  if (!isCheckout) return join(__dirname, "../dist/command")
  const { bundleFolder } = require("./checkout-bundle.js")
  return bundleFolder()
}

const folder = findBundle()
const text = folder === null ? null : readyText(folder, args)
if (text === null) {
  const { enableCompileCache } = require("./compile-cache.js")
  enableCompileCache(isCheckout ? folder : null)
  if (folder === null) void import(source)
  else require(join(folder, "main.cjs"))
} else {
  // the reader of our output may close it early
  process.stdout.on("error", () => {})
  process.stdout.write(text)
}
