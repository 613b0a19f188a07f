package api

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"reflect"
	"strconv"
	"strings"
	"unicode/utf16"
)

// shape compares one value of well-formed JSON with a type, which is made of structs, slices, strings and int64s. Errors name the place as
// a JSON Pointer (RFC 6901) and never quote a value: it may be a secret.
type shape struct {
	tokens *json.Decoder
	value  []byte
	// plain is the value up to copied, with each number as encoding/json wants it: 1.0 and 1e0 as 1.
	plain  []byte
	copied int
}

// readShape returns the value as encoding/json reads it into t, which it fits.
func readShape(value []byte, t reflect.Type) (plain []byte, err error) {
	s := shape{tokens: json.NewDecoder(bytes.NewReader(value)), value: value}
	s.tokens.UseNumber()
	if err := s.check(t, ""); err != nil {
		return nil, err
	}
	return append(s.plain, value[s.copied:]...), nil
}

func (s *shape) check(t reflect.Type, at string) error {
	token, err := s.tokens.Token()
	if err != nil {
		return err
	}
	switch v := token.(type) {
	case json.Delim:
		if v == '{' && t.Kind() == reflect.Struct {
			return s.checkObject(t, at)
		}
		if v == '[' && t.Kind() == reflect.Slice {
			for i := 0; s.tokens.More(); i++ {
				if err := s.check(t.Elem(), at+"/"+strconv.Itoa(i)); err != nil {
					return err
				}
			}
			_, err = s.tokens.Token()
			return err
		}
	case string:
		if strings.ContainsRune(v, 0) {
			return malformed("a string holds the character NUL, " + place(at))
		}
		if t.Kind() == reflect.String {
			return nil
		}
	case json.Number:
		if n, whole := wholeNumber(v.String()); whole && t.Kind() == reflect.Int64 {
			end := int(s.tokens.InputOffset())
			s.plain = append(s.plain, s.value[s.copied:end-len(v)]...)
			s.plain, s.copied = strconv.AppendInt(s.plain, n, 10), end
			return nil
		}
	}
	return &refusal{http.StatusBadRequest, "wrong_type", fmt.Sprintf("%s is expected %s", expected[t.Kind()], place(at))}
}

var expected = map[reflect.Kind]string{
	reflect.Struct: "an object", reflect.Slice: "an array", reflect.String: "a string", reflect.Int64: "a whole number of at most 64 bits",
}

// checkObject requires each field that is not marked omitzero.
func (s *shape) checkObject(t reflect.Type, at string) error {
	fields := make(map[string]reflect.Type, t.NumField())
	for field := range t.Fields() {
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		fields[name] = field.Type
	}
	seen := map[string]bool{}
	for s.tokens.More() {
		token, err := s.tokens.Token()
		if err != nil {
			return err
		}
		name, _ := token.(string)
		field, known := fields[name]
		if !known {
			return &refusal{http.StatusBadRequest, "unknown_field", "there is no field " + shown(name) + " " + place(at)}
		}
		if seen[name] {
			return &refusal{http.StatusBadRequest, "duplicate_field", "the field " + shown(name) + " comes twice " + place(at)}
		}
		seen[name] = true
		if err := s.check(field, at+"/"+name); err != nil {
			return err
		}
	}
	for field := range t.Fields() {
		if name, options, _ := strings.Cut(field.Tag.Get("json"), ","); !seen[name] && options != "omitzero" {
			return &refusal{http.StatusBadRequest, "missing_field", "the field " + at + "/" + name + " is missing"}
		}
	}
	_, err := s.tokens.Token()
	return err
}

// wholeNumber reads a JSON number of any form whose value is whole, as JSON Schema defines an integer (2020-12, validation, section 6.1.1): 1, 1.0, 1e0,
// 10e-1.
func wholeNumber(text string) (n int64, whole bool) {
	mantissa, exponent, _ := strings.Cut(strings.ToLower(text), "e")
	sign := ""
	if after, negative := strings.CutPrefix(mantissa, "-"); negative {
		sign, mantissa = "-", after
	}
	before, after, _ := strings.Cut(mantissa, ".")
	digits := strings.TrimRight(before+after, "0")
	shift := len(before) - len(digits) // how many zeros belong behind the digits
	digits = strings.TrimLeft(digits, "0")
	if digits == "" {
		return 0, true
	}
	if exponent != "" {
		e, err := strconv.Atoi(exponent)
		if err != nil {
			return 0, false
		}
		shift += e
	}
	if shift < 0 || shift > len("9223372036854775807")-len(digits) {
		return 0, false
	}
	n, err := strconv.ParseInt(sign+digits+strings.Repeat("0", shift), 10, 64)
	return n, err == nil
}

// loneSurrogate is where well-formed JSON has the escape of half a surrogate pair, -1 where it has none. encoding/json reads each such half
// as U+FFFD, so that two passwords would be one.
func loneSurrogate(value []byte) (at int) {
	for i := 0; i < len(value); i++ {
		if value[i] != '\\' {
			continue
		}
		first, escaped := escapedUnit(value[i:])
		if !escaped {
			i++ // the escaped character, which may be a backslash
			continue
		}
		i += len(`\u0000`) - 1
		if !utf16.IsSurrogate(first) {
			continue
		}
		second, escaped := escapedUnit(value[i+1:])
		if !escaped || utf16.DecodeRune(first, second) == '\uFFFD' {
			return i + 1 - len(`\u0000`)
		}
		i += len(`\u0000`)
	}
	return -1
}

// escapedUnit is the UTF-16 unit of the escape \uXXXX that text begins with.
func escapedUnit(text []byte) (unit rune, ok bool) {
	if len(text) < len(`\u0000`) || text[0] != '\\' || text[1] != 'u' {
		return 0, false
	}
	n, err := strconv.ParseUint(string(text[2:6]), 16, 16)
	return rune(n), err == nil
}
