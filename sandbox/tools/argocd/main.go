// A server with the protocol of Redis, in memory: the one that Argo CD's command-line client embeds. It listens on the
// address that it is given.
package main

import (
	"fmt"
	"os"
	"time"

	"github.com/alicebob/miniredis/v2"
)

func main() {
	server := miniredis.NewMiniRedis()
	if err := server.StartAddr(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	// Its time passes only when it is told so.
	for range time.Tick(time.Second) {
		server.FastForward(time.Second)
	}
}
