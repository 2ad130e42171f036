// Package s3blob keeps an artifact store in a bucket of S3 or of a server that speaks its protocol, such as MinIO.
package s3blob

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
	"github.com/minio/minio-go/v7/pkg/s3utils"

	"github.com/tenuto-dev/tenuto/activities/provider/blob"
	"github.com/tenuto-dev/tenuto/schemas"
)

// Config says which bucket to use.
type Config struct {
	Endpoint  string // http://host:port or https://host
	Region    string // us-east-1 if empty
	Bucket    string // made if absent
	AccessKey string
	SecretKey string
}

// idleConnections is how many connections stay open for the next call. A worker has about as many calls in flight.
const idleConnections = 64

// mostConnections bounds those that are open: calls beyond wait their turn, so that a crowd of them does not use up the files that the process
// and the server may have open.
const mostConnections = 1024

// idleTimeout ends idle connections before servers do (MinIO and S3 wait a minute or longer), because a write that meets a closing connection fails.
const idleTimeout = 30 * time.Second

// Driver speaks to one bucket. It is safe for concurrent use.
type Driver struct {
	client minio.Core
	bucket string
}

var _ blob.Driver = (*Driver)(nil)

// Open connects to the bucket and makes it if it is absent. Errors: invalid for an unusable configuration, unauthorized, unavailable,
// deadline.
func Open(ctx context.Context, config Config) (*Driver, error) {
	endpoint, err := url.Parse(config.Endpoint)
	if err != nil || endpoint.Host == "" || !slices.Contains([]string{"http", "https"}, endpoint.Scheme) ||
		strings.Trim(endpoint.Path, "/") != "" {
		return nil, schemas.Errorf(schemas.Invalid, "object store address %q: write it as http://host:port or https://host", config.Endpoint)
	}
	if err := s3utils.CheckValidBucketNameStrict(config.Bucket); err != nil {
		return nil, schemas.Wrap(schemas.Invalid, err,
			"object store bucket %q: use 3 to 63 lower-case letters, digits and hyphens", config.Bucket)
	}
	client, err := connect(endpoint, config)
	if err != nil {
		return nil, schemas.Wrap(schemas.Invalid, err, "the object store's settings cannot be used")
	}
	d := &Driver{client: minio.Core{Client: client}, bucket: config.Bucket}
	if err := d.ensureBucket(ctx, region(config)); err != nil {
		return nil, err
	}
	return d, nil
}

// connect makes a client that asks for no bucket location, because the region is given, and leaves repeating to its caller.
func connect(endpoint *url.URL, config Config) (*minio.Client, error) {
	secure := endpoint.Scheme == "https"
	transport, err := minio.DefaultTransport(secure)
	if err != nil {
		return nil, err
	}
	transport.MaxIdleConnsPerHost, transport.MaxConnsPerHost = idleConnections, mostConnections
	transport.IdleConnTimeout = idleTimeout
	return minio.New(endpoint.Host, &minio.Options{
		Creds:      credentials.NewStaticV4(config.AccessKey, config.SecretKey, ""),
		Secure:     secure,
		Region:     region(config),
		Transport:  transport,
		MaxRetries: 1, // attempts, so none is repeated
	})
}

func region(config Config) string { return cmp.Or(config.Region, "us-east-1") }

// ensureBucket makes the bucket unless it is there.
func (d *Driver) ensureBucket(ctx context.Context, region string) error {
	err := d.Ping(ctx)
	if answered(err) != minio.NoSuchBucket {
		return err
	}
	err = d.client.MakeBucket(ctx, d.bucket, minio.MakeBucketOptions{Region: region})
	if code := answered(err); code == minio.BucketAlreadyOwnedByYou || code == minio.BucketAlreadyExists {
		return nil // another process was faster
	}
	return d.fail(err, "making the bucket")
}

// earlyBytes is from which size a refused conditional PUT is worth a question before. A server may refuse it before it has read the
// body and then close the connection, which reads as a failure; measured on versitygw, it takes more than 256 KiB to happen.
const earlyBytes = 64 << 10

// Put implements [blob.Driver]. It is one PUT whatever the size, because a multipart upload cannot be conditional everywhere.
func (d *Driver) Put(ctx context.Context, key string, r io.Reader, size int64, ifAbsent bool) (bool, error) {
	if ifAbsent && size > earlyBytes {
		if _, err := d.Stat(ctx, key); schemas.CodeOf(err) != schemas.NotFound {
			return false, err
		}
	}
	err := d.put(ctx, key, r, size, putOptions(size, ifAbsent))
	if ifAbsent && minio.ToErrorResponse(err).StatusCode == http.StatusPreconditionFailed {
		return false, nil
	}
	if err != nil {
		return false, d.fail(err, "writing object "+key)
	}
	return true, nil
}

const (
	putTries = 4
	putPause = 5 * time.Millisecond // before the second; it doubles
)

