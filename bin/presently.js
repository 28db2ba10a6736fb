#!/usr/bin/env node
// The command: the built program where there is one, its source in a checkout.
import { existsSync } from "node:fs"
import { enableCompileCache } from "node:module"

enableCompileCache()
const built = new URL("../dist/app/main.js", import.meta.url)
const source = new URL("../src/app/main.ts", import.meta.url)
await import((existsSync(built) ? built : source).href)
