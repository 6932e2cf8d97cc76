/* gethostbyname, gethostbyaddr and their like (gethostbyname(3)): /etc/hosts is the C library's, the rest the daemon's. */
#include "internal.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

/* As h_errno has it. */
static int resolver_error(int result) {
  switch (result) {
    case EAI_NONAME: return HOST_NOT_FOUND;
    case EAI_NODATA: return NO_DATA;
    case EAI_AGAIN: return TRY_AGAIN;
    default: return NO_RECOVERY;
  }
}

/* A piece of the caller's buffer; NULL when it is used up. */
static void *take(char **at, char *end, size_t size) {
  if ((size_t)(end - *at) < size) return NULL;
  void *piece = *at;
  *at += size;
  return piece;
}

static char *take_text(char **at, char *end, const char *text) {
  size_t size = strlen(text) + 1;
  char *copy = take(at, end, size);
  if (copy != NULL) memcpy(copy, text, size);
  return copy;
}

/* Lays a hostent out in the caller's buffer: pointers first, then addresses, then names. 0 or ERANGE. */
static int fill_hostent(const struct lvlip_answer *answer, const char *name, struct hostent *entry, char *buffer,
                        size_t size) {
  char *end = buffer + size;
  size_t skip = (sizeof(char *) - (uintptr_t)buffer % sizeof(char *)) % sizeof(char *);
  if (skip > size) return ERANGE;
  char *at = buffer + skip;
  char **addresses = take(&at, end, ((size_t)answer->count + 1) * sizeof(char *));
  if (addresses == NULL) return ERANGE;
  char **aliases = take(&at, end, ((size_t)answer->name_count + 1) * sizeof(char *));
  if (aliases == NULL) return ERANGE;
  for (int i = 0; i < answer->count; i++) {
    addresses[i] = take(&at, end, sizeof answer->addresses[i]);
    if (addresses[i] == NULL) return ERANGE;
    memcpy(addresses[i], &answer->addresses[i], sizeof answer->addresses[i]);
  }
  addresses[answer->count] = NULL;
  int count = 0;
  for (int i = 0; i < answer->name_count; i++) {
    if (answer->names[i] == name) continue;
    aliases[count] = take_text(&at, end, answer->names[i]);
    if (aliases[count++] == NULL) return ERANGE;
  }
  aliases[count] = NULL;
  char *own = take_text(&at, end, name);
  if (own == NULL) return ERANGE;
  *entry = (struct hostent){.h_name = own,
                            .h_aliases = aliases,
                            .h_addrtype = AF_INET,
                            .h_length = sizeof *answer->addresses,
                            .h_addr_list = addresses};
  return 0;
}

/* How the reentrant calls end: `status` is what the daemon said, `name` the host's own one. */
static int conclude(int status, const struct lvlip_answer *answer, const char *name, struct hostent *entry,
                    char *buffer, size_t size, struct hostent **result, int *error) {
  if (status != 0) {
    *error = resolver_error(status);
    return status == EAI_AGAIN ? EAGAIN : 0;
  }
  int filled = fill_hostent(answer, name, entry, buffer, size);
  if (filled == 0) *result = entry;
  else *error = NETDB_INTERNAL;
  return filled;
}

EXPORT int gethostbyname_r(const char *restrict name, struct hostent *restrict entry, char *restrict buffer, size_t size,
                           struct hostent **restrict result, int *restrict error) {
  int status = real->gethostbyname_r(name, entry, buffer, size, result, error);
  if (status == ERANGE || *result != NULL) return status;
  struct lvlip_answer answer;
  int asked = lvlip_resolve(name, LVLIP_RESOLVE_A, &answer);
  const char *own = asked == 0 && answer.name_count > 0 ? answer.names[answer.name_count - 1] : name;
  return conclude(asked, &answer, own, entry, buffer, size, result, error);
}

EXPORT int gethostbyname2_r(const char *restrict name, int family, struct hostent *restrict entry,
                            char *restrict buffer, size_t size, struct hostent **restrict result,
                            int *restrict error) {
  if (family == AF_INET) return gethostbyname_r(name, entry, buffer, size, result, error);
  *result = NULL;
  *error = NO_DATA;
  return 0;
}

EXPORT int gethostbyaddr_r(const void *restrict address, socklen_t length, int family, struct hostent *restrict entry,
                           char *restrict buffer, size_t size, struct hostent **restrict result,
                           int *restrict error) {
  int status = real->gethostbyaddr_r(address, length, family, entry, buffer, size, result, error);
  struct lvlip_answer answer;
  bool is_ours = family == AF_INET && length == sizeof *answer.addresses;
  if (status == ERANGE || *result != NULL || !is_ours) return status;
  struct in_addr asked_for;
  memcpy(&asked_for, address, sizeof asked_for);
  int asked = lvlip_resolve_address(asked_for, &answer);
  answer.count = 1;
  answer.addresses[0] = asked_for;
  const char *name = asked == 0 ? answer.names[0] : NULL;
  return conclude(asked, &answer, name, entry, buffer, size, result, error);
}

/* As the C library's: one result for the whole program, or in ours, for each thread. */
static _Thread_local struct hostent static_entry;
static _Thread_local char static_buffer[8192];

EXPORT struct hostent *gethostbyname(const char *name) {
  struct hostent *result = NULL;
  int error = 0;
  int status = gethostbyname_r(name, &static_entry, static_buffer, sizeof static_buffer, &result, &error);
  if (status != 0 || result == NULL) h_errno = error;
  return result;
}

EXPORT struct hostent *gethostbyname2(const char *name, int family) {
  if (family == AF_INET) return gethostbyname(name);
  h_errno = NO_DATA;
  return NULL;
}

EXPORT struct hostent *gethostbyaddr(const void *address, socklen_t length, int family) {
  struct hostent *result = NULL;
  int error = 0;
  int status = gethostbyaddr_r(address, length, family, &static_entry, static_buffer, sizeof static_buffer, &result,
                               &error);
  if (status != 0 || result == NULL) h_errno = error;
  return result;
}
