/* What the files of the kernel-side peer share. All of them fail by printing one line and leaving with status 1. */
#ifndef PEER_H
#define PEER_H

#include <stddef.h>
#include <stdint.h>

/* What a server does with a connection, by its port. */
enum {
  PORT_SINK = 7001,   /* reads until the end, then closes */
  PORT_SOURCE = 7002, /* writes until the peer goes away */
  PORT_ECHO = 7003,   /* sends back what comes, closes at the end */
  PORT_CLOSE = 7004   /* closes at once */
};

#define CHUNK (256 * 1024)

/* Leaves with "peer: WHAT: why". */
_Noreturn void fail(const char *what);

/* Nanoseconds on the monotonic clock. */
int64_t now_ns(void);
/* User and system seconds of this process so far. */
double cpu_seconds(void);

/* A TCP socket with CUBIC pinned (the machine's default may be another) and TCP_NODELAY. */
int tcp_socket(int flags);
/* A blocking socket, connected. */
int tcp_connect(const char *host, int port);
void set_nonblocking(int fd);
/* As many descriptors as the kernel lets this process have. */
void raise_descriptor_limit(void);

/* Round-trip times, and what is printed of them. */
struct latencies {
  uint32_t *ns;
  size_t count, room;
};
void latency_add(struct latencies *l, int64_t ns);
/* Prints `"p50":..,"p90":..,"p99":..,"max":..` in microseconds; sorts. */
void latency_print(struct latencies *l);

int serve(const char *address);
int bulk(const char *host, int to_stack, int flows, double warm_up, double seconds);
int requests(const char *host, size_t size, int flows, double warm_up, double seconds);
int connections(const char *host, int port, int parallel, double warm_up, double seconds);
int hold_idle(const char *host, int count);
int ping(const char *host, int count, double interval);

#endif
