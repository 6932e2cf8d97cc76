/*
 * What the files of the library share. See shared/design/ipc-and-shim.md for why it is as it is.
 *
 * There is no table of descriptors: what a descriptor is stands in its socket's tag. So dup, fork, vfork, exec and
 * passing descriptors need nothing from us, and nothing here takes a lock.
 */
#ifndef LVLIP_INTERNAL_H
#define LVLIP_INTERNAL_H

#define _GNU_SOURCE
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <spawn.h>

#include "protocol.h"

#define EXPORT __attribute__((visibility("default")))

/* The functions of the C library that ours stand in front of: name, result, parameters. */
#define REAL_FUNCTIONS(X) \
  X(socket, int, (int, int, int)) \
  X(connect, int, (int, const struct sockaddr *, socklen_t)) \
  X(bind, int, (int, const struct sockaddr *, socklen_t)) \
  X(listen, int, (int, int)) \
  X(accept4, int, (int, struct sockaddr *, socklen_t *, int)) \
  X(shutdown, int, (int, int)) \
  X(getsockname, int, (int, struct sockaddr *, socklen_t *)) \
  X(getpeername, int, (int, struct sockaddr *, socklen_t *)) \
  X(getsockopt, int, (int, int, int, void *, socklen_t *)) \
  X(setsockopt, int, (int, int, int, const void *, socklen_t)) \
  X(read, ssize_t, (int, void *, size_t)) \
  X(readv, ssize_t, (int, const struct iovec *, int)) \
  X(recv, ssize_t, (int, void *, size_t, int)) \
  X(recvfrom, ssize_t, (int, void *, size_t, int, struct sockaddr *, socklen_t *)) \
  X(recvmsg, ssize_t, (int, struct msghdr *, int)) \
  X(recvmmsg, int, (int, struct mmsghdr *, unsigned, int, struct timespec *)) \
  X(__read_chk, ssize_t, (int, void *, size_t, size_t)) \
  X(__recv_chk, ssize_t, (int, void *, size_t, size_t, int)) \
  X(__recvfrom_chk, ssize_t, (int, void *, size_t, size_t, int, struct sockaddr *, socklen_t *)) \
  X(send, ssize_t, (int, const void *, size_t, int)) \
  X(sendto, ssize_t, (int, const void *, size_t, int, const struct sockaddr *, socklen_t)) \
  X(sendmsg, ssize_t, (int, const struct msghdr *, int)) \
  X(sendmmsg, int, (int, struct mmsghdr *, unsigned, int)) \
  X(poll, int, (struct pollfd *, nfds_t, int)) \
  X(__poll_chk, int, (struct pollfd *, nfds_t, int, size_t)) \
  X(ppoll, int, (struct pollfd *, nfds_t, const struct timespec *, const sigset_t *)) \
  X(splice, ssize_t, (int, off64_t *, int, off64_t *, size_t, unsigned)) \
  X(ioctl, int, (int, unsigned long, ...)) \
  X(prctl, int, (int, ...)) \
  X(syscall, long, (long, ...)) \
  X(execve, int, (const char *, char *const[], char *const[])) \
  X(execvpe, int, (const char *, char *const[], char *const[])) \
  X(fexecve, int, (int, char *const[], char *const[])) \
  X(posix_spawn, int, (pid_t *, const char *, const posix_spawn_file_actions_t *, const posix_spawnattr_t *, \
                       char *const[], char *const[])) \
  X(posix_spawnp, int, (pid_t *, const char *, const posix_spawn_file_actions_t *, const posix_spawnattr_t *, \
                        char *const[], char *const[])) \
  X(getaddrinfo, int, (const char *, const char *, const struct addrinfo *, struct addrinfo **)) \
  X(getnameinfo, int, (const struct sockaddr *, socklen_t, char *, socklen_t, char *, socklen_t, int)) \
  X(gethostbyname_r, int, (const char *, struct hostent *, char *, size_t, struct hostent **, int *)) \
  X(gethostbyaddr_r, int, (const void *, socklen_t, int, struct hostent *, char *, size_t, struct hostent **, int *))

