import { parseIp } from "../wire/address.ts";
import type { Question, Response } from "./message.ts";
import { isAliasName, isHostName } from "./name.ts";
import { type NameAnswer, Outcome, Reason, RecordType, Source } from "./types.ts";

/** Aliases in a row, in one response or over several; nobody means a longer chain. */
const MAX_ALIASES = 16;

/** What a response says of a question: an answer, or the name to ask for next because the chain of aliases goes on. */
export type Finding = { answer: NameAnswer; keepSeconds: number } | { next: string };

/**
 * Follows the aliases (RFC 1034 3.6.2) from the question's name. `names` is the chain up to that name, itself included;
 * what the response adds to it is appended.
 */
export function follow(response: Response, question: Question, names: string[], server: number): Finding {
  let ttl = 0x7fff_ffff;
  for (let at = question.name;;) {
    const own = response.records.filter(({ owner }) => owner === at);
    const data = own.filter(({ kind }) => kind !== "CNAME");
    if (data.length > 0) {
      for (const record of data) ttl = Math.min(ttl, record.ttl);
      return found(question.type, data.map((record) => record.data), names, ttl, server);
    }
    const alias = own.find(({ kind }) => kind === "CNAME");
    if (alias === undefined) return dead(response, question, names, at, ttl, server);
    ttl = Math.min(ttl, alias.ttl);
    at = alias.data;
    const isName = question.type === RecordType.PTR ? isAliasName(at) : isHostName(at);
    if (!isName) return failure(Outcome.fail, Reason.badName, names, server);
    if (names.includes(at) || names.length > MAX_ALIASES) {
      return failure(Outcome.fail, Reason.aliasLoop, names, server);
    }
    names.push(at);
  }
}

function found(
  type: Question["type"],
  data: string[],
  names: string[],
  ttl: number,
  server: number,
): Finding {
  const addresses = type === RecordType.A ? data.map(parseIp).filter((address) => address !== null) : [];
  // A host's name goes to programs, which take it for one.
  const hosts = type === RecordType.PTR ? data.filter(isHostName) : [...names];
  if (type === RecordType.PTR && hosts.length === 0) {
    return failure(Outcome.fail, Reason.badName, names, server);
  }
  return {
    answer: {
      outcome: Outcome.found,
      reason: Reason.noError,
      source: Source.server,
      addresses: [...new Set(addresses)],
      names: hosts,
      ttl,
      server,
    },
    keepSeconds: ttl,
  };
}

/** The chain ends without a record of the type. */
function dead(
  response: Response,
  question: Question,
  names: string[],
  at: string,
  ttl: number,
  server: number,
): Finding {
  const { rcode, negativeTtl } = response;
  // RFC 2308 2.1: the RCODE is about the end of the chain. Without a denial the server just did not go on.
  if (rcode === Reason.noError && at !== question.name && negativeTtl < 0) return { next: at };
  const outcome = rcode === Reason.nxDomain ? Outcome.noName : Outcome.noData;
  const finding = failure(outcome, rcode, names, server);
  finding.keepSeconds = finding.answer.ttl = Math.max(0, Math.min(ttl, negativeTtl));
  return finding;
}

function failure(
  outcome: Outcome,
  reason: number,
  names: string[],
  server: number,
): { answer: NameAnswer; keepSeconds: number } {
  return {
    answer: { outcome, reason, source: Source.server, addresses: [], names: [...names], ttl: 0, server },
    keepSeconds: 0,
  };
}
