#include "calls.h"

#include <netdb.h>

/* What tests/support/dns_server.py answers. */
#define ANSWER "192.0.2.1"

/* How many entries, all of this family. */
static int count_entries(const struct addrinfo *list, int family) {
  int count = 0;
  for (; list != NULL; list = list->ai_next, count++) CHECK(list->ai_family == family && list->ai_protocol == IPPROTO_TCP);
  return count;
}

static void test_resolved_lists(void) {
  struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_CANONNAME}, *list = NULL;
  CHECK(getaddrinfo("Chain.test", "http", &hints, &list) == 0);
  struct sockaddr_in *first = (struct sockaddr_in *)(void *)list->ai_addr;
  CHECK(first->sin_port == htons(80) && strcmp(inet_ntoa(first->sin_addr), ANSWER) == 0);
  CHECK(strcmp(list->ai_canonname, "end.test") == 0 && count_entries(list, AF_INET) == 1);
  freeaddrinfo(list);
  CHECK(getaddrinfo("many.test", NULL, &hints, &list) == 0);
  CHECK(count_entries(list, AF_INET) == 100);
  freeaddrinfo(list);
  CHECK(getaddrinfo("www.test", NULL, NULL, &list) == 0 && list->ai_next->ai_next != NULL);
  freeaddrinfo(list);
  hints = (struct addrinfo){.ai_family = AF_INET6, .ai_socktype = SOCK_STREAM};
  CHECK(getaddrinfo("www.test", NULL, &hints, &list) == EAI_NODATA);
  hints.ai_flags = AI_V4MAPPED;
  CHECK(getaddrinfo("www.test", NULL, &hints, &list) == 0 && count_entries(list, AF_INET6) == 1);
  freeaddrinfo(list);
  hints = (struct addrinfo){.ai_flags = AI_NUMERICHOST};
  CHECK(getaddrinfo("www.test", NULL, &hints, &list) == EAI_NONAME);
  CHECK(getaddrinfo("nobody.test", NULL, NULL, &list) == EAI_NONAME);
  CHECK(getaddrinfo("void.test", NULL, NULL, &list) == EAI_NODATA);
  CHECK(getaddrinfo("broken.test", NULL, NULL, &list) == EAI_AGAIN);
  CHECK(getaddrinfo("www.test", "no-such-service", NULL, &list) == EAI_SERVICE);
}

static void test_resolved_entries(void) {
  struct hostent *entry = gethostbyname("chain.test");
  CHECK(entry != NULL && strcmp(entry->h_name, "end.test") == 0 && entry->h_length == 4);
  CHECK(strcmp(entry->h_aliases[0], "chain.test") == 0 && strcmp(entry->h_aliases[1], "middle.test") == 0);
  CHECK(entry->h_aliases[2] == NULL && entry->h_addr_list[0] != NULL && entry->h_addr_list[1] == NULL);
  struct in_addr address;
  memcpy(&address, entry->h_addr_list[0], sizeof address);
  CHECK(strcmp(inet_ntoa(address), ANSWER) == 0);
  struct hostent filled, *result = NULL;
  char buffer[1024];
  int error = 0;
  /* Every size that is too small is told so. */
  size_t size = 0;
  while (gethostbyname_r("chain.test", &filled, buffer + 1, size, &result, &error) == ERANGE) size++;
  CHECK(result == &filled && size > 40 && size < 400 && strcmp(filled.h_name, "end.test") == 0);
  CHECK(gethostbyname("void.test") == NULL && h_errno == NO_DATA);
  CHECK(gethostbyname("nobody.test") == NULL && h_errno == HOST_NOT_FOUND);
  CHECK(gethostbyname("broken.test") == NULL && h_errno == TRY_AGAIN);
}

static void test_reverse_names(void) {
  struct sockaddr_in name = {.sin_family = AF_INET, .sin_port = htons(80)};
  CHECK(inet_pton(AF_INET, "192.0.2.9", &name.sin_addr) == 1);
  const struct sockaddr *address = (struct sockaddr *)&name;
  char host[NI_MAXHOST], service[NI_MAXSERV];
  CHECK(getnameinfo(address, sizeof name, host, sizeof host, service, sizeof service, 0) == 0);
  CHECK(strcmp(host, "host.test") == 0 && strcmp(service, "http") == 0);
  CHECK(getnameinfo(address, sizeof name, host, sizeof host, NULL, 0, NI_NUMERICHOST) == 0);
  CHECK(strcmp(host, "192.0.2.9") == 0);
  CHECK(getnameinfo(address, sizeof name, host, 5, NULL, 0, 0) == EAI_OVERFLOW);
  struct hostent *entry = gethostbyaddr(&name.sin_addr, sizeof name.sin_addr, AF_INET);
  CHECK(entry != NULL && strcmp(entry->h_name, "host.test") == 0 && entry->h_aliases[0] == NULL);
  CHECK(memcmp(entry->h_addr_list[0], &name.sin_addr, sizeof name.sin_addr) == 0);
}

void test_names(void) {
  struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG}, *list = NULL;
  CHECK(getaddrinfo("192.0.2.7", "80", &hints, &list) == 0);
  CHECK(list->ai_family == AF_INET && list->ai_next == NULL);
  CHECK(((struct sockaddr_in *)(void *)list->ai_addr)->sin_port == htons(80));
  freeaddrinfo(list);
  CHECK(getaddrinfo("localhost", NULL, &hints, &list) == 0);
  freeaddrinfo(list);
  hints.ai_flags = AI_PASSIVE;
  CHECK(getaddrinfo(NULL, "8080", &hints, &list) == 0);
  freeaddrinfo(list);
  struct hostent *entry = gethostbyname("192.0.2.9");
  CHECK(entry != NULL && entry->h_addrtype == AF_INET && (unsigned char)entry->h_addr_list[0][3] == 9);
  struct hostent filled, *result = NULL;
  char buffer[1024];
  int error = 0;
  CHECK(gethostbyname_r("localhost", &filled, buffer, sizeof buffer, &result, &error) == 0 && result == &filled);
  CHECK(getaddrinfo("localhost", "no-such-service", &hints, &list) == EAI_SERVICE);
  hints = (struct addrinfo){.ai_flags = AI_NUMERICHOST};
  CHECK(getaddrinfo("localhost", NULL, &hints, &list) == EAI_NONAME);
  hints = (struct addrinfo){.ai_family = AF_UNIX};
  CHECK(getaddrinfo("localhost", NULL, &hints, &list) == EAI_FAMILY);
  if (!on_stack) return;
  CHECK(getaddrinfo("no-such-name.invalid", NULL, NULL, &list) != 0);
  CHECK(gethostbyname("no-such-name.invalid") == NULL);
  CHECK(gethostbyname_r("no-such-name.invalid", &filled, buffer, sizeof buffer, &result, &error) == 0 || result == NULL);
  CHECK(gethostbyname2("localhost", AF_INET6) == NULL && gethostbyname2("localhost", AF_INET) != NULL);
  test_resolved_lists();
  test_resolved_entries();
  test_reverse_names();
}
