/** A daemon's status, as tests of the command get it. */
import type { ConnectionStatus, DaemonStatus } from "../../lib/ipc/client.ts";
import type { LinkInfo } from "../../lib/ipc/network_messages.ts";

export const STREAM: ConnectionStatus = {
  kind: "stream",
  state: "ESTAB",
  localAddress: "10.0.0.4",
  localPort: 49152,
  remoteAddress: "192.168.99.1",
  remotePort: 2048,
  receiveQueue: 0,
  sendQueue: 14480,
  congestionWindow: 28960,
  rttUs: 431,
  rttVarianceUs: 20,
  rtoUs: 200000,
  retransmits: 2,
  pid: 4711,
  uid: 1000,
  program: "curl",
};
export const LISTENER: ConnectionStatus = {
  ...STREAM,
  kind: "listener",
  state: "LISTEN",
  localAddress: "0.0.0.0",
  localPort: 80,
  remoteAddress: "0.0.0.0",
  remotePort: 0,
  receiveQueue: 1,
  sendQueue: 128,
  pid: 0,
  program: "",
};
function link(ifindex: number, ifname: string, local: string): LinkInfo {
  return {
    ifindex,
    ifname,
    flags: ["UP"],
    mtu: 1500,
    operstate: "UP",
    link_type: ifname === "lo" ? "loopback" : "ether",
    address: "02:00:00:00:00:01",
    broadcast: "ff:ff:ff:ff:ff:ff",
    addr_info: [{ family: "inet", local, prefixlen: 24, scope: "global", label: ifname }],
  };
}
export const DAEMON: DaemonStatus = {
  version: "0.1.0",
  pid: 4242,
  uptimeUs: 192e6,
  address: "10.0.0.4",
  prefixLength: 24,
  gateway: "10.0.0.5",
  mac: "02:00:0a:00:00:04",
  device: "tap0",
  mtu: 1500,
  forwarding: true,
  interfaces: [
    link(1, "lo", "127.0.0.1"),
    link(2, "tap0", "10.0.0.4"),
    link(3, "tap1", "10.1.0.4"),
  ],
  socketPath: "/run/lvl-ip/lvl-ip.sock",
  clients: 1,
  connections: [STREAM, LISTENER],
  counters: { framesIn: 120, ipChecksum: 0, framesOut: 9 },
  neighbours: [
    { address: "10.0.0.5", mac: "ee:8a:00:11:22:33", state: "reachable", device: "tap0" },
    { address: "10.0.0.9", mac: null, state: "incomplete", device: "tap1" },
  ],
  routes: [
    { destination: "10.0.0.0", prefixLength: 24, gateway: null, device: "tap0" },
    { destination: "0.0.0.0", prefixLength: 0, gateway: "10.0.0.5", device: "tap0" },
  ],
  nameServers: ["10.0.0.1"],
};

/** A socket that differs from a usual one as told. */
export function socket(differences: Partial<ConnectionStatus>): ConnectionStatus {
  return { ...STREAM, ...differences };
}
