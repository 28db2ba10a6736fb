/**
 * `presently/testing`: for those who write event packages, event stores or clients, or build on the core. Works in any test
 * framework.
 */
export { lawsOf, packageLaws } from "./package-laws.ts"
export { makeGiven, notifyInShort } from "./given.ts"
export { simulate, SimulationFailed } from "./simulator.ts"
export { storeContract } from "./store-contract.ts"
export { startVirtualServer, virtualClock } from "./virtual-time.ts"
export type { PackageLaw, PackageLawsOptions } from "./package-laws.ts"
export type { Decided, Fact, GivenOptions, Standing, World } from "./given.ts"
export type { Happening, Simulation, SimulationOptions } from "./simulator.ts"
export type { Universe } from "./simulated-requests.ts"
export type { StoreCase } from "./store-contract.ts"
export type { VirtualClock, VirtualServer } from "./virtual-time.ts"
