package baseline

import (
	"net/http"

	"github.com/gin-gonic/gin"
	"github.com/redis/go-redis/v9"
)

// NewHandler is a bare gin handler that answers each request with the value of key in Redis.
func NewHandler(rdb *redis.Client, key string) http.Handler {
	engine := gin.New()
	engine.GET("/", func(c *gin.Context) {
		value, err := rdb.Get(c.Request.Context(), key).Bytes()
		if err != nil {
			c.String(http.StatusServiceUnavailable, err.Error())
			return
		}
		c.Data(http.StatusOK, "application/json; charset=utf-8", value)
	})
	return engine
}
