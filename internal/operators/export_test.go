package operators

// Hashes is how many passwords the service has hashed.
func Hashes(s *Service) int64 { return s.passwords.Hashes() }
