/* What the files of the kernel-side peer share. All of them fail by printing one line and leaving with status 1. */
#ifndef PEER_H
#define PEER_H

#include <stddef.h>
#include <stdint.h>

#include "shared.h"

#define CHUNK (256 * 1024)

/* User and system seconds of this process so far. */
double cpu_seconds(void);

/* A TCP socket with CUBIC pinned (the machine's default may be another) and TCP_NODELAY. */
int tcp_socket(int flags);
/* A blocking socket, connected. */
int tcp_connect(const char *host, int port);
void set_nonblocking(int fd);
/* As many descriptors as the kernel lets this process have. */
void raise_descriptor_limit(void);

int serve(const char *address);
int bulk(const char *host, int to_stack, int flows, double warm_up, double seconds);
int requests(const char *host, size_t size, int flows, double warm_up, double seconds);
int connections(const char *host, int port, int parallel, double warm_up, double seconds);
int hold_idle(const char *host, int count);
int ping(const char *host, int count, double interval);
int send_datagrams(const char *host, int size, int at_once, double seconds);
int receive_datagrams(const char *address, int merged, double warm_up, double seconds);

#endif
