/** `lvl-ip addr`, `route`, `neigh` and `link`: what ip(8) is to the kernel's stack. */
import * as client from "../ipc/network.ts";
import type {
  LinkInfo,
  NeighbourInfo,
  NetworkObject,
  NetworkRequest,
  RouteInfo,
} from "../ipc/network_messages.ts";
import { NAMES, readRequest } from "./network_words.ts";
import { alignRows, type Io } from "./output.ts";

export interface NetworkOptions {
  json?: boolean;
  socket?: string;
}

export type AskNetwork = typeof client.network;

/** Runs the command; the exit status. */
export async function network(
  object: NetworkObject,
  words: readonly string[],
  options: NetworkOptions,
  io: Io,
  ask: AskNetwork = client.network,
): Promise<number> {
  const request = readRequest(object, words);
  const answer = await ask<unknown>(request, describe(request, words), { socketPath: options.socket });
  if (request.verb !== "show" && request.verb !== "get") return 0;
  io.print(options.json ? `${JSON.stringify(answer, null, 2)}\n` : format(object, answer, io));
  return 0;
}

/** The beginning of an error's message. */
function describe({ object }: NetworkRequest, words: readonly string[]): string {
  return `Cannot do "${[NAMES[object], ...words].join(" ")}"`;
}

function format(object: NetworkObject, answer: unknown[], { style }: Pick<Io, "style">): string {
  switch (object) {
    case "route":
      return alignRows((answer as RouteInfo[]).map(routeRow));
    case "neighbour":
      return alignRows((answer as NeighbourInfo[]).map(neighbourRow));
    default:
      return (answer as LinkInfo[]).map((link) => formatLink(link, style.bold)).join("");
  }
}

/** As ip(8) writes it: a head, then an indented line for the Ethernet address and each IP address. */
function formatLink(link: LinkInfo, bold: (text: string) => string): string {
  const { ifindex, ifname, flags, mtu, operstate, link_type, address, broadcast, addr_info = [] } = link;
  const lines = [
    `${ifindex}: ${bold(ifname)}: <${flags.join(",")}> mtu ${mtu} state ${operstate}`,
    `    link/${link_type} ${address} brd ${broadcast}`,
  ];
  const rows = addr_info.map(({ local, prefixlen, broadcast, scope, secondary, label }) => [
    `    inet ${local}/${prefixlen}`,
    broadcast === undefined ? "" : `brd ${broadcast}`,
    `scope ${scope}${secondary ? " secondary" : ""} ${label}`,
  ]);
  return `${lines.join("\n")}\n${alignRows(rows)}`;
}

function routeRow(route: RouteInfo): string[] {
  const { type, dst, gateway, dev, protocol, scope, prefsrc, metric, metrics } = route;
  const word = (name: string, value: string | number | undefined) =>
    value === undefined ? "" : `${name} ${value}`;
  return [
    type === undefined ? dst : `${type} ${dst}`,
    word("via", gateway),
    word("dev", dev),
    word("proto", protocol),
    word("scope", scope),
    word("src", prefsrc),
    word("metric", metric),
    word("mtu", metrics?.[0].mtu),
  ];
}

function neighbourRow({ dst, dev, lladdr, state }: NeighbourInfo): string[] {
  return [dst, `dev ${dev}`, lladdr === undefined ? "" : `lladdr ${lladdr}`, state.join(" ")];
}
