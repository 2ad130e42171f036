// Package ledger records every vector that was paid for, by the hash of the text it was made of, so that no text is embedded
// twice by the same embedder of a tenant: not by a retry, a rebuild, another document or another collection.
package ledger

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/tenuto-dev/tenuto/activities/provider/blob"
	"github.com/tenuto-dev/tenuto/schemas"
)

// clockSkew is how far the clocks of two workers may differ before one may overlook a pack that the other has just written.
const clockSkew = 5 * time.Minute

// Ledger opens the spaces of embedders over one artifact store. It is safe for concurrent use.
type Ledger struct {
	Store *blob.Store

	mu     sync.Mutex
	spaces map[string]*Space
}

// Space is what one embedder of one tenant has embedded. The hashes are kept in memory (about 60 bytes each), the vectors are not.
type Space struct {
	store  *blob.Store
	prefix string

	refresh sync.Mutex // one refresh at a time
	saving  sync.Mutex // one hand saves what is unsaved

	mu      sync.Mutex
	known   map[Hash]place
	packs   []pack
	seen    map[string]bool
	newest  string
	unsaved []unsaved
	flying  map[Hash]chan struct{} // closed when the embedding of the hash has ended, one way or another
}

// unsaved is the answer of a paid call that the store did not take.
type unsaved struct {
	hashes  []Hash
	vectors [][]float32
}

type place struct{ pack, row uint32 }

type pack struct {
	key        string
	count, dim int
}

var unsafeName = regexp.MustCompile(`[^A-Za-z0-9._-]+`)

// Space opens the space of an embedder (provider/model) at the given dimensions (0 for the model's own). It reads nothing yet.
func (l *Ledger) Space(tenant, embedder string, dimensions int) *Space {
	name := unsafeName.ReplaceAllString(strings.ReplaceAll(embedder, "/", "~"), "-")
	name = fmt.Sprintf("%.80s-%d-%s", name, dimensions, schemas.Hash([]byte(embedder))[:8])
	prefix := schemas.VectorPrefix(tenant, name)
	l.mu.Lock()
	defer l.mu.Unlock()
	if s, ok := l.spaces[prefix]; ok {
		return s
	}
	s := &Space{store: l.Store, prefix: prefix, known: map[Hash]place{}, seen: map[string]bool{}, flying: map[Hash]chan struct{}{}}
	if l.spaces == nil {
		l.spaces = map[string]*Space{}
	}
	l.spaces[prefix] = s
	return s
}

// Claim is the caller's right and duty to embed some hashes. Others in this process wait until it is released.
type Claim struct {
	space  *Space
	Hashes []Hash
	done   chan struct{}
}

