import { PythonError } from "./python_lexer.ts";

/** Integers and floats are one: none of the numbers in scripts needs more than a double holds exactly. */
export type PyValue = number | string | boolean | null | PyValue[];

export function truth(value: PyValue): boolean {
  return Array.isArray(value) ? value.length > 0 : Boolean(value);
}

/** As Python prints it. */
export function repr(value: PyValue): string {
  if (Array.isArray(value)) return `(${value.map(repr).join(", ")})`;
  if (value === null) return "None";
  if (value === true) return "True";
  if (value === false) return "False";
  return typeof value === "string" ? `'${value}'` : String(value);
}

function text(value: PyValue): string {
  return typeof value === "string" ? value : repr(value);
}

function equal(left: PyValue, right: PyValue): boolean {
  if (Array.isArray(left) && Array.isArray(right)) {
    return left.length === right.length && left.every((item, i) => equal(item, right[i]));
  }
  if (typeof left === "boolean" || typeof right === "boolean") {
    if (typeof left !== "string" && typeof right !== "string" && left !== null && right !== null) {
      return Number(left) === Number(right);
    }
  }
  return left === right;
}

function contains(container: PyValue, item: PyValue): boolean {
  if (typeof container === "string") return container.includes(text(item));
  if (Array.isArray(container)) return container.some((each) => equal(each, item));
  throw new PythonError("'in' needs a list or a string");
}

function number(value: PyValue): number {
  if (typeof value === "number") return value;
  if (typeof value === "boolean") return Number(value);
  throw new PythonError(`${repr(value)} is not a number`);
}

/** Bits of numbers beyond 32: as Python, without a limit. */
function bitwise(operator: string, left: number, right: number): number {
  const a = BigInt(left);
  const b = BigInt(right);
  switch (operator) {
    case "&":
      return Number(a & b);
    case "|":
      return Number(a | b);
    case "^":
      return Number(a ^ b);
    case "<<":
      return Number(a << b);
    default:
      return Number(a >> b);
  }
}

/** Any operator with two operands; "[]" is subscription. */
export function evaluateBinary(operator: string, left: PyValue, right: PyValue): PyValue {
  switch (operator) {
    case "==":
      return equal(left, right);
    case "!=":
      return !equal(left, right);
    case "is":
      return left === right;
    case "is not":
      return left !== right;
    case "in":
      return contains(right, left);
    case "not in":
      return !contains(right, left);
    case "[]":
      return subscript(left, right);
    case "<":
    case ">":
    case "<=":
    case ">=":
      return compare(operator, left, right);
    default:
      if (typeof left === "string") return stringOperation(operator, left, right);
      if (Array.isArray(left) && Array.isArray(right) && operator === "+") return [...left, ...right];
      return arithmetic(operator, number(left), number(right));
  }
}

function subscript(container: PyValue, index: PyValue): PyValue {
  if (typeof container !== "string" && !Array.isArray(container)) throw new PythonError("not subscriptable");
  const at = number(index);
  const value = container[at < 0 ? container.length + at : at];
  if (value === undefined) throw new PythonError(`index ${at} is out of range`);
  return value;
}

function compare(operator: string, left: PyValue, right: PyValue): boolean {
  const [a, b] = typeof left === "string" && typeof right === "string"
    ? [left, right]
    : [number(left), number(right)];
  if (operator === "<") return a < b;
  if (operator === ">") return a > b;
  return operator === "<=" ? a <= b : a >= b;
}

function arithmetic(operator: string, left: number, right: number): number {
  const divides = operator === "/" || operator === "//" || operator === "%";
  if (divides && right === 0) throw new PythonError("division by zero");
  switch (operator) {
    case "+":
      return left + right;
    case "-":
      return left - right;
    case "*":
      return left * right;
    case "/":
      return left / right;
    case "//":
      return Math.floor(left / right);
    case "%":
      return left - right * Math.floor(left / right);
    case "**":
      return left ** right;
    default:
      return bitwise(operator, left, right);
  }
}

function stringOperation(operator: string, left: string, right: PyValue): string {
  if (operator === "%") return format(left, Array.isArray(right) ? right : [right]);
  if (operator === "+" && typeof right === "string") return left + right;
  if (operator === "*" && typeof right === "number") return left.repeat(Math.max(0, right));
  throw new PythonError(`cannot apply ${operator} to a string`);
}

/** printf-style: %d %i %u %x %s %r %f %g and %%, widths ignored. */
function format(template: string, values: PyValue[]): string {
  let next = 0;
  return template.replace(/%[-+ 0#]*[0-9]*(?:\.([0-9]+))?(?:l*)([a-zA-Z%])/g, (_, digits, kind: string) => {
    if (kind === "%") return "%";
    const value = values[next++] ?? null;
    if (kind === "s") return text(value);
    if (kind === "r") return repr(value);
    if (kind === "x") return number(value).toString(16);
    if (kind === "f") return number(value).toFixed(digits === undefined ? 6 : Number(digits));
    if ("diu".includes(kind)) return String(Math.trunc(number(value)));
    return text(value);
  });
}

/** The built-in functions that assertions use. */
export function evaluateCall(name: string, args: PyValue[], print: (line: string) => void): PyValue {
  const flat = args.length === 1 && Array.isArray(args[0]) ? args[0] : args;
  switch (name) {
    case "print":
      print(args.map(text).join(" "));
      return null;
    case "abs":
      return Math.abs(number(args[0]));
    case "min":
      return Math.min(...flat.map(number));
    case "max":
      return Math.max(...flat.map(number));
    case "sum":
      return flat.map(number).reduce((a, b) => a + b, 0);
    case "int":
      return Math.trunc(typeof args[0] === "string" ? Number(args[0]) : number(args[0]));
    case "float":
      return Number(args[0]);
    case "round":
      return Math.round(number(args[0]));
    case "bool":
      return truth(args[0]);
    case "str":
    case "repr":
      return name === "str" ? text(args[0]) : repr(args[0]);
    case "len":
      return typeof args[0] === "string" || Array.isArray(args[0]) ? args[0].length : 0;
    default:
      throw new PythonError(`function '${name}' is not supported in code`);
  }
}
