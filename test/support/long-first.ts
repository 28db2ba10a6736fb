/**
 * Files that take long begin first, so that no thread waits for another one's last file. Vitest itself knows only the sizes of files
 * where nothing has run before.
 */
import { BaseSequencer } from "vitest/node"
import type { TestSpecification } from "vitest/node"

/** In this order: those that mostly wait beside those that mostly compute. */
const long = [
  "app/package.e2e",
  "crash/hang.e2e",
  "adapters/store/private-server/take-over.int",
  "app/node/standby.e2e",
  "app/cli/beside.e2e",
  "scenarios/targets.e2e",
  "crash/kill.e2e",
  "app/node/rules-sources.e2e",
  "adapters/store/private-server/accounts.int",
  "crash/writers.e2e",
  "adapters/store/private-server/faults.int",
  "app/cli/client.e2e",
  "crash/rules-restart.e2e",
  "adapters/store/private-server/folders.int",
  "adapters/store/writer/writer.int",
  "properties/earlier-form.prop.int",
  "app/cli/start.e2e",
  "scenarios/publish.e2e",
  "properties/why.prop",
  "app/node/hard-state.e2e",
  "simulation/simulation",
  "app/node/outage.e2e",
].map((name) => `/test/${name}.test.ts`)

const placeOf = ({ moduleId }: TestSpecification): number => {
  const place = long.findIndex((name) => moduleId.endsWith(name))
  return place < 0 ? long.length : place
}

export class LongFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    return (await super.sort(files)).toSorted((first, second) => placeOf(first) - placeOf(second))
  }
}