// Claim looks up the hashes, also those that other workers have recorded since, and claims those that nobody has embedded and
// nobody in this process is embedding. What the store refused to record before is recorded first, and while it refuses, nothing can
// be claimed, so that nothing is paid for in vain. Busy reports that others of the hashes are being embedded right now: embed and release
// the claim, wait with [Space.Wait], and claim again.
func (s *Space) Claim(ctx context.Context, hashes []Hash) (claim *Claim, busy bool, err error) {
	if err := s.save(ctx); err != nil {
		return nil, false, err
	}
	if err := s.Refresh(ctx); err != nil {
		return nil, false, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	claim = &Claim{space: s, done: make(chan struct{})}
	for _, h := range hashes {
		if _, ok := s.known[h]; ok {
			continue
		}
		switch flight, ok := s.flying[h]; {
		case ok && flight != claim.done:
			busy = true
		case !ok:
			s.flying[h] = claim.done
			claim.Hashes = append(claim.Hashes, h)
		}
	}
	return claim, busy, nil
}

// Release gives up what the claim did not record.
func (c *Claim) Release() {
	c.space.mu.Lock()
	defer c.space.mu.Unlock()
	for _, h := range c.Hashes {
		if c.space.flying[h] == c.done {
			delete(c.space.flying, h)
		}
	}
	close(c.done)
}

// Wait returns when nobody in this process is embedding any of the hashes.
func (s *Space) Wait(ctx context.Context, hashes []Hash) error {
	for _, h := range hashes {
		s.mu.Lock()
		flight := s.flying[h]
		s.mu.Unlock()
		if flight == nil {
			continue
		}
		select {
		case <-flight:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// Record stores the vectors of one model call, one a hash and all of one dimension, in one write. When it returns nil they are
// durable; otherwise they are kept in memory until a later Claim can store them. Codes: those of the store.
func (s *Space) Record(ctx context.Context, hashes []Hash, vectors [][]float32) error {
	if len(hashes) == 0 || len(hashes) != len(vectors) {
		return schemas.Errorf(schemas.Internal, "recording %d vectors for %d texts", len(vectors), len(hashes))
	}
	err := s.put(ctx, unsaved{hashes, vectors})
	if err != nil {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.unsaved = append(s.unsaved, unsaved{hashes, vectors})
	}
	return err
}

func (s *Space) put(ctx context.Context, u unsaved) error {
	key := s.prefix + packName(time.Now())
	if err := s.store.Put(ctx, key, encodePack(u.hashes, u.vectors)); err != nil {
		return fmt.Errorf("recording vectors: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.add(key, u.hashes, len(u.vectors[0]))
	return nil
}

// save stores what is unsaved, as far as the store takes it.
func (s *Space) save(ctx context.Context) error {
	s.saving.Lock()
	defer s.saving.Unlock()
	for {
		s.mu.Lock()
		left := s.unsaved
		s.mu.Unlock()
		if len(left) == 0 {
			return nil
		}
		if err := s.put(ctx, left[0]); err != nil {
			return err
		}
		s.mu.Lock()
		s.unsaved = s.unsaved[1:]
		s.mu.Unlock()
	}
}

// packName sorts by time, so that a refresh reads only what is new.
func packName(now time.Time) string {
	var suffix [8]byte
	_, _ = rand.Read(suffix[:]) // crypto/rand never fails
	return fmt.Sprintf("%011x-%s.vec", now.UnixMilli(), hex.EncodeToString(suffix[:]))
}

// add indexes a pack. The caller holds mu.
func (s *Space) add(key string, hashes []Hash, dim int) {
	if s.seen[key] {
		return
	}
	s.seen[key] = true
	number := uint32(len(s.packs)) //nolint:gosec // bounded by memory long before
	s.packs = append(s.packs, pack{key: key, count: len(hashes), dim: dim})
	for row, h := range hashes {
		if _, ok := s.known[h]; !ok {
			s.known[h] = place{number, uint32(row)}
		}
	}
	if s.newest < key {
		s.newest = key
	}
}

// Refresh learns what other workers have recorded since the last refresh.
func (s *Space) Refresh(ctx context.Context) error {
	s.refresh.Lock()
	defer s.refresh.Unlock()
	after := s.since()
	for {
		page, err := s.store.List(ctx, s.prefix, after, blob.PageKeys)
		if err != nil {
			return fmt.Errorf("listing recorded vectors: %w", err)
		}
		for _, info := range page {
			if err := s.learn(ctx, info); err != nil {
				return err
			}
			after = info.Key
		}
		if len(page) < blob.PageKeys {
			return nil
		}
	}
}

// since is the key after which unknown packs may stand.
func (s *Space) since() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var millis int64
	if _, err := fmt.Sscanf(strings.TrimPrefix(s.newest, s.prefix), "%011x-", &millis); err != nil {
		return ""
	}
	return fmt.Sprintf("%s%011x", s.prefix, max(millis-clockSkew.Milliseconds(), 0))
}

// firstRead covers the header and the hashes of a pack of some hundred vectors.
const firstRead = 16 << 10

func (s *Space) learn(ctx context.Context, info blob.Info) error {
	s.mu.Lock()
	seen := s.seen[info.Key]
	s.mu.Unlock()
	if seen {
		return nil
	}
	data, err := s.store.GetRange(ctx, info.Key, 0, firstRead)
	if err != nil {
		return err
	}
	count, dim, err := packHeader(data)
	if err != nil {
		return err
	}
	if need := headerSize + count*hashSize; need > len(data) {
		if data, err = s.store.GetRange(ctx, info.Key, 0, int64(need)); err != nil {
			return err
		}
		if len(data) < need {
			return schemas.Errorf(schemas.Internal, "the stored vector pack %s is cut short", info.Key)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.add(info.Key, packHashes(data, count), dim)
	return nil
}

// Vectors reads the vectors of hashes. Every hash must have been recorded: not_found otherwise.
func (s *Space) Vectors(ctx context.Context, hashes []Hash) (map[Hash][]float32, error) {
	wanted, err := s.locate(ctx, hashes)
	if err != nil {
		return nil, err
	}
	out := make(map[Hash][]float32, len(hashes))
	for number, rows := range wanted {
		if err := s.read(ctx, number, rows, out); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// locate finds the pack and row of each hash, after a refresh if one is not known yet.
func (s *Space) locate(ctx context.Context, hashes []Hash) (map[uint32]map[uint32]Hash, error) {
	wanted, missing := s.places(hashes)
	if missing == 0 {
		return wanted, nil
	}
	if err := s.Refresh(ctx); err != nil {
		return nil, err
	}
	if wanted, missing = s.places(hashes); missing > 0 {
		return nil, schemas.Errorf(schemas.NotFound, "%d of %d vectors were never recorded", missing, len(hashes))
	}
	return wanted, nil
}

func (s *Space) places(hashes []Hash) (wanted map[uint32]map[uint32]Hash, missing int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	wanted = map[uint32]map[uint32]Hash{}
	for _, h := range hashes {
		at, ok := s.known[h]
		if !ok {
			missing++
			continue
		}
		if wanted[at.pack] == nil {
			wanted[at.pack] = map[uint32]Hash{}
		}
		wanted[at.pack][at.row] = h
	}
	return wanted, missing
}

// read fetches the rows of one pack in one range.
func (s *Space) read(ctx context.Context, number uint32, rows map[uint32]Hash, out map[Hash][]float32) error {
	s.mu.Lock()
	p := s.packs[number]
	s.mu.Unlock()
	order := make([]uint32, 0, len(rows))
	for row := range rows {
		order = append(order, row)
	}
	first, last := slices.Min(order), slices.Max(order)
	size := int64(4 * p.dim)
	start := int64(headerSize+p.count*hashSize) + int64(first)*size
	data, err := s.store.GetRange(ctx, p.key, start, int64(last-first+1)*size)
	if err != nil {
		return fmt.Errorf("reading recorded vectors: %w", err)
	}
	if int64(len(data)) != int64(last-first+1)*size {
		return schemas.Errorf(schemas.Internal, "the stored vector pack %s is cut short", p.key)
	}
	for row, h := range rows {
		out[h] = decodeVector(data[int64(row-first)*size:], p.dim)
	}
	return nil
}
