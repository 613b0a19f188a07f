package limit

// Bounded makes m keep so many keys of each limit.
func Bounded(m *Memory, keys int) *Memory {
	m.keys = keys
	return m
}
