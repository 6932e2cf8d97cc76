import { WakeUp } from "../../ffi/eventfd.ts";
import type { StartMessage, WorkerMessage } from "./messages.ts";

/** How long the stack is given to reset its connections when it is asked to end, milliseconds. */
const PATIENCE_MS = 3000;

/** The Worker that the stack runs in, as the main thread sees it. */
export class StackWorker {
  /** Resolves when the Worker has read all its modules. */
  readonly loaded: Promise<void>;
  /** Resolves when the stack has ended: to what went wrong, if anything did. */
  readonly ended: Promise<string | undefined>;
  /** Told what the Worker says beside that. */
  onMessage: (message: WorkerMessage) => void = () => {};
  readonly #worker: Worker;
  readonly #wakeUp: WakeUp;
  readonly #loaded = Promise.withResolvers<void>();
  readonly #ended = Promise.withResolvers<string | undefined>();
  #patience: ReturnType<typeof setTimeout> | undefined;

  constructor() {
    this.loaded = this.#loaded.promise;
    this.ended = this.#ended.promise;
    this.#worker = new Worker(new URL("../daemon_worker.ts", import.meta.url), { type: "module" });
    // While that starts: the first call of the C library takes 4 ms.
    this.#wakeUp = new WakeUp();
    this.#worker.onmessage = ({ data }: MessageEvent<WorkerMessage>) => {
      if (data.kind === "loaded") this.#loaded.resolve();
      else if (data.kind === "ended") this.#ended.resolve(data.error);
      else this.onMessage(data);
    };
    this.#worker.onerror = (event) => {
      event.preventDefault();
      this.#loaded.resolve();
      this.#ended.resolve(event.message);
    };
  }

  start(message: Omit<StartMessage, "wakeUpFd">): void {
    this.#worker.postMessage({ ...message, wakeUpFd: this.#wakeUp.fd });
  }

  /** Asks the stack to end; one that does not is given up after a while. */
  stop(): void {
    this.#wakeUp.signal();
    this.#patience ??= setTimeout(() => this.#ended.resolve("the stack did not end in time"), PATIENCE_MS);
  }

  /** Ends the Worker. Called once. */
  terminate(): void {
    clearTimeout(this.#patience);
    this.#worker.terminate();
    this.#wakeUp.close();
  }
}
