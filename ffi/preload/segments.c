/*
 * UDP_SEGMENT, udp(7): what Linux refuses is refused by the call itself, since that is where programs find out whether they
 * can use it. Whatever else the stack finds wrong with a message it tells later.
 */
#include "internal.h"

#include <netinet/ip.h>
#include <netinet/udp.h>
#include <stdatomic.h>
#include <string.h>

/* Linux's UDP_MAX_SEGMENTS. */
#define MAX_SEGMENTS 128
#define HEADERS (sizeof(struct iphdr) + sizeof(struct udphdr))

/*
 * What was last learned of a socket, a number of 16 bits behind its id: one word, because threads share it. A program that
 * sends by many sockets in turn asks again for each.
 */
static _Atomic uint64_t known_option;
static _Atomic uint64_t known_mtu;
/* This process has set the option of a socket. */
static atomic_bool has_option;

static void remember(_Atomic uint64_t *word, uint64_t id, uint32_t value) {
  atomic_store_explicit(word, id << 16 | (value > UINT16_MAX ? UINT16_MAX : value), memory_order_relaxed);
}

/* -1: it is another socket that is known. */
static int recall(_Atomic uint64_t *word, uint64_t id) {
  uint64_t known = atomic_load_explicit(word, memory_order_relaxed);
  return known >> 16 == id ? (int)(known & UINT16_MAX) : -1;
}

void lvlip_note_segment_option(uint64_t tag, int size) {
  if (size > 0) atomic_store_explicit(&has_option, true, memory_order_relaxed);
  remember(&known_option, tag_id(tag), (uint32_t)size);
}

/* A number that the daemon knows of the socket; -1 with errno. */
static int ask(struct lvlip_record *record, int level, int name, _Atomic uint64_t *word) {
  uint64_t id = record->id;
  record->arg[0] = level;
  record->arg[1] = name;
  if (lvlip_call(record) < 0) return -1;
  remember(word, id, (uint32_t)record->arg[2]);
  return record->arg[2];
}

static int option_of(uint64_t tag) {
  if (!atomic_load_explicit(&has_option, memory_order_relaxed)) return 0;
  int known = recall(&known_option, tag_id(tag));
  if (known >= 0) return known;
  struct lvlip_record record;
  lvlip_record_init(&record, LVLIP_OP_GET_OPTION, tag_id(tag));
  return ask(&record, IPPROTO_UDP, UDP_SEGMENT, &known_option);
}

/* Whether the way takes packets of that size, as far as is known: a socket's ways mostly do not differ. */
static bool fits(uint64_t tag, const struct lvlip_datagram *header, size_t packet) {
  if ((int)packet <= recall(&known_mtu, tag_id(tag))) return true;
  struct lvlip_record record;
  lvlip_record_init(&record, LVLIP_OP_GET_OPTION, tag_id(tag));
  record.remote.family = LVLIP_FAMILY_IPV4;
  memcpy(record.remote.address, header->address, 4);
  int mtu = ask(&record, IPPROTO_IP, IP_MTU, &known_mtu);
  /* Where there is no way it is told as for every message. */
  return mtu < 0 || (int)packet <= mtu;
}

int lvlip_check_segments(uint64_t tag, const struct lvlip_datagram *header, size_t length) {
  bool is_told = (header->flags & LVLIP_DATAGRAM_SEGMENTS) != 0;
  int size = is_told ? (int)header->size : option_of(tag);
  if (size <= 0) return 0;
  size_t piece = length < (size_t)size ? length : (size_t)size;
  if (!fits(tag, header, HEADERS + piece)) return fail(EMSGSIZE);
  return length > (size_t)size * MAX_SEGMENTS ? fail(EINVAL) : 0;
}
