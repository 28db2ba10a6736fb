/**
 * Parses a Dockerfile, and carries out its stages in folders: COPY copies, RUN runs.
 */
import { cpSync, existsSync, mkdirSync } from "node:fs"
import { basename, join, resolve } from "node:path"

export interface Instruction {
  readonly name: string
  readonly text: string
}

export interface Stage {
  /** The name after AS, or its number. */
  readonly name: string
  readonly image: string
  readonly instructions: readonly Instruction[]
}

/** Without comments; a line that ends with a backslash continues on the next. */
export const readDockerfile = (text: string): readonly Stage[] => {
  const stages: { name: string; image: string; instructions: Instruction[] }[] = []
  const lines = text.replaceAll(/^\s*#.*\n/gm, "").replaceAll(/\\\n/g, " ")
  for (const line of lines.split("\n")) {
    const [, name = "", rest = ""] = /^([A-Z]+)\s+(.*)$/.exec(line.trim()) ?? []
    if (name === "FROM") {
      const [image = "", , as = `${stages.length}`] = rest.split(/\s+/)
      stages.push({ name: as, image, instructions: [] })
    } else if (name !== "") stages.at(-1)?.instructions.push({ name, text: rest })
    else if (line.trim() !== "") throw new Error(`no instruction: ${line}`)
  }
  return stages
}

/** The last instruction with that name; null: there is none. */
export const last = (stage: Stage, name: string): string | null =>
  stage.instructions.findLast((instruction) => instruction.name === name)?.text ?? null

export interface Copying {
  /** The stage to copy from; null: the build context. */
  readonly from: string | null
  readonly sources: readonly string[]
  readonly target: string
}

export const readCopy = (text: string): Copying => {
  const [, from = null, paths = text] = /^--from=(\S+)\s+(.*)$/.exec(text) ?? []
  const each = paths.split(/\s+/)
  return { from, sources: each.slice(0, -1), target: each.at(-1) ?? "" }
}

export interface Acting {
  /** The build context. */
  readonly context: string
  /** Each stage has a folder with its name here as its root. */
  readonly folder: string
  /** Carries out RUN in that folder. */
  readonly run: (stage: string, command: string, cwd: string, root: string) => Promise<void>
}

/** @returns the root of the last stage */
export const actOut = async (stages: readonly Stage[], { context, folder, run }: Acting): Promise<string> => {
  let root = ""
  for (const stage of stages) {
    root = join(folder, stage.name)
    let cwd = root
    for (const { name, text } of stage.instructions) {
      if (name === "WORKDIR") cwd = join(root, text)
      mkdirSync(cwd, { recursive: true })
      if (name === "COPY") {
        const { from, sources, target } = readCopy(text)
        const to = target.startsWith("/") ? join(root, target) : resolve(cwd, target)
        for (const source of sources) {
          const path = from === null ? join(context, source) : join(folder, from, source)
          if (!existsSync(path)) throw new Error(`COPY ${text}: there is no ${path}`)
          // a folder's contents, a file into a folder
          const isInto = sources.length > 1 || target.endsWith("/")
          cpSync(path, isInto ? join(to, basename(source)) : to, { recursive: true, verbatimSymlinks: true })
        }
      }
      if (name === "RUN") await run(stage.name, text, cwd, root)
    }
  }
  return root
}
