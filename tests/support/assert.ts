/**
 * `@std/assert`, in the few functions the tests use, over node:assert: JSR cannot be reached from every machine this
 * is built on. The names and the order of arguments are std's, so the import alias in deno.json can be pointed at
 * `jsr:@std/assert@1` without touching a test.
 */
import assertStrict from "node:assert/strict";

export { AssertionError } from "node:assert";

export function assert(expression: unknown, message = ""): asserts expression {
  assertStrict.ok(expression, message || undefined);
}

export function assertEquals<T>(actual: T, expected: T, message?: string): void {
  assertStrict.deepStrictEqual(actual, expected, message);
}

export function assertNotEquals<T>(actual: T, expected: T, message?: string): void {
  assertStrict.notDeepStrictEqual(actual, expected, message);
}

export function assertStrictEquals<T>(actual: unknown, expected: T, message?: string): asserts actual is T {
  assertStrict.strictEqual(actual, expected, message);
}

export function assertExists<T>(actual: T, message?: string): asserts actual is NonNullable<T> {
  assertStrict.ok(
    actual !== undefined && actual !== null,
    message ?? "Expected a value, got null or undefined",
  );
}

export function assertMatch(actual: string, expected: RegExp, message?: string): void {
  assertStrict.match(actual, expected, message);
}

export function assertStringIncludes(actual: string, expected: string, message?: string): void {
  assertStrict.ok(
    actual.includes(expected),
    message ?? `Expected ${JSON.stringify(actual)} to contain ${JSON.stringify(expected)}`,
  );
}

export function assertGreater<T>(actual: T, expected: T, message?: string): void {
  assertStrict.ok(actual > expected, message ?? `Expected ${actual} > ${expected}`);
}

export function assertGreaterOrEqual<T>(actual: T, expected: T, message?: string): void {
  assertStrict.ok(actual >= expected, message ?? `Expected ${actual} >= ${expected}`);
}

export function assertLess<T>(actual: T, expected: T, message?: string): void {
  assertStrict.ok(actual < expected, message ?? `Expected ${actual} < ${expected}`);
}

export function assertLessOrEqual<T>(actual: T, expected: T, message?: string): void {
  assertStrict.ok(actual <= expected, message ?? `Expected ${actual} <= ${expected}`);
}

// deno-lint-ignore no-explicit-any
type ErrorClass<E extends Error> = new (...args: any[]) => E;

function check(
  error: unknown,
  ErrorClass?: ErrorClass<Error>,
  includes?: string,
  message?: string,
): asserts error is Error {
  assertStrict.ok(error instanceof Error, message ?? "A value that is not an Error was thrown");
  if (ErrorClass) {
    assertStrict.ok(
      error instanceof ErrorClass,
      message ?? `Expected ${ErrorClass.name}, got ${error.constructor.name}: ${error.message}`,
    );
  }
  if (includes) assertStringIncludes(error.message, includes, message);
}

export function assertThrows<E extends Error = Error>(
  fn: () => unknown,
  ErrorClass?: ErrorClass<E>,
  includes?: string,
  message?: string,
): E {
  let thrown: unknown;
  let didThrow = false;
  try {
    fn();
  } catch (error) {
    thrown = error;
    didThrow = true;
  }
  assertStrict.ok(didThrow, message ?? "Expected function to throw");
  check(thrown, ErrorClass, includes, message);
  return thrown as E;
}

export async function assertRejects<E extends Error = Error>(
  fn: () => PromiseLike<unknown>,
  ErrorClass?: ErrorClass<E>,
  includes?: string,
  message?: string,
): Promise<E> {
  let thrown: unknown;
  let didThrow = false;
  try {
    await fn();
  } catch (error) {
    thrown = error;
    didThrow = true;
  }
  assertStrict.ok(didThrow, message ?? "Expected function to reject");
  check(thrown, ErrorClass, includes, message);
  return thrown as E;
}
