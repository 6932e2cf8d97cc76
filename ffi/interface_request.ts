import { Block } from "./memory.ts";

const NAME_SIZE = 16;

/** Where the union of `struct ifreq` begins. */
export const REQUEST_VALUE = NAME_SIZE;

/** Names that Linux gives an interface are of at most 15 bytes, without white space, `/` and `:`. */
export function isInterfaceName(name: string): boolean {
  const length = new TextEncoder().encode(name).length;
  return length > 0 && length < NAME_SIZE && name !== "." && name !== ".." && !/[\s/:\0]/.test(name);
}

/** `struct ifreq { char name[16]; union { ... } }`, what the ioctls about an interface take and fill in. */
export class InterfaceRequest extends Block {
  /** Throws `RangeError` if no interface can have that name; "" is for requests that answer with a name. */
  constructor(name: string) {
    super(40);
    if (name !== "" && !isInterfaceName(name)) {
      throw new RangeError(
        `Cannot name an interface so: a name has 1 to 15 bytes, no white space, "/" or ":": current value is ${
          JSON.stringify(name)
        }`,
      );
    }
    new TextEncoder().encodeInto(name, this.bytes);
  }

  /** The name as the kernel filled it in. */
  get name(): string {
    return this.text(0, NAME_SIZE);
  }

  get flags(): number {
    return this.view.getUint16(REQUEST_VALUE, true);
  }

  set flags(flags: number) {
    this.view.setUint16(REQUEST_VALUE, flags, true);
  }

  get value(): number {
    return this.view.getInt32(REQUEST_VALUE, true);
  }

  set value(value: number) {
    this.view.setInt32(REQUEST_VALUE, value, true);
  }
}
