package s3blob_test

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/tenuto-dev/tenuto/activities/provider/blob"
	"github.com/tenuto-dev/tenuto/schemas"
)

// fillEnv tells TestFill that it runs inside a stack whose disk is small.
const fillEnv = "TENUTO_TEST_FILL"

// TestFullMinIO fills the disk of a MinIO server.
func TestFullMinIO(t *testing.T) {
	t.Parallel()
	address, console := freeAddress(t), freeAddress(t)
	server := onSmallDisk(t, "64m", minioBinary(t), "server", "--quiet", "--address", address, "--console-address", console, "$DISK")
	start(t, server)
	driver, err := openPatiently(t, minioConfig(address))
	if err != nil {
		t.Fatal(err)
	}
	fill(t, blob.New(driver), 64<<20)
}

// TestFullEmbedded fills the disk of the embedded store: it runs TestFill under tenuto-stack, whose data is on a small disk.
func TestFullEmbedded(t *testing.T) {
	t.Parallel()
	stack := os.Getenv("TENUTO_STACK")
	if stack == "" {
		t.Skip("TENUTO_STACK is not set; make test builds the stack and sets it")
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	command := onSmallDisk(t, "8m", stack, "run", "--parts", "s3", "--", self, "-test.v", "-test.run", "^TestFill$")
	command.Env = append(os.Environ(), fillEnv+"=8388608", "TMPDIR="+command.Dir)
	output, err := command.CombinedOutput()
	if err != nil || !strings.Contains(string(output), "--- PASS: TestFill") {
		t.Errorf("%v\n%s", err, output)
	}
}

// TestFill is the half of TestFullEmbedded that runs inside.
func TestFill(t *testing.T) {
	t.Parallel()
	var size int
	if _, err := fmt.Sscan(os.Getenv(fillEnv), &size); err != nil {
		t.Skip("this is a part of TestFullEmbedded")
	}
	driver, err := openPatiently(t, given(t))
	if err != nil {
		t.Fatal(err)
	}
	store := blob.New(driver)
	fill(t, store, size)
	roomAgain(t, store)
}

// onSmallDisk makes a command that has a disk of its own at its working directory, for which $DISK stands in its arguments. The
// disk lives in a mount namespace, so it goes when the command does, and making it takes no rights where user namespaces are allowed.
func onSmallDisk(t *testing.T, size string, args ...string) *exec.Cmd {
	t.Helper()
	disk := t.TempDir()
	for i, arg := range args {
		args[i] = strings.ReplaceAll(arg, "$DISK", disk)
	}
	if err := smallDisk(t, disk, size, "true").Run(); err != nil {
		t.Skipf("this system lets tests mount no disk of their own: %v", err)
	}
	return smallDisk(t, disk, size, args...)
}

func smallDisk(t *testing.T, disk, size string, args ...string) *exec.Cmd {
	t.Helper()
	const script = `mount -t tmpfs -o size="$1" tmpfs "$2" && shift 2 && exec "$@"`
	command := exec.CommandContext(t.Context(), "sh", append([]string{"-c", script, "sh", size, disk}, args...)...)
	command.Dir = disk
	command.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS,
		UidMappings: []syscall.SysProcIDMap{{HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{HostID: os.Getgid(), Size: 1}},
		Pdeathsig:   syscall.SIGKILL,
	}
	return command
}

// fill writes more than size bytes, expects to be told that the disk is full, and clears it.
func fill(t *testing.T, store *blob.Store, size int) {
	t.Helper()
	content := make([]byte, 1<<20)
	last, err := "", error(nil)
	for i := 0; i < size/len(content)+2 && (err == nil || schemas.CodeOf(err) == schemas.Unavailable); i++ {
		last = fmt.Sprintf("filler/%03d", i)
		err = store.Put(t.Context(), last, content) // one that breaks off as the disk fills up may be tried again
	}
	if schemas.CodeOf(err) != schemas.OverBudget {
		t.Fatalf("on a full disk: got error %v (code %s), want code %s", err, schemas.CodeOf(err), schemas.OverBudget)
	}
	if message := schemas.SafeMessage(err); !strings.Contains(message, "free space") {
		t.Errorf("the message does not say what to do: %s", message)
	}
	if _, err := store.Get(t.Context(), last); schemas.CodeOf(err) != schemas.NotFound {
		t.Errorf("the object that did not fit: got error %v, want %s", err, schemas.NotFound)
	}
	if _, err := blob.DeletePrefix(t.Context(), store, "filler/"); err != nil {
		t.Fatalf("a full disk cannot be cleared: %v", err)
	}
}

// roomAgain requires that a store which was full, and then cleared, takes content again. MinIO does so only minutes later.
func roomAgain(t *testing.T, store *blob.Store) {
	t.Helper()
	if err := store.Put(t.Context(), "filler/again", make([]byte, 1<<20)); err != nil {
		t.Errorf("after space was freed: %v", err)
	}
}
