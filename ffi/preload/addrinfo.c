/*
 * getaddrinfo and getnameinfo. Numbers, services and /etc/hosts are the C library's business still, and so are the lists
 * that it makes: a name that the daemon resolved is handed to it as numbers, so that its freeaddrinfo takes the result.
 */
#include "internal.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

/* An address as text; as IPv6 in the form that RFC 4291 2.5.5.2 has for IPv4 addresses. */
static void write_number(const struct in_addr *address, int family, char text[INET6_ADDRSTRLEN]) {
  char plain[INET_ADDRSTRLEN];
  inet_ntop(AF_INET, address, plain, sizeof plain);
  snprintf(text, INET6_ADDRSTRLEN, "%s%s", family == AF_INET6 ? "::ffff:" : "", plain);
}

static int build_list(const struct lvlip_answer *answer, const char *service, const struct addrinfo *hints,
                      struct addrinfo **list) {
  struct addrinfo numeric = *hints;
  numeric.ai_flags = (hints->ai_flags & ~(AI_CANONNAME | AI_ALL)) | AI_NUMERICHOST;
  struct addrinfo *first = NULL, **tail = &first;
  for (int i = 0; i < answer->count; i++) {
    char text[INET6_ADDRSTRLEN];
    write_number(&answer->addresses[i], hints->ai_family, text);
    int result = real->getaddrinfo(text, service, &numeric, tail);
    if (result != 0) {
      if (first != NULL) freeaddrinfo(first);
      return result;
    }
    while (*tail != NULL) tail = &(*tail)->ai_next;
  }
  if (first == NULL) return EAI_NODATA;
  if ((hints->ai_flags & AI_CANONNAME) != 0 && answer->name_count > 0) {
    first->ai_canonname = strdup(answer->names[answer->name_count - 1]);
    if (first->ai_canonname == NULL) {
      freeaddrinfo(first);
      return EAI_MEMORY;
    }
  }
  *list = first;
  return 0;
}

/* The C library does not know the name: asks the daemon. */
static int ask_daemon(const char *name, const char *service, const struct addrinfo *hints, struct addrinfo **list) {
  bool wants_mapped = hints->ai_family == AF_INET6 && (hints->ai_flags & AI_V4MAPPED) != 0;
  int type = hints->ai_family == AF_INET || wants_mapped ? LVLIP_RESOLVE_A : LVLIP_RESOLVE_AAAA;
  struct lvlip_answer answer;
  int result = lvlip_resolve(name, type, &answer);
  return result != 0 ? result : build_list(&answer, service, hints, list);
}

EXPORT int getaddrinfo(const char *restrict name, const char *restrict service,
                       const struct addrinfo *restrict wanted, struct addrinfo **restrict list) {
  struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_flags = AI_V4MAPPED};
  if (wanted != NULL) hints = *wanted;
  /* It asks which families the kernel's interfaces have, and the stack is not one of them. */
  hints.ai_flags &= ~AI_ADDRCONFIG;
  bool any = hints.ai_family == AF_UNSPEC;
  /* Without a name: where to listen, and the stack listens with IPv4. */
  if (any) hints.ai_family = AF_INET;
  int result = real->getaddrinfo(name, service, &hints, list);
  if (!lvlip_is_unresolved(result) && result != EAI_ADDRFAMILY) return result;
  if (any && name != NULL && strchr(name, ':') != NULL) {
    hints.ai_family = AF_UNSPEC;
    return real->getaddrinfo(name, service, &hints, list);
  }
  bool is_name = name != NULL && (hints.ai_flags & AI_NUMERICHOST) == 0 && result != EAI_ADDRFAMILY;
  return is_name ? ask_daemon(name, service, &hints, list) : result;
}

static int copy_name(const struct lvlip_answer *answer, char *host, socklen_t length) {
  size_t size = strlen(answer->names[0]) + 1;
  if (size > length) return EAI_OVERFLOW;
  memcpy(host, answer->names[0], size);
  return 0;
}

EXPORT int getnameinfo(const struct sockaddr *restrict address, socklen_t length, char *restrict host,
                       socklen_t host_length, char *restrict service, socklen_t service_length, int flags) {
  bool wants_name = host != NULL && host_length > 0 && (flags & NI_NUMERICHOST) == 0;
  struct sockaddr_in internet;
  if (!wants_name || address == NULL || length < (socklen_t)sizeof internet || address->sa_family != AF_INET) {
    return real->getnameinfo(address, length, host, host_length, service, service_length, flags);
  }
  int result = real->getnameinfo(address, length, host, host_length, service, service_length, flags | NI_NAMEREQD);
  if (!lvlip_is_unresolved(result)) return result;
  memcpy(&internet, address, sizeof internet);
  struct lvlip_answer answer;
  int asked = lvlip_resolve_address(internet.sin_addr, &answer);
  if (asked != 0) {
    /* getnameinfo(3): without a name the number will do, unless a name is required. */
    if ((flags & NI_NAMEREQD) != 0) return asked == EAI_NODATA ? EAI_NONAME : asked;
    return real->getnameinfo(address, length, host, host_length, service, service_length, flags | NI_NUMERICHOST);
  }
  result = copy_name(&answer, host, host_length);
  if (result != 0 || service == NULL || service_length == 0) return result;
  return real->getnameinfo(address, length, NULL, 0, service, service_length, flags);
}
