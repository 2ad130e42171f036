package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/minio/minio-go/v7"
	signer "github.com/minio/minio-go/v7/pkg/credentials"
	"github.com/versity/versitygw/auth"
	"github.com/versity/versitygw/backend/meta"
	"github.com/versity/versitygw/backend/posix"
	"github.com/versity/versitygw/embedgw"
)

// s3Part is the S3 store in this process, over a folder. Its backend works relative to the working directory and therefore
// changes it for the whole process, so every other path in the stack is absolute.
type s3Part struct {
	objects, attributes string
	address             string
	accessKey           string
	secretKey           string

	client *minio.Client
	cancel context.CancelFunc
	ended  chan error
}

func (s *stack) s3() part {
	return &s3Part{
		objects:    filepath.Join(s.dir, "s3", "objects"),
		attributes: filepath.Join(s.dir, "s3", "attributes"),
		address:    loopback(s.ports.S3),
		accessKey:  s.keys.S3AccessKey,
		secretKey:  s.keys.S3SecretKey,
	}
}

func (s *s3Part) start(_ context.Context, died func(error)) error {
	backend, err := s.backend()
	if err != nil {
		return err
	}
	s.client, err = minio.New(s.address, &minio.Options{
		Creds: signer.NewStaticV4(s.accessKey, s.secretKey, ""), Region: s3Region, MaxRetries: 1,
	})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	s.cancel, s.ended = cancel, make(chan error, 1)
	go func() {
		err := embedgw.RunVersityGW(ctx, backend, &embedgw.Config{
			RootUserAccess:    s.accessKey,
			RootUserSecret:    s.secretKey,
			IAMService:        auth.NewIAMServiceSingle(auth.Account{Access: s.accessKey, Secret: s.secretKey, Role: auth.RoleAdmin}),
			Region:            s3Region,
			Ports:             []string{s.address},
			MaxConnections:    4096,
			MaxRequests:       4096,
			MultipartMaxParts: 10000, // S3's own limit
			KeepAlive:         true,
			Quiet:             true,
		})
		s.ended <- err
		if ctx.Err() == nil {
			died(fmt.Errorf("the gateway returned: %w", err))
		}
	}()
	return nil
}

// backend keeps objects as files, and their metadata in extended attributes where the file system has them, else in files
// beside.
func (s *s3Part) backend() (*posix.Posix, error) {
	for _, dir := range []string{s.objects, s.attributes} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return nil, err
		}
	}
	var store meta.MetadataStorer = meta.XattrMeta{}
	options := posix.PosixOpts{ForceNoObjLockFile: true} // no other process has the folder, so conditional writes need no file to lock
	if (meta.XattrMeta{}).Test(s.objects) != nil {
		beside, err := meta.NewSideCar(s.attributes)
		if err != nil {
			return nil, err
		}
		store, options.SideCarDir = beside, s.attributes
	}
	return posix.New(s.objects, store, options)
}

// ready makes the bucket, unless it is there.
func (s *s3Part) ready(ctx context.Context) error {
	exists, err := s.client.BucketExists(ctx, s3Bucket)
	if err != nil || exists {
		return err
	}
	return s.client.MakeBucket(ctx, s3Bucket, minio.MakeBucketOptions{Region: s3Region})
}

// stop does not wait long for connections that clients keep open: an object is there whole or not at all at any moment.
func (s *s3Part) stop() error {
	s.cancel()
	select {
	case err := <-s.ended:
		return err
	case <-time.After(2 * time.Second):
		return nil
	}
}
