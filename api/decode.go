package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"reflect"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/gin-gonic/gin"

	"example.com/orderly/internal/paymenttoken"
)

const maxBody = 64 << 10

// decode reads the body into the struct that into points to. It is stricter than encoding/json, because about money there must
// be one reading of what was sent: names are exact and come once, null is no value, numbers are whole.
func decode(c *gin.Context, into any) error {
	if err := checkContentType(c.Request.Header); err != nil {
		return err
	}
	body, err := io.ReadAll(http.MaxBytesReader(c.Writer, c.Request.Body, maxBody))
	if _, tooLarge := errors.AsType[*http.MaxBytesError](err); tooLarge {
		return &refusal{http.StatusRequestEntityTooLarge, "body_too_large", "a body has at most 64 KiB"}
	}
	if err != nil {
		return malformed("the body broke off")
	}
	if !utf8.Valid(body) {
		return malformed("the body is not UTF-8")
	}

	stream := json.NewDecoder(bytes.NewReader(body))
	var value json.RawMessage
	if err := stream.Decode(&value); err != nil {
		return whereMalformed(body, err)
	}
	if rest := bytes.TrimLeft(body[stream.InputOffset():], " \t\r\n"); len(rest) > 0 {
		return &refusal{http.StatusBadRequest, "trailing_data", "something follows the JSON value " + position(body, len(body)-len(rest))}
	}
	if at := loneSurrogate(value); at >= 0 {
		return &refusal{http.StatusBadRequest, "lone_surrogate",
			"half of a surrogate pair, which is no character (RFC 8259, section 8.2), " + position(body, int(stream.InputOffset())-len(value)+at)}
	}
	plain, err := readShape(value, reflect.TypeOf(into).Elem())
	if err != nil {
		return err
	}
	return json.Unmarshal(plain, into)
}

func checkContentType(h http.Header) error {
	media, params, err := mime.ParseMediaType(h.Get("Content-Type"))
	charset := params["charset"]
	if err != nil || media != "application/json" || (charset != "" && !strings.EqualFold(charset, "utf-8")) || h.Get("Content-Encoding") != "" {
		return &refusal{http.StatusUnsupportedMediaType, "unsupported_media_type", "send the body as Content-Type: application/json, uncompressed"}
	}
	return nil
}

// shown is a name fit to be sent back.
func shown(name string) string {
	quoted := strconv.Quote(name) // which may add digits, as in \x7f
	if len(name) > 64 || paymenttoken.HoldsCardNumber(quoted) {
		return "of that name"
	}
	return quoted
}

func place(pointer string) string {
	if pointer == "" {
		return "at the top of the body"
	}
	return "at " + pointer
}

func malformed(detail string) error {
	return &refusal{http.StatusBadRequest, "malformed_json", detail}
}

func whereMalformed(body []byte, err error) error {
	if syntax, ok := errors.AsType[*json.SyntaxError](err); ok {
		return malformed("the body is not JSON " + position(body, int(syntax.Offset)-1))
	}
	if len(bytes.TrimSpace(body)) == 0 {
		return malformed("the body is empty")
	}
	return malformed("the JSON breaks off " + position(body, len(body)))
}

func position(body []byte, offset int) string {
	before := body[:min(max(offset, 0), len(body))]
	line := bytes.Count(before, []byte("\n")) + 1
	column := utf8.RuneCount(before[bytes.LastIndexByte(before, '\n')+1:]) + 1
	return fmt.Sprintf("at line %d, column %d", line, column)
}
