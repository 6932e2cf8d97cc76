const SIMPLE: Record<string, number> = { n: 10, r: 13, t: 9, "0": 0, "\\": 92 };

/**
 * Text from the command line as bytes: UTF-8, with \n, \r, \t, \0, \\ and \xHH (one byte) as in C. Any other backslash
 * stands for itself.
 */
export function unescapeText(text: string): Uint8Array {
  const encoder = new TextEncoder();
  const bytes: number[] = [];
  for (const [piece, hex] of text.matchAll(/\\x([0-9a-fA-F]{2})|\\[nrt0\\]|\\|[^\\]+/g)) {
    if (hex !== undefined) bytes.push(parseInt(hex, 16));
    else if (piece.length === 2 && piece[0] === "\\") bytes.push(SIMPLE[piece[1]]);
    else for (const byte of encoder.encode(piece)) bytes.push(byte);
  }
  return new Uint8Array(bytes);
}
