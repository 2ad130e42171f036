// Package child builds the servers that the stack runs as processes of their own, and runs them so that none outlives it.
package child

import (
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"fmt"
)

// Program is a server that is built from its Go module. The module files pin every dependency. They carry other names than
// go.mod and go.sum here, because a folder with a go.mod is a module of its own and cannot be embedded. To move to another
// version, put the file as go.mod into an empty folder, change the version there, run go mod tidy, and bring both files back.
type Program struct {
	Name    string // of the binary
	Module  string
	Version string
	Package string // of its main function
	Edits   []Edit // made to a copy of the module before it is built

	mod, sum string
}

// Edit replaces the only occurrence of Old in a file of the module. It fails the build where the file is not as expected.
type Edit struct{ File, Old, New string }

var (
	//go:embed modules/weaviate.mod
	weaviateMod string
	//go:embed modules/weaviate.sum
	weaviateSum string
	//go:embed modules/minio.mod
	minioMod string
	//go:embed modules/minio.sum
	minioSum string
)

// Weaviate is the vector database. Its settings can bind all but three of its listeners to the loopback interface; the edits
// bind these three, so that a laptop offers nothing to its network.
func Weaviate() Program {
	return Program{
		Name:    "weaviate-server",
		Module:  "github.com/weaviate/weaviate",
		Version: "v1.35.2",
		Package: "github.com/weaviate/weaviate/cmd/weaviate-server",
		Edits: []Edit{
			loopback("adapters/handlers/grpc/server.go"),
			loopback("adapters/handlers/rest/clusterapi/grpc/server.go"),
			loopback("adapters/handlers/rest/clusterapi/serve.go"),
		},
		mod: weaviateMod,
		sum: weaviateSum,
	}
}

func loopback(file string) Edit {
	return Edit{File: file, Old: `fmt.Sprintf(":%d"`, New: `fmt.Sprintf("127.0.0.1:%d"`}
}

// MinIO is the second S3 server that the conformance suite of the artifact store runs against.
func MinIO() Program {
	return Program{
		Name:    "minio",
		Module:  "github.com/minio/minio",
		Version: "v0.0.0-20260212201848-7aac2a2c5b7c",
		Package: "github.com/minio/minio",
		mod:     minioMod,
		sum:     minioSum,
	}
}

// stamp identifies what a binary is built from; a binary with another stamp is built again.
func (p Program) stamp() string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%q %q %q %q %q", p.Version, p.Package, p.Edits, p.mod, p.sum))
	return hex.EncodeToString(sum[:])
}
