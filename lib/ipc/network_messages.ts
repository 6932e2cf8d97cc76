/** What `network` asks of the daemon and what it answers, as JSON; the names of the answers are those of `ip -j`. */
/** Routes that packets are sent by, and those that refuse them. */
export type RouteType = "unicast" | "unreachable" | "prohibit" | "blackhole";

/** What ip(8) calls objects. */
export type NetworkObject = "link" | "address" | "route" | "neighbour";
/** What is done where something is there already, or is not. */
export type NetworkChange = "add" | "replace" | "change" | "del";

/** Shows all of a kind, of the interface `dev` if that is given. */
export interface ShowRequest {
  verb: "show";
  object: NetworkObject;
  dev?: string;
}

/** Shows the way to an address. */
export interface GetRequest {
  verb: "get";
  object: "route";
  to: string;
}

/** Removes all of a kind but what the host cannot be without: routes to its own networks, permanent neighbors. */
export interface FlushRequest {
  verb: "flush";
  object: "address" | "route" | "neighbour";
  dev?: string;
}

export interface AddressRequest {
  verb: NetworkChange;
  object: "address";
  /** "10.0.0.9/24". */
  local: string;
  dev: string;
}

export interface RouteRequest {
  verb: NetworkChange;
  object: "route";
  /** "10.1.0.0/16", "10.1.0.7" or "default". */
  dst: string;
  gateway?: string;
  dev?: string;
  metric?: number;
  prefsrc?: string;
  mtu?: number;
  type?: RouteType;
}

export interface NeighbourRequest {
  verb: NetworkChange;
  object: "neighbour";
  dst: string;
  dev: string;
  lladdr?: string;
  state?: "permanent" | "reachable" | "stale";
}

export type NetworkRequest =
  | ShowRequest
  | GetRequest
  | FlushRequest
  | AddressRequest
  | RouteRequest
  | NeighbourRequest;

/** An address as `ip -j addr` shows it. */
export interface AddressInfo {
  family: "inet";
  local: string;
  prefixlen: number;
  broadcast?: string;
  scope: "global" | "host" | "link";
  secondary?: true;
  label: string;
}

/** An interface as `ip -j addr` shows it; `ip -j link` leaves the addresses out. */
export interface LinkInfo {
  ifindex: number;
  ifname: string;
  flags: string[];
  mtu: number;
  operstate: "UP" | "UNKNOWN";
  link_type: "ether" | "loopback";
  address: string;
  broadcast: string;
  addr_info?: AddressInfo[];
}

/** A route as `ip -j route` shows it. */
export interface RouteInfo {
  type?: RouteType | "local" | "broadcast" | "multicast";
  dst: string;
  gateway?: string;
  dev?: string;
  protocol?: string;
  scope?: "link" | "host";
  prefsrc?: string;
  metric?: number;
  metrics?: { mtu: number }[];
  flags: string[];
}

/** A neighbor as `ip -j neigh` shows it. */
export interface NeighbourInfo {
  dst: string;
  dev: string;
  lladdr?: string;
  state: string[];
}
