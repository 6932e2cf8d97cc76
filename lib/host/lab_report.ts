/** What the lab says: lines for a person, or one JSON object a line. */
import { shellQuote } from "./command.ts";
import { formatBytes, formatDuration, formatRate, type Style, writeText } from "./style.ts";

/** Where the lines go. */
export type Sink = { writeSync(bytes: Uint8Array): number };

/** How one step went. */
export interface StepResult {
  name: string;
  ok: boolean;
  detail: string;
  milliseconds: number;
  /** More for `--json`. */
  data?: Record<string, unknown>;
}

const WIDTH = 78;
const BAR = 32;

/** Tells of the steps of one run. */
export class LabReport {
  readonly results: StepResult[] = [];
  readonly #startedAt = performance.now();
  #barShown = false;

  constructor(private readonly sink: Sink, private readonly style: Style, private readonly json: boolean) {}

  /** The opening lines. */
  heading(title: string, picture: readonly string[]): void {
    if (this.json) return;
    this.#line(this.style.bold(title));
    this.#line("");
    for (const line of picture) this.#line(`  ${this.style.cyan(line)}`);
    this.#line("");
  }

  /** The command that comes next, as a person would type it. */
  command(words: readonly string[]): void {
    if (!this.json) this.#line(`\n${this.style.dim("$")} ${this.style.bold(shellQuote(words))}`);
  }

  /** Opens a part that is no command. */
  part(title: string): void {
    if (!this.json) this.#line(`\n${this.style.bold(title)}`);
  }

  /** A line that a command printed. */
  output(step: string, line: string): void {
    if (this.json) this.#event({ event: "output", step, line });
    else this.#line(`  ${line}`.trimEnd());
  }

  /** A step is over. */
  result(result: StepResult): void {
    this.results.push(result);
    if (this.json) {
      this.#event({ event: "step", ...result, milliseconds: Math.round(result.milliseconds) });
      return;
    }
    this.#clearBar();
    const mark = result.ok ? this.style.green("ok  ") : this.style.red("fail");
    const time = formatDuration(result.milliseconds);
    // A failure's reason is never cut to fit; it pushes the time out instead.
    this.#line(`  ${mark}  ${result.detail.padEnd(WIDTH - 8 - time.length)} ${this.style.dim(time)}`);
  }

  /** How far a transfer is; drawn over and over on a terminal, nothing elsewhere. */
  progress(done: number, total: number, milliseconds: number): void {
    if (this.json || !this.style.live) return;
    const filled = Math.floor(BAR * done / total);
    const [full, empty] = this.style.unicode ? ["━", "─"] : ["#", "-"];
    const bar = this.style.cyan(full.repeat(filled)) + this.style.dim(empty.repeat(BAR - filled));
    const percent = `${Math.floor(100 * done / total)}`.padStart(3);
    const rate = formatRate(done, milliseconds).padStart(12);
    this.#write(`\r\x1b[K  ${bar} ${percent} %  ${formatBytes(done).padStart(8)}  ${rate}`);
    this.#barShown = true;
  }

  /** The closing line; whether all went well. */
  summary(interrupted: boolean): boolean {
    this.#clearBar();
    const failed = this.results.filter((result) => !result.ok);
    const ok = failed.length === 0 && !interrupted;
    const milliseconds = performance.now() - this.#startedAt;
    if (this.json) {
      this.#event({
        event: "summary",
        ok,
        interrupted,
        steps: this.results.length,
        failed: failed.map((result) => result.name),
        milliseconds: Math.round(milliseconds),
      });
      return ok;
    }
    const took = formatDuration(milliseconds);
    if (interrupted) this.#line(`\n${this.style.yellow("Interrupted")} after ${took}.`);
    else if (ok) this.#line(`\n${this.style.green("All is well")}: ${this.results.length} steps in ${took}.`);
    else {
      const names = failed.map((result) => result.name).join(", ");
      this.#line(`\n${this.style.red(`${failed.length} of ${this.results.length} steps failed`)}: ${names}.`);
    }
    this.#line(this.style.dim("All of it was in private namespaces; nothing is left on this host."));
    return ok;
  }

  #clearBar(): void {
    if (this.#barShown) this.#write("\r\x1b[K");
    this.#barShown = false;
  }

  #event(event: Record<string, unknown>): void {
    this.#line(JSON.stringify(event));
  }

  #line(text: string): void {
    this.#write(`${text}\n`);
  }

  #write(text: string): void {
    writeText(this.sink, text);
  }
}
