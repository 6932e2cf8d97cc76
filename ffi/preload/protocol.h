/*
 * The messages of lib/ipc/protocol.ts in C. That file describes them; tests/ffi/preload_protocol_test.ts checks that
 * this one says the same. Little-endian, as x86_64 and arm64 are.
 */
#ifndef LVLIP_PROTOCOL_H
#define LVLIP_PROTOCOL_H

#include <stdint.h>

#define LVLIP_MAGIC 0x50494c4cu
#define LVLIP_VERSION 1

enum lvlip_op {
  LVLIP_OP_NONE = 0,
  LVLIP_OP_CONNECT = 1,
  LVLIP_OP_LISTEN = 2,
  LVLIP_OP_ACCEPT = 3,
  LVLIP_OP_RESOLVE = 6,
  LVLIP_OP_OUTCOME = 8,
  LVLIP_OP_SET_OPTION = 9,
  LVLIP_OP_GET_OPTION = 10,
  LVLIP_OP_SOCKET = 11,
  LVLIP_OP_BIND = 12,
  LVLIP_OP_NAMES = 13,
  LVLIP_OP_ASSOCIATE = 14,
  LVLIP_OP_SERVES = 16,
  LVLIP_OP_SETTINGS = 17,
  LVLIP_OP_INTERFACES = 20
};

#define LVLIP_FLAG_QUIET 1u

#define LVLIP_FAMILY_NONE 0
#define LVLIP_FAMILY_IPV4 2

#define LVLIP_MAX_NAME 255
#define LVLIP_MAX_ADDRESSES 128
#define LVLIP_RESOLVE_A 1
#define LVLIP_RESOLVE_PTR 12
#define LVLIP_RESOLVE_AAAA 28
#define LVLIP_MAX_VALUE 512

#define LVLIP_KIND_STREAM 1
#define LVLIP_KIND_DATAGRAM 2
#define LVLIP_KIND_ICMP 3
#define LVLIP_KIND_RAW 4

struct lvlip_endpoint {
  uint16_t family;
  uint16_t port;
  uint8_t address[16];
};

struct lvlip_record {
  uint32_t magic;
  uint16_t version;
  uint16_t op;
  uint32_t flags;
  int32_t error;
  uint64_t id;
  int32_t arg[5];
  uint32_t length;
  struct lvlip_endpoint local;
  struct lvlip_endpoint remote;
};

_Static_assert(sizeof(struct lvlip_record) == 88, "a record is 88 bytes");

/* One option of those that the answer to `settings` lists. */
struct lvlip_option {
  int32_t level;
  int32_t name;
  int32_t value;
};

/* One row of what `interfaces` answers. */
struct lvlip_interface {
  char name[16];
  uint32_t index;
  uint32_t mtu;
  uint8_t address[4];
  uint32_t prefix_length;
  uint8_t mac[6];
  uint8_t unused[2];
};

_Static_assert(sizeof(struct lvlip_interface) == 40, "a row is 40 bytes");

/* What stands in front of a datagram. */
#define LVLIP_DATAGRAM_MAGIC 0x44494c4cu
#define LVLIP_DATAGRAM_ERROR 1u
#define LVLIP_DATAGRAM_TTL 2u
#define LVLIP_DATAGRAM_PKTINFO 4u
#define LVLIP_DATAGRAM_TIMESTAMP 8u
/* An error that IP_RECVERR keeps for MSG_ERRQUEUE, with the message that it is about. */
#define LVLIP_DATAGRAM_QUEUED 16u
/* The TOS octet is wanted; from a program: is the one to send with. */
#define LVLIP_DATAGRAM_TOS 32u
/* The IP options that came, and those to answer with, follow the header: as many bytes as icmp_type and icmp_code say. */
#define LVLIP_DATAGRAM_OPTIONS 64u
#define LVLIP_DATAGRAM_ECHOED_OPTIONS 128u
/* Many datagrams as one (UDP_GRO), and from a program UDP_SEGMENT: `size` of each, 0 if it is one. */
#define LVLIP_DATAGRAM_SEGMENTS 256u
#define LVLIP_MAX_IP_OPTIONS 40
/* Of both. */
#define LVLIP_MAX_OPTIONS (2 * LVLIP_MAX_IP_OPTIONS)

struct lvlip_datagram {
  uint32_t magic;
  uint16_t flags;
  uint16_t port;
  uint64_t id;
  uint8_t address[4];
  uint8_t local_address[4];
  int32_t error;
  uint8_t ttl;
  uint8_t icmp_type;
  uint8_t icmp_code;
  uint8_t tos;
  uint8_t reporter[4];
  union {
    /* Of an error. */
    uint32_t mtu;
    /* Of a message with LVLIP_DATAGRAM_SEGMENTS. */
    uint32_t size;
  };
  uint64_t timestamp_us;
};

_Static_assert(sizeof(struct lvlip_datagram) == 48, "a datagram's header is 48 bytes");

/*
 * The tag: 64 bits that a Unix socket keeps in SO_MAX_PACING_RATE, which means nothing there. They survive dup, exec and
 * being passed to another process. From the top: 12 bits of magic, 4 bits of state, 48 bits of id.
 */
#define LVLIP_TAG_MAGIC 0x1f7u
#define LVLIP_TAG_MAGIC_SHIFT 52
#define LVLIP_TAG_STATE_SHIFT 48
#define LVLIP_TAG_ID_MASK 0xffffffffffffull

enum lvlip_state {
  LVLIP_STATE_FRESH = 1,      /* a stream that the daemon does not know yet */
  LVLIP_STATE_ATTACHED = 2,   /* the daemon knows it: it may be bound and have options */
  LVLIP_STATE_CONNECTING = 3, /* not writable until it is decided */
  LVLIP_STATE_STREAM = 4,
  LVLIP_STATE_LISTENING = 5,
  LVLIP_STATE_FAILED = 6, /* the program was told that its connect failed; it may try again */
  LVLIP_STATE_DATAGRAM = 7,
  LVLIP_STATE_DATAGRAM_CONNECTED = 8,
  LVLIP_STATE_ICMP = 9,
  LVLIP_STATE_ICMP_CONNECTED = 10,
  LVLIP_STATE_RAW = 11,
  LVLIP_STATE_RAW_CONNECTED = 12
};

#endif
