// Help, version and completions never change between builds: the build writes them down (`build/texts.ts`), and printing
// them then loads nothing else.
const { readFileSync } = require("node:fs")
const { join } = require("node:path")

const isSet = (value) => value !== undefined && value !== ""

/** The rules of the command line's own output: https://no-color.org, and FORCE_COLOR. */
const mayColor = ({ TERM, NO_COLOR, FORCE_COLOR }) =>
  TERM !== "dumb" &&
  !isSet(NO_COLOR) &&
  ((isSet(FORCE_COLOR) && !["0", "false"].includes(FORCE_COLOR.toLowerCase())) ||
    process.stdout.isTTY === true)

/** What the command prints for these arguments; null: it must be run for that. */
exports.readyText = (folder, args) => {
  const [last = ""] = args.slice(-1)
  const isAsked = ["--help", "-h", "--version", "-v"].includes(last) || args[0] === "--completions"
  // words of commands only, which are names of files
  if (!isAsked || !args.every((word) => /^[a-z-]+$/.test(word))) return null
  const words = [...args.slice(0, -1), { "-h": "--help", "-v": "--version" }[last] ?? last]
  try {
    const text = readFileSync(join(folder, "texts", `${words.join("_")}.txt`), "utf8")
    // oxlint-disable-next-line no-control-regex
    return mayColor(process.env) ? text : text.replaceAll(/\u001b\[[\d;]*m/g, "")
  } catch {
    return null
  }
}
