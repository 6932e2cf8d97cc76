/** The names of hosts that a trace meets, asked for while it goes on. */

/** Asks for the name of an address; null: it has none. */
export type AskName = (address: string) => Promise<string | null>;

/** How long the output waits for a name that is not there yet, milliseconds. */
const PATIENCE_MS = 1000;

/** Every address is asked for once, as soon as it is met. */
export class HostNames {
  readonly #names = new Map<string, Promise<string | null>>();

  constructor(readonly ask: AskName | null, readonly patienceMs = PATIENCE_MS) {}

  /** Begins to ask, so that the name is there when it is to be printed. */
  expect(address: string): void {
    if (this.ask === null || this.#names.has(address)) return;
    this.#names.set(address, withinMs(this.ask(address).catch(() => null), this.patienceMs));
  }

  /** The name, or null when there is none in time. */
  async of(address: string): Promise<string | null> {
    this.expect(address);
    return await this.#names.get(address) ?? null;
  }
}

async function withinMs<T>(promise: Promise<T>, ms: number): Promise<T | null> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<null>((resolve) => timer = setTimeout(() => resolve(null), ms));
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}
