/**
 * Reads QR codes from the text of a terminal, as a camera in front of it would.
 */
import jsqr from "jsqr"

type Reader = (data: Uint8ClampedArray, width: number, height: number) => { readonly data: string } | null
const read = jsqr as unknown as Reader

/** Modules above and below each other in one character; light is true. */
const halves: Readonly<Record<string, readonly [boolean, boolean]>> = {
  "█": [true, true],
  "▀": [true, false],
  "▄": [false, true],
  " ": [false, false],
}

/** Pixels of a module. */
const scale = 4

/** The texts of all codes, from left to right and from above. */
export const readCodes = (lines: readonly string[]): readonly string[] => {
  // oxlint-disable-next-line no-control-regex
  const plain = lines.map((line) => line.replaceAll(/\u001b\[[\d;]*m/g, ""))
  const found: string[] = []
  for (let top = 0; top < plain.length; top++) {
    // the quiet zone above a row of codes
    const bars = [...(plain[top] ?? "").matchAll(/█{20,}/g)]
    if (bars.length === 0) continue
    const width = bars[0]![0].length
    const height = Math.ceil(width / 2)
    for (const { index } of bars) {
      const rows = plain.slice(top, top + height).map((line) => line.slice(index, index + width))
      found.push(readOne(rows, width))
    }
    top += height - 1
  }
  return found
}

const readOne = (rows: readonly string[], width: number): string => {
  const modules = rows.flatMap((row) => {
    const columns = row.split("").map((character) => halves[character] ?? [false, false])
    return [columns.map(([above]) => above), columns.map(([, below]) => below)]
  })
  // the last row of an odd number has nothing below
  const square = modules.slice(0, width)
  const size = width * scale
  const pixels = new Uint8ClampedArray(size * size * 4)
  for (let y = 0; y < size; y++) {
    for (let x = 0; x < size; x++) {
      const isLight = square[Math.floor(y / scale)]?.[Math.floor(x / scale)] === true
      pixels.set([isLight ? 255 : 0, isLight ? 255 : 0, isLight ? 255 : 0, 255], (y * size + x) * 4)
    }
  }
  return read(pixels, size, size)?.data ?? "unreadable"
}
