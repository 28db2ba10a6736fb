/**
 * QR codes as text for a terminal, two modules above each other in one character.
 */
import type { Bitmap2D } from "lean-qr"

/** ISO/IEC 18004 §9.1 asks for four light modules around the symbol. */
const quietZone = 4

export interface TerminalTraits {
  /** Columns. */
  readonly width: number
  readonly hasColor: boolean
}

/** What a terminal can show; null: no QR code, because it is no terminal, or one without the characters for it. */
export const terminalTraits = (
  stream: { readonly isTTY?: boolean; readonly columns?: number },
  env: Readonly<Record<string, string | undefined>>,
  platform: string = process.platform,
): TerminalTraits | null => {
  if (stream.isTTY !== true || env["TERM"] === "dumb") return null
  // in the order of POSIX (XBD 8.2)
  const locale = [env["LC_ALL"], env["LC_CTYPE"], env["LANG"]].find(
    (name) => name !== undefined && name !== "",
  )
  if (platform !== "win32" && !/utf-?8/i.test(locale ?? "")) return null
  return { width: stream.columns ?? 80, hasColor: (env["NO_COLOR"] ?? "") === "" }
}

/**
 * Draws codes beside each other, as many in a row as the terminal is wide; nothing where it is too narrow for one.
 *
 * In colour it is black on white, as readers expect. Without colour, light modules are drawn with the colour of the text,
 * which is right on a dark background.
 *
 * @param items each with the text of its code and a caption
 */
export const drawCodes = async (
  items: readonly { readonly caption: string; readonly text: string }[],
  { width, hasColor }: TerminalTraits,
): Promise<readonly string[]> => {
  // not there in a checkout without development dependencies
  const encoder = await import("lean-qr").catch(() => null)
  if (encoder === null) return []
  const { correction, generate } = encoder
  const codes = items.map(({ caption, text }) => {
    const code = generate(text, { minCorrectionLevel: correction.L })
    const columns = code.size + 2 * quietZone
    return { columns, lines: [caption.slice(0, columns).padEnd(columns), ...rowsOf(code, hasColor)] }
  })
  const widest = Math.max(...codes.map(({ columns }) => columns))
  const perRow = Math.floor((width + gap.length) / (widest + gap.length))
  if (perRow === 0) return []
  const lines: string[] = []
  for (let first = 0; first < codes.length; first += perRow) {
    const row = codes.slice(first, first + perRow)
    const height = Math.max(...row.map((code) => code.lines.length))
    for (let at = 0; at < height; at++) {
      lines.push(
        row
          .map((code) => code.lines[at] ?? " ".repeat(code.columns))
          .join(gap)
          .trimEnd(),
      )
    }
  }
  return lines
}

const gap = "  "

const rowsOf = (code: Bitmap2D, hasColor: boolean): readonly string[] => {
  const rows: string[] = []
  // outside of the symbol `get` says that a module is light
  for (let y = -quietZone; y < code.size + quietZone; y += 2) {
    let row = ""
    for (let x = -quietZone; x < code.size + quietZone; x++) {
      const isLightAbove = !code.get(x, y)
      const isLightBelow = y + 1 < code.size + quietZone && !code.get(x, y + 1)
      row += isLightAbove ? (isLightBelow ? "█" : "▀") : isLightBelow ? "▄" : " "
    }
    rows.push(hasColor ? `\u001b[97;40m${row}\u001b[0m` : row)
  }
  return rows
}
