package reasons

// Known reports whether the table names the code.
func Known(code string) bool { _, known := told[code]; return known }
