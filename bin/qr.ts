// A text as a QR code for terminals.
import { renderUnicodeCompact } from 'uqr'

/** Modules of white around it. */
const BORDER = 2
/** White on black, whatever the terminal's colours are: scanners want dark modules on light ground. */
const COLOURS = ['\u001b[97;40m', '\u001b[0m'] as const

/** A picture made of characters. */
export interface Picture {
  readonly text: string
  /** Columns that it needs. */
  readonly width: number
}

/** Draws a QR code of half blocks, two modules one above the other in each; `coloured` for terminals. */
export function qrCode (text: string, coloured: boolean): Picture {
  const lines = renderUnicodeCompact(text, { border: BORDER }).split('\n')
  const [on, off] = coloured ? COLOURS : ['', '']
  return { text: lines.map(line => `${on}${line}${off}`).join('\n'), width: lines[0]?.length ?? 0 }
}
