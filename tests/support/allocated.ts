import { getHeapStatistics } from "node:v8";

/**
 * Bytes that this thread has allocated on V8's heap since it began, whether or not they were collected: a count, and no
 * matter of when the collector ran. (V8 counts them; the types of node:v8 do not know it yet.)
 */
export function allocatedBytes(): number {
  const statistics: object = getHeapStatistics();
  if (!("total_allocated_bytes" in statistics)) throw new Error("This V8 does not count what is allocated");
  return Number(statistics.total_allocated_bytes);
}