struct real_functions {
#define DECLARE(name, result, parameters) result(*name) parameters;
  REAL_FUNCTIONS(DECLARE)
#undef DECLARE
};

/* The C library's own functions; usable from the first call on, also before our constructor has run. */
const struct real_functions *lvlip_real(void);
#define real (lvlip_real())

/* ---- setup.c: the environment as it was when the program began ---- */

/* "NAME=value" lines that a program needs to go on using the stack; NULL if there is none of them. */
const char *lvlip_preload_line(void);
const char *lvlip_socket_line(void);
const char *lvlip_pass_line(void);
/* Proof that we were started by somebody who may open sockets, whatever user we are by now; 0: none. */
uint64_t lvlip_pass(void);

/* ---- socket.c: tags ---- */

/* The tag of a descriptor; 0 if it is not one of ours. Leaves errno alone. */
uint64_t lvlip_tag(int fd);
int lvlip_set_tag(int fd, enum lvlip_state state, uint64_t id);

static inline enum lvlip_state tag_state(uint64_t tag) {
  return (enum lvlip_state)((tag >> LVLIP_TAG_STATE_SHIFT) & 15);
}

static inline uint64_t tag_id(uint64_t tag) { return tag & LVLIP_TAG_ID_MASK; }

static inline bool is_datagram(uint64_t tag) { return tag_state(tag) >= LVLIP_STATE_DATAGRAM; }

static inline bool is_udp(uint64_t tag) {
  return tag_state(tag) == LVLIP_STATE_DATAGRAM || tag_state(tag) == LVLIP_STATE_DATAGRAM_CONNECTED;
}

static inline bool is_echo(uint64_t tag) {
  return tag_state(tag) == LVLIP_STATE_ICMP || tag_state(tag) == LVLIP_STATE_ICMP_CONNECTED;
}

static inline bool is_raw(uint64_t tag) {
  return tag_state(tag) == LVLIP_STATE_RAW || tag_state(tag) == LVLIP_STATE_RAW_CONNECTED;
}

static inline bool is_stream_data(uint64_t tag) {
  return tag_state(tag) == LVLIP_STATE_STREAM || tag_state(tag) == LVLIP_STATE_CONNECTING;
}

/* What a socket of this process is to be known by. */
uint64_t lvlip_random_id(void);
/* Puts a new, unconnected stream socket with the same options in the place of one that failed. 0 or -1 with errno. */
int lvlip_renew(int fd, uint64_t tag);
/* Puts the socket `fresh`, whose descriptor is closed, in the place of the one that fd is, wherever this process has it,
 * epoll included. 0 or -1 with errno. */
int lvlip_replace(int fd, int fresh);
/* Makes a fresh stream known to the daemon; the new tag, or 0 with errno. */
uint64_t lvlip_attach(int fd, uint64_t tag);

/* Why a socket failed that was never a stream, given once; 0: it is not known. */
int lvlip_failure(int fd, uint64_t tag);
/* A call about a socket of which it is not known yet whether the daemon has taken it: -1 has the errno of its refusal. */
int lvlip_call_about(int fd, uint64_t tag, struct lvlip_record *record);

/* ---- early.c: options of a stream that is not connected ---- */

/* Writes an option, and the text behind it, on the socket itself, where the daemon reads it before the connect. False:
 * it is to be asked for, be it that the answer matters or that this went wrong. */
bool lvlip_set_early(int fd, uint64_t tag, const struct lvlip_record *option, const char *text);

/* ---- control.c: talking to the daemon ---- */

