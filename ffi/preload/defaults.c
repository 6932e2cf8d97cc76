/*
 * Options that the stack does not have, and the values that Linux gives them at first: they can be read, and set to what
 * they are. Anything else fails with ENOPROTOOPT: no option is taken and then ignored.
 */
#include "internal.h"

#include <linux/tcp.h>
#include <netinet/in.h>

enum { STREAM = 1, DATAGRAM = 2, BOTH = STREAM | DATAGRAM };

static const struct {
  int kinds;
  int level;
  int name;
  int value;
} defaults[] = {
    {BOTH, SOL_SOCKET, SO_DEBUG, 0},
    {BOTH, SOL_SOCKET, SO_DONTROUTE, 0},
    {BOTH, SOL_SOCKET, SO_NO_CHECK, 0},
    {BOTH, SOL_SOCKET, SO_PRIORITY, 0},
    {BOTH, SOL_SOCKET, SO_MARK, 0},
    {BOTH, SOL_SOCKET, SO_TIMESTAMP, 0},
    {BOTH, SOL_SOCKET, SO_TIMESTAMPNS, 0},
    {BOTH, SOL_SOCKET, SO_TIMESTAMPING, 0},
    {BOTH, SOL_SOCKET, SO_RXQ_OVFL, 0},
    {BOTH, SOL_SOCKET, SO_SELECT_ERR_QUEUE, 0},
    {BOTH, SOL_SOCKET, SO_BUSY_POLL, 0},
    {BOTH, SOL_SOCKET, SO_ZEROCOPY, 0},
    {BOTH, SOL_SOCKET, SO_NOFCS, 0},
    {BOTH, SOL_SOCKET, SO_LOCK_FILTER, 0},
    {DATAGRAM, SOL_SOCKET, SO_MAX_PACING_RATE, -1},
    {STREAM, IPPROTO_TCP, TCP_THIN_LINEAR_TIMEOUTS, 0},
    {STREAM, IPPROTO_TCP, TCP_THIN_DUPACK, 0},
    {STREAM, IPPROTO_TCP, TCP_REPAIR, 0},
    {STREAM, IPPROTO_TCP, TCP_SAVE_SYN, 0},
    {STREAM, IPPROTO_TCP, TCP_FASTOPEN_NO_COOKIE, 0},
    {STREAM, IPPROTO_TCP, TCP_INQ, 0},
    {STREAM, IPPROTO_TCP, TCP_TX_DELAY, 0},
    {BOTH, IPPROTO_IP, IP_RECVTOS, 0},
    {STREAM, IPPROTO_IP, IP_RECVERR, 0},
    {BOTH, IPPROTO_IP, IP_FREEBIND, 0},
    {BOTH, IPPROTO_IP, IP_PASSSEC, 0},
    {BOTH, IPPROTO_IP, IP_TRANSPARENT, 0},
    {BOTH, IPPROTO_IP, IP_RECVORIGDSTADDR, 0},
    {BOTH, IPPROTO_IP, IP_MINTTL, 0},
    {BOTH, IPPROTO_IP, IP_CHECKSUM, 0},
    {BOTH, IPPROTO_IP, IP_RECVFRAGSIZE, 0},
    {BOTH, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 0},
};

bool lvlip_default_option(bool is_datagram, int level, int name, int *value) {
  int kind = is_datagram ? DATAGRAM : STREAM;
  for (size_t i = 0; i < sizeof defaults / sizeof *defaults; i++) {
    if ((defaults[i].kinds & kind) == 0 || defaults[i].level != level || defaults[i].name != name) continue;
    *value = defaults[i].value;
    return true;
  }
  return false;
}
