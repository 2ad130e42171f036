package meter

import "sync"

const (
	namesMost = 100     // values of one label in one process
	others    = "other" // stands for those beyond them
)

// names bounds the values of a label that people make up, such as names of chains and models. The zero value is ready.
type names struct{ known sync.Map }

// of returns the name itself while there are few, and "other" for those that come later.
func (n *names) of(name string) string {
	if _, ok := n.known.Load(name); ok {
		return name
	}
	count := 0
	n.known.Range(func(any, any) bool { count++; return count < namesMost })
	if count >= namesMost || name == "" {
		return others
	}
	n.known.Store(name, true)
	return name
}

// seen returns the name if it is a known one. A call that failed may have named a model that does not exist.
func (n *names) seen(name string) string {
	if _, ok := n.known.Load(name); ok {
		return name
	}
	return others
}