/* Connects a Unix stream socket to the daemon. 0, or -1 with errno: ENETDOWN when none answers. */
int lvlip_connect_daemon(int fd);
void lvlip_record_init(struct lvlip_record *record, enum lvlip_op op, uint64_t id);
/* The errno of an answer; says so on stderr when it is that the daemon does not serve this user. */
int lvlip_answered_error(const struct lvlip_record *record);
/* One request and its answer, in *record; 0, or -1 with errno, be it the daemon's answer. */
int lvlip_call(struct lvlip_record *record);
/* The same with bytes behind the request and behind the answer. *answer_length: room, then bytes. */
int lvlip_call_with(struct lvlip_record *record, const void *request, void *answer, uint32_t *answer_length);
/* The same, and a descriptor that comes with the answer. */
int lvlip_call_for_descriptor(struct lvlip_record *record, int *descriptor);
/* A request whose answer nobody waits for. */
void lvlip_tell(const struct lvlip_record *record);
/* How the stream with this id ended: 0 (it has not, or by FIN) or an errno, which is given once if taken. */
int lvlip_outcome(uint64_t id, bool take);
/* No call to the daemon may be made any more: a filter of system calls could end the process for it. */
bool lvlip_is_sandboxed(void);

/* ---- names.c ---- */

/* Reads an IPv4 address. 0 or -1 with EINVAL or EAFNOSUPPORT. */
int lvlip_read_address(const struct sockaddr *address, socklen_t length, struct lvlip_endpoint *endpoint);
/* Gives an IPv4 address to a program, cut off as the kernel does. Either pointer may be NULL. */
void lvlip_write_address(const struct lvlip_endpoint *endpoint, struct sockaddr *address, socklen_t *length);
/* Both names of a socket. 0 or -1 with errno. */
int lvlip_names(uint64_t tag, struct lvlip_record *record);

/* ---- saved_names.c ---- */

/* Keeps the names of a connection with its socket; whether it has them, and if so, which. */
void lvlip_save_names(int fd, const struct lvlip_record *record);
bool lvlip_saved_names(int fd, struct lvlip_record *record);

/* ---- resolve.c ---- */

/* Names of one answer: a chain of aliases, or all that an address has. */
#define LVLIP_MAX_NAMES 20

/* What the daemon's resolver answered. */
struct lvlip_answer {
  int count;
  struct in_addr addresses[LVLIP_MAX_ADDRESSES];
  /* The name asked for, its aliases, the canonical one last; of an address its names. They lie in bytes. */
  int name_count;
  const char *names[LVLIP_MAX_NAMES];
  char bytes[LVLIP_MAX_NAMES * (LVLIP_MAX_NAME + 1) + 4 * LVLIP_MAX_ADDRESSES];
};

/* The addresses of a name (type LVLIP_RESOLVE_A), or the names of an address. 0 or an EAI_* number. */
int lvlip_resolve(const char *name, int type, struct lvlip_answer *answer);
int lvlip_resolve_address(struct in_addr address, struct lvlip_answer *answer);
/* Whether the C library, which knows /etc/hosts, has not found a name: the daemon may. */
bool lvlip_is_unresolved(int result);

/* ---- connect.c ---- */

/* Whether a connect that was under way has been decided: 0 under way, 1 connected, -1 failed. */
int lvlip_connect_state(int fd);
/* MSG_FASTOPEN: begins the connect that the message asks for; the message may be sent then. 0 or -1 with errno. */
int lvlip_fast_open(int fd, uint64_t tag, const struct msghdr *message);
/* SO_ERROR of a stream, given once. */
int lvlip_take_stream_error(int fd, uint64_t tag);

/* ---- kernel.c: 127.0.0.0/8 ---- */

/* What a program has set of a socket, see the op `settings`. */
struct lvlip_settings {
  struct lvlip_endpoint local;
  /* The program named the port, and did not take any. */
  bool is_port_chosen;
  uint32_t count;
  uint32_t length;
  char bytes[LVLIP_MAX_VALUE];
};

typedef int set_option(int fd, int level, int name, const void *value, socklen_t length);

bool lvlip_is_loopback(const struct lvlip_endpoint *endpoint);
int lvlip_read_settings(uint64_t tag, struct lvlip_settings *settings);
void lvlip_apply_settings(int fd, const struct lvlip_settings *settings, set_option *set);
/* Makes a socket that is to go to 127.0.0.0/8 one of the kernel's, unless the stack serves that (or, if asked for, it is
 * bound): 1 done, 0 it stays the stack's, -1 with errno. */
