/** The names packetdrill gives to ICMPv4 types and codes (RFC 792, RFC 1122 3.2.2.1, RFC 1812 5.2.7.1). */

const UNREACHABLE_CODES = [
  "net_unreachable",
  "host_unreachable",
  "protocol_unreachable",
  "port_unreachable",
  "frag_needed",
  "source_route_failed",
  "net_unknown",
  "host_unknown",
  "source_host_isolated",
  "net_prohibited",
  "host_prohibited",
  "net_unreachable_for_tos",
  "host_unreachable_for_tos",
  "packet_filtered",
  "precedence_violation",
  "precedence_cutoff",
];

const TYPES: Record<string, { type: number; codes: string[] }> = {
  echo_reply: { type: 0, codes: [] },
  unreachable: { type: 3, codes: UNREACHABLE_CODES },
  source_quench: { type: 4, codes: [] },
  redirect: { type: 5, codes: ["net", "host", "net_for_tos", "host_for_tos"] },
  echo_request: { type: 8, codes: [] },
  time_exceeded: { type: 11, codes: ["ttl_exceeded_in_transit", "frag_reass_exceeded"] },
  parameter_problem: { type: 12, codes: [] },
  timestamp_request: { type: 13, codes: [] },
  timestamp_reply: { type: 14, codes: [] },
  information_request: { type: 15, codes: [] },
  information_reply: { type: 16, codes: [] },
  address_mask_request: { type: 17, codes: [] },
  address_mask_reply: { type: 18, codes: [] },
};

/** Other spellings of the same codes; among them those of ICMPv6, for scripts whose TCP runs over IPv4 instead. */
const CODE_ALIASES: Record<string, string> = {
  ttl_exceeded: "ttl_exceeded_in_transit",
  reassembly_time_exceeded: "frag_reass_exceeded",
  no_route: "net_unreachable",
  admin_prohibited: "packet_filtered",
  not_neighbour: "source_route_failed",
  beyond_scope: "source_route_failed",
  address_unreachable: "host_unreachable",
  addr_unreachable: "host_unreachable",
  source_policy: "packet_filtered",
  reject_route: "packet_filtered",
  exceeded_hop_limit: "ttl_exceeded_in_transit",
  exceeded_frag_time: "frag_reass_exceeded",
};

/** ICMPv6 messages whose equivalent is of another type (RFC 4443 3.2 and 3.4). */
const OTHER_TYPES: Record<string, [string, string]> = {
  "packet_too_big": ["unreachable", "frag_needed"],
  "parameter_problem header_field": ["parameter_problem", "code_0"],
  "parameter_problem hdr_field": ["parameter_problem", "code_0"],
  "parameter_problem unknown_next_header": ["unreachable", "protocol_unreachable"],
  "parameter_problem unknown_option": ["parameter_problem", "code_2"],
};

/** Type and code, as IPv4 names them, of what may be the name of an ICMPv6 message. */
export function icmpv4Names(typeName: string, codeName: string): [string, string] {
  return OTHER_TYPES[codeName === "" ? typeName : `${typeName} ${codeName}`] ?? [typeName, codeName];
}

/** Type number, or null for a name that means nothing. `type_N` is any number. */
export function icmpType(name: string): number | null {
  const numbered = /^type_([0-9]+)$/.exec(name);
  if (numbered !== null) return Number(numbered[1]);
  return TYPES[name]?.type ?? null;
}

/** Code number under a type, or null for a name that means nothing. `code_N` is any number. */
export function icmpCode(typeName: string, name: string): number | null {
  const numbered = /^code_([0-9]+)$/.exec(name);
  if (numbered !== null) return Number(numbered[1]);
  const code = TYPES[typeName]?.codes.indexOf(CODE_ALIASES[name] ?? name) ?? -1;
  return code < 0 ? null : code;
}

/** "unreachable frag_needed", for messages. */
export function icmpName(type: number, code: number): string {
  const entry = Object.entries(TYPES).find(([, value]) => value.type === type);
  if (entry === undefined) return `type_${type} code_${code}`;
  const [name, { codes }] = entry;
  if (codes.length === 0 && code === 0) return name;
  return `${name} ${codes[code] ?? `code_${code}`}`;
}
