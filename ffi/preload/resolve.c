/* Names that are neither numbers nor in /etc/hosts: the daemon's resolver asks name servers through the stack. */
#include "internal.h"

#include <arpa/inet.h>
#include <string.h>

/* Splits the names that came, each ended by a zero byte, into `names`. */
static void split_names(struct lvlip_answer *answer, size_t length) {
  answer->name_count = 0;
  for (size_t at = 0; at < length && answer->name_count < LVLIP_MAX_NAMES;) {
    const char *name = answer->bytes + at;
    const char *end = memchr(name, '\0', length - at);
    if (end == NULL) return;
    answer->names[answer->name_count++] = name;
    at += (size_t)(end - name) + 1;
  }
}

/* 0 with the answer, or an EAI_* number. */
static int ask(struct lvlip_record *record, const char *name, struct lvlip_answer *answer) {
  uint32_t room = sizeof answer->bytes;
  if (lvlip_call_with(record, name, answer->bytes, &room) < 0) {
    return errno == ENETDOWN || errno == EPERM || errno == EACCES ? EAI_SYSTEM : EAI_AGAIN;
  }
  if (record->arg[0] != 0) return record->arg[0];
  size_t names = (size_t)record->arg[3];
  size_t count = (size_t)record->arg[4];
  if (names > room || count > LVLIP_MAX_ADDRESSES || names + 4 * count > room) return EAI_FAIL;
  split_names(answer, names);
  answer->count = (int)count;
  memcpy(answer->addresses, answer->bytes + names, 4 * count);
  return 0;
}

int lvlip_resolve(const char *name, int type, struct lvlip_answer *answer) {
  size_t length = strlen(name);
  if (length == 0 || length > LVLIP_MAX_NAME) return EAI_NONAME;
  struct lvlip_record record;
  lvlip_record_init(&record, LVLIP_OP_RESOLVE, 0);
  record.length = (uint32_t)length;
  record.arg[0] = type;
  return ask(&record, name, answer);
}

int lvlip_resolve_address(struct in_addr address, struct lvlip_answer *answer) {
  struct lvlip_record record;
  lvlip_record_init(&record, LVLIP_OP_RESOLVE, 0);
  record.arg[0] = LVLIP_RESOLVE_PTR;
  record.remote.family = LVLIP_FAMILY_IPV4;
  memcpy(record.remote.address, &address, 4);
  int result = ask(&record, NULL, answer);
  return result == 0 && answer->name_count == 0 ? EAI_NONAME : result;
}

bool lvlip_is_unresolved(int result) {
  return result == EAI_NONAME || result == EAI_AGAIN || result == EAI_NODATA || result == EAI_FAIL;
}
