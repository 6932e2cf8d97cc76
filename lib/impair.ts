/** Network impairment as a wrapper of the device: kernels exist without netem. See `lib/impair/`. */
export { type DirectionSpec, type ImpairSpec, parseImpair } from "./impair/spec.ts";
export { ImpairedDevice } from "./impair/device.ts";
export { type ImpairCounters } from "./impair/direction.ts";
