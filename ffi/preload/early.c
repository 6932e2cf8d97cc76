/*
 * Options of a stream that is not connected. Most programs set several before they connect, and whether the stack takes
 * them is known here: those are written on the socket itself, where the daemon finds them in front of the connect, so
 * that nobody waits for it. All others are asked for, and so the daemon reads what was written here before it answers.
 */
#include "internal.h"

#include <limits.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>

#define MAX_SECONDS 32767
#define MAX_REPETITIONS 127
#define LEAST_SEGMENT 88
#define MOST_SEGMENT 32767

/* What the stack takes, as lib/tcp/options.ts and lib/stack/socket_options.ts have it. */
static const struct {
  int level;
  int name;
  int least;
  int most;
} taken[] = {
    {SOL_SOCKET, SO_REUSEADDR, INT_MIN, INT_MAX},
    {SOL_SOCKET, SO_REUSEPORT, INT_MIN, INT_MAX},
    {SOL_SOCKET, SO_BROADCAST, INT_MIN, INT_MAX},
    {SOL_SOCKET, SO_KEEPALIVE, INT_MIN, INT_MAX},
    {SOL_SOCKET, SO_LINGER, INT_MIN, INT_MAX},
    {SOL_SOCKET, SO_SNDBUF, INT_MIN, INT_MAX},
    {SOL_SOCKET, SO_RCVBUF, INT_MIN, INT_MAX},
    {SOL_SOCKET, SO_RCVLOWAT, INT_MIN, INT_MAX},
    {IPPROTO_IP, IP_TOS, INT_MIN, INT_MAX},
    {IPPROTO_IP, IP_TTL, 1, UCHAR_MAX},
    {IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_WANT, IP_PMTUDISC_DO},
    {IPPROTO_TCP, TCP_NODELAY, INT_MIN, INT_MAX},
    {IPPROTO_TCP, TCP_CORK, INT_MIN, INT_MAX},
    {IPPROTO_TCP, TCP_QUICKACK, INT_MIN, INT_MAX},
    {IPPROTO_TCP, TCP_MAXSEG, LEAST_SEGMENT, MOST_SEGMENT},
    {IPPROTO_TCP, TCP_KEEPIDLE, 1, MAX_SECONDS},
    {IPPROTO_TCP, TCP_KEEPINTVL, 1, MAX_SECONDS},
    {IPPROTO_TCP, TCP_KEEPCNT, 1, MAX_REPETITIONS},
    {IPPROTO_TCP, TCP_SYNCNT, 1, MAX_REPETITIONS},
    {IPPROTO_TCP, TCP_LINGER2, INT_MIN, INT_MAX},
    {IPPROTO_TCP, TCP_DEFER_ACCEPT, INT_MIN, INT_MAX},
    {IPPROTO_TCP, TCP_USER_TIMEOUT, 0, INT_MAX},
    {IPPROTO_TCP, TCP_NOTSENT_LOWAT, INT_MIN, INT_MAX},
    {IPPROTO_TCP, TCP_FASTOPEN_CONNECT, 0, 1},
};

static const char *const algorithms[] = {"cubic", "reno"};

static bool is_algorithm(const char *text, size_t length) {
  for (size_t i = 0; i < sizeof algorithms / sizeof *algorithms; i++) {
    if (strlen(algorithms[i]) == length && memcmp(algorithms[i], text, length) == 0) return true;
  }
  return false;
}

static bool is_taken(const struct lvlip_record *option, const char *text) {
  int level = option->arg[0], name = option->arg[1], value = option->arg[2];
  if (text != NULL) return level == IPPROTO_TCP && name == TCP_CONGESTION && is_algorithm(text, option->length);
  for (size_t i = 0; i < sizeof taken / sizeof *taken; i++) {
    if (taken[i].level == level && taken[i].name == name) return value >= taken[i].least && value <= taken[i].most;
  }
  return false;
}

bool lvlip_set_early(int fd, uint64_t tag, const struct lvlip_record *option, const char *text) {
  if (tag_state(tag) != LVLIP_STATE_ATTACHED || !is_taken(option, text) || lvlip_is_sandboxed()) return false;
  struct lvlip_record record = *option;
  record.flags = LVLIP_FLAG_QUIET;
  struct iovec vectors[] = {{&record, sizeof record}, {(void *)(uintptr_t)text, record.length}};
  struct msghdr message = {.msg_iov = vectors, .msg_iovlen = 2};
  int saved = errno;
  /* So little goes as a whole or not at all. */
  ssize_t sent = real->sendmsg(fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
  errno = saved;
  if (sent < 0) return false;
  /*
   * Another thread may have connected the socket meanwhile. It says so in the tag before it writes its request: if the tag
   * is as it was, the option came first. Else it may lie in the stream, which must not go on.
   */
  if (lvlip_tag(fd) != tag) real->shutdown(fd, SHUT_RDWR);
  return true;
}
