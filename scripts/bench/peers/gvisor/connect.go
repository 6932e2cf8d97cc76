package main

import (
	"fmt"
	"net"
	"sort"
	"sync"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/adapters/gonet"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv4"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
)

// Connects and closes as often as it can, as ../../peer/connections.c does from the kernel, and prints what that prints.
// command: "connections HOST PORT PARALLEL WARM-UP SECONDS".
func connections(s *stack.Stack, command string) {
	var host string
	var port uint16
	var parallel int
	var warmUp, seconds float64
	_, err := fmt.Sscanf(command, "connections %s %d %d %g %g", &host, &port, &parallel, &warmUp, &seconds)
	check(err, command)
	to := tcpip.FullAddress{NIC: nic, Addr: tcpip.Address(net.ParseIP(host).To4()), Port: port}
	from := time.Now().Add(time.Duration(warmUp * 1e9))
	until := from.Add(time.Duration(seconds * 1e9))
	times := make([][]time.Duration, parallel)
	var all sync.WaitGroup
	for i := range times {
		all.Add(1)
		go func(i int) {
			defer all.Done()
			times[i] = connectAgain(s, to, from, until)
		}(i)
	}
	all.Wait()
	var latencies []time.Duration
	for _, each := range times {
		latencies = append(latencies, each...)
	}
	report(latencies, seconds)
}

// One after the other. The server closes first: TIME-WAIT is the kernel's, which is told to keep few.
func connectAgain(s *stack.Stack, to tcpip.FullAddress, from, until time.Time) []time.Duration {
	var times []time.Duration
	buffer := make([]byte, 16)
	for {
		began := time.Now()
		connection, err := gonet.DialTCP(s, to, ipv4.ProtocolNumber)
		check(err, "connect")
		connection.Read(buffer)
		connection.Close()
		now := time.Now()
		if now.After(until) {
			return times
		}
		if now.After(from) {
			times = append(times, now.Sub(began))
		}
	}
}

func report(times []time.Duration, seconds float64) {
	if len(times) == 0 {
		check(fmt.Errorf("nobody answers"), "connect")
	}
	sort.Slice(times, func(a, b int) bool { return times[a] < times[b] })
	at := func(part float64) float64 {
		return times[int(float64(len(times)-1)*part)].Seconds() * 1e6
	}
	fmt.Printf("{\"rate\":%.1f,\"p50\":%.2f,\"p90\":%.2f,\"p99\":%.2f,\"max\":%.2f}\n",
		float64(len(times))/seconds, at(0.5), at(0.9), at(0.99), at(1))
}
