/**
 * The Deno API of lvl-ip: a client of a running daemon, and the stack itself for embedding.
 *
 * @module
 */
export {
  connect,
  Connection,
  DaemonUnreachableError,
  DatagramConn,
  listen,
  listenDatagram,
  Listener,
  lookUp,
  NameError,
  network,
  openIcmp,
  openRaw,
  openTrace,
  PacketConn,
  ping,
  resolve,
  status,
  Trace,
} from "./lib/ipc/client.ts";
export type {
  AddressInfo,
  CodedError,
  ConnectionStatus,
  ConnectOptions,
  DaemonStatus,
  LinkInfo,
  ListenDatagramOptions,
  ListenOptions,
  LookUp,
  LookUpOptions,
  NeighbourInfo,
  NeighbourStatus,
  NetworkRequest,
  OpenIcmpOptions,
  OpenRawOptions,
  PacketError,
  Ping,
  PingDamage,
  PingEvent,
  PingFailure,
  PingOptions,
  PingReply,
  Probe,
  ProbeAnswer,
  ReceivedPacket,
  ResolveOptions,
  RouteInfo,
  RouteStatus,
  SendOptions,
  StatusOptions,
  TraceOptions,
} from "./lib/ipc/client.ts";
export { Frame } from "./lib/buffer/frame.ts";
export { Memory, Slices } from "./lib/buffer/memory.ts";
export type { Device, DeviceFeatures } from "./lib/device.ts";
export { ImpairedDevice, parseImpair } from "./lib/impair.ts";
export { Datagram, SocketKind, SocketName, Stack } from "./lib/stack/stack.ts";
export type { InterfaceConfig, StackConfig, TcpInfo } from "./lib/stack/stack.ts";
export { CaptureDevice } from "./lib/trace/capture_device.ts";
export { Host } from "./lib/daemon/embedded.ts";
export type { HostOptions } from "./lib/daemon/embedded.ts";
export { openTap, TapError } from "./ffi/tap.ts";
export type { OpenTapOptions, TapDevice } from "./ffi/tap.ts";
