package main

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
)

// dieWithParent ends a child with this process, however that ends.
func dieWithParent() *syscall.SysProcAttr { return &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM} }

// resident returns the peak and the present resident memory of a process in MB; proc_pid_status(5) explains the fields.
func resident(pid int) (peak, now float64, err error) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, 0, err
	}
	fields := map[string]float64{}
	for line := range strings.Lines(string(data)) {
		name, rest, _ := strings.Cut(line, ":")
		value := strings.Fields(rest)
		if len(value) == 2 && value[1] == "kB" {
			kilobytes, _ := strconv.ParseFloat(value[0], 64)
			fields[name] = round(kilobytes / 1024)
		}
	}
	return fields["VmHWM"], fields["VmRSS"], nil
}
