package api

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strings"

	"github.com/gin-gonic/gin"
)

// Who may keep an answer, and for how long (RFC 9111, section 5.2.2). All others are not kept: newAnswer.
const (
	// keptBriefly is for what everyone is told the same, and what may be some seconds old.
	keptBriefly = "public, max-age=5"
	// keptForMinutes is for what changes with a new version of the program only.
	keptForMinutes = "public, max-age=300"
	// keptAndAsked is for what one customer is told: kept by that customer's own client, which asks each time whether it has changed.
	keptAndAsked = "private, no-cache"
)

// answerKept answers a GET with a JSON body that may be kept.
func answerKept(c *gin.Context, keep string, body any) error {
	encoded, err := json.Marshal(body)
	if err != nil {
		return err
	}
	writeKept(c, keep, "application/json", append(encoded, '\n'))
	return nil
}

// writeKept writes an answer that may be kept, or 304 where the client has it already (RFC 9110, section 13.1.2). The tag is made of the
// body, so that all processes give the same one.
func writeKept(c *gin.Context, keep, contentType string, body []byte) {
	sum := sha256.Sum256(body)
	tag := `"` + base64.RawURLEncoding.EncodeToString(sum[:12]) + `"`
	c.Header("Cache-Control", keep)
	c.Header("ETag", tag)
	if hasTag(c.Request.Header.Values("If-None-Match"), tag) {
		c.Status(http.StatusNotModified)
		return
	}
	c.Data(http.StatusOK, contentType, body)
}

// hasTag reports whether one of the lists has the tag, or is *. It compares weakly: a proxy that compresses answers makes tags weak. Our
// tags hold no comma.
func hasTag(lists []string, tag string) bool {
	for _, list := range lists {
		for candidate := range strings.SplitSeq(list, ",") {
			candidate = strings.TrimSpace(candidate)
			if candidate == "*" || strings.TrimPrefix(candidate, "W/") == tag {
				return true
			}
		}
	}
	return false
}
