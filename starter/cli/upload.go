package cli

import (
	"archive/tar"
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"github.com/tenuto-dev/tenuto/schemas"
	"github.com/tenuto-dev/tenuto/starter/cli/scan"
)

const (
	packContents  = 256
	packBytes     = 4 << 20
	uploadsAtOnce = 4
)

// uploader sends contents in packs.
type uploader struct {
	api    *api
	source *scan.Source
	path   string
	show   *progress

	sent, total atomic.Int64
}

// send uploads the contents with these hashes, in the order of the documents, so that a pack holds what is ingested together.
func (u *uploader) send(ctx context.Context, missing []string) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(uploadsAtOnce)
	u.total.Store(int64(len(missing)))
	for _, batch := range u.batches(missing) {
		if ctx.Err() != nil {
			break
		}
		group.Go(func() error { return u.batch(ctx, batch) })
	}
	return group.Wait()
}

// batches groups the documents whose content is missing, one document a content.
func (u *uploader) batches(missing []string) [][]int {
	wanted := make(map[string]bool, len(missing))
	for _, sum := range missing {
		wanted[sum] = true
	}
	var batches [][]int
	var batch []int
	size := int64(0)
	for i := range u.source.Documents {
		d := &u.source.Documents[i]
		if d.Rejected != "" || !wanted[d.SHA256] {
			continue
		}
		delete(wanted, d.SHA256)
		if len(batch) == packContents || len(batch) > 0 && size+d.Bytes > packBytes {
			batches, batch, size = append(batches, batch), nil, 0
		}
		batch, size = append(batch, i), size+d.Bytes
	}
	if len(batch) > 0 {
		batches = append(batches, batch)
	}
	return batches
}

// batch reads the contents of some documents and sends them, as one pack unless files have grown since they were listed.
func (u *uploader) batch(ctx context.Context, documents []int) error {
	p := newPack()
	for _, i := range documents {
		content, ok := u.source.Read(i)
		if !ok {
			continue // it is listed as rejected from now on
		}
		if p.buf.Len() > 0 && p.buf.Len()+len(content) > packBytes+packContents*1024 {
			if err := u.post(ctx, p); err != nil {
				return err
			}
			p = newPack()
		}
		if err := p.add(schemas.Hash(content), content); err != nil {
			return err
		}
	}
	return u.post(ctx, p)
}

func (u *uploader) post(ctx context.Context, p *pack) error {
	if len(p.names) == 0 {
		return nil
	}
	if err := p.tar.Close(); err != nil {
		return err
	}
	err := u.api.do(ctx, call{
		method: http.MethodPost, path: u.path, header: map[string]string{"Content-Type": schemas.MediaPack},
		body: func() io.Reader { return bytes.NewReader(p.buf.Bytes()) },
	}, nil)
	if err == nil {
		sent := u.sent.Add(int64(len(p.names)))
		u.show.part(fmt.Sprintf("uploaded %d of %d contents", sent, u.total.Load()), float64(sent)/float64(u.total.Load()))
	}
	return err
}

// pack is a tar file in memory.
type pack struct {
	buf   bytes.Buffer
	tar   *tar.Writer
	names map[string]bool
}

func newPack() *pack {
	p := &pack{names: make(map[string]bool)}
	p.tar = tar.NewWriter(&p.buf)
	return p
}

func (p *pack) add(name string, content []byte) error {
	if p.names[name] {
		return nil
	}
	p.names[name] = true
	if err := p.tar.WriteHeader(&tar.Header{Name: name, Size: int64(len(content)), Mode: 0o600, Format: tar.FormatUSTAR}); err != nil {
		return err
	}
	_, err := p.tar.Write(content)
	return err
}
