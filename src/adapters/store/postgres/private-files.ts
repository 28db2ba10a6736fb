/**
 * A folder of this machine for PGlite, with files for their owner alone.
 *
 * The database asks for files that everybody may read and write, and says so again once they are there, so that no umask
 * helps; and a thread has none of its own. So what it asks for is narrowed where it asks.
 */
import { NodeFS } from "@electric-sql/pglite/nodefs"
import { beyondOwner } from "./private-folder.ts"

interface Attributes {
  mode?: number
}

interface FileNode {
  readonly mode: number
}

/** What of Emscripten's file system on that of Node makes files and gives them modes. */
interface HostFiles {
  readonly node_ops: {
    mknod: (parent: FileNode, name: string, mode: number, device: number) => FileNode
    setattr: (node: FileNode, attributes: Attributes) => void
  }
  readonly stream_ops: {
    setattr?: (stream: unknown, attributes: Attributes) => void
  }
}

const narrowed = (mode: number): number => mode & ~beyondOwner

export class PrivateFiles extends NodeFS {
  override async init(...given: Parameters<NodeFS["init"]>): ReturnType<NodeFS["init"]> {
    const { emscriptenOpts } = await super.init(...given)
    const narrow = (module: unknown): void => {
      const { node_ops: nodes, stream_ops: streams } = (module as { readonly NODEFS: HostFiles }).NODEFS
      const { mknod, setattr } = nodes
      nodes.mknod = (parent, name, mode, device) => mknod(parent, name, narrowed(mode), device)
      const narrowing =
        <T>(set: (of: T, attributes: Attributes) => void) =>
        (of: T, attributes: Attributes): void =>
          set(
            of,
            attributes.mode === undefined ? attributes : { ...attributes, mode: narrowed(attributes.mode) },
          )
      nodes.setattr = narrowing(setattr)
      if (streams.setattr !== undefined) streams.setattr = narrowing(streams.setattr)
    }
    return { emscriptenOpts: { ...emscriptenOpts, preRun: [narrow, ...(emscriptenOpts.preRun ?? [])] } }
  }
}
