/** Which sockets to show, in the words of ss(8). */
import type { ConnectionStatus } from "../ipc/client.ts";
import { maskOf, parseIp } from "../wire/address.ts";

export type SocketTest = (socket: ConnectionStatus) => boolean;

/** Names of states, and what ss makes of them. */
const STATES: Record<string, readonly string[]> = {
  established: ["ESTAB"],
  estab: ["ESTAB"],
  "syn-sent": ["SYN-SENT"],
  "syn-recv": ["SYN-RECV"],
  "fin-wait-1": ["FIN-WAIT-1"],
  "fin-wait-2": ["FIN-WAIT-2"],
  "time-wait": ["TIME-WAIT"],
  "close-wait": ["CLOSE-WAIT"],
  "last-ack": ["LAST-ACK"],
  closing: ["CLOSING"],
  closed: ["UNCONN"],
  unconn: ["UNCONN"],
  listening: ["LISTEN"],
  listen: ["LISTEN"],
};
const ALL = [...new Set(Object.values(STATES).flat())];
const NOT_CONNECTED = ["LISTEN", "UNCONN"];
/** As ss(8) defines them. */
const SETS: Record<string, readonly string[]> = {
  all: ALL,
  connected: ALL.filter((state) => !NOT_CONNECTED.includes(state)),
  synchronized: ALL.filter((state) => ![...NOT_CONNECTED, "SYN-SENT"].includes(state)),
  bucket: ["SYN-RECV", "TIME-WAIT"],
  big: ALL.filter((state) => !["SYN-RECV", "TIME-WAIT"].includes(state)),
};

const COMPARISONS: Record<string, (a: number, b: number) => boolean> = {
  "=": (a, b) => a === b,
  "==": (a, b) => a === b,
  eq: (a, b) => a === b,
  "!=": (a, b) => a !== b,
  ne: (a, b) => a !== b,
  neq: (a, b) => a !== b,
  "<": (a, b) => a < b,
  lt: (a, b) => a < b,
  ">": (a, b) => a > b,
  gt: (a, b) => a > b,
  "<=": (a, b) => a <= b,
  le: (a, b) => a <= b,
  ">=": (a, b) => a >= b,
  ge: (a, b) => a >= b,
};

/**
 * Reads a filter: `state NAME`, `exclude NAME`, `sport|dport [= != < > <= >=] PORT`, `src|dst ADDRESS[/LENGTH][:PORT]`, joined
 * by `and` (or nothing), `or`, `not` and parentheses. No words: everything. Throws RangeError that says what is wrong.
 */
export function parseFilter(words: readonly string[]): SocketTest {
  const tokens = words.join(" ").match(/[()!](?!=)|[<>=!]=?|[^\s()<>=!]+/g) ?? [];
  const parser = new Parser(tokens);
  const test = parser.alternatives();
  parser.end();
  return test;
}

class Parser {
  #at = 0;

  constructor(readonly tokens: readonly string[]) {}

  alternatives(): SocketTest {
    let test = this.#conjunction();
    while (this.#accept("or", "||", "|")) {
      const [one, other] = [test, this.#conjunction()];
      test = (socket) => one(socket) || other(socket);
    }
    return test;
  }

  end(): void {
    if (this.#at < this.tokens.length) {
      throw new RangeError(`'${this.tokens[this.#at]}' is not expected there`);
    }
  }

  #conjunction(): SocketTest {
    const tests: SocketTest[] = [];
    for (;;) {
      this.#accept("and", "&&", "&");
      const next = this.tokens[this.#at];
      if (next === undefined || [")", "or", "||", "|"].includes(next)) break;
      tests.push(this.#condition());
    }
    return (socket) => tests.every((test) => test(socket));
  }

  #condition(): SocketTest {
    const word = this.#next("a condition");
    switch (word) {
      case "(": {
        const test = this.alternatives();
        if (!this.#accept(")")) throw new RangeError("a ) is missing");
        return test;
      }
      case "not":
      case "!": {
        const test = this.#condition();
        return (socket) => !test(socket);
      }
      case "state":
      case "exclude":
        return this.#state(word === "state");
      case "sport":
      case "dport":
        return this.#port(word === "sport");
      case "src":
      case "dst":
        return this.#address(word === "src");
      default:
        throw new RangeError(`'${word}' is none of state, exclude, sport, dport, src, dst, and, or, not`);
    }
  }

  #state(isWanted: boolean): SocketTest {
    const name = this.#next("a state").toLowerCase();
    const states = STATES[name] ?? SETS[name];
    if (states === undefined) {
      throw new RangeError(
        `'${name}' is no state: there are ${Object.keys({ ...STATES, ...SETS }).join(", ")}`,
      );
    }
    return ({ state }) => states.includes(state) === isWanted;
  }

  #port(isSource: boolean): SocketTest {
    const compare = COMPARISONS[this.tokens[this.#at]?.toLowerCase()];
    if (compare !== undefined) this.#at++;
    const port = portOf(this.#next("a port").replace(/^:/, ""));
    return (socket) => (compare ?? COMPARISONS["="])(isSource ? socket.localPort : socket.remotePort, port);
  }

  #address(isSource: boolean): SocketTest {
    this.#accept("=", "==", "eq");
    const text = this.#next("an address");
    const [, host, length = "32", port] = /^([^/:]*)(?:\/([0-9]+))?(?::([0-9]+))?$/.exec(text) ?? [];
    const wanted = host === "" || host === "*" ? 0 : parseIp(host ?? "");
    if (wanted === null || Number(length) > 32) {
      throw new RangeError(`'${text}' is no ADDRESS[/LENGTH][:PORT]`);
    }
    const mask = host === "" || host === "*" ? 0 : maskOf(Number(length));
    const wantedPort = port === undefined ? -1 : portOf(port);
    return (socket) => {
      const address = parseIp(isSource ? socket.localAddress : socket.remoteAddress) ?? 0;
      const own = isSource ? socket.localPort : socket.remotePort;
      return (address & mask) === (wanted & mask) && (wantedPort < 0 || own === wantedPort);
    };
  }

  #accept(...words: string[]): boolean {
    if (!words.includes(this.tokens[this.#at]?.toLowerCase())) return false;
    this.#at++;
    return true;
  }

  #next(what: string): string {
    const token = this.tokens[this.#at++];
    if (token === undefined) throw new RangeError(`${what} is missing at the end`);
    return token;
  }
}

function portOf(text: string): number {
  const port = Number(text);
  if (!/^[0-9]+$/.test(text) || port > 65535) throw new RangeError(`'${text}' is no port`);
  return port;
}
