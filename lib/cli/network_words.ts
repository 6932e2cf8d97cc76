/** Reads what follows `lvl-ip addr`, `route`, `neigh` and `link`: the words of ip(8). */
import type {
  AddressRequest,
  NeighbourRequest,
  NetworkChange,
  NetworkObject,
  NetworkRequest,
  RouteRequest,
} from "../ipc/network_messages.ts";
import { CommandError, EXIT } from "./errors.ts";

/** How each is asked for. */
export const USAGE: Readonly<Record<NetworkObject, readonly string[]>> = {
  link: ["link [show] [dev DEVICE]"],
  address: [
    "addr [show] [dev DEVICE]",
    "addr add|replace|del ADDRESS/PREFIX dev DEVICE",
    "addr flush dev DEVICE",
  ],
  route: [
    "route [show] [dev DEVICE]",
    "route get ADDRESS",
    "route add|replace|change|del [TYPE] NETWORK|default [via GATEWAY]",
    "      [dev DEVICE] [src ADDRESS] [metric N] [mtu BYTES]",
    "      TYPE: unreachable, prohibit or blackhole",
    "route flush [dev DEVICE]",
  ],
  neighbour: [
    "neigh [show] [dev DEVICE]",
    "neigh add|replace|change ADDRESS lladdr MAC dev DEVICE [nud STATE]",
    "      STATE: permanent (the default), reachable or stale",
    "neigh del ADDRESS dev DEVICE",
    "neigh flush [dev DEVICE]",
  ],
};

/** What each is called on the command line. */
export const NAMES: Readonly<Record<NetworkObject, string>> = {
  link: "link",
  address: "addr",
  route: "route",
  neighbour: "neigh",
};

const VERBS: Readonly<Record<string, string>> = {
  show: "show",
  list: "show",
  ls: "show",
  add: "add",
  replace: "replace",
  change: "change",
  del: "del",
  delete: "del",
  get: "get",
  flush: "flush",
};

/** The words that each verb leaves to be read, and what they mean. */
class Words {
  constructor(private readonly words: string[], readonly object: NetworkObject) {}

  /** The next one, which there must be. */
  take(what: string): string {
    const word = this.words.shift();
    if (word === undefined) throw usage(this.object, `${what} is missing`);
    return word;
  }

  /** The values of `names`, in any order, to the end. */
  options(...names: string[]): Record<string, string | undefined> {
    const found: Record<string, string | undefined> = {};
    while (this.words.length > 0) {
      const name = this.words.shift()!;
      if (!names.includes(name)) throw usage(this.object, `"${name}" is unexpected here`);
      found[name] = this.take(`what follows ${name}`);
    }
    return found;
  }

  get next(): string | undefined {
    return this.words[0];
  }
}

function usage(object: NetworkObject, why: string): CommandError {
  return new CommandError(why, `see: lvl-ip ${NAMES[object]} --help`, EXIT.usage);
}

/** The request that the words make. Throws `CommandError` for a usage error. */
export function readRequest(object: NetworkObject, typed: readonly string[]): NetworkRequest {
  const words = new Words([...typed], object);
  // As ip(8): `show` may be left out, with what follows it.
  const isBare = words.next === undefined || words.next === "dev";
  const said = isBare ? "show" : words.take("");
  const verb = VERBS[said];
  if (verb === "show") return { verb, object, dev: words.options("dev").dev };
  if (verb === "flush" && object !== "link") return readFlush(words, object);
  if (verb === "get" && object === "route") {
    const to = words.take("ADDRESS");
    words.options();
    return { verb, object, to };
  }
  if (verb === undefined || verb === "get" || object === "link") {
    throw usage(object, `"${said}" is nothing that can be done`);
  }
  return readChange(words, object, verb as NetworkChange);
}

function readFlush(words: Words, object: "address" | "route" | "neighbour"): NetworkRequest {
  const { dev } = words.options("dev");
  if (object === "address" && dev === undefined) throw usage(object, "dev DEVICE is missing");
  return { verb: "flush", object, dev };
}

function readChange(
  words: Words,
  object: "address" | "route" | "neighbour",
  verb: NetworkChange,
): NetworkRequest {
  if (object === "address") return readAddress(words, verb);
  return object === "route" ? readRoute(words, verb) : readNeighbour(words, verb);
}

function readAddress(words: Words, verb: NetworkChange): AddressRequest {
  const local = words.take("ADDRESS/PREFIX");
  const { dev } = words.options("dev");
  if (dev === undefined) throw usage("address", "dev DEVICE is missing");
  return { verb, object: "address", local, dev };
}

const ROUTE_TYPES: readonly string[] = ["unicast", "unreachable", "prohibit", "blackhole"];

function readRoute(words: Words, verb: NetworkChange): RouteRequest {
  const type = ROUTE_TYPES.includes(words.next ?? "") ? words.take("") as RouteRequest["type"] : undefined;
  const dst = words.take("NETWORK");
  const { via, dev, src, metric, mtu } = words.options("via", "dev", "src", "metric", "mtu");
  return {
    verb,
    object: "route",
    dst,
    type,
    gateway: via,
    dev,
    prefsrc: src,
    metric: metric === undefined ? undefined : wholeNumber("route", "metric", metric),
    mtu: mtu === undefined ? undefined : wholeNumber("route", "mtu", mtu),
  };
}

const STATES: readonly string[] = ["permanent", "reachable", "stale"];

function readNeighbour(words: Words, verb: NetworkChange): NeighbourRequest {
  const dst = words.take("ADDRESS");
  const { lladdr, dev, nud } = words.options("lladdr", "dev", "nud");
  if (dev === undefined) throw usage("neighbour", "dev DEVICE is missing");
  if (lladdr === undefined && verb !== "del") throw usage("neighbour", "lladdr MAC is missing");
  if (nud !== undefined && !STATES.includes(nud)) {
    throw usage("neighbour", `nud ${nud} is no state that can be given`);
  }
  return { verb, object: "neighbour", dst, dev, lladdr, state: nud as NeighbourRequest["state"] };
}

function wholeNumber(object: NetworkObject, name: string, text: string): number {
  if (!/^[0-9]{1,10}$/.test(text)) throw usage(object, `${name} ${text} is no whole number`);
  return Number(text);
}
