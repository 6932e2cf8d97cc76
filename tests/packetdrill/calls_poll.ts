import type { Expression } from "./ast.ts";
import { Unsupported } from "./config.ts";
import type { EpollDescriptor, Watch } from "./descriptors.ts";
import {
  type Arguments,
  BLOCKED,
  field,
  immediate,
  type Kernel,
  type Operation,
  structFields,
} from "./operation.ts";
import { ERRNOS, POLLERR, POLLHUP, pollNames } from "./symbols.ts";

const POLLNVAL = 32;
const EPOLL_CTL_ADD = 1;
const EPOLL_CTL_DEL = 2;

/** Milliseconds from now on the machine's clock; negative: never. */
function timeout(kernel: Kernel, ms: number): number {
  return ms < 0 ? Infinity : kernel.machine.now + ms * 1000;
}

interface Polled {
  fd: number;
  events: number;
  expected: number;
}

/** `poll([{fd=3, events=POLLIN, revents=POLLIN}], 1, timeout)`. */
export function poll(args: Arguments): Operation {
  const { kernel } = args;
  const list = args.expression(0);
  if (list.kind !== "list") throw new Unsupported("poll without a list");
  const polled = list.items.map((item) => polledFrom(args, item));
  const revents = polled.map(() => 0);
  const deadlineUs = timeout(kernel, args.number(2, -1));
  return {
    deadlineUs,
    attempt: () => {
      polled.forEach(({ fd, events }, i) => revents[i] = eventsOf(kernel, fd, events));
      const ready = revents.filter((events) => events !== 0).length;
      return ready > 0 || kernel.machine.now >= deadlineUs ? ready : BLOCKED;
    },
    check: () => {
      const at = polled.findIndex(({ expected }, i) => expected !== revents[i]);
      if (at < 0) return null;
      return `revents of fd ${polled[at].fd}: expected ${pollNames(polled[at].expected)}, got ${
        pollNames(revents[at])
      }`;
    },
  };
}

function polledFrom(args: Arguments, item: Expression): Polled {
  const fields = structFields(item);
  const value = (name: string) => {
    const expression = field(fields, name);
    return expression === undefined ? 0 : args.evaluate(expression);
  };
  return { fd: value("fd"), events: value("events"), expected: value("revents") };
}

function eventsOf(kernel: Kernel, fd: number, events: number): number {
  const descriptor = kernel.descriptors.get(fd);
  if (descriptor === undefined) return POLLNVAL;
  return kernel.descriptors.events(descriptor) & (events | POLLERR | POLLHUP);
}

export function epollCreate(args: Arguments): Operation {
  const { kernel } = args;
  return immediate(1, {
    install: (_, fd) => kernel.descriptors.set(fd, { kind: "epoll", watches: new Map() }),
  });
}

function epollOf(args: Arguments): EpollDescriptor | number {
  const descriptor = args.descriptor(0);
  if (descriptor === null) return -ERRNOS.EBADF;
  return descriptor.kind === "epoll" ? descriptor : -ERRNOS.EINVAL;
}

/** `epoll_ctl(5, EPOLL_CTL_ADD, 4, {events=EPOLLIN, fd=4})`. */
export function epollCtl(args: Arguments): Operation {
  const epoll = epollOf(args);
  if (typeof epoll === "number") return immediate(epoll);
  const operation = args.number(1);
  const fd = args.number(2);
  if (args.descriptor(2) === null) return immediate(-ERRNOS.EBADF);
  const present = epoll.watches.has(fd);
  if (operation === EPOLL_CTL_ADD ? present : !present) {
    return immediate(operation === EPOLL_CTL_ADD ? -ERRNOS.EEXIST : -ERRNOS.ENOENT);
  }
  if (operation === EPOLL_CTL_DEL) epoll.watches.delete(fd);
  else epoll.watches.set(fd, watchFrom(args, fd));
  return immediate(0);
}

function watchFrom(args: Arguments, fd: number): Watch {
  const fields = args.fields(3);
  const events = field(fields, "events");
  const data = fields.find(({ name }) => name !== "events");
  return {
    fd,
    events: events === undefined ? 0 : args.evaluate(events),
    data: { name: data?.name ?? "fd", value: data === undefined ? fd : args.evaluate(data.value) },
    edge: true,
    disabled: false,
  };
}

/** `epoll_wait(5, {events=EPOLLIN, fd=4}, max, timeout)`, with a list for several events. */
export function epollWait(args: Arguments): Operation {
  const { kernel } = args;
  const epoll = epollOf(args);
  if (typeof epoll === "number") return immediate(epoll);
  const max = args.number(2);
  const deadlineUs = timeout(kernel, args.number(3, -1));
  const want = args.expression(1);
  const expected = want.kind === "list" ? want.items : [want];
  let got: { watch: Watch; events: number }[] = [];
  return {
    deadlineUs,
    attempt: () => {
      got = kernel.descriptors.report(epoll, max);
      return got.length > 0 || kernel.machine.now >= deadlineUs ? got.length : BLOCKED;
    },
    check: () => {
      for (let i = 0; i < got.length; i++) {
        const wrong = i < expected.length ? eventDifference(args, expected[i], got[i]) : null;
        if (wrong !== null) return wrong;
      }
      return null;
    },
  };
}

function eventDifference(
  args: Arguments,
  expected: Expression,
  got: { watch: Watch; events: number },
): string | null {
  if (expected.kind !== "struct") return null;
  const events = field(expected.fields, "events");
  const wanted = events === undefined ? got.events : args.evaluate(events);
  if (wanted !== got.events) return `events: expected ${pollNames(wanted)}, got ${pollNames(got.events)}`;
  const { name, value } = got.watch.data;
  const data = field(expected.fields, name);
  if (data === undefined || args.evaluate(data) === value) return null;
  return `${name}: expected ${args.evaluate(data)}, got ${value}`;
}
