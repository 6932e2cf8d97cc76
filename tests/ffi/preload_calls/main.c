#include "calls.h"

#include <signal.h>

struct in_addr own;
bool on_stack;

struct sockaddr_in address_of(uint16_t port) {
  return (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(port), .sin_addr = own};
}

int open_listener(uint16_t *port) {
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  CHECK(fd >= 0);
  struct sockaddr_in name = address_of(0);
  CHECK(bind(fd, (struct sockaddr *)&name, sizeof name) == 0);
  CHECK(listen(fd, 16) == 0);
  socklen_t length = sizeof name;
  CHECK(getsockname(fd, (struct sockaddr *)&name, &length) == 0);
  CHECK(length == sizeof name && name.sin_family == AF_INET && name.sin_addr.s_addr == own.s_addr);
  *port = ntohs(name.sin_port);
  CHECK(*port != 0);
  return fd;
}

struct pair connect_pair(void) {
  uint16_t port;
  int listener = open_listener(&port);
  struct pair pair;
  pair.client = socket(AF_INET, SOCK_STREAM, IPPROTO_TCP);
  CHECK(pair.client >= 0);
  struct sockaddr_in to = address_of(port);
  CHECK(connect(pair.client, (struct sockaddr *)&to, sizeof to) == 0);
  pair.server = accept(listener, NULL, NULL);
  CHECK(pair.server >= 0);
  CHECK(close(listener) == 0);
  return pair;
}

int int_option(int fd, int level, int name) {
  int value = -12345;
  socklen_t length = sizeof value;
  CHECK(getsockopt(fd, level, name, &value, &length) == 0);
  CHECK(length == sizeof value);
  return value;
}

short await_events(int fd, short events) {
  struct pollfd entry = {.fd = fd, .events = events};
  CHECK(poll(&entry, 1, 5000) == 1);
  return entry.revents;
}

int main(int count, char **words) {
  CHECK(count >= 3);
  /* Executed anew by test_processes: the descriptor named is a stream on which a word waits. */
  if (strcmp(words[1], "--inherited") == 0) {
    char word[8];
    int fd = atoi(words[2]);
    CHECK(int_option(fd, SOL_SOCKET, SO_PROTOCOL) == IPPROTO_TCP);
    CHECK(read(fd, word, sizeof word) == 4 && memcmp(word, "word", 4) == 0);
    CHECK(write(fd, "done", 4) == 4);
    return 0;
  }
  signal(SIGPIPE, SIG_IGN);
  CHECK(inet_pton(AF_INET, words[2], &own) == 1);
  on_stack = strcmp(words[1], "stack") == 0;
  test_streams();
  test_reads_and_writes();
  test_ends();
  test_failures();
  test_options();
  test_datagrams();
  if (on_stack) test_echo();
  test_ancillary();
  test_segments();
  test_error_queue();
  test_raw();
  test_names();
  test_processes();
  test_threads();
  test_loopback();
  test_interfaces();
  puts("all well");
  return 0;
}
