/*
 * Names. Numbers and /etc/hosts are the C library's business still; what it does not find there, the daemon resolves:
 * the C library would ask name servers through the kernel.
 */
#include "internal.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

/* Most addresses of one name that are used. */
#define MAX_ADDRESSES 16

/* Asks the daemon: how many addresses, or a negative EAI_* number. */
static int resolve(const char *name, struct in_addr *addresses) {
  size_t length = strlen(name);
  if (length == 0 || length > LVLIP_MAX_NAME) return EAI_NONAME;
  struct lvlip_record record;
  lvlip_record_init(&record, LVLIP_OP_RESOLVE, 0);
  record.length = (uint32_t)length;
  unsigned char more[4 * MAX_ADDRESSES];
  uint32_t room = sizeof more;
  if (lvlip_call_with(&record, name, more, &room) < 0) {
    return errno == ENOENT ? EAI_NONAME : errno == ENETDOWN || errno == EPERM ? EAI_SYSTEM : EAI_AGAIN;
  }
  memcpy(&addresses[0], record.remote.address, 4);
  /* The answer may be followed by all of them, the first included. */
  int count = 1;
  for (uint32_t at = 4; at + 4 <= room && count < MAX_ADDRESSES; at += 4) memcpy(&addresses[count++], more + at, 4);
  return count;
}

/* Builds the list as the C library would, so that its freeaddrinfo takes it. */
static int build_list(const char *name, const char *service, const struct addrinfo *hints,
                      const struct in_addr *addresses, int count, struct addrinfo **list) {
  struct addrinfo numeric = *hints;
  numeric.ai_family = AF_INET;
  numeric.ai_flags = (hints->ai_flags & ~AI_CANONNAME) | AI_NUMERICHOST;
  struct addrinfo **tail = list;
  *list = NULL;
  for (int i = 0; i < count; i++) {
    char text[INET_ADDRSTRLEN];
    inet_ntop(AF_INET, &addresses[i], text, sizeof text);
    int result = real->getaddrinfo(text, service, &numeric, tail);
    if (result != 0) {
      if (*list != NULL) freeaddrinfo(*list);
      *list = NULL;
      return result;
    }
    while (*tail != NULL) tail = &(*tail)->ai_next;
  }
  if ((hints->ai_flags & AI_CANONNAME) != 0 && *list != NULL) (*list)->ai_canonname = strdup(name);
  return 0;
}

EXPORT int getaddrinfo(const char *restrict name, const char *restrict service,
                       const struct addrinfo *restrict wanted, struct addrinfo **restrict list) {
  struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_flags = AI_V4MAPPED};
  if (wanted != NULL) hints = *wanted;
  /* It asks which families the kernel's interfaces have, and the stack is not one of them. */
  hints.ai_flags &= ~AI_ADDRCONFIG;
  bool any = hints.ai_family == AF_UNSPEC;
  if (any) hints.ai_family = AF_INET;
  int result = real->getaddrinfo(name, service, &hints, list);
  if (result == 0) return 0;
  if (any && name != NULL && strchr(name, ':') != NULL) {
    hints.ai_family = AF_UNSPEC;
    return real->getaddrinfo(name, service, &hints, list);
  }
  bool is_unknown = result == EAI_NONAME || result == EAI_AGAIN || result == EAI_NODATA || result == EAI_FAIL;
  if (!is_unknown || name == NULL || hints.ai_family != AF_INET || (hints.ai_flags & AI_NUMERICHOST) != 0) return result;
  struct in_addr addresses[MAX_ADDRESSES];
  int count = resolve(name, addresses);
  return count < 0 ? count : build_list(name, service, &hints, addresses, count, list);
}

static int resolver_error(int result) {
  return result == EAI_NONAME ? HOST_NOT_FOUND : result == EAI_AGAIN ? TRY_AGAIN : NO_RECOVERY;
}

