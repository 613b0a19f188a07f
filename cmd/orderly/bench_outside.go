package main

import (
	"context"
	"errors"
)

func (b *bench) runOutside(ctx context.Context, api, provider string) error { return errors.New("x") }
