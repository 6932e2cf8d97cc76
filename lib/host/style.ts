/** How output looks: colours on a terminal, plain words elsewhere. */

/** Colours and marks for one output stream. */
export interface Style {
  bold(text: string): string;
  dim(text: string): string;
  red(text: string): string;
  green(text: string): string;
  yellow(text: string): string;
  cyan(text: string): string;
  /** Whether a person watches, so that a line may be drawn over again. */
  live: boolean;
  /** Whether more than ASCII may be drawn. */
  unicode: boolean;
}

/** The style for a stream: colours if it is a terminal and NO_COLOR is not set (https://no-color.org). */
export function styleFor(stream: { isTerminal(): boolean }): Style {
  const terminal = stream.isTerminal() && Deno.env.get("TERM") !== "dumb";
  return makeStyle(terminal && !Deno.env.get("NO_COLOR"), terminal, hasUnicode());
}

/** A style by its parts. */
export function makeStyle(colour: boolean, live: boolean, unicode: boolean): Style {
  const paint = (code: number) => (text: string) => colour ? `\x1b[${code}m${text}\x1b[0m` : text;
  return {
    bold: paint(1),
    dim: paint(2),
    red: paint(31),
    green: paint(32),
    yellow: paint(33),
    cyan: paint(36),
    live,
    unicode,
  };
}

function hasUnicode(): boolean {
  const locale = Deno.env.get("LC_ALL") || Deno.env.get("LC_CTYPE") || Deno.env.get("LANG") || "";
  return /utf-?8/i.test(locale);
}

/** Bytes for a person, in decimal units: "100 MB". */
export function formatBytes(bytes: number): string {
  const units = ["bytes", "kB", "MB", "GB"];
  let unit = 0;
  while (bytes >= 1000 && unit < units.length - 1) {
    bytes /= 1000;
    unit++;
  }
  return `${Number(bytes.toFixed(bytes < 10 && unit > 0 ? 1 : 0))} ${units[unit]}`;
}

/** A rate for a person: "1,234 Mbit/s", "12.5 kbit/s". */
export function formatRate(bytes: number, milliseconds: number): string {
  const bits = milliseconds > 0 ? bytes * 8000 / milliseconds : 0;
  const [value, unit] = bits >= 1e6 ? [bits / 1e6, "Mbit/s"] : [bits / 1e3, "kbit/s"];
  const digits = value < 100 ? 1 : 0;
  return `${
    value.toLocaleString("en-US", { minimumFractionDigits: digits, maximumFractionDigits: digits })
  } ${unit}`;
}

/** A duration for a person: "38 ms", "2.41 s". */
export function formatDuration(milliseconds: number): string {
  return milliseconds < 1000 ? `${Math.round(milliseconds)} ms` : `${(milliseconds / 1000).toFixed(2)} s`;
}

/** Writes text whole, however many writes that takes. */
export function writeText(stream: { writeSync(bytes: Uint8Array): number }, text: string): void {
  const bytes = new TextEncoder().encode(text);
  for (let done = 0; done < bytes.length;) done += stream.writeSync(bytes.subarray(done));
}
