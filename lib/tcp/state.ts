/** The connection states of RFC 9293 3.3.2. */
export const State = {
  CLOSED: 0,
  LISTEN: 1,
  SYN_SENT: 2,
  SYN_RECEIVED: 3,
  ESTABLISHED: 4,
  FIN_WAIT_1: 5,
  FIN_WAIT_2: 6,
  CLOSE_WAIT: 7,
  CLOSING: 8,
  LAST_ACK: 9,
  TIME_WAIT: 10,
} as const;
export type State = (typeof State)[keyof typeof State];

const STATE_NAMES = Object.keys(State).map((name) => name.replaceAll("_", "-"));

/** "ESTABLISHED", "FIN-WAIT-1" ... as RFC 9293 spells them. */
export function stateName(state: number): string {
  return STATE_NAMES[state] ?? `state ${state}`;
}

/** The peer may still send us text (RFC 9293 3.10.7.4, seventh). */
export function canReceive(state: number): boolean {
  return state === State.ESTABLISHED || state === State.FIN_WAIT_1 || state === State.FIN_WAIT_2;
}

/** Both SYNs were acknowledged and neither side has given the connection up. */
export function isSynchronized(state: number): boolean {
  return state >= State.ESTABLISHED;
}

/** What happened to a connection since the stack last looked (bits of `Tcb.events`). */
export const EVENT_CONNECTED = 1;
export const EVENT_READABLE = 2;
export const EVENT_WRITABLE = 4;
/** The peer's FIN was received: end of file after what is buffered. */
export const EVENT_FIN = 8;
/** `Tcb.error` holds an errno. */
export const EVENT_ERROR = 16;
/** The state is CLOSED: forget the connection. */
export const EVENT_CLOSED = 32;

/** The sender's congestion state, as Linux calls them (RFC 5681, 6675, 5682). */
export const CaState = {
  /** Nothing unusual. */
  OPEN: 0,
  /** Duplicate ACKs or SACKs were seen, loss is not yet certain. */
  DISORDER: 1,
  /** Reducing the window for a reason other than loss (ECN, RFC 3168). */
  CWR: 2,
  /** Fast recovery. */
  RECOVERY: 3,
  /** After a retransmission timeout. */
  LOSS: 4,
} as const;
