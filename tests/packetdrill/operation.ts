import type { Expression, Field, SyscallSpec } from "./ast.ts";
import { type RunConfig, Unsupported } from "./config.ts";
import type { Descriptor, Descriptors, SocketDescriptor } from "./descriptors.ts";
import type { Flow } from "./flow.ts";
import type { Machine } from "./machine.ts";
import { ERRNOS, symbolValue } from "./symbols.ts";

/** What an attempt answers that cannot go on yet: in a kernel the caller would sleep. */
export const BLOCKED = null;

/** A result (>= 0 or -errno), or BLOCKED. */
export type Attempt = number | typeof BLOCKED;

/** A system call under way. */
export interface Operation {
  /** Tries to go on; called again after anything happened in the stack. */
  attempt(): Attempt;
  /** When to try again although nothing happened (a timeout), on the machine's clock. */
  deadlineUs?: number;
  /** Compares what was put into the caller's structures; returns what differs. */
  check?(result: number): string | null;
  /** The call makes a descriptor: gives it the script's number. */
  install?(result: number, fd: number): void;
}

/** What the calls work on. */
export interface Kernel {
  readonly machine: Machine;
  readonly config: RunConfig;
  readonly descriptors: Descriptors;
  /** Every connection of the script, newest first. */
  readonly flows: Flow[];
  /** The one that the script's packets belong to. */
  underTest: Flow | null;
  /** A socket does not want its path's MTU found out, which the stack cannot be told. */
  pathMtuIsFixed: boolean;
  /** Something that was not done as the script says, but without consequence; shown to the user. */
  note(text: string): void;
}

/** A call's arguments, evaluated as they are asked for. */
export class Arguments {
  readonly spec: SyscallSpec;
  readonly kernel: Kernel;

  constructor(spec: SyscallSpec, kernel: Kernel) {
    this.spec = spec;
    this.kernel = kernel;
  }

  get count(): number {
    return this.spec.args.length;
  }

  expression(index: number): Expression {
    const expression = this.spec.args[index];
    if (expression === undefined) throw new Unsupported(`${this.spec.name} with ${this.count} arguments`);
    return expression;
  }

  /** A number, or `fallback` for `...` and for an argument that is not there. */
  number(index: number, fallback?: number): number {
    const expression = this.spec.args[index];
    if (expression === undefined || expression.kind === "ellipsis") {
      if (fallback !== undefined) return fallback;
      throw new Unsupported(`${this.spec.name} without a number as argument ${index + 1}`);
    }
    return this.evaluate(expression);
  }

  /** The number an expression stands for. Throws Unsupported for an unknown name or another kind of value. */
  evaluate(expression: Expression): number {
    switch (expression.kind) {
      case "number":
        return expression.value;
      case "or":
        return (this.evaluate(expression.left) | this.evaluate(expression.right)) >>> 0;
      case "word":
        return this.symbol(expression.name);
      case "call":
        if (expression.name === "htons" || expression.name === "htonl") {
          return this.evaluate(expression.args[0]);
        }
        throw new Unsupported(`the function ${expression.name}`);
      case "list":
        if (expression.items.length === 1) return this.evaluate(expression.items[0]);
        throw new Unsupported(`a list of ${expression.items.length} as a number`);
      default:
        throw new Unsupported(`a ${expression.kind} as a number in ${this.spec.name}`);
    }
  }

  symbol(name: string): number {
    const defined = this.kernel.config.defines.get(name);
    if (defined !== undefined && /^-?(0x)?[0-9a-fA-F]+$/.test(defined)) return Number(defined);
    const value = symbolValue(defined ?? name);
    if (value === undefined) throw new Unsupported(`the name ${name}`);
    return value;
  }

  descriptor(index: number): Descriptor | null {
    return this.kernel.descriptors.get(this.number(index)) ?? null;
  }

  /** The socket behind a descriptor argument, or the errno the call fails with. */
  socket(index: number): SocketDescriptor | number {
    const descriptor = this.descriptor(index);
    if (descriptor === null) return -ERRNOS.EBADF;
    return descriptor.kind === "socket" ? descriptor : -ERRNOS.ENOTSOCK;
  }

  /** The members of a structure argument. */
  fields(index: number): Field[] {
    return structFields(this.expression(index));
  }
}

/** The members of a structure; none for anything else. */
export function structFields(expression: Expression): Field[] {
  return expression.kind === "struct" ? expression.fields : [];
}

/** A member's value, or undefined. */
export function field(fields: Field[], name: string): Expression | undefined {
  return fields.find((each) => each.name === name)?.value;
}

/** A call that is over at once. */
export function immediate(result: number, rest: Partial<Operation> = {}): Operation {
  return { attempt: () => result, ...rest };
}
