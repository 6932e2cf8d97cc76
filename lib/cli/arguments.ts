/** Readers of option values: what they refuse is a usage error that names what would do. */
import { InvalidArgumentError } from "commander";
import { parseImpair } from "../impair/spec.ts";

/** A whole number of `least` to `most`. */
export function wholeNumber(least: number, most: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (/^[0-9]+$/.test(text) && value >= least && value <= most) return value;
    const range = most === Infinity ? `of ${least} or more` : `from ${least} to ${most}`;
    throw new InvalidArgumentError(`It must be a whole number ${range}.`);
  };
}

/** setTimeout's limit in seconds: 24.8 days. */
const MAX_SECONDS = 2147483;

/** Seconds, fractions allowed, as milliseconds. */
export function seconds(text: string): number {
  const value = Number(text);
  if (/^([0-9]+\.?[0-9]*|\.[0-9]+)$/.test(text) && value <= MAX_SECONDS) return value * 1000;
  throw new InvalidArgumentError(`It must be seconds, 0 to ${MAX_SECONDS}, like 5 or 0.2.`);
}

/** Seconds, and two factors that may be left out. */
export function waitTimes(text: string): { maxMs: number; here: number; near: number } {
  const [max, here, near, ...rest] = text.split(",");
  const isFactor = (word: string) => /^([0-9]+\.?[0-9]*|\.[0-9]+)$/.test(word);
  if (rest.length > 0 || [here ?? "3", near ?? "10"].some((word) => !isFactor(word))) {
    throw new InvalidArgumentError("It must be seconds and, if you like, two factors, like 5 or 5,3,10.");
  }
  return { maxMs: seconds(max), here: Number(here ?? 3), near: Number(near ?? 10) };
}

/** An impairment of the network, as it was written. */
export function impairment(text: string): string {
  try {
    parseImpair(text);
    return text;
  } catch (error) {
    if (error instanceof RangeError) throw new InvalidArgumentError(error.message);
    throw error;
  }
}

/** Where to connect to. */
export interface Target {
  host: string;
  port: number;
}

/** HOST:PORT. */
export function target(text: string): Target {
  const [, host, digits] = /^([^:\s]+):([0-9]{1,5})$/.exec(text) ?? [];
  const port = Number(digits);
  if (host && port >= 1 && port <= 65535) return { host, port };
  throw new InvalidArgumentError("It must be HOST:PORT with a port from 1 to 65535, like 192.168.99.1:2048.");
}

/** [ADDRESS:]PORT to listen on, at `address` if there is none; port 0: any. */
export function endpoint(text: string, address: string): Target {
  const [, host, digits] = /^(?:([^:\s]+):)?([0-9]{1,5})$/.exec(text) ?? [];
  const port = Number(digits);
  if (digits && port <= 65535) return { host: host ?? address, port };
  throw new InvalidArgumentError("It must be [ADDRESS:]PORT with a port from 0 to 65535, like 2048.");
}

/** One port, and where what comes there goes. */
export interface ForwardRule {
  transport: "tcp" | "udp";
  listen: Target;
  to: Target;
}

/** [ADDRESS:]PORT:HOST:PORT[/udp], after others; `host` is the address to listen on if there is none. */
export function forwardRules(host: string): (text: string, others?: ForwardRule[]) => ForwardRule[] {
  return (text, others = []) => {
    const pattern = /^(?:([^:/\s]+):)?([0-9]{1,5}):([^:/\s]+):([0-9]{1,5})(?:\/(tcp|udp))?$/;
    const [, bind, from, to, port, transport] = pattern.exec(text) ?? [];
    if (to && Number(from) <= 65535 && Number(port) >= 1 && Number(port) <= 65535) {
      return [...others, {
        transport: transport === "udp" ? "udp" : "tcp",
        listen: { host: bind ?? host, port: Number(from) },
        to: { host: to, port: Number(port) },
      }];
    }
    throw new InvalidArgumentError("It must be [ADDRESS:]PORT:HOST:PORT[/udp], like 8080:127.0.0.1:80.");
  };
}
