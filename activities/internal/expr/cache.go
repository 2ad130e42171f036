package expr

import (
	"strings"
	"sync"
)

// cacheSize is how many programs a Cache keeps; when one more comes it begins anew.
const cacheSize = 2000

// Cache remembers compiled programs. The zero value is ready; it is safe for concurrent use.
type Cache struct {
	mu       sync.Mutex
	programs map[string]*Program
}

// Compile returns the program of src over names, compiled now or before. Errors as Compile.
func (c *Cache) Compile(src string, names []string) (*Program, error) {
	key := strings.Join(names, "\x00") + "\x00\x00" + src
	c.mu.Lock()
	known, ok := c.programs[key]
	c.mu.Unlock()
	if ok {
		return known, nil
	}
	p, err := Compile(src, names)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.programs == nil || len(c.programs) >= cacheSize {
		c.programs = map[string]*Program{}
	}
	c.programs[key] = p
	return p, nil
}