int lvlip_to_kernel(int fd, uint64_t tag, const struct lvlip_endpoint *remote, bool unless_bound);
/* The way back, when such a socket is to connect to somewhere else: 1 done, 0 it is none, -1 with errno. */
int lvlip_from_kernel(int fd, const struct sockaddr *address, socklen_t length);

/* ---- defaults.c ---- */

/* The value that an option has which nobody can set here; false: it is none of those. */
bool lvlip_default_option(bool is_datagram, int level, int name, int *value);

/* ---- interfaces.c ---- */

/* Whether a request is one about interfaces, which ioctl answers on our sockets. */
bool lvlip_is_interface_request(unsigned long request);
int lvlip_interface_ioctl(unsigned long request, void *argument);

/* ---- stream.c ---- */

/* Reading gave 0: the end of the stream, or a reset, which is -1 with errno. */
ssize_t lvlip_end_of_stream(int fd, uint64_t tag);

/* ---- datagram.c ---- */

/* protocol: of a raw socket; the others know theirs. */
/* Whether this process may hold a datagram socket: one that it made, or that it began with as inetd's servers do. */
bool lvlip_has_datagrams(void);
void lvlip_note_datagram(void);
int lvlip_datagram_socket(int kind, int protocol, int flags);
int lvlip_datagram_connect(int fd, uint64_t tag, const struct sockaddr *address, socklen_t length);
ssize_t lvlip_datagram_receive(int fd, uint64_t tag, struct msghdr *message, int flags);
ssize_t lvlip_datagram_send(int fd, uint64_t tag, const struct msghdr *message, int flags);
/* read(2) found a header in front of a message: takes it away. */
ssize_t lvlip_datagram_strip(int fd, void *buffer, ssize_t length);
/* Reading gave 0: an empty message, or that there is no daemon any more, which is -1 with ENETDOWN. */
ssize_t lvlip_empty_datagram(int fd, uint64_t tag);
int lvlip_take_datagram_error(int fd, uint64_t tag);
/* Whether an error of the queue (IP_RECVERR) is what can be read next. */
bool lvlip_has_queued_error(int fd, uint64_t tag);
/* FIONREAD: bytes of the next message. */
int lvlip_datagram_pending(int fd, uint64_t tag);

/* ---- segments.c ---- */

/* UDP_SEGMENT of a socket was set. */
void lvlip_note_segment_option(uint64_t tag, int size);
/* Whether a message may be cut as it or its socket says. 0, or -1 with EMSGSIZE or EINVAL. */
int lvlip_check_segments(uint64_t tag, const struct lvlip_datagram *header, size_t length);

/* ---- ancillary.c ---- */

/* Puts one control message behind those that are there, or as much of it as there is room for. */
void lvlip_add_control(struct msghdr *message, size_t *used, int level, int type, const void *data, size_t size);
/* What the program asked for with IP_RECVTTL, IP_RECVTOS, IP_PKTINFO, IP_RETOPTS, UDP_GRO and SO_TIMESTAMP, which the daemon
 * remembers; `options`: what follows the header, see below. The bytes used. */
size_t lvlip_give_control(struct msghdr *message, const struct lvlip_datagram *header, const uint8_t *options);
/* Bytes of IP options between the header and the message. */
size_t lvlip_options_size(const struct lvlip_datagram *header);
/* What the program says of a message: IP_TTL, IP_TOS, IP_PKTINFO, UDP_SEGMENT. 0 or -1 with EINVAL. */
int lvlip_read_control(uint64_t tag, const struct msghdr *message, struct lvlip_datagram *header);

/* ---- poll.c ---- */

/* From now on poll(2) tells errors of queues from messages. */
void lvlip_want_errors(void);

/* ---- diagnostics ---- */

/* One line on stderr, once a process. */
void lvlip_complain(const char *message);

static inline int fail(int error) {
  errno = error;
  return -1;
}

#endif
