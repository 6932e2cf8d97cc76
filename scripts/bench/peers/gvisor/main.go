// gVisor's netstack behind a TAP: serves on 10.0.0.4 as ../../peer/serve.c does, until stdin ends.
// What comes from stdin is for connect.go.
//
//	gvisor tap0
package main

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/adapters/gonet"
	"gvisor.dev/gvisor/pkg/tcpip/link/fdbased"
	"gvisor.dev/gvisor/pkg/tcpip/network/arp"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv4"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
	"gvisor.dev/gvisor/pkg/tcpip/transport/icmp"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"
)

const (
	nic       = 1
	mtu       = 1500
	chunkSize = 256 << 10
	// Room for the windows to grow to, as the kernel's and ours may.
	maxBuffer = 16 << 20

	portSink   = 7001
	portSource = 7002
	portEcho   = 7003
	portClose  = 7004
)

var address = tcpip.Address(net.IPv4(10, 0, 0, 4).To4())

func check(err error, what string) {
	if err != nil {
		fmt.Fprintf(os.Stderr, "gvisor: %s: %v\n", what, err)
		os.Exit(1)
	}
}

func checkTCPIP(err tcpip.Error, what string) {
	if err != nil {
		check(fmt.Errorf("%s", err), what)
	}
}

func openTap(name string) int {
	fd, err := unix.Open("/dev/net/tun", unix.O_RDWR, 0)
	check(err, "open")
	var request struct {
		name  [unix.IFNAMSIZ]byte
		flags uint16
		_     [22]byte
	}
	copy(request.name[:], name)
	request.flags = unix.IFF_TAP | unix.IFF_NO_PI
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.TUNSETIFF, uintptr(unsafe.Pointer(&request)))
	if errno != 0 {
		check(errno, name)
	}
	return fd
}

func newStack(fd int) *stack.Stack {
	s := stack.New(stack.Options{
		NetworkProtocols:   []stack.NetworkProtocolFactory{ipv4.NewProtocol, arp.NewProtocol},
		TransportProtocols: []stack.TransportProtocolFactory{tcp.NewProtocol, icmp.NewProtocol4},
	})
	sack := tcpip.TCPSACKEnabled(true)
	checkTCPIP(s.SetTransportProtocolOption(tcp.ProtocolNumber, &sack), "SACK")
	congestion := tcpip.CongestionControlOption("cubic")
	checkTCPIP(s.SetTransportProtocolOption(tcp.ProtocolNumber, &congestion), "CUBIC")
	receive := tcpip.TCPReceiveBufferSizeRangeOption{Min: 4096, Default: 1 << 20, Max: maxBuffer}
	checkTCPIP(s.SetTransportProtocolOption(tcp.ProtocolNumber, &receive), "receive buffer")
	send := tcpip.TCPSendBufferSizeRangeOption{Min: 4096, Default: 1 << 20, Max: maxBuffer}
	checkTCPIP(s.SetTransportProtocolOption(tcp.ProtocolNumber, &send), "send buffer")
	link, err := fdbased.New(&fdbased.Options{
		FDs: []int{fd}, MTU: mtu, EthernetHeader: true, Address: "\x02\x00\x00\x00\x00\x04",
	})
	check(err, "link")
	checkTCPIP(s.CreateNIC(nic, link), "NIC")
	checkTCPIP(s.AddProtocolAddress(nic, tcpip.ProtocolAddress{
		Protocol:          ipv4.ProtocolNumber,
		AddressWithPrefix: tcpip.AddressWithPrefix{Address: address, PrefixLen: 24},
	}, stack.AddressProperties{}), "address")
	subnet := tcpip.AddressWithPrefix{Address: address, PrefixLen: 24}.Subnet()
	s.SetRouteTable([]tcpip.Route{{Destination: subnet, NIC: nic}})
	return s
}

func echo(connection net.Conn) {
	buffer := make([]byte, 64<<10)
	for {
		count, err := connection.Read(buffer)
		if err != nil {
			return
		}
		if _, err := connection.Write(buffer[:count]); err != nil {
			return
		}
	}
}

func source(connection net.Conn) {
	chunk := make([]byte, chunkSize)
	for {
		if _, err := connection.Write(chunk); err != nil {
			return
		}
	}
}

func sink(connection net.Conn) {
	chunk := make([]byte, chunkSize)
	for {
		if _, err := connection.Read(chunk); err != nil {
			return
		}
	}
}

func serve(s *stack.Stack, port uint16, use func(net.Conn)) {
	listener, err := gonet.ListenTCP(s, tcpip.FullAddress{NIC: nic, Addr: address, Port: port}, ipv4.ProtocolNumber)
	check(err, "listen")
	go func() {
		for {
			connection, err := listener.Accept()
			check(err, "accept")
			go func() {
				use(connection)
				connection.Close()
			}()
		}
	}()
}

func main() {
	s := newStack(openTap(os.Args[1]))
	serve(s, portSink, sink)
	serve(s, portSource, source)
	serve(s, portEcho, echo)
	serve(s, portClose, func(net.Conn) {})
	fmt.Println("ready")
	commands := bufio.NewScanner(os.Stdin)
	for commands.Scan() {
		connections(s, commands.Text())
	}
}
