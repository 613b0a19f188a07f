package workflows

// MarkAdded makes a step one that was added after sagas were recorded, until the returned function is called.
func MarkAdded(key string) (restore func()) {
	for _, st := range process {
		if st.key == key {
			st.added = true
			return func() { st.added = false }
		}
	}
	panic("there is no step " + key)
}

// AddedSteps are the keys of the steps that were added after sagas were recorded.
var AddedSteps = addedSteps

// Titles are the titles of all steps, in their order.
func Titles() []string {
	var titles []string
	for _, st := range process {
		titles = append(titles, st.title)
	}
	return titles
}

// Keys are the keys of all steps, undos and ends.
func Keys() []string {
	keys := []string{"rejected", "cancelled", "reversed"}
	for _, st := range process {
		keys = append(keys, st.key)
		if st.undo != nil {
			keys = append(keys, st.undo.key)
		}
	}
	return keys
}
