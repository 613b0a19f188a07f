package api

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"net/http"
	"slices"
	"time"

	"github.com/google/uuid"

	"example.com/orderly/internal/orders"
)

// A cursor is the position of the last order of a page, and which list the page is of:
//
//	byte 0       the version, cursorVersion
//	bytes 1-8    when the order was placed, microseconds since 1970, big-endian
//	bytes 9-24   the order's id
//	bytes 25-32  the first bytes of the SHA-256 of customer, states and times
//
// It is no secret and not signed: the customer it is asked with decides whose orders are read, so that a made-up one shows nothing more
// than a made-up filter does.
const (
	cursorVersion = 1
	cursorBytes   = 33
)

var (
	errGarbledCursor = &refusal{http.StatusBadRequest, "invalid_cursor", "the cursor is not one of ours: send it as next_cursor had it, or none for the first page"}
	errOtherCursor   = &refusal{http.StatusBadRequest, "invalid_cursor",
		"the cursor belongs to another list: state, created_after, created_before and customer stay the same from page to page"}
)

// cursorText has no spare bits for cursorBytes, so that with a check of its length each cursor has one text: line breaks are ignored in it.
var cursorText = base64.RawURLEncoding

// cursorAfter is the cursor for the orders of q that follow the last one shown.
func cursorAfter(q orders.Query, last orders.Order) string {
	id, err := uuid.Parse(last.ID)
	if err != nil {
		panic(err) // the orders service made it
	}
	raw := append(make([]byte, 0, cursorBytes), cursorVersion)
	raw = binary.BigEndian.AppendUint64(raw, uint64(last.CreatedAt.UnixMicro()))
	raw = append(raw, id[:]...)
	return cursorText.EncodeToString(append(raw, listOf(q)...))
}

// positionOf reads a cursor for q.
func positionOf(q orders.Query, cursor string) (orders.Position, error) {
	raw, err := cursorText.DecodeString(cursor)
	if err != nil || len(cursor) != cursorText.EncodedLen(cursorBytes) || len(raw) != cursorBytes || raw[0] != cursorVersion {
		return orders.Position{}, errGarbledCursor
	}
	at := time.UnixMicro(int64(binary.BigEndian.Uint64(raw[1:]))).UTC()
	if at.Year() < 1970 || at.Year() > 9999 { // PostgreSQL has no such times
		return orders.Position{}, errGarbledCursor
	}
	if string(raw[25:]) != string(listOf(q)) {
		return orders.Position{}, errOtherCursor
	}
	return orders.Position{At: at, ID: uuid.UUID(raw[9:25]).String()}, nil
}

// listOf tells lists apart.
func listOf(q orders.Query) []byte {
	states := slices.Clone(q.States)
	slices.Sort(states)
	body, err := json.Marshal([]any{q.CustomerID, slices.Compact(states), q.From.UnixMicro(), q.Until.UnixMicro()})
	if err != nil {
		panic(err) // strings and integers always encode
	}
	sum := sha256.Sum256(body)
	return sum[:8]
}
