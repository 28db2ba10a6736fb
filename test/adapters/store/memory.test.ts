import { makeMemoryStore } from "../../../src/adapters/store/memory.ts"
import { describeStore } from "../../support/store-contract.ts"

const store = makeMemoryStore()
describeStore("memory", () => store)
