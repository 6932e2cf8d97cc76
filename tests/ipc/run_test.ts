import { assert, assertEquals, assertThrows } from "@std/assert";
import { Frame, FRAME_START } from "../../lib/buffer/frame.ts";
import { Memory } from "../../lib/buffer/memory.ts";
import type { Device } from "../../lib/device.ts";
import type { LoopParts, Poller } from "../../lib/run.ts";
import { runLoop } from "../../lib/run.ts";

const WAKE_UP = 99;
const DEVICE = 5;

/** A world under a clock of its own: device, stack, server and epoll that do what the test says, turn by turn. */
class World {
  now = 1000;
  turns = 0;
  /** What epoll reports at each sleep; after the last the loop is woken up to end. */
  script: (() => [fd: number, mask: number][])[] = [];
  sleeps: number[] = [];
  incoming: number[] = [];
  received: number[] = [];
  outgoing: Frame[] = [];
  sent: number[][] = [];
  /** Frames that the device takes. */
  room = Infinity;
  ready: number[] = [];
  told: number[] = [];
  events: [number, number][] = [];
  work: boolean[] = [];
  advanced: string[] = [];
  deviceDeadline = Infinity;
  stackDeadline = Infinity;
  watched = new Map<number, number>();
  closed = false;
  aborted = false;

  get parts(): LoopParts {
    // deno-lint-ignore no-this-alias -- for the getters
    const world = this;
    const device: Device = {
      name: "test",
      mtu: 1500,
      features: { checksum: false, segmentation: false },
      fd: DEVICE,
      get deadline() {
        return world.deviceDeadline;
      },
      receive: (frame) => {
        const next = this.incoming.shift();
        if (next === undefined) return false;
        frame.clear();
        frame.memory.bytes[FRAME_START] = next;
        frame.length = 1;
        return true;
      },
      send: (frame) => {
        if (this.room <= 0) return false;
        this.room--;
        const bytes = [...frame.memory.bytes.subarray(FRAME_START, FRAME_START + frame.length)];
        const { memory, offset1, length1, offset2, length2 } = frame.payload;
        if (memory) {
          bytes.push(...memory.bytes.subarray(offset1, offset1 + length1));
          bytes.push(...memory.bytes.subarray(offset2, offset2 + length2));
        }
        this.sent.push(bytes);
        return true;
      },
      advance: () => {
        this.advanced.push("device");
        this.deviceDeadline = Infinity;
      },
      close: () => {},
    };
    const poller: Poller = {
      add: (fd, events) => this.watched.set(fd, events),
      modify: (fd, events) => this.watched.set(fd, events),
      wait: (timeoutUs) => {
        this.sleeps.push(timeoutUs);
        const step = this.script.shift();
        this.#reported = step ? step() : [[WAKE_UP, 1]];
        return this.#reported.length;
      },
      eventFd: (i) => this.#reported[i][0],
      eventMask: (i) => this.#reported[i][1],
    };
    return {
      devices: [device],
      poller,
      wakeUpFd: WAKE_UP,
      clock: () => this.now,
      stack: {
        input: (frame) => void this.received.push(frame.memory.bytes[FRAME_START]),
        transmit: (frame) => {
          const next = this.outgoing.shift();
          if (next === undefined) return false;
          frame.clear();
          frame.memory.bytes.set(next.memory.bytes.subarray(0, 200));
          frame.length = next.length;
          Object.assign(frame.payload, next.payload);
          return true;
        },
        advance: () => {
          this.advanced.push("stack");
          this.stackDeadline = Infinity;
        },
        get deadline() {
          return world.stackDeadline;
        },
        abortAll: () => void (this.aborted = true),
        nextReady: () => this.ready.shift() ?? -1,
        takeNotice: () => null,
      },
      server: {
        deadline: Infinity,
        event: (fd, mask) => void this.events.push([fd, mask]),
        ready: (handle) => void this.told.push(handle),
        work: () => this.work.shift() ?? false,
        close: () => void (this.closed = true),
      },
    };
  }
  #reported: [number, number][] = [];

  frame(first: number, payload?: Memory, length = 0): void {
    const frame = new Frame(2048);
    frame.memory.bytes[FRAME_START] = first;
    frame.length = 1;
    if (payload) Object.assign(frame.payload, { memory: payload, offset1: 0, length1: length });
    this.outgoing.push(frame);
  }
}

Deno.test("an idle loop sleeps without end, and ends when it is woken up", () => {
  const world = new World();
  runLoop(world.parts);
  assertEquals(world.sleeps, [Infinity]);
  assert(world.closed);
});

