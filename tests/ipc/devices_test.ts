/** The loop with several devices: each gets its frames, whatever becomes of the others. */
import { assertEquals } from "@std/assert";
import { type Frame, FRAME_START } from "../../lib/buffer/frame.ts";
import type { Device } from "../../lib/device.ts";
import { type LoopStack, runLoop } from "../../lib/run.ts";

const WAKE_UP = 99;

/** A device that gives and takes frames of one byte. */
class ByteDevice implements Device {
  readonly mtu = 1500;
  readonly features = { checksum: false, segmentation: false };
  deadline = Infinity;
  incoming: number[] = [];
  sent: number[] = [];
  room = Infinity;

  constructor(readonly name: string, readonly fd: number) {}

  receive(frame: Frame): boolean {
    const next = this.incoming.shift();
    if (next === undefined) return false;
    frame.clear();
    frame.memory.bytes[FRAME_START] = next;
    frame.length = 1;
    return true;
  }

  send(frame: Frame): boolean {
    if (this.room <= 0) return false;
    this.room--;
    this.sent.push(frame.memory.bytes[FRAME_START]);
    return true;
  }

  advance(): void {}
  close(): void {}
}

/** A stack that sends what the test puts in its queues, and none of it to a device that is full. */
class QueueStack implements LoopStack {
  readonly deadline = Infinity;
  readonly queues: number[][] = [[], []];
  readonly full = [false, false];
  readonly told: [device: number, isFull: boolean][] = [];
  readonly received: [device: number, value: number][] = [];

  input(frame: Frame): void {
    this.received.push([frame.device, frame.memory.bytes[FRAME_START]]);
  }

  transmit(frame: Frame): boolean {
    const device = this.queues.findIndex((queue, at) => queue.length > 0 && !this.full[at]);
    if (device < 0) return false;
    frame.clear();
    frame.device = device;
    frame.memory.bytes[FRAME_START] = this.queues[device].shift()!;
    frame.length = 1;
    return true;
  }

  setDeviceFull(device: number, isFull: boolean): void {
    this.told.push([device, isFull]);
    this.full[device] = isFull;
  }

  advance(): void {}
  abortAll(): void {}
  nextReady = () => -1;
  takeNotice = () => null;
}

/** Runs the loop; `script`: what epoll reports at each sleep, then the loop is woken up. */
function run(
  devices: ByteDevice[],
  stack: QueueStack,
  script: (() => [fd: number, mask: number][])[],
  watched = new Map<number, number>(),
): void {
  let reported: [number, number][] = [];
  runLoop({
    devices,
    stack,
    poller: {
      add: (fd, events) => watched.set(fd, events),
      modify: (fd, events) => watched.set(fd, events),
      wait: () => (reported = script.shift()?.() ?? [[WAKE_UP, 1]]).length,
      eventFd: (i) => reported[i][0],
      eventMask: (i) => reported[i][1],
    },
    wakeUpFd: WAKE_UP,
    clock: () => 1000,
    server: {
      deadline: Infinity,
      event: () => {},
      ready: () => {},
      work: () => false,
      close: () => {},
    },
  });
}

const two = () => [new ByteDevice("a", 5), new ByteDevice("b", 6)];

Deno.test("frames come in from every device, each with a budget of its own, and say where they came from", () => {
  const devices = two();
  const stack = new QueueStack();
  devices[0].incoming = Array.from({ length: 100 }, (_, i) => i);
  devices[1].incoming = [200, 201];
  const reportReadable = (): [number, number][] =>
    devices.filter(({ incoming }) => incoming.length > 0).map(({ fd }) => [fd, 1]);
  run(devices, stack, [
    reportReadable,
    () => {
      assertEquals(devices[1].incoming, [], "one that floods does not keep the other from its turn");
      devices[1].incoming.push(202);
      return reportReadable();
    },
    ...Array.from({ length: 30 }, () => reportReadable),
  ]);
  assertEquals(stack.received.filter(([device]) => device === 1).map(([, value]) => value), [200, 201, 202]);
  assertEquals(stack.received.filter(([device]) => device === 0).length, 100);
});

Deno.test("frames go to the device they are for; one that is full holds up its own alone, and keeps their order", () => {
  const devices = two();
  const stack = new QueueStack();
  stack.queues[0].push(1, 2, 3);
  stack.queues[1].push(101, 102, 103);
  devices[0].room = 1;
  const watched = new Map<number, number>();
  const script: Parameters<typeof run>[2] = [() => {
    assertEquals([devices[0].sent, devices[1].sent], [[1], [101, 102, 103]]);
    assertEquals([watched.get(5), watched.get(6)], [5, 1], "it waits for room in the one that is full");
    stack.queues[1].push(104);
    return [[6, 1]];
  }, () => {
    assertEquals(devices[1].sent.at(-1), 104);
    devices[0].room = Infinity;
    return [[5, 4]];
  }];
  run(devices, stack, script, watched);
  assertEquals(devices[0].sent, [1, 2, 3]);
  assertEquals(stack.told, [[0, true], [0, false]]);
  assertEquals([...watched.values()], [1, 1, 1]);
});

Deno.test("when all devices are full, nothing more is asked of the stack, and nothing is lost", () => {
  const devices = two();
  const stack = new QueueStack();
  stack.queues[0].push(1, 2);
  stack.queues[1].push(101, 102);
  devices[0].room = devices[1].room = 0;
  run(devices, stack, [() => {
    assertEquals(stack.queues, [[2], [102]]);
    devices[1].room = Infinity;
    return [[6, 4]];
  }, () => {
    assertEquals([devices[0].sent, devices[1].sent], [[], [101, 102]]);
    devices[0].room = Infinity;
    return [[5, 4]];
  }]);
  assertEquals(devices[0].sent, [1, 2]);
});
