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

/** Epoll, level-triggered: the device is reported for as long as it has frames. */
function reportWhileReadable(world: World, turns: number, look: () => void = () => {}): void {
  world.script = Array.from({ length: turns }, () => () => {
    look();
    return world.incoming.length > 0 ? [[DEVICE, 1]] : [];
  });
}

Deno.test("a frame is dealt with before the next is asked for; of many in a row ever more are taken at once", () => {
  const world = new World();
  world.incoming = Array.from({ length: 400 }, (_, i) => i & 255);
  const taken: number[] = [];
  reportWhileReadable(world, 40, () => taken.push(world.received.length));
  runLoop(world.parts);
  assertEquals(world.received, Array.from({ length: 400 }, (_, i) => i & 255));
  const steps = taken.map((count, i) => count - (taken[i - 1] ?? 0)).filter((step) => step > 0);
  assertEquals(steps.slice(0, 10), [1, 1, 1, 1, 2, 2, 2, 2, 4, 4]);
  assertEquals(Math.max(...steps), 64);
});

Deno.test("as many frames are asked for as came together the last time", () => {
  const world = new World();
  world.incoming = Array.from({ length: 31 }, (_, i) => i);
  reportWhileReadable(world, 20);
  const bursts: number[] = [];
  for (let i = 0; i < 3; i++) {
    world.script.push(() => {
      world.incoming = [1, 2, 3];
      world.received.length = 0;
      return [[DEVICE, 1]];
    }, () => {
      bursts.push(world.received.length);
      return [];
    });
  }
  runLoop(world.parts);
  assertEquals(bursts, [3, 3, 3]);
});

Deno.test("a device without a descriptor is asked until it has nothing", () => {
  const world = new World();
  const parts = world.parts;
  const [device] = parts.devices;
  parts.devices = [Object.defineProperty(device, "fd", { value: -1 })];
  world.incoming = [1, 2, 3];
  world.script = Array.from({ length: 3 }, () => () => []);
  runLoop(parts);
  assertEquals(world.received, [1, 2, 3]);
  assertEquals(world.sleeps, [0, 0, 0, Infinity]);
});

/**
 * What the loop does while it waits for each of `count` events, of which each comes `us` after it began to wait: how many
 * microseconds it looks, a look taking one, and whether it then sleeps.
 */
function waitsFor(us: number, count: number, busyPollUs: number): [lookedUs: number, slept: boolean][] {
  const world = new World();
  const { parts } = world;
  const waits: [number, boolean][] = [];
  let looked = 0;
  const wait = (timeoutUs: number): number => {
    if (timeoutUs <= 0) {
      world.now++;
      if (++looked < us) return 0;
    } else {
      world.now += us - looked;
    }
    waits.push([looked, timeoutUs > 0]);
    looked = 0;
    return 1;
  };
  const eventFd = () => waits.length < count ? DEVICE : WAKE_UP;
  runLoop({ ...parts, poller: { ...parts.poller, wait, eventFd, eventMask: () => 1 }, busyPollUs });
  return waits;
}

Deno.test("busy polling: the loop looks for what comes soon, and sleeps only until it knows that it does", () => {
  assertEquals(waitsFor(15, 5, 50), [[0, true], [10, true], [15, false], [15, false], [15, false]]);
});

Deno.test("busy polling: nobody looks for what comes every 10 ms, nor without busy polling", () => {
  const slept = Array.from({ length: 4 }, () => [0, true]);
  assertEquals(waitsFor(10_000, 4, 50), slept);
  assertEquals(waitsFor(15, 4, 0), slept);
});

Deno.test("busy polling ends when something is due", () => {
  const world = new World();
  const { parts } = world;
  const advancedAt: number[] = [];
  parts.stack.advance = (now) => {
    advancedAt.push(now);
    world.stackDeadline = Infinity;
  };
  const after = (us: number, events: [number, number][] = []) => (): [number, number][] => {
    world.now += us;
    world.stackDeadline = Math.min(world.stackDeadline, 1000 + 60 + 60 + 15);
    return events;
  };
  // Two short waits open the window to 20 us.
  world.script = [after(60, [[7, 1]]), after(60, [[7, 1]]), after(5), after(5), after(5), after(0)];
  runLoop({ ...parts, busyPollUs: 50 });
  assertEquals(advancedAt, [1135]);
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