// put repeats a PUT that versitygw declines because a folder went away under it: it deletes a folder with the last object in it, and answers as
// if an object stood in the way. Where one does stand there, the last answer says so.
func (d *Driver) put(ctx context.Context, key string, r io.Reader, size int64, options minio.PutObjectOptions) error {
	for try := 1; ; try++ {
		_, err := d.client.Client.PutObject(ctx, d.bucket, key, r, size, options)
		if answered(err) != "ExistingObjectIsDirectory" || try == putTries || ctx.Err() != nil {
			return err
		}
		body, ok := r.(interface{ Rewind() bool })
		if !ok || !body.Rewind() {
			return err
		}
		time.Sleep(putPause << (try - 1))
	}
}

// putOptions keeps the client's default over HTTP, a stream signed chunk by chunk: one hash, of which the server checks every byte.
func putOptions(size int64, ifAbsent bool) minio.PutObjectOptions {
	options := minio.PutObjectOptions{
		DisableMultipart: true,
		// A signed stream of no bytes still has a body, its last chunk, which versitygw leaves on the connection for the next call.
		DisableContentSha256: size == 0,
	}
	if ifAbsent {
		options.SetMatchETagExcept("*")
	}
	return options
}

// Get implements [blob.Driver].
func (d *Driver) Get(ctx context.Context, key string, offset, length int64) ([]byte, error) {
	if length == 0 { // S3 has no empty range
		_, err := d.Stat(ctx, key)
		return nil, err
	}
	body, info, _, err := d.client.GetObject(ctx, d.bucket, key, span(offset, length))
	if minio.ToErrorResponse(err).StatusCode == http.StatusRequestedRangeNotSatisfiable {
		return nil, nil // it begins at the object's end or beyond
	}
	if err != nil {
		return nil, d.fail(err, "reading object "+key)
	}
	defer body.Close()
	data := make([]byte, max(info.Size, 0))
	if _, err := io.ReadFull(body, data); err != nil {
		return nil, d.fail(err, "reading object "+key)
	}
	return data, nil
}

// span asks for a range in the syntax of RFC 9110 section 14.1.2; the whole object needs none.
func span(offset, length int64) minio.GetObjectOptions {
	var options minio.GetObjectOptions
	switch {
	case length > 0 && length <= math.MaxInt64-offset:
		options.Set("Range", fmt.Sprintf("bytes=%d-%d", offset, offset+length-1))
	case offset > 0:
		options.Set("Range", fmt.Sprintf("bytes=%d-", offset))
	}
	return options
}

// List implements [blob.Driver].
func (d *Driver) List(ctx context.Context, prefix, after string, limit int) ([]blob.Info, error) {
	options := minio.ListObjectsOptions{Prefix: prefix, StartAfter: after, MaxKeys: limit, Recursive: true}
	var page []blob.Info
	for object := range d.client.ListObjectsIter(ctx, d.bucket, options) {
		if object.Err != nil {
			return nil, d.fail(object.Err, "listing objects")
		}
		page = append(page, blob.Info{Key: object.Key, Bytes: object.Size, Modified: object.LastModified})
		if len(page) == limit {
			break
		}
	}
	return page, d.fail(ctx.Err(), "listing objects") // the client ends silently when ctx does
}

// Delete implements [blob.Driver].
func (d *Driver) Delete(ctx context.Context, keys []string) error {
	if len(keys) == 1 {
		return d.fail(d.client.RemoveObject(ctx, d.bucket, keys[0], minio.RemoveObjectOptions{}), "deleting object "+keys[0])
	}
	objects := func(yield func(minio.ObjectInfo) bool) {
		for _, key := range keys {
			if !yield(minio.ObjectInfo{Key: key}) {
				return
			}
		}
	}
	results, err := d.client.RemoveObjectsWithIter(ctx, d.bucket, objects, minio.RemoveObjectsOptions{})
	if err != nil {
		return d.fail(err, "deleting objects")
	}
	for result := range results {
		if result.Err != nil {
			return d.fail(result.Err, "deleting object "+result.ObjectName)
		}
	}
	return d.fail(ctx.Err(), "deleting objects") // as above
}

// Stat implements [blob.Driver].
func (d *Driver) Stat(ctx context.Context, key string) (blob.Info, error) {
	object, err := d.client.StatObject(ctx, d.bucket, key, minio.StatObjectOptions{})
	if err != nil {
		return blob.Info{}, d.fail(err, "looking at object "+key)
	}
	return blob.Info{Key: key, Bytes: object.Size, Modified: object.LastModified}, nil
}

// Ping implements [blob.Driver]. It lists a folder that is not there: unlike a HEAD request this is answered with a reason.
func (d *Driver) Ping(ctx context.Context) error {
	_, err := d.List(ctx, "ping/", "", 1)
	return err
}
