/*
 * A program that makes every call that the preloaded library stands in front of, and checks the answers. It runs on the
 * stack, and for reference on the kernel, whose answers are right by definition.
 */
#ifndef CALLS_H
#define CALLS_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

/* Our own address; and whether the sockets are the stack's. */
extern struct in_addr own;
extern bool on_stack;

#define CHECK(condition) \
  do { \
    if (!(condition)) { \
      fprintf(stderr, "%s:%d: %s (errno %d: %s)\n", __FILE__, __LINE__, #condition, errno, strerror(errno)); \
      exit(1); \
    } \
  } while (0)

#define CHECK_ERRNO(expected, call) \
  do { \
    errno = 0; \
    CHECK((call) == -1 && errno == (expected)); \
  } while (0)

struct pair {
  int client, server;
};

struct sockaddr_in address_of(uint16_t port);
/* A listener on any free port of ours, and that port. */
int open_listener(uint16_t *port);
struct pair connect_pair(void);
int int_option(int fd, int level, int name);
/* Waits for events on fd; what came. */
short await_events(int fd, short events);

void test_streams(void);
void test_reads_and_writes(void);
void test_ends(void);
void test_failures(void);
void test_options(void);
void test_datagrams(void);
void test_echo(void);
void test_ancillary(void);
void test_segments(void);
void test_error_queue(void);
void test_raw(void);
void test_names(void);
void test_processes(void);
void test_threads(void);
void test_loopback(void);
void test_interfaces(void);

#endif
