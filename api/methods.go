package api

import (
	"net/http"
	"slices"
	"strings"

	"github.com/gin-gonic/gin"
)

// unknownRoute also answers OPTIONS * (RFC 9110, section 9.3.7), which asks about no address.
func unknownRoute(c *gin.Context) error {
	if c.Request.Method == http.MethodOptions && c.Request.RequestURI == "*" {
		c.Status(http.StatusNoContent)
		return nil
	}
	return &refusal{http.StatusNotFound, "route_not_found", "there is nothing at this address; /openapi.yaml lists what there is"}
}

// otherMethod answers OPTIONS, and refuses each other method that the address does not have.
func otherMethod(c *gin.Context) error {
	c.Header("Allow", strings.Join(allowed(c.Writer.Header().Get("Allow")), ", "))
	if c.Request.Method == http.MethodOptions {
		c.Status(http.StatusNoContent)
		return nil
	}
	return &refusal{http.StatusMethodNotAllowed, "method_not_allowed", "this address has other methods; see Allow"}
}

// allowed are the methods of an address: those in the table, which gin has written into Allow, HEAD wherever there is GET, and OPTIONS.
func allowed(registered string) []string {
	methods := strings.Split(registered, ", ")
	slices.Sort(methods) // gin's order is that in which methods first came
	if get := slices.Index(methods, http.MethodGet); get >= 0 {
		methods = slices.Insert(methods, get+1, http.MethodHead)
	}
	return append(methods, http.MethodOptions)
}
