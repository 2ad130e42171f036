package token

import "math"

// smallPiece is up to which length the pair of lowest rank is found by looking at all of them, which is faster than a heap.
const smallPiece = 64

// none is the rank of what is no token.
const none = math.MaxUint32

func (r *ranks) rank(s string) uint32 {
	if len(s) == 2 {
		return r.short[int(s[0])<<8|int(s[1])]
	}
	if id, ok := r.table[s]; ok {
		return id
	}
	return none
}

// count is the number of tokens of one piece: byte-pair encoding as in Sennrich, Haddow and Birch (2016), joining the leftmost
// pair of lowest rank until no adjacent pair is a token.
func (r *ranks) count(piece string) int {
	if len(piece) < 2 {
		return len(piece)
	}
	if r.rank(piece) != none {
		return 1
	}
	if len(piece) <= smallPiece {
		return r.countSmall(piece)
	}
	return r.countLong(piece)
}

func (r *ranks) countSmall(piece string) int {
	var starts [smallPiece + 2]int // starts[i] is where part i begins; the last is the end
	var pairs [smallPiece + 1]uint32
	n := len(piece)
	for i := range n + 1 {
		starts[i] = i //nolint:gosec // n is at most smallPiece
	}
	pair := func(i int) uint32 {
		if i+2 > n {
			return none
		}
		return r.rank(piece[starts[i]:starts[i+2]])
	}
	for i := range n {
		pairs[i] = pair(i)
	}
	for {
		best := 0
		for i := 1; i < n; i++ {
			if pairs[i] < pairs[best] {
				best = i
			}
		}
		if pairs[best] == none {
			return n
		}
		copy(starts[best+1:n], starts[best+2:n+1])
		copy(pairs[best+1:n-1], pairs[best+2:n])
		n--
		pairs[best] = pair(best)
		if best > 0 {
			pairs[best-1] = pair(best - 1) //nolint:gosec // best is above 0
		}
	}
}

// part is an element of a doubly linked list over a piece; indexes are those of its first byte.
type part struct {
	previous, next int32
	rank           uint32 // of the pair with the next part, to tell stale entries of the heap
}

// countLong is the same in n log n: a heap holds the candidate pairs, stale ones are recognised when they surface.
func (r *ranks) countLong(piece string) int {
	m := merger{ranks: r, piece: piece, parts: make([]part, len(piece)+1)}
	for i := range m.parts {
		m.parts[i] = part{previous: int32(i) - 1, next: int32(i) + 1, rank: none}
	}
	for i := range len(piece) - 1 {
		m.offer(int32(i))
	}
	left := len(piece)
	for len(m.heap) > 0 {
		at, rank := m.pop()
		if m.parts[at].rank != rank {
			continue
		}
		m.join(at)
		left--
	}
	return left
}

type merger struct {
	ranks *ranks
	piece string
	parts []part
	heap  []uint64 // rank in the upper half, position in the lower: least rank first, leftmost among equals
}

// offer makes the pair that begins at i a candidate if it is a token.
func (m *merger) offer(i int32) {
	m.parts[i].rank = none
	second := m.parts[i].next
	if int(second) >= len(m.piece) {
		return
	}
	rank := m.ranks.rank(m.piece[i:m.parts[second].next])
	if m.parts[i].rank = rank; rank != none {
		m.push(uint64(rank)<<32 | uint64(i)) //nolint:gosec // i is not negative
	}
}

func (m *merger) join(at int32) {
	gone := m.parts[at].next
	m.parts[at].next = m.parts[gone].next
	m.parts[m.parts[at].next].previous = at
	m.parts[gone].rank = none
	m.offer(at)
	if previous := m.parts[at].previous; previous >= 0 {
		m.offer(previous)
	}
}

func (m *merger) push(x uint64) {
	m.heap = append(m.heap, x)
	i := len(m.heap) - 1
	for i > 0 && m.heap[(i-1)/2] > m.heap[i] {
		m.heap[i], m.heap[(i-1)/2] = m.heap[(i-1)/2], m.heap[i]
		i = (i - 1) / 2
	}
}

func (m *merger) pop() (at int32, rank uint32) {
	x := m.heap[0]
	last := len(m.heap) - 1
	m.heap[0] = m.heap[last]
	m.heap = m.heap[:last]
	for i := 0; ; {
		least := i
		for c := 2*i + 1; c <= 2*i+2 && c < last; c++ {
			if m.heap[c] < m.heap[least] {
				least = c
			}
		}
		if least == i {
			return int32(uint32(x)), uint32(x >> 32) //nolint:gosec // the two halves that push put together
		}
		m.heap[i], m.heap[least] = m.heap[least], m.heap[i]
		i = least
	}
}
