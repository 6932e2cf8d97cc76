/* Prints what ffi/preload/protocol.h says as JSON, for preload_protocol_test.ts to compare with lib/ipc. */
#include <stddef.h>
#include <stdio.h>

#include "../../ffi/preload/protocol.h"

static const char *separator = "";

static void number(const char *name, unsigned long long value) {
  printf("%s\"%s\":%llu", separator, name, value);
  separator = ",";
}

#define NUMBER(name) number(#name, (unsigned long long)(name))
#define FIELD(type, field) number(#type "." #field, offsetof(struct type, field))

int main(void) {
  printf("{");
  NUMBER(LVLIP_MAGIC);
  NUMBER(LVLIP_VERSION);
  NUMBER(LVLIP_OP_CONNECT);
  NUMBER(LVLIP_OP_LISTEN);
  NUMBER(LVLIP_OP_ACCEPT);
  NUMBER(LVLIP_OP_RESOLVE);
  NUMBER(LVLIP_OP_OUTCOME);
  NUMBER(LVLIP_OP_SET_OPTION);
  NUMBER(LVLIP_OP_GET_OPTION);
  NUMBER(LVLIP_OP_SOCKET);
  NUMBER(LVLIP_OP_BIND);
  NUMBER(LVLIP_OP_NAMES);
  NUMBER(LVLIP_OP_ASSOCIATE);
  NUMBER(LVLIP_OP_SERVES);
  NUMBER(LVLIP_OP_SETTINGS);
  NUMBER(LVLIP_OP_INTERFACES);
  NUMBER(LVLIP_FLAG_QUIET);
  NUMBER(LVLIP_FAMILY_IPV4);
  NUMBER(LVLIP_MAX_NAME);
  NUMBER(LVLIP_MAX_ADDRESSES);
  NUMBER(LVLIP_RESOLVE_A);
  NUMBER(LVLIP_RESOLVE_PTR);
  NUMBER(LVLIP_RESOLVE_AAAA);
  NUMBER(LVLIP_DATAGRAM_MAGIC);
  NUMBER(LVLIP_DATAGRAM_ERROR);
  NUMBER(LVLIP_DATAGRAM_TTL);
  NUMBER(LVLIP_DATAGRAM_PKTINFO);
  NUMBER(LVLIP_DATAGRAM_TIMESTAMP);
  NUMBER(LVLIP_DATAGRAM_QUEUED);
  NUMBER(LVLIP_DATAGRAM_TOS);
  NUMBER(LVLIP_DATAGRAM_OPTIONS);
  NUMBER(LVLIP_DATAGRAM_ECHOED_OPTIONS);
  NUMBER(LVLIP_DATAGRAM_SEGMENTS);
  NUMBER(LVLIP_TAG_ID_MASK);
  number("TAG_STREAM", (unsigned long long)LVLIP_TAG_MAGIC << LVLIP_TAG_MAGIC_SHIFT |
                           (unsigned long long)LVLIP_STATE_STREAM << LVLIP_TAG_STATE_SHIFT | 5);
  number("TAG_DATAGRAM", (unsigned long long)LVLIP_TAG_MAGIC << LVLIP_TAG_MAGIC_SHIFT |
                             (unsigned long long)LVLIP_STATE_DATAGRAM << LVLIP_TAG_STATE_SHIFT | 5);
  number("TAG_RAW", (unsigned long long)LVLIP_TAG_MAGIC << LVLIP_TAG_MAGIC_SHIFT |
                        (unsigned long long)LVLIP_STATE_RAW << LVLIP_TAG_STATE_SHIFT | 5);
  number("TAG_ICMP", (unsigned long long)LVLIP_TAG_MAGIC << LVLIP_TAG_MAGIC_SHIFT |
                         (unsigned long long)LVLIP_STATE_ICMP << LVLIP_TAG_STATE_SHIFT | 5);
  number("lvlip_record", sizeof(struct lvlip_record));
  FIELD(lvlip_record, magic);
  FIELD(lvlip_record, version);
  FIELD(lvlip_record, op);
  FIELD(lvlip_record, flags);
  FIELD(lvlip_record, error);
  FIELD(lvlip_record, id);
  FIELD(lvlip_record, arg);
  FIELD(lvlip_record, length);
  FIELD(lvlip_record, local);
  FIELD(lvlip_record, remote);
  FIELD(lvlip_endpoint, port);
  FIELD(lvlip_endpoint, address);
  number("lvlip_interface", sizeof(struct lvlip_interface));
  number("lvlip_datagram", sizeof(struct lvlip_datagram));
  FIELD(lvlip_datagram, flags);
  FIELD(lvlip_datagram, port);
  FIELD(lvlip_datagram, id);
  FIELD(lvlip_datagram, address);
  FIELD(lvlip_datagram, local_address);
  FIELD(lvlip_datagram, error);
  FIELD(lvlip_datagram, ttl);
  FIELD(lvlip_datagram, icmp_type);
  FIELD(lvlip_datagram, icmp_code);
  FIELD(lvlip_datagram, tos);
  FIELD(lvlip_datagram, reporter);
  FIELD(lvlip_datagram, mtu);
  FIELD(lvlip_datagram, size);
  FIELD(lvlip_datagram, timestamp_us);
  printf("}\n");
  return 0;
}
