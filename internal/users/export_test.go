package users

// SetNextID has the next customer made get this id, which no caller can choose.
func (s *Service) SetNextID(id string) {
	s.newID = func() (string, error) {
		s.newID = newID
		return id, nil
	}
}
