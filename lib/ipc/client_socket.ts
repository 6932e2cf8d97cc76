import type { PeerCredentials } from "./host.ts";
import type { Service } from "./service.ts";
import type { Settings } from "./settings.ts";

/** What a program's connection is at present: a mouth for requests, a byte stream, a listener, an echo socket. */
export interface Role {
  /** It has its turn before those that wait already. */
  readonly goesFirst?: boolean;
  /** What is set of it is remembered, for the socket that may take its place. */
  readonly keepsSettings?: boolean;
  /** Does what can be done now, within a fair budget; true when there is more to do at once. */
  run(client: ClientSocket, service: Service, now: number): boolean;
  /** The connection is over: lets go of what the stack holds for it. Called once. */
  end(client: ClientSocket, service: Service, now: number): void;
}

/** The daemon's end of one Unix connection. Its flags are edge-triggered: they stay until a call says otherwise. */
export class ClientSocket {
  readable = true;
  writable = true;
  /** The program has written its last byte: what is there is to be read to the end. */
  ended = false;
  /** The program closed its end (or both ends shut down writing, which looks the same). */
  hungUp = false;
  /** The program closed its end while bytes from us lay unread in it. */
  failed = false;
  /** Waits for its turn in the server's queue. */
  queued = false;
  closed = false;
  /** The stack's handle; -1: none. */
  handle = -1;
  /** The long random name of the stream or listener; 0: none. */
  id = 0n;
  /** The beginning of a request that has not come whole. */
  inbox: Uint8Array | null = null;
  held = 0;
  /** What the program has set before it connected; null: nothing. */
  settings: Settings | null = null;
  /** Of a user who may not open sockets: it may control one whose id it knows. */
  isStranger = false;

  constructor(readonly fd: number, readonly peer: PeerCredentials, public role: Role) {}
}
