// Command site is a program to start and stop: it answers on LISTEN, says good
// bye on SIGTERM and ends with the status in STATUS.
package main

import (
	"fmt"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"syscall"
)

func main() {
	if os.Getenv("LISTEN") == "" {
		fmt.Println("LISTEN is not set")
		os.Exit(2)
	}
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGINT, syscall.SIGTERM)
	go func() {
		http.HandleFunc("/healthz", func(http.ResponseWriter, *http.Request) {})
		fmt.Fprintln(os.Stderr, http.ListenAndServe(os.Getenv("LISTEN"), nil))
	}()
	<-stop
	fmt.Println("good bye")
	status, _ := strconv.Atoi(os.Getenv("STATUS"))
	os.Exit(status)
}
