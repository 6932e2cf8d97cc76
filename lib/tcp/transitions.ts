import {
  EVENT_CLOSED,
  EVENT_CONNECTED,
  EVENT_ERROR,
  EVENT_FIN,
  EVENT_READABLE,
  EVENT_WRITABLE,
  State,
} from "./state.ts";
import { type Tcb, TransmitTimer } from "./tcb.ts";
import { TimeWait } from "./time_wait.ts";

/** Every change of `state` is one of these functions (RFC 9293 3.3.2, figure 5). */

export function toEstablished(tcb: Tcb): void {
  tcb.state = State.ESTABLISHED;
  tcb.events |= EVENT_CONNECTED | EVENT_WRITABLE;
}

/** The peer closed first. */
export function toCloseWait(tcb: Tcb): void {
  tcb.state = State.CLOSE_WAIT;
}

/** Our FIN is queued or sent, nothing of the peer's close is known. */
export function toFinWait1(tcb: Tcb): void {
  tcb.state = State.FIN_WAIT_1;
}

/** Our FIN is acknowledged; a connection that nobody holds waits for the peer's FIN for a limited time. */
export function toFinWait2(tcb: Tcb, now: number): void {
  tcb.state = State.FIN_WAIT_2;
  if (tcb.orphan) tcb.timers.lifeAtUs = now + tcb.user.finTimeoutUs;
}

/** Both sides sent a FIN, ours is not acknowledged. */
export function toClosing(tcb: Tcb): void {
  tcb.state = State.CLOSING;
}

export function toLastAck(tcb: Tcb): void {
  tcb.state = State.LAST_ACK;
}

/** RFC 9293 3.6.1: both FINs are acknowledged; old segments get time to die. */
export function toTimeWait(tcb: Tcb, now: number): void {
  tcb.state = State.TIME_WAIT;
  tcb.queue.clear();
  tcb.timers.kind = TransmitTimer.NONE;
  tcb.timers.transmitAtUs = Infinity;
  tcb.timers.keepaliveAtUs = Infinity;
  tcb.timeWait = new TimeWait(tcb, now);
  tcb.timers.lifeAtUs = tcb.timeWait.endsAtUs;
}

/** The connection is over. `error`: the errno that the application gets; 0: it ended as it should. */
export function toClosed(tcb: Tcb, error: number): void {
  tcb.state = State.CLOSED;
  tcb.timeWait = null;
  tcb.queue.clear();
  tcb.timers.kind = TransmitTimer.NONE;
  tcb.timers.transmitAtUs = tcb.timers.keepaliveAtUs = tcb.timers.lifeAtUs = Infinity;
  tcb.ack.delayedAtUs = tcb.pacing.dueUs = Infinity;
  tcb.ack.now = tcb.ack.scheduled = false;
  tcb.sendBuffer.release();
  tcb.outOfOrder.clear();
  // What came in before the end may still be read, as on Linux even before the error is told.
  if (error !== 0) {
    tcb.error = error;
    tcb.events |= EVENT_ERROR;
  }
  if (tcb.orphan || tcb.receiveBuffer.length === 0) tcb.receiveBuffer.release();
  tcb.events |= EVENT_READABLE | EVENT_WRITABLE | EVENT_FIN;
  if (!tcb.intents.reset && !tcb.intents.strayReset) tcb.events |= EVENT_CLOSED;
}

/** Ends the connection with a RST (RFC 9293 3.10.5): it is forgotten once that segment is sent. */
export function resetConnection(tcb: Tcb, error: number): void {
  tcb.intents.reset = true;
  toClosed(tcb, error);
}
