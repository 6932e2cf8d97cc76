/** What the commands print, and to whom: the seam by which tests take the place of the terminal. */
import { type Style, styleFor } from "../host/style.ts";

/** The outside world of a command. */
export interface Io {
  readonly stdin: { read(bytes: Uint8Array): Promise<number | null>; isTerminal(): boolean };
  readonly stdout: { write(bytes: Uint8Array): Promise<number>; isTerminal(): boolean };
  readonly stderr: { isTerminal(): boolean };
  /** Colours for stdout, and for stderr. */
  readonly style: Style;
  readonly errorStyle: Style;
  /** Writes `text` to stdout. Throws {@linkcode OutputClosedError} when nobody reads it any more. */
  print(text: string): void;
  /** Writes `text` to stderr. */
  complain(text: string): void;
  /** Calls `handler` at every `signal` until the function that is returned is called. */
  onSignal(signal: "SIGINT" | "SIGTERM" | "SIGQUIT", handler: () => void): () => void;
}

/** The reader of our stdout has gone, as with `| head`: the command ends without a word. */
export class OutputClosedError extends Error {
  override readonly name = "OutputClosedError";
}

const encoder = new TextEncoder();

/** The process's own stdin, stdout, stderr and signals. */
export const systemIo: Io = {
  stdin: Deno.stdin,
  stdout: Deno.stdout,
  stderr: Deno.stderr,
  style: styleFor(Deno.stdout),
  errorStyle: styleFor(Deno.stderr),
  print(text) {
    try {
      writeAll(Deno.stdout, text);
    } catch (error) {
      if (error instanceof Deno.errors.BrokenPipe) throw new OutputClosedError();
      throw error;
    }
  },
  complain(text) {
    try {
      writeAll(Deno.stderr, text);
    } catch {
      // There is nowhere left to say it; the exit status still does.
    }
  },
  onSignal(signal, handler) {
    Deno.addSignalListener(signal, handler);
    return () => Deno.removeSignalListener(signal, handler);
  },
};

/** Milliseconds to wait for a full pipe that another process has made non-blocking. */
const FULL_PIPE_WAIT_MS = 2;

function writeAll(stream: { writeSync(bytes: Uint8Array): number }, text: string): void {
  const bytes = encoder.encode(text);
  for (let done = 0; done < bytes.length;) {
    try {
      done += stream.writeSync(bytes.subarray(done));
    } catch (error) {
      if (!(error instanceof Deno.errors.WouldBlock)) throw error;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, FULL_PIPE_WAIT_MS);
    }
  }
}

/** A column of a table. */
export interface Column {
  title: string;
  /** Numbers stand better at the right. */
  right?: boolean;
}

/** Aligned rows without titles, two spaces between columns; columns that are empty in every row are left out. */
export function alignRows(rows: readonly string[][]): string {
  const columns = rows.length === 0
    ? []
    : rows[0].map((_, i) => i).filter((i) => rows.some((row) => row[i] !== ""));
  const widths = columns.map((i) => Math.max(...rows.map((row) => row[i].length)));
  return rows.map((row) => `${columns.map((i, n) => row[i].padEnd(widths[n])).join("  ").trimEnd()}\n`).join(
    "",
  );
}

/** An aligned table under its titles, two spaces between columns, none at line ends. */
export function formatTable(columns: readonly Column[], rows: readonly string[][], style: Style): string {
  const widths = columns.map((column, i) =>
    Math.max(column.title.length, ...rows.map((row) => row[i].length))
  );
  const line = (cells: readonly string[]) =>
    cells.map((cell, i) => columns[i].right ? cell.padStart(widths[i]) : cell.padEnd(widths[i])).join("  ")
      .trimEnd();
  const lines = [style.dim(line(columns.map((column) => column.title))), ...rows.map(line)];
  return lines.join("\n") + "\n";
}
