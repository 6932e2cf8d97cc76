/** What a run is doing, for whoever watches a terminal; nothing elsewhere. */
import type { Style } from "../../lib/host/style.ts";

export class Progress {
  readonly #startedAt = performance.now();

  constructor(
    readonly stream: { writeSync(bytes: Uint8Array): number; isTerminal(): boolean },
    readonly style: Style,
  ) {}

  /** Replaces what was shown. */
  show(text: string): void {
    if (!this.style.live) return;
    const seconds = Math.floor((performance.now() - this.#startedAt) / 1000);
    const time = `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
    this.#write(`\r\x1b[K${this.style.dim(time)} ${text}`);
  }

  clear(): void {
    if (this.style.live) this.#write("\r\x1b[K");
  }

  #write(text: string): void {
    this.stream.writeSync(new TextEncoder().encode(text));
  }
}
