import { makeMemoryStore } from "../../../src/adapters/store/memory.ts"
import { eventStoreContract } from "./event-store-contract.ts"

const store = makeMemoryStore()
eventStoreContract("memory", (use) => use(store))