Deno.test("frames go to the stack in budgets, and the loop does not sleep while there are more", () => {
  const world = new World();
  world.incoming = Array.from({ length: 100 }, (_, i) => i);
  world.script = [() => {
    assertEquals(world.received.length, 64);
    return [];
  }];
  runLoop(world.parts);
  assertEquals(world.received, Array.from({ length: 100 }, (_, i) => i));
  assertEquals(world.sleeps, [0, Infinity]);
});

Deno.test("after the first drain the device is read only when it is reported readable", () => {
  const world = new World();
  world.script = [() => {
    world.incoming.push(1);
    return [];
  }, () => {
    assertEquals(world.received, []);
    return [[DEVICE, 1]];
  }];
  runLoop(world.parts);
  assertEquals(world.received, [1]);
});

Deno.test("sleeps end at the earliest deadline, and what is due is done", () => {
  const world = new World();
  world.stackDeadline = 5000;
  world.deviceDeadline = 3000;
  world.script = [() => {
    world.now = 3000;
    return [];
  }, () => {
    world.now = 5000;
    return [];
  }];
  runLoop(world.parts);
  assertEquals(world.sleeps, [2000, 2000, Infinity]);
  assertEquals(world.advanced, ["device", "stack"]);
});

Deno.test("a deadline that has passed is no sleep at all", () => {
  const world = new World();
  const parts = world.parts;
  world.script = [() => {
    world.stackDeadline = 500;
    return [[7, 1]];
  }];
  runLoop(parts);
  assertEquals(world.advanced, ["stack"]);
  assertEquals(world.events, [[7, 1]]);
});

Deno.test("a frame that the device does not take is kept, with its payload as it was, until there is room", () => {
  const world = new World();
  const ring = new Memory(128);
  ring.bytes.fill(7, 0, 3);
  world.frame(1, ring, 3);
  world.frame(2);
  world.room = 0;
  world.script = [() => {
    assertEquals(world.watched.get(DEVICE), 5);
    // The ring is used for something else meanwhile.
    ring.bytes.fill(9);
    world.room = Infinity;
    return [[DEVICE, 4]];
  }];
  runLoop(world.parts);
  assertEquals(world.sent, [[1, 7, 7, 7], [2]]);
  assertEquals(world.watched.get(DEVICE), 1);
  assertEquals(world.sleeps, [Infinity, Infinity]);
});

Deno.test("a device that reports room and takes nothing is tried by the clock, not in a spin", () => {
  const world = new World();
  world.frame(1);
  world.room = 0;
  world.script = [() => [[DEVICE, 4]], () => {
    assertEquals(world.watched.get(DEVICE), 1);
    world.now += 1000;
    return [];
  }, () => {
    world.room = 1;
    world.now += 1000;
    return [[DEVICE, 4]];
  }];
  runLoop(world.parts);
  assertEquals(world.sleeps.slice(0, 2), [Infinity, 1000]);
  assertEquals(world.sent, [[1]]);
});

Deno.test("the server is told who is ready, also by its own work", () => {
  const world = new World();
  world.ready = [3, 4];
  world.work = [true, false];
  runLoop(world.parts);
  assertEquals(world.told, [3, 4]);
  assertEquals(world.sleeps, [0]);
});

Deno.test("the end: what closing left to be sent is sent, and a device that delays is waited for", () => {
  const world = new World();
  const parts = { ...world.parts, lingerUs: 10_000 };
  parts.server = {
    ...parts.server,
    close: () => {
      world.frame(42);
      world.deviceDeadline = world.now + 500;
    },
  };
  world.script = [() => [[WAKE_UP, 1]], () => {
    world.now += 500;
    return [];
  }];
  runLoop(parts);
  assertEquals(world.sent, [[42]]);
  assertEquals(world.sleeps, [Infinity, 500]);
  assertEquals([world.advanced, world.aborted], [["device"], true]);
});

Deno.test("what the device throws ends the loop", () => {
  const world = new World();
  const parts = world.parts;
  parts.devices[0].receive = () => {
    throw new Error("the interface was deleted");
  };
  assertThrows(() => runLoop(parts), Error, "deleted");
});

Deno.test("the loop says once that it is idle, some time after the last thing happened", () => {
  const world = new World();
  let idle = 0;
  world.script = [() => {
    world.now += 100_000;
    return [[7, 1]];
  }, () => {
    assertEquals(idle, 0);
    world.now += 500_000;
    return [];
  }, () => {
    assertEquals(idle, 1);
    return [[WAKE_UP, 1]];
  }];
  runLoop({ ...world.parts, onIdle: () => idle++ });
  assertEquals(world.sleeps, [500_000, 500_000, Infinity]);
});
