import { type DaemonConfig, LOG_LEVELS, type LogLevel } from "./config.ts";

/** The daemon's log: a line an entry on stderr, as text or JSON. */
export class Log {
  readonly #json: boolean;
  readonly #level: number;

  constructor(config: Pick<DaemonConfig, "json" | "logLevel">) {
    this.#json = config.json;
    this.#level = LOG_LEVELS.indexOf(config.logLevel);
  }

  write(level: LogLevel, message: string): void {
    if (LOG_LEVELS.indexOf(level) > this.#level) return;
    if (this.#json) console.error(JSON.stringify({ time: new Date().toISOString(), level, message }));
    else console.error(`lvl-ip: ${level === "info" ? "" : `${level}: `}${message}`);
  }
}
