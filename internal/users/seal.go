package users

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"time"
)

// payloadSchema is the first byte of a sealed payload and says how to read the rest; releases before had \x01 and no seal. A change of what is
// sealed needs another one. Each release takes what bears another byte for an entry that is not there.
const payloadSchema = "\x02"

// sealKey is a key of HMAC-SHA-256 (RFC 2104).
type sealKey [32]byte

// sealKeys are the keys to open entries with; the first seals.
type sealKeys []sealKey

// seal makes the payload of the entry under key: the schema, the MAC, the version and the body. The MAC is over the name of the key, too, so
// that an entry that is copied to another key does not open there, and over the version, so that none can be given another.
func (k sealKeys) seal(key string, version int64, body string) string {
	return payloadSchema + k[0].mac(key, version, body) + string(binary.BigEndian.AppendUint64(nil, uint64(version))) + body
}

// open returns what was sealed under key by one of the keys.
func (k sealKeys) open(key, payload string) (version int64, body string, ok bool) {
	const head = len(payloadSchema) + sha256.Size + 8
	if len(payload) < head || payload[:len(payloadSchema)] != payloadSchema {
		return 0, "", false
	}
	given, body := payload[len(payloadSchema):len(payloadSchema)+sha256.Size], payload[head:]
	version = int64(binary.BigEndian.Uint64([]byte(payload[head-8 : head])))
	for _, one := range k {
		if hmac.Equal([]byte(given), []byte(one.mac(key, version, body))) {
			return version, body, true
		}
	}
	return 0, "", false
}

func (k sealKey) mac(key string, version int64, body string) string {
	h := hmac.New(sha256.New, k[:])
	head := binary.BigEndian.AppendUint64(nil, uint64(len(key)))
	head = append(head, key...)
	head = binary.BigEndian.AppendUint64(head, uint64(version))
	_, _ = h.Write(append(head, body...)) // a hash takes everything
	return string(h.Sum(nil))
}

// sealKeyOf reads a key as it stands in the database.
func sealKeyOf(secret string) (key sealKey, ok bool) {
	raw, err := hex.DecodeString(secret)
	return sealKey(append(raw, make([]byte, len(key))...)), err == nil && len(raw) == len(key)
}

// cached is the body of an entry: what the database said, when it was asked, and until when that may be believed.
type cached[T any] struct {
	ReadAt, Until time.Time
	Is            T
}

func encode[T any](entry cached[T]) string {
	body, err := json.Marshal(entry)
	if err != nil {
		panic(err) // plain structs of strings, numbers and times
	}
	return string(body)
}

// decode returns the entry of a body, where it may be believed now. An entry from the future is none: no process of ours has written it, or
// its clock or ours is wrong. Redis expires entries by itself; the age is checked again because its clock is not ours and may stand still.
func decode[T any](body string, now time.Time) (entry cached[T], ok bool) {
	if json.Unmarshal([]byte(body), &entry) != nil || now.Before(entry.ReadAt) || !now.Before(entry.Until) {
		return cached[T]{}, false
	}
	return entry, true
}
