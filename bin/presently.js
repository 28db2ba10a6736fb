#!/usr/bin/env node
// The command: its source in a checkout, whatever was built there; the built program in the package, which has no source.
import { existsSync } from "node:fs"
import module from "node:module"

const [major] = process.versions.node.split(".")
if (Number(major) < 24) {
  const how = "in a checkout `npx presently` brings its own; elsewhere install Node 24"
  console.error(`presently: needs Node 24 or newer, this is ${process.versions.node}: ${how}`)
  process.exit(78)
}
// a server reads its files again on a hangup; until it is there to do so, it reads them anyway
if (["serve", "dev"].includes(process.argv[2])) process.on("SIGHUP", () => {})
module.enableCompileCache()
const built = new URL("../dist/app/main.js", import.meta.url)
const source = new URL("../src/app/main.ts", import.meta.url)
await import((existsSync(source) ? source : built).href)
