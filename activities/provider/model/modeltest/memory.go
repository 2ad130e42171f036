package modeltest

import (
	"context"
	"sync"
)

// Memory is model.Records in memory. The zero value is ready and safe for concurrent use.
type Memory struct {
	mu   sync.Mutex
	data map[string][]byte
	fail []error
}

// Fail makes the next saves fail, one for each error.
func (m *Memory) Fail(errs ...error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.fail = append(m.fail, errs...)
}

// Load returns what was saved last.
func (m *Memory) Load(_ context.Context, key string) ([]byte, bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	data, ok := m.data[key]
	return data, ok, nil
}

// Save keeps data until the process ends.
func (m *Memory) Save(ctx context.Context, key string, data []byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.fail) > 0 {
		err := m.fail[0]
		m.fail = m.fail[1:]
		return err
	}
	if m.data == nil {
		m.data = map[string][]byte{}
	}
	m.data[key] = data
	return ctx.Err()
}

// Keys counts the records.
func (m *Memory) Keys() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.data)
}