/* Lays a hostent out in the caller's buffer: pointers first, then addresses, then the name. */
static int fill_hostent(const char *name, const struct in_addr *addresses, int count, struct hostent *entry,
                        char *buffer, size_t size) {
  size_t skip = (sizeof(char *) - (uintptr_t)buffer % sizeof(char *)) % sizeof(char *);
  size_t pointers = ((size_t)count + 2) * sizeof(char *);
  size_t bytes = (size_t)count * sizeof *addresses;
  size_t length = strlen(name) + 1;
  if (skip + pointers + bytes + length > size) return ERANGE;
  char **list = (char **)(void *)(buffer + skip);
  char *data = buffer + skip + pointers;
  memcpy(data, addresses, bytes);
  for (int i = 0; i < count; i++) list[i] = data + (size_t)i * sizeof *addresses;
  list[count] = NULL;
  list[count + 1] = NULL;
  memcpy(data + bytes, name, length);
  *entry = (struct hostent){.h_name = data + bytes,
                            .h_aliases = list + count + 1,
                            .h_addrtype = AF_INET,
                            .h_length = sizeof *addresses,
                            .h_addr_list = list};
  return 0;
}

EXPORT int gethostbyname_r(const char *restrict name, struct hostent *restrict entry, char *restrict buffer, size_t size,
                           struct hostent **restrict result, int *restrict error) {
  int status = real->gethostbyname_r(name, entry, buffer, size, result, error);
  if (status == ERANGE || *result != NULL) return status;
  struct in_addr addresses[MAX_ADDRESSES];
  int count = resolve(name, addresses);
  if (count < 0) {
    *error = resolver_error(count);
    return count == EAI_AGAIN ? EAGAIN : 0;
  }
  status = fill_hostent(name, addresses, count, entry, buffer, size);
  if (status == 0) *result = entry;
  else *error = NETDB_INTERNAL;
  return status;
}

EXPORT int gethostbyname2_r(const char *restrict name, int family, struct hostent *restrict entry,
                            char *restrict buffer, size_t size, struct hostent **restrict result,
                            int *restrict error) {
  if (family == AF_INET) return gethostbyname_r(name, entry, buffer, size, result, error);
  *result = NULL;
  *error = NO_DATA;
  return 0;
}

EXPORT struct hostent *gethostbyname(const char *name) {
  /* As the C library's: one result for the whole program, or in ours, for each thread. */
  static _Thread_local struct hostent entry;
  static _Thread_local char buffer[1024];
  struct hostent *result = NULL;
  int error = 0;
  if (gethostbyname_r(name, &entry, buffer, sizeof buffer, &result, &error) != 0 || result == NULL) h_errno = error;
  return result;
}

EXPORT struct hostent *gethostbyname2(const char *name, int family) {
  if (family == AF_INET) return gethostbyname(name);
  h_errno = NO_DATA;
  return NULL;
}

/*
 * The resolver's own calls would send their questions through the kernel, by sockets that nobody can stand in front of.
 * Programs that use them (for records other than addresses) are told to try again later.
 */
#define REFUSE(name, parameters) \
  EXPORT int name parameters { \
    h_errno = TRY_AGAIN; \
    return -1; \
  }

struct __res_state;

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-parameter"
REFUSE(res_query, (const char *name, int class, int type, unsigned char *answer, int length))
REFUSE(__res_query, (const char *name, int class, int type, unsigned char *answer, int length))
REFUSE(res_search, (const char *name, int class, int type, unsigned char *answer, int length))
REFUSE(__res_search, (const char *name, int class, int type, unsigned char *answer, int length))
REFUSE(res_send, (const unsigned char *query, int size, unsigned char *answer, int length))
REFUSE(__res_send, (const unsigned char *query, int size, unsigned char *answer, int length))
REFUSE(res_nquery, (struct __res_state *state, const char *name, int class, int type, unsigned char *answer, int length))
REFUSE(__res_nquery,
       (struct __res_state *state, const char *name, int class, int type, unsigned char *answer, int length))
REFUSE(res_nsearch,
       (struct __res_state *state, const char *name, int class, int type, unsigned char *answer, int length))
REFUSE(__res_nsearch,
       (struct __res_state *state, const char *name, int class, int type, unsigned char *answer, int length))
REFUSE(res_nsend, (struct __res_state *state, const unsigned char *query, int size, unsigned char *answer, int length))
REFUSE(__res_nsend,
       (struct __res_state *state, const unsigned char *query, int size, unsigned char *answer, int length))
#pragma GCC diagnostic pop
